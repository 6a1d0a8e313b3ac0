#include "queue/run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/conf/conf.h"
#include "common/conf/conf_log.h"
#include "common/daemon/daemon.h"
#include "common/base/log.h"
#include "common/daemon/notify.h"
#include "queue/check.h"
#include "queue/run_directories.h"
#include "queue/run_program.h"
#include "queue/run_sockets.h"

/* Those that others ask come first, so that at a start there is less waiting; none depends on the order. */
static const char *const names[] = {"authd", "queued", "deliver", "remote", "smtpd", "popd", "imapd"};
#define PROGRAMS_MAX (sizeof names / sizeof names[0])

struct supervisor {
	const char *conf_path;
	bool debug;
	struct conf *conf;
	struct loop *loop;
	struct run_sockets sockets;
	struct run_program programs[PROGRAMS_MAX];
	size_t nprograms;
	struct loop_io notices;
	char notify_address[32];
	struct loop_signal hup, term, interrupt;
	struct loop_timer watchdog;
	bool said_ready;
	bool stopping;
};

static bool
path_beside(const char *name, char *path)
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);
	char *slash;

	if (n <= 0)
		return false;
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (slash == NULL || (size_t)(slash + 1 - path) + strlen(name) >= PATH_MAX)
		return false;
	(void)str_copy(slash + 1, PATH_MAX - (size_t)(slash + 1 - path), str_from(name));
	return access(path, X_OK) == 0;
}

bool
run_find_program(const char *name, char *path)
{
	int n;

	if (path_beside(name, path))
		return true;
	n = snprintf(path, PATH_MAX, "%s/%s", MERPATI_LIBEXEC, name);
	return n > 0 && n < PATH_MAX && access(path, X_OK) == 0;
}

/* --- notices from the programs ----------------------------------------------------------------------------------------- */

static bool
all_ready(const struct supervisor *s)
{
	for (size_t i = 0; i < s->nprograms; i++)
		if (!s->programs[i].ready)
			return false;
	return true;
}

/* The kernel says who sent it: only the programs themselves are listened to. */
static struct run_program *
sender_of(struct supervisor *s, struct msghdr *header)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(header);
	struct ucred who;

	if (c == NULL || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS)
		return NULL;
	memcpy(&who, CMSG_DATA(c), sizeof who);
	for (size_t i = 0; i < s->nprograms; i++)
		if (s->programs[i].pid > 0 && s->programs[i].pid == who.pid)
			return &s->programs[i];
	return NULL;
}

static void
notice_handle(struct supervisor *s, struct msghdr *header, struct str lines)
{
	struct run_program *program = sender_of(s, header);

	if (program == NULL)
		return;
	run_program_heard(program, lines);
	if (s->said_ready || !all_ready(s))
		return;
	s->said_ready = true;
	log_info("ready");
	notify_send("READY=1");
}

static void
notice_ready(struct loop_io *io, unsigned events)
{
	struct supervisor *s = container_of(io, struct supervisor, notices);
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	char text[1024];
	ssize_t n;

	(void)events;
	for (;;) {
		struct iovec iov = {.iov_base = text, .iov_len = sizeof text};
		struct msghdr header = {.msg_iov = &iov,
		    .msg_iovlen = 1,
		    .msg_control = control.bytes,
		    .msg_controllen = sizeof control.bytes};

		n = recvmsg(io->fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n <= 0)
			return;
		notice_handle(s, &header, (struct str){text, (size_t)n});
	}
}

/* A socket in the abstract space whose name the kernel picks: it leaves nothing behind in run_directory. */
static bool
open_notices(struct supervisor *s, struct err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t length = sizeof(sa_family_t);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0 ||
	    bind(fd, (const struct sockaddr *)&address, length) != 0)
		return err_sys(err, "cannot make a socket for notices");
	length = sizeof address;
	if (getsockname(fd, (struct sockaddr *)&address, &length) != 0)
		return err_sys(err, "cannot make a socket for notices");
	length -= (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1);
	if (!str_copy(s->notify_address + 1, sizeof s->notify_address - 1, (struct str){address.sun_path + 1, length}))
		return err_set(err, ERR_TEMP, "the kernel's name for the socket for notices is too long");
	s->notify_address[0] = '@';
	loop_io_add(s->loop, &s->notices, fd, LOOP_READ, notice_ready);
	return true;
}

