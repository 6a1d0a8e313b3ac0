#include "queue/run_program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/daemon/descriptors.h"
#include "common/daemon/listener.h"
#include "common/base/log.h"

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 1000
/* One that had lived for so long is started anew at once. */
#define LIVED_MS 5000
#define STOP_DEADLINE_MS 10000
#define WATCHDOG_MS 60000
#define NAMES_MAX_BYTES 65536

static void program_restart(struct run_program *program);

static bool
is_for(const struct run_program *program, const struct run_socket *s)
{
	return strcmp(listener_kind_facts(s->kind)->program, program->name) == 0;
}

/* --- in the child, between fork and exec: whatever fails ends it ------------------------------------------------------ */

static _Noreturn void
child_fail(const char *what)
{
	log_error("%s: %s", what, strerror(errno));
	_exit(EX_OSERR);
}

static void
set_variable(const char *name, const char *value)
{
	if (setenv(name, value, 1) != 0)
		child_fail("setenv");
}

static void
set_number(const char *name, unsigned long long value)
{
	char text[24];

	(void)snprintf(text, sizeof text, "%llu", value);
	set_variable(name, text);
}

/* First out of the way of the numbers from 3 on, then onto them, where they lose close-on-exec. */
static void
place_sockets(int *fds, size_t n)
{
	int limit = LISTENER_FIRST_FD + (int)n;

	for (size_t i = 0; i < n; i++) {
		fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, limit);
		if (fds[i] < 0)
			child_fail("fcntl");
	}
	for (size_t i = 0; i < n; i++)
		if (dup2(fds[i], LISTENER_FIRST_FD + (int)i) < 0)
			child_fail("dup2");
	for (size_t i = 0; i < n; i++)
		fds[i] = LISTENER_FIRST_FD + (int)i;
	descriptors_keep(fds, n);
}

static void
pass_sockets(const struct run_program *program)
{
	int fds[LISTENERS_MAX];
	struct buf names;
	size_t n = 0;

	buf_init(&names, NAMES_MAX_BYTES);
	for (size_t i = 0; i < program->sockets->n; i++) {
		const struct run_socket *s = &program->sockets->list[i];

		if (!is_for(program, s) || n == LISTENERS_MAX)
			continue;
		buf_addf(&names, "%s%s", n > 0 ? ":" : "", s->name);
		fds[n++] = s->fd;
	}
	buf_addc(&names, '\0');
	if (!buf_ok(&names))
		child_fail("names of sockets");
	place_sockets(fds, n);
	set_number("LISTEN_FDS", n);
	set_variable("LISTEN_FDNAMES", names.p);
	set_number("LISTEN_PID", (unsigned long long)getpid());
}

/* Ends with its supervisor, whatever ends that; and a Ctrl-C is the supervisor's alone. */
static void
tie_to_supervisor(pid_t supervisor)
{
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0)
		child_fail("prctl");
	if (getppid() != supervisor)
		_exit(EX_OK);
	if (setpgid(0, 0) != 0)
		child_fail("setpgid");
}

static _Noreturn void
child_main(const struct run_program *program, pid_t supervisor)
{
	char *argv[] = {strdup(program->name), strdup("-c"), strdup(program->conf_path),
	    program->debug ? strdup("-d") : NULL, NULL};

	tie_to_supervisor(supervisor);
	loop_free(program->loop);
	pass_sockets(program);
	set_variable("NOTIFY_SOCKET", program->notify_address);
	set_number("WATCHDOG_USEC", WATCHDOG_MS * 1000ULL);
	set_number("WATCHDOG_PID", (unsigned long long)getpid());
	(void)execv(program->path, argv);
	child_fail(program->path);
}

/* --- in the supervisor ------------------------------------------------------------------------------------------------- */

static void
watchdog_expired(struct loop_timer *timer)
{
	struct run_program *program = container_of(timer, struct run_program, watchdog);

	log_error("%s (process %d) has not been heard of for %d s and is killed", program->name, (int)program->pid,
	    WATCHDOG_MS / 1000);
	(void)kill(program->pid, SIGKILL);
}

static void
log_end(const struct run_program *program, int status)
{
	if (WIFSIGNALED(status))
		log_warning("%s (process %d) was killed by signal %d", program->name, (int)program->pid, WTERMSIG(status));
	else if (!program->stopping || WEXITSTATUS(status) != 0)
		log_warning("%s (process %d) ended with status %d", program->name, (int)program->pid, WEXITSTATUS(status));
	else
		log_debug("%s (process %d) ended", program->name, (int)program->pid);
}

static void
program_exited(struct loop_child *process, int status)
{
	struct run_program *program = container_of(process, struct run_program, process);

	log_end(program, status);
	loop_timer_cancel(&program->timer);
	loop_timer_cancel(&program->watchdog);
	program->pid = 0;
	program->ready = false;
	if (program->stopping)
		program->ended(program);
	else
		program_restart(program);
}

static void
start_again(struct loop_timer *timer)
{
	run_program_start(container_of(timer, struct run_program, timer));
}

static void
program_restart(struct run_program *program)
{
	loop_refresh(program->loop);
	if (loop_now_ms(program->loop) - program->started_ms >= LIVED_MS)
		program->backoff_ms = 0;
	if (program->backoff_ms == 0)
		run_program_start(program);
	else
		loop_timer_set(program->loop, &program->timer, program->backoff_ms, start_again);
	program->backoff_ms = program->backoff_ms == 0 ? BACKOFF_FIRST_MS : program->backoff_ms * 2;
	if (program->backoff_ms > BACKOFF_MAX_MS)
		program->backoff_ms = BACKOFF_MAX_MS;
}

void
run_program_start(struct run_program *program)
{
	pid_t supervisor = getpid(), pid = fork();

	if (pid == 0)
		child_main(program, supervisor);
	if (pid < 0) {
		log_error("cannot start %s: fork: %s", program->name, strerror(errno));
		loop_timer_set(program->loop, &program->timer, BACKOFF_MAX_MS, start_again);
		return;
	}
	program->pid = pid;
	program->ready = false;
	program->started_ms = loop_now_ms(program->loop);
	loop_child_add(program->loop, &program->process, pid, program_exited);
	loop_timer_set(program->loop, &program->watchdog, WATCHDOG_MS, watchdog_expired);
	log_debug("started %s as process %d", program->name, (int)pid);
}

void
run_program_heard(struct run_program *program, struct str lines)
{
	struct str line;

	while (str_token(&lines, '\n', &line))
		if (str_equal(line, STR("READY=1")))
			program->ready = true;
	loop_timer_set(program->loop, &program->watchdog, WATCHDOG_MS, watchdog_expired);
}

void
run_program_reload(struct run_program *program)
{
	if (program->pid > 0 && kill(program->pid, SIGHUP) != 0)
		log_warning("cannot tell %s to reload: %s", program->name, strerror(errno));
}

static void
stop_overdue(struct loop_timer *timer)
{
	struct run_program *program = container_of(timer, struct run_program, timer);

	log_warning("%s (process %d) did not end in time and is killed", program->name, (int)program->pid);
	(void)kill(program->pid, SIGKILL);
}

void
run_program_stop(struct run_program *program)
{
	if (program->stopping)
		return;
	program->stopping = true;
	loop_timer_cancel(&program->timer);
	if (program->pid == 0) {
		program->ended(program);
		return;
	}
	(void)kill(program->pid, SIGTERM);
	loop_timer_set(program->loop, &program->timer, STOP_DEADLINE_MS, stop_overdue);
}
