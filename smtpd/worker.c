#include "smtpd/worker.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/daemon/daemon_tls.h"
#include "common/base/log.h"
#include "common/daemon/sandbox.h"
#include "smtpd/filter_connector.h"
#include "smtpd/proxy_wait.h"
#include "smtpd/session.h"

#define COMMIT_THREADS 2
#define MAP_TIMEOUT_MS 10000
#define ACCEPTS_A_TURN 16
#define ACCEPT_PAUSE_MS 1000
#define DESCRIPTORS_MORE 64	/* besides those of the sessions */
#define DESCRIPTORS_A_SESSION 2 /* connection and queue file */
#define PATH_BYTES 128
#define TRIM_FROM 100 /* sessions at a time, after which memory is worth giving back */
#define TRIM_AFTER_MS 500

/* Anybody on this host may connect to the socket of local programs, and no limit of the guard's holds for them: what they
 * take is half of the places, so that they cannot keep the mail of others out. */
static bool
is_open(const struct worker_listener *listener)
{
	const struct worker *worker = listener->worker;

	return worker->accepting &&
	    (listener->listener->kind != LISTENER_LOCAL || worker->nlocals < (worker->conf->smtpd.clients_per_worker + 1) / 2);
}

static void
listeners_watch(struct worker *worker)
{
	for (size_t i = 0; i < worker->nlisteners; i++)
		loop_io_want(&worker->listeners[i].io, is_open(&worker->listeners[i]) ? LOOP_READ : 0);
}

static void
accept_on(struct worker *worker, bool on)
{
	worker->accepting = on;
	listeners_watch(worker);
}

static bool
has_room(const struct worker *worker)
{
	return worker->nsessions + worker->ncommits < worker->conf->smtpd.clients_per_worker;
}

static void
pause_over(struct loop_timer *timer)
{
	struct worker *worker = container_of(timer, struct worker, accept_pause);

	accept_on(worker, has_room(worker));
}

/* The kernel has no descriptor or no memory for us: asking again at once would only fill the log. */
static void
accept_failed(struct worker *worker, int errnum)
{
	if (errnum == EAGAIN || errnum == EINTR || errnum == ECONNABORTED)
		return;
	log_warning("accept: %s", strerror(errnum));
	accept_on(worker, false);
	loop_timer_set(worker->loop, &worker->accept_pause, ACCEPT_PAUSE_MS, pause_over);
}

static void
connection_take(struct worker_listener *listener, int fd, const struct sockaddr_storage *address)
{
	const struct sockaddr *peer = (const struct sockaddr *)(const void *)address;

	if (proxy_wait_is_due(listener, peer))
		proxy_wait_new(listener, fd, address);
	else
		session_new(listener, fd, peer, NULL);
}

static void
accept_ready(struct loop_io *io, unsigned events)
{
	struct worker_listener *listener = container_of(io, struct worker_listener, io);
	struct worker *worker = listener->worker;

	(void)events;
	for (int i = 0; i < ACCEPTS_A_TURN && is_open(listener); i++) {
		struct sockaddr_storage address = {0};
		socklen_t n = sizeof address;
		int fd = accept4(io->fd, (struct sockaddr *)(void *)&address, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			accept_failed(worker, errno);
			return;
		}
		connection_take(listener, fd, &address);
		if (!has_room(worker) || !is_open(listener))
			accept_on(worker, has_room(worker)); /* the others wait to be greeted */
	}
}

/* What many sessions held lies in pieces between what the others hold; malloc keeps it unless it is told. */
static void
trim_expired(struct loop_timer *timer)
{
	(void)timer;
	(void)malloc_trim(0);
}

static void
memory_give_back(struct worker *worker)
{
	if (worker->nsessions > worker->sessions_peak)
		worker->sessions_peak = worker->nsessions;
	if (worker->sessions_peak < TRIM_FROM || worker->nsessions > worker->sessions_peak / 2)
		return;
	worker->sessions_peak = worker->nsessions;
	loop_timer_set(worker->loop, &worker->trim, TRIM_AFTER_MS, trim_expired);
}

void
worker_session_over(struct worker *worker)
{
	memory_give_back(worker);
	if (!worker->draining) {
		if (has_room(worker))
			accept_on(worker, true);
		return;
	}
	if (worker->nsessions == 0 && worker->ncommits == 0)
		loop_stop(worker->loop);
}

static void
listeners_remove(struct worker *worker)
{
	worker->draining = true;
	loop_timer_cancel(&worker->accept_pause);
	for (size_t i = 0; i < worker->nlisteners; i++)
		loop_io_remove(&worker->listeners[i].io);
}

/* A reload drops nobody: each session goes on until QUIT or its time-out. */
static void
drain(struct daemon_self *self)
{
	struct worker *worker = self->owner;

	listeners_remove(worker);
	guard_client_drain(&worker->guard);
	worker_session_over(worker);
}

static void
stop(struct daemon_self *self)
{
	struct worker *worker = self->owner;
	struct session *s, *next;

	listeners_remove(worker);
	worker->stopping = true;
	proxy_wait_stop(worker);
	TAILQ_FOREACH_SAFE(s, &worker->sessions, link, next)
		session_stop(s);
	worker_session_over(worker);
}