/* --- the programs ------------------------------------------------------------------------------------------------------ */

static void
program_ended(struct run_program *program)
{
	/* Each program points back through the array that it lies in. */
	struct supervisor *s = container_of(program->sockets, struct supervisor, sockets);

	for (size_t i = 0; i < s->nprograms; i++)
		if (s->programs[i].pid > 0)
			return;
	loop_stop(s->loop);
}

/* remote waits for no one: it goes to queued. All others exist for what they listen on. */
static bool
is_wanted(const struct supervisor *s, const char *name)
{
	if (strcmp(name, "remote") == 0)
		return true;
	for (size_t i = 0; i < s->sockets.n; i++)
		if (strcmp(listener_kind_facts(s->sockets.list[i].kind)->program, name) == 0)
			return true;
	return false;
}

static bool
find_programs(struct supervisor *s, struct err *err)
{
	for (size_t i = 0; i < PROGRAMS_MAX; i++) {
		struct run_program *program = &s->programs[s->nprograms];

		if (!is_wanted(s, names[i]))
			continue;
		*program = (struct run_program){.name = names[i],
		    .conf_path = s->conf->path,
		    .sockets = &s->sockets,
		    .notify_address = s->notify_address,
		    .loop = s->loop,
		    .debug = s->debug,
		    .ended = program_ended};
		if (!run_find_program(names[i], program->path))
			return err_set(err, ERR_PERM, "the program %s is neither beside this one nor in %s", names[i], MERPATI_LIBEXEC);
		s->nprograms++;
	}
	return true;
}

/* --- the configuration ------------------------------------------------------------------------------------------------- */

static void
log_finding(struct check *check, bool is_error, const char *text)
{
	(void)check;
	if (is_error)
		log_error("%s", text);
}

/* Programs that cannot start would only be started again and again: better one clear word. */
static bool
is_usable(const struct conf *conf)
{
	struct check check = {.conf = conf, .found = log_finding};

	check_essentials(&check);
	return check.errors == 0;
}

/* --- signals ----------------------------------------------------------------------------------------------------------- */

/* Sockets are opened once: a listener that came, went or moved takes effect with the next start. */
static bool
same_listeners(const struct conf *a, const struct conf *b)
{
	if (a->nlisteners != b->nlisteners)
		return false;
	for (size_t i = 0; i < a->nlisteners; i++) {
		const struct conf_listener *x = &a->listeners[i], *y = &b->listeners[i];

		if (strcmp(x->name, y->name) != 0 || x->kind != y->kind || x->port != y->port ||
		    strcmp(x->address, y->address) != 0 || strcmp(x->path, y->path) != 0)
			return false;
	}
	return true;
}

/* Looks at the new configuration first: one that is wrong leaves everything as it was. */
static void
reload(struct loop_signal *signal)
{
	struct supervisor *s = container_of(signal, struct supervisor, hup);
	struct conf *conf;
	struct err err;

	if (s->stopping)
		return;
	if (!conf_load(s->conf_path, &conf, &err)) {
		log_error("the configuration is not read anew: %s", err.text);
		return;
	}
	if (!is_usable(conf)) {
		log_error("the configuration is not read anew");
		conf_free(conf);
		return;
	}
	if (!same_listeners(s->conf, conf) || strcmp(s->conf->run_directory, conf->run_directory) != 0)
		log_warning("changes of listeners and of run_directory take effect when merpati is started anew");
	conf_log_open(conf, "run", s->debug);
	conf_free(conf);
	log_info("reload");
	for (size_t i = 0; i < s->nprograms; i++)
		run_program_reload(&s->programs[i]);
}

static void
end(struct supervisor *s)
{
	if (s->stopping)
		return;
	s->stopping = true;
	log_info("ending");
	notify_send("STOPPING=1");
	for (size_t i = 0; i < s->nprograms; i++)
		run_program_stop(&s->programs[i]);
}

static void
terminate(struct loop_signal *signal)
{
	end(container_of(signal, struct supervisor, term));
}

