#include "common/daemon/daemon.h"

#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <bsd/unistd.h>

#include "common/conf/conf_log.h"
#include "common/daemon/daemon_process.h"
#include "common/base/log.h"
#include "common/daemon/notify.h"
#include "common/tls/tls.h"

#define PING_MS 60000

bool
daemon_is_privileged(void)
{
	return geteuid() == 0;
}

static bool
user_from_entry(const struct passwd *entry, struct daemon_user *user, struct err *err)
{
	if (!str_copy(user->name, sizeof user->name, str_from(entry->pw_name)))
		return err_set(err, ERR_PERM, "the user name \"%s\" is too long", entry->pw_name);
	user->uid = entry->pw_uid;
	user->gid = entry->pw_gid;
	return true;
}

/* An ordinary user, who need not even have an entry, becomes nobody else. */
static void
user_self(struct daemon_user *user)
{
	*user = (struct daemon_user){.name = "self", .uid = geteuid(), .gid = getegid()};
}

bool
daemon_user_find(const char *name, struct daemon_user *user, struct err *err)
{
	const struct passwd *entry;

	user_self(user);
	if (name == NULL || !daemon_is_privileged())
		return true;
	errno = 0;
	entry = getpwnam(name);
	if (entry == NULL && errno != 0)
		return err_sys(err, "cannot look up the user %s", name);
	if (entry == NULL)
		return err_set(err, ERR_PERM, "there is no user %s; etc/make-users or systemd-sysusers creates it", name);
	return user_from_entry(entry, user, err);
}

static void
usage(const struct daemon *daemon)
{
	(void)fprintf(stderr, "usage: %s [-d] [-c FILE]\n", daemon->name);
}

static bool
options(struct daemon *daemon, int argc, char **argv)
{
	int option;

	daemon->conf_path = conf_default_path();
	while ((option = getopt(argc, argv, "c:d")) != -1) {
		if (option == 'c')
			daemon->conf_path = optarg;
		else if (option == 'd')
			daemon->debug = true;
		else
			return false;
	}
	return optind == argc;
}

/* What was passed in but is not ours to serve is closed: nobody would answer there. */
static void
drop_foreign_listeners(struct daemon *daemon)
{
	unsigned ours = 0;
	size_t kept = 0;

	for (size_t i = 0; i < daemon->nroles; i++)
		ours |= daemon->roles[i].listeners;
	for (size_t i = 0; i < daemon->listeners.n; i++) {
		struct listener *listener = &daemon->listeners.list[i];

		if (ours & LISTENER_BIT(listener->kind)) {
			daemon->listeners.list[kept++] = *listener;
			continue;
		}
		log_warning("the socket \"%s\" was passed in, but %s serves none of its kind", listener->name, daemon->name);
		(void)close(listener->fd);
	}
	daemon->listeners.n = kept;
	if (kept == 0 && ours != 0)
		log_warning("no socket was passed in: %s is started by \"merpati run\" or by systemd", daemon->name);
}

/* The users of all roles exist: better said at once than at the first fork of each. */
static bool
find_users(const struct daemon *daemon, struct err *err)
{
	struct daemon_user user;

	for (size_t i = 0; i < daemon->nroles; i++)
		if (!daemon_user_find(daemon->roles[i].user, &user, err))
			return false;
	return true;
}

/* A socket whose section is gone stays open, for it is not ours to close, but nobody serves it from now on. */
static void
warn_of_unknown(const struct daemon *daemon, const struct conf *conf)
{
	enum listener_kind kind;

	for (size_t i = 0; i < daemon->listeners.n; i++)
		if (!listener_kind_of(daemon->listeners.list[i].name, conf, &kind))
			log_warning("there is no [listener %s] any more: its socket is not served", daemon->listeners.list[i].name);
}

static bool
speaks_tls(const struct daemon *daemon, const struct conf *conf)
{
	for (size_t i = 0; i < daemon->nroles; i++)
		if (strcmp(daemon->roles[i].name, "key") == 0)
			return conf_has_tls(conf);
	return false;
}

static void
certificates_add(const struct conf *conf, const char **paths, size_t *n)
{
	for (size_t i = 0; i < conf->ncertificates; i++) {
		paths[(*n)++] = conf->certificates[i].certificate;
		paths[(*n)++] = conf->certificates[i].key;
	}
	for (size_t i = 0; i < conf->nlisteners; i++)
		if (conf->listeners[i].client_ca[0] != '\0')
			paths[(*n)++] = conf->listeners[i].client_ca;
}

static void
secrets_add(const struct conf *conf, const char **paths, size_t *n)
{
	for (size_t i = 0; i < conf->nroutes; i++) {
		if (conf->routes[i].password_file[0] != '\0')
			paths[(*n)++] = conf->routes[i].password_file;
		if (conf->routes[i].token_file[0] != '\0')
			paths[(*n)++] = conf->routes[i].token_file;
	}
}

/* Everything of which a new generation would take a renewed version; the caller frees the list. */
static const char **
renewable_files(const struct daemon *daemon, const struct conf *conf, size_t *n)
{
	const char **paths = calloc(2 * conf->ncertificates + conf->nlisteners + 2 * conf->nroutes + 1, sizeof *paths);

	if (paths == NULL)
		fatal("out of memory for the names of certificates");
	*n = 0;
	if (speaks_tls(daemon, conf))
		certificates_add(conf, paths, n);
	if (daemon->logs_in)
		secrets_add(conf, paths, n);
	return paths;
}

