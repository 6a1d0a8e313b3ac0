#include "common/base/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"

#define BATCH 64

RB_HEAD(timer_tree, loop_timer);
LIST_HEAD(signal_list, loop_signal);
LIST_HEAD(child_list, loop_child);
TAILQ_HEAD(deferred_list, loop_deferred);

struct loop {
	int epoll_fd;
	struct loop_io signal_io; /* .fd is -1 until the first signal is added */
	struct loop_signal child_signal;
	sigset_t signals;
	void (*before_wait)(void); /* NULL: nothing */
	bool stopped;
	uint64_t now_ms;
	struct timer_tree timers;
	struct deferred_list deferred;
	struct signal_list signal_list;
	struct child_list children;
	struct epoll_event batch[BATCH];
	int batch_n; /* events of this turn; a removed io is blanked in them */
};

/* Equal deadlines are told apart by address: any order will do, but both must stay in the tree. */
static int
timer_compare(struct loop_timer *a, struct loop_timer *b)
{
	if (a->deadline_ms != b->deadline_ms)
		return a->deadline_ms < b->deadline_ms ? -1 : 1;
	return (uintptr_t)a < (uintptr_t)b ? -1 : (uintptr_t)a > (uintptr_t)b;
}

TREE_GENERATE(timer_tree, loop_timer, link, timer_compare)

void
loop_refresh(struct loop *loop)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_MONOTONIC, &ts) != 0)
		fatal("clock_gettime: %s", strerror(errno));
	loop->now_ms = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

struct loop *
loop_new(void)
{
	struct loop *loop = calloc(1, sizeof *loop);

	if (loop == NULL)
		fatal("out of memory for the event loop");
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0)
		fatal("epoll_create1: %s", strerror(errno));
	loop->signal_io.fd = -1;
	(void)sigemptyset(&loop->signals);
	RB_INIT(&loop->timers);
	TAILQ_INIT(&loop->deferred);
	LIST_INIT(&loop->signal_list);
	LIST_INIT(&loop->children);
	loop_refresh(loop);
	return loop;
}

void
loop_free(struct loop *loop)
{
	(void)close(loop->epoll_fd);
	if (loop->signal_io.fd >= 0)
		(void)close(loop->signal_io.fd);
	(void)sigprocmask(SIG_UNBLOCK, &loop->signals, NULL);
	free(loop);
}

uint64_t
loop_now_ms(const struct loop *loop)
{
	return loop->now_ms;
}

void
loop_stop(struct loop *loop)
{
	loop->stopped = true;
}

void
loop_before_wait(struct loop *loop, void (*call)(void))
{
	loop->before_wait = call;
}

static int
wait_ms(struct loop *loop, int timeout_ms)
{
	struct loop_timer *first = RB_MIN(timer_tree, &loop->timers);
	uint64_t left;

	if (!TAILQ_EMPTY(&loop->deferred))
		return 0;
	if (first == NULL)
		return timeout_ms;
	left = first->deadline_ms > loop->now_ms ? first->deadline_ms - loop->now_ms : 0;
	if (left > 3600 * 1000)
		left = 3600 * 1000;
	return timeout_ms >= 0 && (uint64_t)timeout_ms < left ? timeout_ms : (int)left;
}

static unsigned
events_of(uint32_t epoll_events)
{
	unsigned events = 0;

	if (epoll_events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP))
		events |= LOOP_READ;
	if (epoll_events & (EPOLLOUT | EPOLLERR))
		events |= LOOP_WRITE;
	if (epoll_events & (EPOLLHUP | EPOLLERR))
		events |= LOOP_HANGUP;
	return events;
}

static void
timers_expire(struct loop *loop)
{
	uint64_t now_ms = loop->now_ms; /* one that is set for 0 ms in a callback waits for the next turn */
	struct loop_timer *timer;

	while ((timer = RB_MIN(timer_tree, &loop->timers)) != NULL && timer->deadline_ms <= now_ms) {
		loop_timer_cancel(timer);
		timer->expired(timer);
	}
}

/* Up to the mark: what is deferred meanwhile stands behind it. */
static void
deferred_run(struct loop *loop)
{
	struct loop_deferred mark, *deferred;

	if (TAILQ_EMPTY(&loop->deferred))
		return;
	TAILQ_INSERT_TAIL(&loop->deferred, &mark, link);
	while ((deferred = TAILQ_FIRST(&loop->deferred)) != &mark) {
		loop_defer_cancel(deferred);
		deferred->run(deferred);
	}
	TAILQ_REMOVE(&loop->deferred, &mark, link);
}

void
loop_once(struct loop *loop, int timeout_ms)
{
	int n;

	if (loop->before_wait != NULL)
		loop->before_wait();
	n = epoll_wait(loop->epoll_fd, loop->batch, BATCH, wait_ms(loop, timeout_ms));
	if (n < 0 && errno != EINTR)
		fatal("epoll_wait: %s", strerror(errno));
	loop_refresh(loop);
	loop->batch_n = n < 0 ? 0 : n;
	for (int i = 0; i < loop->batch_n; i++) {
		struct loop_io *io = loop->batch[i].data.ptr;

		if (io == NULL)
			continue;
		loop->batch[i].data.ptr = NULL;
		io->ready(io, events_of(loop->batch[i].events));
	}
	loop->batch_n = 0;
	timers_expire(loop);
	deferred_run(loop);
}

