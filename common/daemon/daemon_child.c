#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/daemon/daemon_process.h"
#include "common/base/log.h"
#include "common/tls/tls.h"

/* A process that keeps dying is forked anew after 50, 100, 200 ... ms, at most after a second; one that had lived for
 * so long, at once. */
#define BACKOFF_FIRST_MS 50
#define BACKOFF_MAX_MS 1000
#define LIVED_MS 2000
#define STOP_DEADLINE_MS 5000
/* For what a child that has ended had still sent; only a descendant of its own can hold the channel open longer. */
#define LAST_WORDS_MS 200
#define UNANSWERED_MAX 3

static void child_restart(struct daemon_child *child);

static void
log_end(const struct daemon_child *child, int status)
{
	const char *name = child->role->name;

	if (WIFSIGNALED(status) && !(child->told_to_stop && WTERMSIG(status) == SIGTERM))
		log_warning("process %d (%s) was killed by signal %d", (int)child->pid, name, WTERMSIG(status));
	else if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
		log_warning("process %d (%s) ended with status %d", (int)child->pid, name, WEXITSTATUS(status));
	else if (!child->role->on_demand && !child->told_to_stop && !child->told_to_drain)
		log_warning("process %d (%s) ended without being asked", (int)child->pid, name);
	else
		log_debug("process %d (%s) ended", (int)child->pid, name);
}

/* A regular one is to be replaced, unless it is of a new generation that cannot do what the old one can. */
static void
regular_gone(struct daemon_child *child, bool was_ready)
{
	if (child->role->ended != NULL)
		child->role->ended(child);
	if (!was_ready && daemon_generation_is_trial(child->generation))
		daemon_generation_give_up(child->generation);
	else
		child_restart(child);
}

/* Process and channel are both gone. */
static void
child_gone(struct daemon_child *child)
{
	struct daemon_generation *generation = child->generation;
	bool was_ready = child->ready;

	loop_timer_cancel(&child->respawn);
	child->pid = 0;
	child->ready = false;
	if (!child->role->on_demand && generation->state != DAEMON_DRAINING) {
		regular_gone(child, was_ready);
		return;
	}
	TAILQ_REMOVE(&generation->children, child, link);
	if (child->role->ended != NULL)
		child->role->ended(child); /* which may free a child on demand */
	daemon_generation_left(generation);
}

static void
last_words_over(struct loop_timer *timer)
{
	struct daemon_child *child = container_of(timer, struct daemon_child, respawn);

	channel_close(&child->channel);
	child_gone(child);
}

static void
child_exited(struct loop_child *process, int status)
{
	struct daemon_child *child = container_of(process, struct daemon_child, process);

	log_end(child, status);
	process->pid = 0;
	if (channel_is_open(&child->channel))
		loop_timer_set(child->daemon->loop, &child->respawn, LAST_WORDS_MS, last_words_over);
	else
		child_gone(child);
}

/* The child closed its channel: it is ending, or soon will be. */
static void
child_closed(struct channel *channel)
{
	struct daemon_child *child = container_of(channel, struct daemon_child, channel);

	if (child->process.pid == 0)
		child_gone(child);
}

static void
child_received(struct channel *channel, struct msg *m)
{
	struct daemon_child *child = container_of(channel, struct daemon_child, channel);

	child->unanswered = 0;
	if (m->type == DAEMON_PONG)
		return;
	if (m->type == DAEMON_READY && !child->ready) {
		child->ready = true;
		daemon_generation_ready(child->generation);
	} else if (m->type < DAEMON_MESSAGES && child->role->received != NULL) {
		child->role->received(child, m);
	} else {
		log_warning("process %d (%s) sent an unexpected message %u", (int)child->pid, child->role->name, m->type);
	}
}

static bool
child_fork(struct daemon_child *child, const struct daemon_spawn *spawn, struct err *err)
{
	struct daemon *daemon = child->daemon;
	int fds[2];

	msg_socketpair(fds);
	tls_ticket_secret_advance(&child->generation->tickets, tls_clock_s());
	child->pid = fork();
	if (child->pid == 0)
		daemon_self_main(child, spawn, fds[1]);
	(void)close(fds[1]);
	if (child->pid < 0) {
		child->pid = 0;
		(void)close(fds[0]);
		return err_sys(err, "cannot fork a process (%s)", child->role->name);
	}
	child->unanswered = 0;
	child->ready = child->told_to_stop = child->told_to_drain = false;
	child->started_ms = loop_now_ms(daemon->loop);
	channel_open(&child->channel, daemon->loop, fds[0], child_received, child_closed);
	loop_child_add(daemon->loop, &child->process, child->pid, child_exited);
	return true;
}