/* ---- set-up ------------------------------------------------------------------------------------------------------------ */

static void
listeners_open(struct worker *worker, struct daemon_self *self)
{
	const struct daemon_tls *tls = daemon_tls_open(self);

	worker->listeners = calloc(self->nlisteners + 1, sizeof *worker->listeners);
	if (worker->listeners == NULL)
		fatal("out of memory for %zu listeners", self->nlisteners);
	for (size_t i = 0; i < self->nlisteners; i++) {
		const struct listener *listener = &self->listeners[i];
		const struct listener_kind_facts *facts = listener_kind_facts(listener->kind);

		if (facts->tls_at_once && tls == NULL) {
			log_warning("listener %s is not served: there is no tls_certificate", listener->name);
			continue;
		}
		worker->listeners[worker->nlisteners++] = (struct worker_listener){
		    .worker = worker, .listener = listener, .facts = facts,
		    .section = conf_listener_find(self->conf, str_from(listener->name)),
		    .tls = listener->kind == LISTENER_LOCAL ? NULL : daemon_tls_listener(tls, listener)};
	}
}

static uint64_t
milter_count(const struct conf *conf)
{
	uint64_t n = 0;

	for (size_t i = 0; i < conf->nfilters; i++)
		n += conf->filters[i].kind == CONF_FILTER_MILTER;
	return n;
}

/*
 * What is in the drop box is not this process's to read, but for a file of its own that it shows to filters: it opens it for
 * both when it creates it. Landlock knows of directories only and must let it, where there are milters. What lies there
 * already stays out of reach: seccomp lets files be created, not opened, and as root nor do their modes.
 */
static void
confine(struct daemon_self *self, int incoming_fd)
{
	uint64_t milters = milter_count(self->conf), servers = (self->conf->nfilters - milters) * POLICY_CONNECTIONS_MAX;
	struct sandbox_spec spec = {
	    .promises = SANDBOX_STDIO | SANDBOX_LOOP | SANDBOX_SERVE | SANDBOX_UNIX | SANDBOX_CREATE | SANDBOX_THREADS,
	    .paths = {{.fd = incoming_fd, .access = SANDBOX_WRITE | (milters > 0 ? SANDBOX_READ : 0)}},
	    .descriptors_max = self->conf->smtpd.clients_per_worker * (DESCRIPTORS_A_SESSION + milters) + servers + DESCRIPTORS_MORE,
	};

	daemon_confine(self, &spec);
}

static void
policies_open(struct worker *worker)
{
	size_t n = worker->conf->nfilters;

	worker->policies = calloc(n + 1, sizeof *worker->policies);
	if (worker->policies == NULL)
		fatal("out of memory for %zu filters", n);
	for (size_t i = 0; i < n; i++)
		policy_client_init(&worker->policies[i], worker->loop, &worker->connector, i);
}

static void
services_open(struct worker *worker, const struct daemon_self *self, int incoming_fd)
{
	static char map_path[PATH_BYTES], poke_path[PATH_BYTES];
	struct commit *commit;

	(void)str_copy(map_path, sizeof map_path, str_from(daemon_socket_path(worker->conf, "map")));
	(void)str_copy(poke_path, sizeof poke_path, str_from(daemon_socket_path(worker->conf, "poke")));
	worker->sasl = sasl_client_new(worker->loop, daemon_socket_path(worker->conf, "sasl"));
	socketmap_client_init(&worker->map, worker->loop, map_path, MAP_TIMEOUT_MS);
	guard_client_start(&worker->guard, worker->loop, self->peers[WORKER_PEER_GUARD]);
	connector_client_init(&worker->connector, worker->loop, self->peers[WORKER_PEER_CONNECTOR], worker->conf,
	    &filter_places);
	policies_open(worker);
	milter_pool_init(&worker->milters, worker->loop, &worker->connector, worker->conf);
	commit = commit_new(worker->loop, COMMIT_THREADS);
	commit_use_kernel_threads(commit);
	intake_init(&worker->intake, worker->loop, commit, incoming_fd, poke_path);
	worker->intake.reads_back = milter_count(worker->conf) > 0;
}

void
worker_run(struct daemon_self *self, int incoming_fd)
{
	static struct worker worker;

	worker.conf = self->conf;
	TAILQ_INIT(&worker.sessions);
	known_init(&worker.known);
	TAILQ_INIT(&worker.proxies);
	listeners_open(&worker, self);
	confine(self, incoming_fd);
	worker.loop = loop_new();
	log_gather();
	loop_before_wait(worker.loop, log_flush);
	services_open(&worker, self, incoming_fd);
	for (size_t i = 0; i < worker.nlisteners; i++)
		loop_io_add(worker.loop, &worker.listeners[i].io, worker.listeners[i].listener->fd, LOOP_READ, accept_ready);
	worker.accepting = true;
	self->owner = &worker;
	self->drain = drain;
	self->stop = stop;
	daemon_self_open(self, worker.loop);
	loop_run(worker.loop);
	intake_flush_notice(&worker.intake);
	guard_client_flush(&worker.guard);
}
