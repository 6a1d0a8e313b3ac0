#include "smtpd/proxy_wait.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/smtp/proxy_protocol.h"
#include "smtpd/session.h"

#define TIMEOUT_MS 10000
/* What the kernel shows at a time; long enough for any header without much in its TLVs. */
#define LOOK_BYTES 256

struct proxy_wait {
	struct worker_listener *listener;
	struct loop_io io;
	struct loop_timer timer;
	struct sockaddr_storage peer;
	char *bytes; /* of the header so far, PROXY_HEADER_MAX of room */
	size_t n;
	TAILQ_ENTRY(proxy_wait) link;
};

bool
proxy_wait_is_due(const struct worker_listener *listener, const struct sockaddr *peer)
{
	return listener->section != NULL && conf_networks_contain(&listener->section->proxy_networks, peer);
}

/* The descriptor stays open: it is the caller's now. */
static int
wait_free(struct proxy_wait *w)
{
	struct worker *worker = w->listener->worker;
	int fd = w->io.fd;

	loop_io_remove(&w->io);
	loop_timer_cancel(&w->timer);
	TAILQ_REMOVE(&worker->proxies, w, link);
	worker->nsessions--;
	free(w->bytes);
	free(w);
	return fd;
}

static void
give_up(struct proxy_wait *w, const char *why)
{
	struct worker *worker = w->listener->worker;
	char address[INET6_ADDRSTRLEN];

	network_address_format((const struct sockaddr *)(const void *)&w->peer, address);
	log_as(w->listener->facts->service, "warning: no PROXY header from the proxy [%s]: %s", address, why);
	(void)close(wait_free(w));
	worker_session_over(worker);
}

static void
expired(struct loop_timer *timer)
{
	give_up(container_of(timer, struct proxy_wait, timer), "timeout");
}

static void
begin_session(struct proxy_wait *w, const struct proxy_header *header)
{
	struct worker_listener *listener = w->listener;
	struct sockaddr_storage peer = w->peer;
	int fd = wait_free(w);

	if (header->is_told)
		session_new(listener, fd, &header->client.address.any, &header->server.address.any);
	else
		session_new(listener, fd, (const struct sockaddr *)(const void *)&peer, NULL);
	worker_session_over(listener->worker); /* should there be none */
}

/* What is surely part of the header, and nothing else, leaves the kernel's buffer. */
static bool
take(struct proxy_wait *w, size_t n)
{
	w->n += n;
	return recv(w->io.fd, w->bytes + w->n - n, n, MSG_DONTWAIT) == (ssize_t)n;
}

static void
look(struct proxy_wait *w, size_t shown)
{
	struct proxy_header header;
	size_t taken;
	enum parse parse = proxy_protocol_parse((struct str){w->bytes, w->n + shown}, &taken, &header);

	if (parse == PARSE_BAD || !take(w, taken - w->n))
		give_up(w, "something else came");
	else if (parse == PARSE_OK)
		begin_session(w, &header);
}

static void
ready(struct loop_io *io, unsigned events)
{
	struct proxy_wait *w = container_of(io, struct proxy_wait, io);
	size_t room = PROXY_HEADER_MAX - w->n;
	ssize_t n = recv(io->fd, w->bytes + w->n, room < LOOK_BYTES ? room : LOOK_BYTES, MSG_PEEK | MSG_DONTWAIT);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		give_up(w, n == 0 ? "it closed the connection" : strerror(errno));
	else
		look(w, (size_t)n);
}

void
proxy_wait_new(struct worker_listener *listener, int fd, const struct sockaddr_storage *peer)
{
	struct worker *worker = listener->worker;
	struct proxy_wait *w = calloc(1, sizeof *w);

	if (w != NULL)
		w->bytes = malloc(PROXY_HEADER_MAX);
	if (w == NULL || w->bytes == NULL) {
		free(w);
		(void)close(fd);
		return;
	}
	w->listener = listener;
	w->peer = *peer;
	worker->nsessions++;
	TAILQ_INSERT_TAIL(&worker->proxies, w, link);
	loop_io_add(worker->loop, &w->io, fd, LOOP_READ, ready);
	loop_timer_set(worker->loop, &w->timer, TIMEOUT_MS, expired);
}

void
proxy_wait_stop(struct worker *worker)
{
	struct proxy_wait *w, *next;

	TAILQ_FOREACH_SAFE(w, &worker->proxies, link, next)
		(void)close(wait_free(w));
}