void
loop_run(struct loop *loop)
{
	loop->stopped = false;
	while (!loop->stopped)
		loop_once(loop, -1);
}

static uint32_t
epoll_events_of(unsigned events)
{
	return ((events & LOOP_READ) ? (uint32_t)EPOLLIN : 0) | ((events & LOOP_WRITE) ? (uint32_t)EPOLLOUT : 0) |
	    ((events & LOOP_EDGE) ? (uint32_t)EPOLLET : 0);
}

void
loop_io_add(struct loop *loop, struct loop_io *io, int fd, unsigned events,
    void (*ready)(struct loop_io *, unsigned))
{
	struct epoll_event event = {.events = epoll_events_of(events), .data.ptr = io};

	*io = (struct loop_io){.ready = ready, .loop = loop, .fd = fd, .events = events};
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
		fatal("epoll_ctl: cannot watch descriptor %d: %s", fd, strerror(errno));
}

void
loop_io_want(struct loop_io *io, unsigned events)
{
	struct epoll_event event = {.events = epoll_events_of(events), .data.ptr = io};

	if (io->loop == NULL || io->events == events)
		return;
	io->events = events;
	if (epoll_ctl(io->loop->epoll_fd, EPOLL_CTL_MOD, io->fd, &event) != 0)
		fatal("epoll_ctl: cannot change descriptor %d: %s", io->fd, strerror(errno));
}

void
loop_io_remove(struct loop_io *io)
{
	if (io->loop == NULL)
		return;
	(void)epoll_ctl(io->loop->epoll_fd, EPOLL_CTL_DEL, io->fd, NULL);
	for (int i = 0; i < io->loop->batch_n; i++)
		if (io->loop->batch[i].data.ptr == io)
			io->loop->batch[i].data.ptr = NULL;
	io->loop = NULL;
}

void
loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t after_ms,
    void (*expired)(struct loop_timer *))
{
	loop_timer_cancel(timer);
	timer->expired = expired;
	timer->loop = loop;
	/* At least one ms later than "now", so that a timer that re-arms itself cannot starve the loop. */
	timer->deadline_ms = loop->now_ms + (after_ms > 0 ? after_ms : 1);
	(void)RB_INSERT(timer_tree, &loop->timers, timer);
}

void
loop_timer_cancel(struct loop_timer *timer)
{
	if (timer->loop == NULL)
		return;
	(void)RB_REMOVE(timer_tree, &timer->loop->timers, timer);
	timer->loop = NULL;
}

void
loop_defer(struct loop *loop, struct loop_deferred *deferred, void (*run)(struct loop_deferred *))
{
	if (deferred->loop != NULL)
		return;
	deferred->run = run;
	deferred->loop = loop;
	TAILQ_INSERT_TAIL(&loop->deferred, deferred, link);
}

void
loop_defer_cancel(struct loop_deferred *deferred)
{
	if (deferred->loop == NULL)
		return;
	TAILQ_REMOVE(&deferred->loop->deferred, deferred, link);
	deferred->loop = NULL;
}

static void
signals_read(struct loop_io *io, unsigned events)
{
	struct loop *loop = io->loop;
	struct signalfd_siginfo info;

	(void)events;
	while (read(io->fd, &info, sizeof info) == (ssize_t)sizeof info) {
		struct loop_signal *signal, *next;

		LIST_FOREACH_SAFE(signal, &loop->signal_list, link, next)
			if ((uint32_t)signal->number == info.ssi_signo)
				signal->raised(signal);
	}
}

void
loop_signal_add(struct loop *loop, struct loop_signal *signal, int number,
    void (*raised)(struct loop_signal *))
{
	bool first = loop->signal_io.fd < 0;
	int fd;

	(void)sigaddset(&loop->signals, number);
	if (sigprocmask(SIG_BLOCK, &loop->signals, NULL) != 0)
		fatal("sigprocmask: %s", strerror(errno));
	fd = signalfd(loop->signal_io.fd, &loop->signals, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		fatal("signalfd: %s", strerror(errno));
	if (first)
		loop_io_add(loop, &loop->signal_io, fd, LOOP_READ, signals_read);
	signal->number = number;
	signal->raised = raised;
	LIST_INSERT_HEAD(&loop->signal_list, signal, link);
}

/* A callback may add and remove children, so the walk begins again after each. */
static void
children_reap(struct loop_signal *signal)
{
	struct loop *loop = container_of(signal, struct loop, child_signal);
	struct loop_child *child = LIST_FIRST(&loop->children);

	while (child != NULL) {
		int status;

		if (waitpid(child->pid, &status, WNOHANG) != child->pid) {
			child = LIST_NEXT(child, link);
			continue;
		}
		loop_child_remove(child);
		child->exited(child, status);
		child = LIST_FIRST(&loop->children);
	}
}

void
loop_child_add(struct loop *loop, struct loop_child *child, pid_t pid,
    void (*exited)(struct loop_child *, int))
{
	if (loop->child_signal.raised == NULL)
		loop_signal_add(loop, &loop->child_signal, SIGCHLD, children_reap);
	child->pid = pid;
	child->exited = exited;
	LIST_INSERT_HEAD(&loop->children, child, link);
	/* It may have ended before SIGCHLD was blocked. */
	(void)kill(getpid(), SIGCHLD);
}

void
loop_child_remove(struct loop_child *child)
{
	LIST_REMOVE(child, link);
}
