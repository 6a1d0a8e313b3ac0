#include "deliver/front.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/net/network.h"
#include "common/daemon/sandbox.h"
#include "common/net/unix_socket.h"
#include "deliver/session.h"

#define ACCEPTS_A_TURN 16
#define DESCRIPTORS_MORE 64
#define DESCRIPTORS_A_SESSION 2 /* connection and spool */

/* --- clients ------------------------------------------------------------------------------------------------------------- */

static bool
is_our_program(const struct front_listener *listener, int fd)
{
	struct unix_peer peer;
	struct err err;

	if (!unix_peer_get(fd, &peer, &err)) {
		log_warning("%s", err.text);
		return false;
	}
	for (size_t i = 0; i < listener->front->npeers; i++)
		if (listener->front->peers[i] == peer.uid)
			return true;
	log_warning("process %ld of uid %lu may not use the socket lmtp", (long)peer.pid, (unsigned long)peer.uid);
	return false;
}

/* From the network there is no password: LMTP is for those whose mail we take to anywhere as well. */
static bool
is_in_networks(const struct front_listener *listener, const struct sockaddr *address)
{
	const struct conf_networks *networks = &listener->front->conf->networks;
	char text[INET6_ADDRSTRLEN];

	for (size_t i = 0; i < networks->n; i++)
		if (network_contains(&networks->list[i], address))
			return true;
	network_address_format(address, text);
	log_info("NOQUEUE: reject: CONNECT from unknown[%s]: 554 5.7.1 the address is not in networks; proto=LMTP", text);
	return false;
}

/* The socket in run_directory is for our own programs; other paths are guarded by whoever set them up. */
static bool
is_welcome(const struct front_listener *listener, int fd, const struct sockaddr *address)
{
	static const char refusal[] = "554 5.7.1 Access denied\r\n";

	if (address->sa_family == AF_UNIX)
		return strcmp(listener->listener->name, listener_kind_facts(LISTENER_LMTP)->socket) != 0 ||
		    is_our_program(listener, fd);
	if (is_in_networks(listener, address))
		return true;
	(void)send(fd, refusal, sizeof refusal - 1, MSG_NOSIGNAL);
	return false;
}

static void
accept_on(struct front *front, bool on)
{
	if (front->accepting == on || front->draining)
		return;
	front->accepting = on;
	for (size_t i = 0; i < front->nlisteners; i++)
		loop_io_want(&front->listeners[i].io, on ? LOOP_READ : 0);
}

static bool
has_room(const struct front *front)
{
	return front->nsessions < front->conf->deliver.clients_per_worker;
}

static void
accept_ready(struct loop_io *io, unsigned events)
{
	struct front_listener *listener = container_of(io, struct front_listener, io);
	struct front *front = listener->front;

	(void)events;
	for (int i = 0; i < ACCEPTS_A_TURN && front->accepting; i++) {
		struct sockaddr_storage address = {.ss_family = AF_UNIX};
		socklen_t length = sizeof address;
		int fd = accept4(io->fd, (struct sockaddr *)&address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
				log_warning("accept: %s", strerror(errno));
			return;
		}
		if (is_welcome(listener, fd, (const struct sockaddr *)&address))
			session_new(front, fd);
		else
			(void)close(fd);
		if (!has_room(front))
			accept_on(front, false);
	}
}

void
front_session_over(struct front *front)
{
	if (!front->draining)
		accept_on(front, has_room(front));
	else if (front->nsessions == 0)
		loop_stop(front->loop);
}

/* --- the end ------------------------------------------------------------------------------------------------------------- */

static void
drain(struct daemon_self *self)
{
	struct front *front = self->owner;

	front->draining = true;
	for (size_t i = 0; i < front->nlisteners; i++)
		loop_io_remove(&front->listeners[i].io);
	front_session_over(front);
}

static void
stop(struct daemon_self *self)
{
	struct front *front = self->owner;
	struct session *s, *next;

	drain(self);
	front->stopping = true;
	TAILQ_FOREACH_SAFE(s, &front->sessions, link, next)
		session_stop(s);
}

static void
parent_said(struct daemon_self *self, struct msg *m)
{
	struct front *front = self->owner;

	links_received(&front->links, m);
}

/* --- set-up -------------------------------------------------------------------------------------------------------------- */

/* Root, the parent's own uid (deliver's, or the one user of all programs), and remote. */
static void
find_peers(struct front *front)
{
	struct daemon_user user;
	struct err err;

	front->peers[front->npeers++] = 0;
	front->peers[front->npeers++] = getuid();
	if (daemon_user_find("_remote", &user, &err))
		front->peers[front->npeers++] = user.uid;
	else
		log_warning("%s", err.text);
}

static void
confine(struct daemon_self *self)
{
	struct sandbox_spec spec = {
	    .promises = SANDBOX_STDIO | SANDBOX_LOOP | SANDBOX_SERVE,
	    .descriptors_max = self->conf->deliver.clients_per_worker * DESCRIPTORS_A_SESSION +
			       self->conf->deliver.writers + DESCRIPTORS_MORE,
	};

	daemon_confine(self, &spec);
}

static void
listen_on(struct front *front)
{
	struct daemon_self *self = front->self;

	front->listeners = calloc(self->nlisteners + 1, sizeof *front->listeners);
	if (front->listeners == NULL)
		fatal("out of memory for %zu listeners", self->nlisteners);
	front->nlisteners = self->nlisteners;
	for (size_t i = 0; i < front->nlisteners; i++) {
		front->listeners[i].front = front;
		front->listeners[i].listener = &self->listeners[i];
		loop_io_add(front->loop, &front->listeners[i].io, self->listeners[i].fd, LOOP_READ, accept_ready);
	}
	front->accepting = true;
}

void
front_main(struct daemon_self *self)
{
	static struct front front;

	front.self = self;
	front.conf = self->conf;
	front.budget.max = self->conf->deliver.memory_bytes;
	TAILQ_INIT(&front.sessions);
	find_peers(&front);
	confine(self);
	front.loop = loop_new();
	links_init(&front.links, self);
	self->owner = &front;
	self->received = parent_said;
	self->drain = drain;
	self->stop = stop;
	daemon_self_open(self, front.loop);
	listen_on(&front);
	loop_run(front.loop);
	links_clear(&front.links);
}
