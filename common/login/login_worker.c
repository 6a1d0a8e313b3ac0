#include "common/login/login_worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/daemon/daemon_tls.h"
#include "common/base/log.h"
#include "common/daemon/sandbox.h"

#define PAUSE_MS 100
#define STOP_MS 3000 /* for sessions to say goodbye through their proxies */

static struct login_worker worker; /* of this process */

/* --- accepting ----------------------------------------------------------------------------------------------------- */

static void
listeners_want(unsigned events)
{
	for (size_t i = 0; i < worker.nlisteners; i++)
		loop_io_want(&worker.listeners[i].io, events);
}

static void
pause_expired(struct loop_timer *timer)
{
	(void)timer;
	listeners_want(LOOP_READ);
}

#define ACCEPT_A_TURN 32

static void
listener_ready(struct loop_io *io, unsigned events)
{
	const struct login_listener *listener = container_of(io, struct login_listener, io);

	(void)events;
	for (int i = 0; i < ACCEPT_A_TURN; i++) {
		int fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			login_client_open(&worker, listener, fd);
			continue;
		}
		if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
			return;
		log_warning("accept: %s", strerror(errno));
		listeners_want(0);
		loop_timer_set(worker.loop, &worker.pause, PAUSE_MS, pause_expired);
		return;
	}
}

static void
listeners_close(void)
{
	for (size_t i = 0; i < worker.nlisteners; i++)
		loop_io_remove(&worker.listeners[i].io);
	loop_timer_cancel(&worker.pause);
	worker.nlisteners = 0;
}

/* --- the parent ---------------------------------------------------------------------------------------------------- */

static void
parent_said(struct daemon_self *self, struct msg *m)
{
	struct login_client *client;

	(void)self;
	if (m->type != LOGIN_HANDED && m->type != LOGIN_NOT_HANDED)
		return;
	TAILQ_FOREACH(client, &worker.guests, link)
		if (client->state == LOGIN_HANDING && client->handover == m->id)
			break;
	if (client != NULL)
		login_client_handed(client, m->type == LOGIN_HANDED);
}

void
login_worker_left(struct login_worker *self)
{
	if (self->nclients == 0 && (self->self->draining || self->self->stopping))
		loop_stop(self->loop);
}

/* Who has not logged in goes; who has stays, on this process's TLS, until the connection ends. */
static void
guests_dismiss(void)
{
	struct login_client *client, *next;

	TAILQ_FOREACH_SAFE(client, &worker.guests, link, next)
		login_client_goodbye(client, LOGIN_BYE_SHUTDOWN);
	login_worker_left(&worker);
}

/* Guests may still log in: at a reload nobody loses a connection. */
static void
worker_drain(struct daemon_self *self)
{
	(void)self;
	listeners_close();
	login_worker_left(&worker);
}

static void
stop_expired(struct loop_timer *timer)
{
	(void)timer;
	loop_stop(worker.loop);
}

static void
worker_stop(struct daemon_self *self)
{
	(void)self;
	listeners_close();
	loop_timer_set(worker.loop, &worker.ending, STOP_MS, stop_expired);
	guests_dismiss();
}

/* --- the process --------------------------------------------------------------------------------------------------- */

/* Before the sandbox: certificates are read. */
static void
listeners_prepare(void)
{
	const struct daemon_self *self = worker.self;
	const struct daemon_tls *tls = daemon_tls_open(self);

	worker.listeners = calloc(self->nlisteners + 1, sizeof *worker.listeners);
	if (worker.listeners == NULL)
		fatal("out of memory for the listeners");
	for (size_t i = 0; i < self->nlisteners; i++) {
		struct login_listener *listener = &worker.listeners[worker.nlisteners];

		listener->listener = &self->listeners[i];
		listener->worker = &worker;
		listener->tls = daemon_tls_listener(tls, listener->listener);
		if (listener->tls == NULL && self->listeners[i].kind == worker.service->kind_tls)
			log_warning("listener %s: no certificate is configured, so nobody can connect",
			    self->listeners[i].name);
		else
			worker.nlisteners++;
	}
}

static void
listeners_open(void)
{
	for (size_t i = 0; i < worker.nlisteners; i++)
		loop_io_add(worker.loop, &worker.listeners[i].io, worker.listeners[i].listener->fd, LOOP_READ,
		    listener_ready);
}

void
login_worker_main(struct daemon_self *self, const struct login_service *service)
{
	struct sandbox_spec sandbox = {.promises = SANDBOX_STDIO | SANDBOX_LOOP | SANDBOX_SERVE | SANDBOX_UNIX};

	worker.self = self;
	worker.service = service;
	service->limits(self->conf, &worker.limits);
	sandbox.descriptors_max = 2 * worker.limits.clients_per_worker + 256;
	worker.key = siphash_key_new();
	TAILQ_INIT(&worker.guests);
	TAILQ_INIT(&worker.users);
	buf_init(&worker.message, MSG_MAX_BYTES);
	listeners_prepare();
	daemon_confine(self, &sandbox);
	worker.loop = loop_new();
	worker.sasl = sasl_client_new(worker.loop, daemon_socket_path(self->conf, "sasl"));
	listeners_open();
	self->received = parent_said;
	self->drain = worker_drain;
	self->stop = worker_stop;
	daemon_self_open(self, worker.loop);
	loop_run(worker.loop);
}