static void
watch_files(struct daemon *daemon, const struct conf *conf)
{
	size_t n;
	const char **paths = renewable_files(daemon, conf, &n);

	file_watch_begin(&daemon->renewable, paths, n);
	free(paths);
}

static bool
files_are_new(struct daemon *daemon)
{
	size_t n;
	const char **paths = renewable_files(daemon, daemon->conf, &n);
	bool is_new = file_watch_look(&daemon->renewable, paths, n);

	free(paths);
	return is_new;
}

static void
reload(struct daemon *daemon)
{
	struct conf *conf;
	struct err err;

	if (daemon->stopping)
		return;
	if (!conf_load(daemon->conf_path, &conf, &err)) {
		log_error("the configuration is not read anew: %s", err.text);
		return;
	}
	warn_of_unknown(daemon, conf);
	conf_log_open(conf, daemon->name, daemon->debug);
	watch_files(daemon, conf);
	daemon_generation_start(daemon, conf);
}

static void
hang_up(struct loop_signal *signal)
{
	reload(container_of(signal, struct daemon, hup));
}

/* Whoever renews certificates, or tokens, need not tell. */
static void
look_for_renewal(struct daemon *daemon)
{
	if (!files_are_new(daemon))
		return;
	log_info(daemon->logs_in ? "a password or token was renewed" : "a certificate was renewed");
	reload(daemon);
}

static void
end(struct daemon *daemon)
{
	struct daemon_generation *generation, *next;

	if (daemon->stopping)
		return;
	daemon->stopping = true;
	notify_send("STOPPING=1");
	TAILQ_FOREACH_SAFE(generation, &daemon->generations, link, next)
		daemon_generation_end(generation, true);
}

static void
terminate(struct loop_signal *signal)
{
	end(container_of(signal, struct daemon, term));
}

static void
interrupt(struct loop_signal *signal)
{
	end(container_of(signal, struct daemon, interrupt));
}

static void
watchdog(struct loop_timer *timer)
{
	struct daemon *daemon = container_of(timer, struct daemon, watchdog);

	notify_send("WATCHDOG=1");
	loop_timer_set(daemon->loop, timer, notify_watchdog_ms() / 2, watchdog);
}

static void
ping(struct loop_timer *timer)
{
	struct daemon *daemon = container_of(timer, struct daemon, ping);
	struct daemon_generation *generation;

	TAILQ_FOREACH(generation, &daemon->generations, link) {
		tls_ticket_secret_advance(&generation->tickets, tls_clock_s());
		for (size_t i = 0; i < generation->nregular; i++)
			daemon_child_ping(&generation->regular[i]);
	}
	look_for_renewal(daemon);
	loop_timer_set(daemon->loop, timer, daemon->ping_ms, ping);
}

static void
watch_signals(struct daemon *daemon)
{
	(void)signal(SIGPIPE, SIG_IGN);
	loop_signal_add(daemon->loop, &daemon->hup, SIGHUP, hang_up);
	loop_signal_add(daemon->loop, &daemon->term, SIGTERM, terminate);
	loop_signal_add(daemon->loop, &daemon->interrupt, SIGINT, interrupt);
	if (daemon->ping_ms == 0)
		daemon->ping_ms = PING_MS;
	loop_timer_set(daemon->loop, &daemon->ping, daemon->ping_ms, ping);
	if (notify_watchdog_ms() > 0)
		loop_timer_set(daemon->loop, &daemon->watchdog, notify_watchdog_ms() / 2, watchdog);
}

static bool
prepare(struct daemon *daemon, struct conf **conf)
{
	struct err err;

	if (!conf_load(daemon->conf_path, conf, &err)) {
		log_error("%s", err.text);
		return false;
	}
	conf_log_open(*conf, daemon->name, daemon->debug);
	if (!listener_take(&daemon->listeners, &err) || !listener_kinds(&daemon->listeners, *conf, &err) ||
	    !find_users(daemon, &err)) {
		log_error("%s", err.text);
		return false;
	}
	drop_foreign_listeners(daemon);
	return true;
}

int
daemon_main(struct daemon *daemon, int argc, char **argv)
{
	struct conf *conf;

	log_open("merpati", daemon->name, LOG_TO_STDERR);
	setproctitle_init(argc, argv, environ);
	if (!options(daemon, argc, argv)) {
		usage(daemon);
		return EX_USAGE;
	}
	(void)umask(077);
	notify_open();
	if (!prepare(daemon, &conf))
		return EX_CONFIG;
	setproctitle("parent");
	daemon->loop = loop_new();
	TAILQ_INIT(&daemon->generations);
	watch_signals(daemon);
	daemon->conf = conf;
	if (daemon->started != NULL && !daemon->started(daemon))
		return EX_TEMPFAIL;
	watch_files(daemon, conf);
	daemon_generation_start(daemon, conf);
	loop_run(daemon->loop);
	log_debug("ended");
	return EX_OK;
}
