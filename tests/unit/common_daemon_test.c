/*
 * A daemon with all that daemons have, in a process of its own: workers that serve a socket and have the role "oracle" as
 * their peer, and sessions on demand. A client of the socket sends one letter and gets a line:
 *     w  "PID DEBUG DESCRIPTORS"    the worker, whether its configuration says debug, how many descriptors it has
 *     o  "PID"                      of the oracle
 *     s  "PID ARGUMENT DESCRIPTORS" of a session, which the parent forks for this
 *     k  "PID"                      of the keeper, an exclusive role that holds a lock
 *     x                             the worker dies
 *     h                             the worker hangs
 * With smtpd_workers = 63 the worker cannot start.
 */
#include "tests/unit/rows.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/daemon/daemon.h"

enum {
	ASK_SESSION = 1,
	SESSION_SAYS,
};

static char directory[] = "/tmp/dmn-XXXXXX";
static pid_t daemon_pid;
static int notify_fd = -1;

/* --- the daemon ------------------------------------------------------------------------------------------------------- */

static unsigned
count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	while (dir != NULL && readdir(dir) != NULL)
		n++;
	(void)closedir(dir);
	return n - 3; /* . and .. and the directory itself */
}

struct worker {
	struct daemon_self *self;
	struct loop_io accept_io, client_io;
	int client_fd; /* one at a time will do */
};

static struct worker worker;