/* What the dead process was to be told is nothing to its successor. */
static void
forget_answers(int fd)
{
	char byte;

	while (recv(fd, &byte, sizeof byte, MSG_DONTWAIT | MSG_TRUNC) > 0)
		continue;
}

static void
respawn_expired(struct loop_timer *timer)
{
	daemon_child_start(container_of(timer, struct daemon_child, respawn));
}

static void
child_restart(struct daemon_child *child)
{
	struct loop *loop = child->daemon->loop;

	loop_refresh(loop);
	if (loop_now_ms(loop) - child->started_ms >= LIVED_MS)
		child->backoff_ms = 0;
	if (child->backoff_ms == 0)
		daemon_child_start(child);
	else
		loop_timer_set(loop, &child->respawn, child->backoff_ms, respawn_expired);
	child->backoff_ms = child->backoff_ms == 0 ? BACKOFF_FIRST_MS : child->backoff_ms * 2;
	if (child->backoff_ms > BACKOFF_MAX_MS)
		child->backoff_ms = BACKOFF_MAX_MS;
}

void
daemon_child_start(struct daemon_child *child)
{
	struct err err;

	if (daemon_child_must_wait(child))
		return;
	for (size_t i = 0; i < DAEMON_PEERS_MAX && child->peer_fds[i] >= 0; i++)
		forget_answers(child->peer_fds[i]);
	if (child_fork(child, NULL, &err))
		return;
	log_warning("%s", err.text);
	loop_timer_set(child->daemon->loop, &child->respawn, BACKOFF_MAX_MS, respawn_expired);
}

bool
daemon_spawn(struct daemon *daemon, struct daemon_child *child, const struct daemon_role *role,
    const struct daemon_spawn *spawn, struct err *err)
{
	/* The newest generation that runs is the one whose configuration is in force. */
	struct daemon_generation *generation = TAILQ_LAST(&daemon->generations, daemon_generations);

	while (generation != NULL && generation->conf != daemon->conf)
		generation = TAILQ_PREV(generation, daemon_generations, link);
	if (generation == NULL || daemon->stopping)
		return err_set(err, ERR_TEMP, "the server is ending");
	*child = (struct daemon_child){.daemon = daemon, .role = role, .generation = generation, .peer_fds = {-1, -1, -1}};
	if (!child_fork(child, spawn, err))
		return false;
	TAILQ_INSERT_TAIL(&generation->children, child, link);
	return true;
}

bool
daemon_child_send(struct daemon_child *child, const struct buf *b, int pass_fd)
{
	return channel_send(&child->channel, b, pass_fd);
}

static void
stop_overdue(struct loop_timer *timer)
{
	struct daemon_child *child = container_of(timer, struct daemon_child, respawn);

	log_warning("process %d (%s) did not end in time and is killed", (int)child->pid, child->role->name);
	if (child->process.pid > 0)
		(void)kill(child->process.pid, SIGKILL);
}

static void
send_order(struct daemon_child *child, enum daemon_message type)
{
	struct buf b;

	buf_init(&b, 64);
	msg_begin(&b, type, 0);
	if (!channel_send(&child->channel, &b, -1) && child->process.pid > 0 && type != DAEMON_PING)
		(void)kill(child->process.pid, SIGTERM); /* it does not read, or is ending already */
	buf_clear(&b);
}

void
daemon_child_stop(struct daemon_child *child)
{
	if (child->pid == 0 || child->told_to_stop)
		return;
	child->told_to_stop = true;
	send_order(child, DAEMON_STOP);
	if (child->process.pid > 0)
		loop_timer_set(child->daemon->loop, &child->respawn, STOP_DEADLINE_MS, stop_overdue);
}

void
daemon_child_ping(struct daemon_child *child)
{
	if (!child->ready || child->process.pid == 0)
		return;
	if (child->unanswered == UNANSWERED_MAX) {
		log_error("process %d (%s) hangs and is killed", (int)child->pid, child->role->name);
		(void)kill(child->process.pid, SIGKILL);
		return;
	}
	child->unanswered++;
	send_order(child, DAEMON_PING);
}

void
daemon_child_order(struct daemon_child *child, bool haste)
{
	if (haste) {
		daemon_child_stop(child);
	} else if (!child->told_to_drain) {
		child->told_to_drain = true;
		send_order(child, DAEMON_DRAIN);
	}
}
