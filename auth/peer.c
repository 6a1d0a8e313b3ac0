#include "auth/front.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"

#define PAUSE_MS 100

static void
listeners_want(struct peer_server *server, unsigned events)
{
	for (size_t i = 0; i < server->nlisteners; i++)
		loop_io_want(&server->listeners[i].io, events);
}

static void
pause_expired(struct loop_timer *timer)
{
	struct peer_server *server = container_of(timer, struct peer_server, pause);

	if (!server->draining && server->npeers < server->peers_max)
		listeners_want(server, LOOP_READ);
}

void
peer_server_init(struct peer_server *server, const struct peer_kind *kind, struct front *front,
    struct loop *loop, size_t peers_max)
{
	memset(server, 0, sizeof *server);
	server->kind = kind;
	server->front = front;
	server->loop = loop;
	server->peers_max = peers_max;
	TAILQ_INIT(&server->peers);
}

/* --- one peer ------------------------------------------------------------------------------------------------------ */

/* Its stream is closed already. */
static void
peer_forget(struct peer *peer)
{
	struct peer_server *server = peer->server;

	TAILQ_REMOVE(&server->peers, peer, link);
	server->npeers--;
	server->nstrangers -= peer->is_stranger;
	server->kind->closed(peer);
	free(peer);
	if (!server->draining)
		listeners_want(server, LOOP_READ);
}

void
peer_close(struct peer *peer)
{
	stream_close(&peer->stream);
	peer_forget(peer);
}

static void
peer_input(struct stream *stream)
{
	struct peer *peer = container_of(stream, struct peer, stream);

	if (!peer->server->kind->input(peer)) {
		log_warning("%s: process %ld of uid %lu does not keep to the protocol", peer->server->kind->name,
		    (long)peer->who.pid, (unsigned long)peer->who.uid);
		peer_close(peer);
	}
}

static void
peer_gone(struct stream *stream, enum stream_end why, const struct err *err)
{
	(void)why;
	(void)err;
	peer_forget(container_of(stream, struct peer, stream));
}

static const struct stream_events peer_events = {
    .input = peer_input,
    .closed = peer_gone,
};

/* Why that process is turned away; NULL when it is not. */
static const char *
refusal(const struct peer_server *server, const struct unix_peer *who)
{
	if (!server->kind->is_welcome(server->front, who))
		return "may not ask here";
	if (!front_is_suite(server->front, who->uid) && server->nstrangers >= server->peers_max / 4)
		return "is one too many";
	return NULL;
}

static struct peer *
peer_new(struct peer_server *server, const struct unix_peer *who)
{
	struct peer *peer = calloc(1, server->kind->size);

	if (peer == NULL)
		return NULL;
	peer->server = server;
	peer->who = *who;
	peer->is_stranger = !front_is_suite(server->front, who->uid);
	TAILQ_INSERT_TAIL(&server->peers, peer, link);
	server->npeers++;
	server->nstrangers += peer->is_stranger;
	return peer;
}

static void
peer_open(struct peer_server *server, int fd)
{
	struct unix_peer who = {0};
	struct err err = {.text = "no memory for another connection"};
	const char *why = NULL;
	struct peer *peer = NULL;

	if (unix_peer_get(fd, &who, &err) && (why = refusal(server, &who)) == NULL)
		peer = peer_new(server, &who);
	if (why != NULL)
		log_warning("%s: process %ld of uid %lu %s", server->kind->name, (long)who.pid, (unsigned long)who.uid, why);
	else if (peer == NULL)
		log_warning("%s: %s", server->kind->name, err.text);
	if (peer == NULL) {
		(void)close(fd);
		return;
	}
	stream_open(&peer->stream, server->loop, fd, &peer_events, &server->kind->limits);
	if (server->kind->opened != NULL) {
		server->kind->opened(peer);
		stream_flush(&peer->stream);
	}
}

/* --- accepting ----------------------------------------------------------------------------------------------------- */

static void
listener_ready(struct loop_io *io, unsigned events)
{
	struct peer_server *server = container_of(io, struct peer_listener, io)->server;
	int fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd >= 0)
		peer_open(server, fd);
	else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
		log_warning("%s: accept: %s", server->kind->name, strerror(errno));
		listeners_want(server, 0);
		loop_timer_set(server->loop, &server->pause, PAUSE_MS, pause_expired);
	}
	if (server->npeers >= server->peers_max)
		listeners_want(server, 0);
}

void
peer_server_listen(struct peer_server *server, int fd)
{
	struct peer_listener *listener;

	if (server->nlisteners == PEER_LISTENERS_MAX) {
		log_warning("%s: more than %d sockets", server->kind->name, PEER_LISTENERS_MAX);
		return;
	}
	listener = &server->listeners[server->nlisteners++];
	listener->server = server;
	loop_io_add(server->loop, &listener->io, fd, LOOP_READ, listener_ready);
}

bool
peer_server_drain(struct peer_server *server, bool haste)
{
	struct peer *peer, *next;

	server->draining = true;
	for (size_t i = 0; i < server->nlisteners; i++)
		loop_io_remove(&server->listeners[i].io);
	server->nlisteners = 0;
	TAILQ_FOREACH_SAFE(peer, &server->peers, link, next)
		if (haste || (server->kind->is_idle(peer) && peer->stream.in.n == 0 && stream_pending(&peer->stream) == 0))
			peer_close(peer);
	return TAILQ_EMPTY(&server->peers);
}