static void reply(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void
reply(const char *format, ...)
{
	char line[128];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(line, sizeof line, format, ap);
	va_end(ap);
	assert_int_equal(send(worker.client_fd, line, (size_t)n, MSG_NOSIGNAL), n);
}

static void
client_leave(void)
{
	loop_io_remove(&worker.client_io);
	(void)close(worker.client_fd);
	worker.client_fd = -1;
	if (worker.self->draining)
		loop_stop(worker.self->loop);
}

static void
ask_oracle(void)
{
	pid_t pid = 0;

	if (send(worker.self->peers[0], "?", 1, MSG_NOSIGNAL) == 1 &&
	    recv(worker.self->peers[0], &pid, sizeof pid, 0) == sizeof pid)
		reply("%d\n", (int)pid);
}

static void
ask_keeper(void)
{
	char text[16] = "0";
	int fd = open("keeper", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
	(void)close(fd);
	reply("%s", text);
}

static void
ask_session(void)
{
	struct buf b;

	buf_init(&b, MSG_MAX_BYTES);
	msg_begin(&b, ASK_SESSION, 7);
	msg_add_str(&b, STR("baru"));
	assert_true(daemon_self_send(worker.self, &b, -1));
	buf_clear(&b);
}

static void
client_ready(struct loop_io *io, unsigned events)
{
	char letter;

	(void)events;
	if (read(io->fd, &letter, 1) != 1)
		client_leave();
	else if (letter == 'w')
		reply("%d %d %u\n", (int)getpid(), worker.self->conf->debug, count_descriptors());
	else if (letter == 'o')
		ask_oracle();
	else if (letter == 's')
		ask_session();
	else if (letter == 'k')
		ask_keeper();
	else if (letter == 'h')
		(void)sleep(30);
	else
		_exit(3);
}

static void
accept_ready(struct loop_io *io, unsigned events)
{
	int fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC);

	(void)events;
	if (fd < 0 || worker.client_fd >= 0) {
		(void)close(fd);
		return;
	}
	worker.client_fd = fd;
	loop_io_add(worker.self->loop, &worker.client_io, fd, LOOP_READ, client_ready);
}

static void
worker_received(struct daemon_self *self, struct msg *m)
{
	struct str text = msg_get_str(m);

	(void)self;
	if (m->type == SESSION_SAYS && msg_done(m) && worker.client_fd >= 0)
		reply("%.*s\n", STR_FMT(text));
}

static void
worker_drain(struct daemon_self *self)
{
	loop_io_remove(&worker.accept_io);
	if (worker.client_fd < 0)
		loop_stop(self->loop);
}

static void
worker_stop(struct daemon_self *self)
{
	loop_stop(self->loop);
}

static void
worker_main(struct daemon_self *self)
{
	struct loop *loop = loop_new();

	self->received = worker_received;
	self->drain = worker_drain;
	self->stop = worker_stop;
	worker.self = self;
	worker.client_fd = -1;
	if (self->nlisteners != 1 || self->npeers != 1)
		_exit(9);
	if (self->conf->smtpd.workers == 63)
		_exit(7);
	loop_io_add(loop, &worker.accept_io, self->listeners[0].fd, LOOP_READ, accept_ready);
	daemon_self_open(self, loop);
	loop_run(loop);
}

static struct loop_io oracle_io;

static void
oracle_asked(struct loop_io *io, unsigned events)
{
	pid_t pid = getpid();
	char question;

	(void)events;
	if (recv(io->fd, &question, 1, 0) == 1)
		(void)send(io->fd, &pid, sizeof pid, MSG_NOSIGNAL);
}

static void
oracle_main(struct daemon_self *self)
{
	struct loop *loop = loop_new();

	loop_io_add(loop, &oracle_io, self->peers[0], LOOP_READ, oracle_asked);
	daemon_self_open(self, loop);
	loop_run(loop);
}

/* Two of them at a time would be one too many. */
static void
keeper_main(struct daemon_self *self)
{
	struct loop *loop = loop_new();
	int fd = open("keeper", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	char text[16];
	int n = snprintf(text, sizeof text, "%d\n", (int)getpid());

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0)
		_exit(6);
	if (ftruncate(fd, 0) != 0 || write(fd, text, (size_t)n) != n)
		_exit(5);
	daemon_self_open(self, loop);
	loop_run(loop);
}

struct session {
	struct daemon_child child;
	struct daemon_child *asked_by;
};

static void
session_main(struct daemon_self *self)
{
	struct loop *loop = loop_new();
	const char *name = self->argument;
	struct buf b;
	char text[64];

	daemon_self_open(self, loop);
	buf_init(&b, MSG_MAX_BYTES);
	msg_begin(&b, SESSION_SAYS, 0);
	(void)snprintf(text, sizeof text, "%d %s %u", (int)getpid(), name, count_descriptors());
	msg_add_str(&b, str_from(text));
	(void)daemon_self_send(self, &b, -1);
	buf_clear(&b);
}

static void
session_received(struct daemon_child *child, struct msg *m)
{
	struct session *session = container_of(child, struct session, child);
	struct buf b;

	buf_init(&b, MSG_MAX_BYTES);
	msg_begin(&b, SESSION_SAYS, 0);
	msg_add_str(&b, msg_get_str(m));
	(void)daemon_child_send(session->asked_by, &b, -1);
	buf_clear(&b);
}

static void
session_ended(struct daemon_child *child)
{
	free(container_of(child, struct session, child));
}

static const struct daemon_role roles[];

static void
worker_said(struct daemon_child *child, struct msg *m)
{
	struct session *session = calloc(1, sizeof *session);
	char name[16];
	struct daemon_spawn spawn = {.argument = name, .title = name};
	struct err err;

	session->asked_by = child;
	if (m->type != ASK_SESSION || !str_copy(name, sizeof name, msg_get_str(m)) || !msg_done(m) ||
	    !daemon_spawn(child->daemon, &session->child, &roles[2], &spawn, &err))
		_exit(8);
}

static const struct daemon_role roles[] = {
    {.name = "worker",
	.main = worker_main,
	.peers = {"oracle"},
	.listeners = LISTENER_BIT(LISTENER_MX),
	.received = worker_said},
    {.name = "oracle", .main = oracle_main},
    {.name = "session", .main = session_main, .on_demand = true, .received = session_received, .ended = session_ended},
    {.name = "keeper", .main = keeper_main, .exclusive = true},
};

static void
write_conf(const char *text)
{
	char path[64];
	FILE *file;

	(void)snprintf(path, sizeof path, "%s/conf", directory);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static struct sockaddr_un
address_of(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", directory, name);
	return address;
}

static int
bind_at(const char *name, int type)
{
	struct sockaddr_un address = address_of(name);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	(void)unlink(address.sun_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

static _Noreturn void
daemon_run(int listen_fd)
{
	static struct daemon daemon = {.name = "testd", .roles = roles, .nroles = ROWS(roles), .ping_ms = 100};
	char program[] = "testd", option[] = "-c", path[64], notify[64], quiet[64];
	char *argv[] = {program, option, path, NULL};
	int error_fd;

	(void)snprintf(path, sizeof path, "%s/conf", directory);
	(void)snprintf(notify, sizeof notify, "%s/notify", directory);
	(void)snprintf(quiet, sizeof quiet, "%s/log", directory);
	assert_int_equal(chdir(directory), 0);
	error_fd = open(quiet, O_WRONLY | O_CREAT | O_APPEND, 0600);
	(void)dup2(error_fd, 2);
	/* Descriptors that nobody shall see in a role: close_range in each child sees to that. */
	(void)dup2(listen_fd, 3);
	(void)dup2(error_fd, 50);
	(void)setenv("LISTEN_FDS", "1", 1);
	(void)setenv("LISTEN_FDNAMES", "mx", 1);
	(void)setenv("NOTIFY_SOCKET", notify, 1);
	_exit(daemon_main(&daemon, 3, argv));
}

/* --- the tests -------------------------------------------------------------------------------------------------------- */

static bool
hear(const char *what)
{
	struct pollfd p = {.fd = notify_fd, .events = POLLIN};
	char text[128];
	ssize_t n;

	while (poll(&p, 1, 5000) == 1) {
		n = recv(notify_fd, text, sizeof text - 1, 0);
		text[n > 0 ? n : 0] = '\0';
		if (strcmp(text, what) == 0)
			return true;
	}
	return false;
}

static int
start(void **state)
{
	int listen_fd;

	(void)state;
	write_conf("log = stderr\n");
	(void)unlink(address_of("log").sun_path);
	notify_fd = bind_at("notify", SOCK_DGRAM);
	listen_fd = bind_at("mx", SOCK_STREAM);
	assert_int_equal(listen(listen_fd, 10), 0);
	daemon_pid = fork();
	if (daemon_pid == 0)
		daemon_run(listen_fd);
	(void)close(listen_fd);
	assert_true(hear("READY=1"));
	return 0;
}

static int
end_with(int signal)
{
	int status;

	(void)kill(daemon_pid, signal);
	if (waitpid(daemon_pid, &status, 0) != daemon_pid)
		return -1;
	daemon_pid = 0;
	return status;
}

static int
end(void **state)
{
	(void)state;
	if (daemon_pid > 0)
		(void)end_with(SIGTERM);
	(void)close(notify_fd);
	return 0;
}

static int
client_connect(void)
{
	struct sockaddr_un address = address_of("mx");
	struct timeval patience = {.tv_sec = 5};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

/* The answer as its first number; the rest into text. */
static int
ask(int fd, char letter, char *text, size_t size)
{
	ssize_t n;

	assert_int_equal(send(fd, &letter, 1, MSG_NOSIGNAL), 1);
	n = recv(fd, text, size - 1, 0);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	return (int)strtol(text, NULL, 10);
}

static bool
is_gone_soon(pid_t pid)
{
	for (int i = 0; i < 500; i++) {
		if (kill(pid, 0) != 0)
			return errno == ESRCH;
		(void)usleep(10000);
	}
	return false;
}

static bool
log_has(const char *words)
{
	char path[64], text[8192];
	FILE *file;
	size_t n;

	(void)snprintf(path, sizeof path, "%s/log", directory);
	file = fopen(path, "r");
	assert_non_null(file);
	n = fread(text, 1, sizeof text - 1, file);
	text[n] = '\0';
	(void)fclose(file);
	return strstr(text, words) != NULL;
}

static void
a_role_has_only_its_own_descriptors(void **state)
{
	int fd = client_connect();
	char text[64];
	int pid, debug;
	unsigned n;

	(void)state;
	(void)ask(fd, 'w', text, sizeof text);
	assert_int_equal(sscanf(text, "%d %d %u", &pid, &debug, &n), 3);
	/* 0 1 2, channel, listener, peer, the loop's two or one, the client */
	assert_in_range(n, 8, 9);
	assert_int_not_equal(pid, daemon_pid);
	(void)close(fd);
}

static void
a_worker_that_dies_is_back_at_once(void **state)
{
	char text[64];
	int fd = client_connect(), first = ask(fd, 'w', text, sizeof text), second;

	(void)state;
	assert_int_equal(ask(fd, 'x', text, sizeof text), 0);
	(void)close(fd);
	fd = client_connect();
	second = ask(fd, 'w', text, sizeof text);
	assert_true(second > 0 && second != first);
	assert_int_equal(kill(second, SIGKILL), 0);
	(void)close(fd);
	fd = client_connect();
	assert_true(ask(fd, 'w', text, sizeof text) > 0);
	(void)close(fd);
	assert_true(log_has("(worker) ended with status 3"));
	assert_true(log_has("(worker) was killed by signal 9"));
}

static void
a_worker_that_hangs_is_killed_and_replaced(void **state)
{
	char text[64];
	int fd = client_connect(), first = ask(fd, 'w', text, sizeof text), second;

	(void)state;
	assert_int_equal(ask(fd, 'h', text, sizeof text), 0);
	(void)close(fd);
	fd = client_connect();
	second = ask(fd, 'w', text, sizeof text);
	assert_true(second > 0 && second != first);
	assert_true(log_has("(worker) hangs and is killed"));
	(void)close(fd);
}

static void
a_peer_that_dies_is_back_on_the_same_pair(void **state)
{
	char text[64];
	int fd = client_connect(), first = ask(fd, 'o', text, sizeof text), second;

	(void)state;
	assert_true(first > 0);
	assert_int_equal(kill(first, SIGKILL), 0);
	assert_true(is_gone_soon(first));
	second = ask(fd, 'o', text, sizeof text);
	assert_true(second > 0 && second != first);
	(void)close(fd);
}

static void
a_process_on_demand_gets_its_argument_and_nothing_else(void **state)
{
	char text[64], name[16] = "";
	int fd = client_connect(), pid;
	unsigned n = 0;

	(void)state;
	pid = ask(fd, 's', text, sizeof text);
	assert_int_equal(sscanf(text, "%d %15s %u", &pid, name, &n), 3);
	assert_string_equal(name, "baru");
	assert_in_range(n, 5, 6); /* 0 1 2, channel, loop */
	assert_true(is_gone_soon(pid));
	(void)close(fd);
}

static void
a_reload_keeps_the_old_worker_until_its_client_leaves(void **state)
{
	char text[64];
	int old = client_connect(), fd, old_pid = ask(old, 'w', text, sizeof text), pid, debug;

	(void)state;
	write_conf("log = stderr\ndebug = yes\n");
	assert_int_equal(kill(daemon_pid, SIGHUP), 0);
	assert_true(hear("READY=1"));
	(void)usleep(100000); /* the old one may have taken a last connection just before it was told */
	fd = client_connect();
	(void)ask(fd, 'w', text, sizeof text);
	assert_int_equal(sscanf(text, "%d %d", &pid, &debug), 2);
	assert_int_not_equal(pid, old_pid);
	assert_int_equal(debug, 1);
	assert_int_equal(ask(old, 'w', text, sizeof text), old_pid);
	assert_true(ask(old, 'o', text, sizeof text) > 0); /* with its own peer still there */
	(void)close(old);
	assert_true(is_gone_soon(old_pid));
	assert_true(ask(fd, 'o', text, sizeof text) > 0);
	(void)close(fd);
}

static void
a_wrong_configuration_changes_nothing(void **state)
{
	char text[64];
	int fd = client_connect(), pid = ask(fd, 'w', text, sizeof text);

	(void)state;
	write_conf("debug = perhaps\n");
	assert_int_equal(kill(daemon_pid, SIGHUP), 0);
	for (int i = 0; i < 500 && !log_has("is not read anew"); i++)
		(void)usleep(10000);
	assert_true(log_has("conf:1: debug: \"perhaps\" must be yes or no"));
	assert_int_equal(ask(fd, 'w', text, sizeof text), pid);
	(void)close(fd);
}

static void
a_configuration_with_which_a_role_cannot_start_is_given_up(void **state)
{
	char text[64];
	int fd = client_connect(), pid = ask(fd, 'w', text, sizeof text);

	(void)state;
	write_conf("smtpd_workers = 63\n");
	assert_int_equal(kill(daemon_pid, SIGHUP), 0);
	for (int i = 0; i < 500 && !log_has("the new configuration is not used"); i++)
		(void)usleep(10000);
	assert_true(log_has("(worker) ended with status 7"));
	assert_int_equal(ask(fd, 'w', text, sizeof text), pid);
	write_conf("smtpd_workers = 62\n");
	assert_int_equal(kill(daemon_pid, SIGHUP), 0);
	assert_true(hear("READY=1"));
	(void)close(fd);
	assert_true(is_gone_soon(pid));
}

static void
of_an_exclusive_role_there_is_never_more_than_one(void **state)
{
	char text[64];
	int fd = client_connect(), first = ask(fd, 'k', text, sizeof text), now = first;

	(void)state;
	(void)close(fd);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(kill(daemon_pid, SIGHUP), 0);
		assert_true(hear("READY=1"));
	}
	assert_true(is_gone_soon(first));
	for (int i = 0; i < 500 && now == first; i++) {
		(void)usleep(10000);
		fd = client_connect();
		now = ask(fd, 'k', text, sizeof text);
		(void)close(fd);
	}
	assert_int_not_equal(now, first);
	assert_false(log_has("(keeper) ended with status 6"));
}

static void
sigterm_ends_all_processes_and_the_status_is_0(void **state)
{
	char text[64];
	int fd = client_connect(), pid = ask(fd, 'w', text, sizeof text), oracle = ask(fd, 'o', text, sizeof text);
	int status = end_with(SIGTERM);

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_true(hear("STOPPING=1"));
	assert_true(is_gone_soon(pid));
	assert_true(is_gone_soon(oracle));
	(void)close(fd);
}

static void
without_their_parent_the_processes_end(void **state)
{
	char text[64];
	int fd = client_connect(), pid = ask(fd, 'w', text, sizeof text), oracle = ask(fd, 'o', text, sizeof text);

	(void)state;
	(void)end_with(SIGKILL);
	assert_true(is_gone_soon(pid));
	assert_true(is_gone_soon(oracle));
	(void)close(fd);
}

#define DAEMON_TEST(name) cmocka_unit_test_setup_teardown(name, start, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    DAEMON_TEST(a_role_has_only_its_own_descriptors),
	    DAEMON_TEST(a_worker_that_dies_is_back_at_once),
	    DAEMON_TEST(a_worker_that_hangs_is_killed_and_replaced),
	    DAEMON_TEST(a_peer_that_dies_is_back_on_the_same_pair),
	    DAEMON_TEST(a_process_on_demand_gets_its_argument_and_nothing_else),
	    DAEMON_TEST(a_reload_keeps_the_old_worker_until_its_client_leaves),
	    DAEMON_TEST(a_wrong_configuration_changes_nothing),
	    DAEMON_TEST(a_configuration_with_which_a_role_cannot_start_is_given_up),
	    DAEMON_TEST(of_an_exclusive_role_there_is_never_more_than_one),
	    DAEMON_TEST(sigterm_ends_all_processes_and_the_status_is_0),
	    DAEMON_TEST(without_their_parent_the_processes_end),
	};
	static const char *const leftovers[] = {"conf", "log", "notify", "mx", "keeper"};
	int failed;

	if (mkdtemp(directory) == NULL)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	for (size_t i = 0; i < ROWS(leftovers); i++)
		(void)unlink(address_of(leftovers[i]).sun_path);
	(void)rmdir(directory);
	return failed;
}