static void
interrupt(struct loop_signal *signal)
{
	end(container_of(signal, struct supervisor, interrupt));
}

static void
watchdog(struct loop_timer *timer)
{
	struct supervisor *s = container_of(timer, struct supervisor, watchdog);

	notify_send("WATCHDOG=1");
	loop_timer_set(s->loop, timer, notify_watchdog_ms() / 2, watchdog);
}

static void
watch(struct supervisor *s)
{
	(void)signal(SIGPIPE, SIG_IGN);
	loop_signal_add(s->loop, &s->hup, SIGHUP, reload);
	loop_signal_add(s->loop, &s->term, SIGTERM, terminate);
	loop_signal_add(s->loop, &s->interrupt, SIGINT, interrupt);
	if (notify_watchdog_ms() > 0)
		loop_timer_set(s->loop, &s->watchdog, notify_watchdog_ms() / 2, watchdog);
}

/* --- the whole --------------------------------------------------------------------------------------------------------- */

/* Standard descriptors that are closed would be taken by sockets, and a log line would go to a client. */
static bool
have_standard_descriptors(struct err *err)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (fd < 0)
			return err_sys(err, "/dev/null");
	} while (fd <= STDERR_FILENO);
	(void)close(fd);
	return true;
}

static bool
prepare(struct supervisor *s, struct err *err)
{
	return run_directories_make(s->conf, err) && run_directories_lock(s->conf, err) &&
	    run_sockets_open(&s->sockets, s->conf, err) && open_notices(s, err) && find_programs(s, err);
}

static int
supervise(struct supervisor *s)
{
	struct err err;

	s->loop = loop_new();
	if (!prepare(s, &err)) {
		log_error("%s", err.text);
		run_sockets_close(&s->sockets);
		return EX_CONFIG;
	}
	watch(s);
	for (size_t i = 0; i < s->nprograms; i++)
		run_program_start(&s->programs[i]);
	loop_run(s->loop);
	run_sockets_close(&s->sockets);
	log_info("ended");
	return EX_OK;
}

int
run_main(const char *conf_path, bool debug)
{
	static struct supervisor s;
	struct err err;

	s = (struct supervisor){.conf_path = conf_path, .debug = debug};
	log_open("merpati", "run", LOG_TO_STDERR);
	(void)umask(022);
	if (!have_standard_descriptors(&err) || !conf_load(conf_path, &s.conf, &err)) {
		log_error("%s", err.text);
		return EX_CONFIG;
	}
	conf_log_open(s.conf, "run", debug);
	if (!is_usable(s.conf))
		return EX_CONFIG;
	notify_open();
	return supervise(&s);
}

/* Whoever holds the lock runs; without one the number in the file means nothing. */
static pid_t
holder_of(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[24];
	uint64_t pid;
	ssize_t n;

	if (fd < 0 && errno == ENOENT)
		return (pid_t)err_set(err, ERR_PERM, "merpati does not run (there is no %s)", path);
	if (fd < 0)
		return (pid_t)err_sys(err, "cannot open %s", path);
	n = flock(fd, LOCK_SH | LOCK_NB) == 0 ? 0 : read(fd, text, sizeof text);
	(void)close(fd);
	if (n <= 0 || !str_to_u64(str_trim((struct str){text, (size_t)n}), INT_MAX, &pid) || pid < 2)
		return (pid_t)err_set(err, ERR_PERM, "merpati does not run (nobody holds %s)", path);
	return (pid_t)pid;
}

int
run_signal(const char *conf_path, int signal)
{
	char path[PATH_MAX];
	struct conf *conf;
	struct err err;
	pid_t pid;

	if (!conf_load(conf_path, &conf, &err)) {
		(void)fprintf(stderr, "merpati: %s\n", err.text);
		return EX_CONFIG;
	}
	(void)snprintf(path, sizeof path, "%s/lock", conf->run_directory);
	conf_free(conf);
	pid = holder_of(path, &err);
	if (pid > 0 && kill(pid, signal) == 0)
		return EX_OK;
	if (pid > 0)
		(void)err_sys(&err, "cannot signal process %d", (int)pid);
	(void)fprintf(stderr, "merpati: %s\n", err.text);
	return EX_UNAVAILABLE;
}
