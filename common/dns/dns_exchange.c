#include "common/dns/dns_exchange.h"

#include <bsd/stdlib.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for more than we say that we take: a longer packet shows as one and is then malformed. */
#define PACKET_MAX 4096
#define TCP_MAX (2 + 65535)
/* Packets that are not ours (forged, late) are read and dropped up to this number a turn of the loop. */
#define PACKETS_A_TURN 16

static void exchange_ready(struct loop_io *io, unsigned events);

static void
socket_drop(struct dns_exchange *x)
{
	if (x->io.loop == NULL)
		return;
	loop_io_remove(&x->io);
	(void)close(x->io.fd);
}

void
dns_exchange_stop(struct dns_exchange *x)
{
	if (x->loop == NULL)
		return;
	socket_drop(x);
	loop_timer_cancel(&x->timer);
	buf_clear(&x->in);
	x->loop = NULL;
}

static void
finish(struct dns_exchange *x, enum dns_reply reply, const struct dns_answer *answer)
{
	dns_exchange_stop(x);
	x->finished(x, reply, answer);
}

static void
fail(struct dns_exchange *x, struct str reason)
{
	struct dns_answer answer = {.status = DNS_TEMP, .reason = reason};

	finish(x, DNS_REPLY_FAILED, &answer);
}

static void
deadline_met(struct loop_timer *timer)
{
	struct dns_exchange *x = container_of(timer, struct dns_exchange, timer);

	x->timed_out = x->trouble == NULL;
	fail(x, x->timed_out ? STR("the server does not answer") : str_from(x->trouble));
}

/* Fails at the next turn, so that nothing is called from inside dns_exchange_start. */
static void
fail_soon(struct dns_exchange *x, const char *trouble)
{
	socket_drop(x);
	x->trouble = trouble;
	loop_timer_set(x->loop, &x->timer, 0, deadline_met);
}

static void
query_build(struct dns_exchange *x)
{
	x->id = (uint16_t)arc4random();
	x->out_n = dns_query_build(x->out + 2, &x->question, x->id, x->flags);
	x->out[0] = (unsigned char)(x->out_n >> 8);
	x->out[1] = (unsigned char)x->out_n;
	x->sent = 0;
}

/* A fresh socket, hence a fresh port of the kernel's choice; connected, hence only this server's packets. */
static bool
socket_open(struct dns_exchange *x)
{
	int type = (x->tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
	int fd = socket(x->server.address.any.sa_family, type, 0);

	if (fd < 0)
		return false;
	if (connect(fd, &x->server.address.any, x->server.length) != 0 && errno != EINPROGRESS) {
		(void)close(fd);
		return false;
	}
	loop_io_add(x->loop, &x->io, fd, x->tcp ? LOOP_WRITE : LOOP_READ, exchange_ready);
	return true;
}

/* Sends the question (again), over what x->tcp and x->flags say. */
static void
ask(struct dns_exchange *x)
{
	socket_drop(x);
	query_build(x);
	if (x->out_n == 0)
		fail_soon(x, "the query cannot be built");
	else if (!socket_open(x))
		fail_soon(x, "the server cannot be reached");
	else if (!x->tcp && send(x->io.fd, x->out + 2, x->out_n, MSG_NOSIGNAL) < 0)
		fail_soon(x, "the query cannot be sent");
}

/* Looks at a whole message; false when it was not ours and there may be another one. */
static bool
message_take(struct dns_exchange *x, struct str packet)
{
	struct dns_answer answer;
	struct arena arena;
	enum dns_reply reply;

	arena_init(&arena, DNS_ANSWER_MAX);
	reply = dns_answer_parse(packet, &x->question, x->id, &arena, &answer);
	if (reply == DNS_REPLY_TRUNCATED && x->tcp)
		fail(x, STR("truncated answer over TCP"));
	else if (reply == DNS_REPLY_TRUNCATED || (reply == DNS_REPLY_NO_EDNS && (x->flags & DNS_QUERY_EDNS))) {
		x->tcp = x->tcp || reply == DNS_REPLY_TRUNCATED;
		if (reply == DNS_REPLY_NO_EDNS)
			x->flags &= ~(unsigned)DNS_QUERY_EDNS;
		buf_reset(&x->in);
		ask(x);
	} else if (reply == DNS_REPLY_NO_EDNS)
		fail(x, STR("the server does not understand the query"));
	else if (reply != DNS_REPLY_FOREIGN)
		finish(x, reply, &answer);
	arena_clear(&arena);
	return reply != DNS_REPLY_FOREIGN;
}

static void
udp_ready(struct dns_exchange *x)
{
	char packet[PACKET_MAX];

	for (int i = 0; i < PACKETS_A_TURN; i++) {
		ssize_t n = recv(x->io.fd, packet, sizeof packet, 0);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			fail(x, STR("the server's port is closed"));
			return;
		}
		if (message_take(x, (struct str){packet, (size_t)n}))
			return;
	}
}

static void
tcp_write(struct dns_exchange *x)
{
	ssize_t n = send(x->io.fd, x->out + x->sent, 2 + x->out_n - x->sent, MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		fail(x, STR("the server does not take the query over TCP"));
		return;
	}
	x->sent += (size_t)n;
	if (x->sent == 2 + x->out_n)
		loop_io_want(&x->io, LOOP_READ);
}

static void
tcp_read(struct dns_exchange *x)
{
	size_t want = 2;
	ssize_t n;
	char *p;

	if (x->in.n >= 2)
		want = 2 + ((size_t)(unsigned char)x->in.p[0] << 8 | (unsigned char)x->in.p[1]);
	p = buf_reserve(&x->in, want - x->in.n);
	if (p == NULL) {
		fail(x, STR("out of memory"));
		return;
	}
	n = recv(x->io.fd, p, want - x->in.n, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		fail(x, STR("the server ended the TCP connection"));
		return;
	}
	buf_commit(&x->in, (size_t)n);
	if (x->in.n == 2 && x->in.p[0] == 0 && x->in.p[1] == 0)
		fail(x, STR("empty answer over TCP"));
	else if (x->in.n > 2 && x->in.n == want && !message_take(x, str_skip(buf_str(&x->in), 2)))
		fail(x, STR("an answer to another query over TCP"));
}

static void
exchange_ready(struct loop_io *io, unsigned events)
{
	struct dns_exchange *x = container_of(io, struct dns_exchange, io);

	if (!x->tcp)
		udp_ready(x);
	else if (io->events & LOOP_WRITE)
		tcp_write(x);
	else if (events & LOOP_READ)
		tcp_read(x);
}

void
dns_exchange_start(struct dns_exchange *x, struct loop *loop, const struct endpoint *server,
    const struct dns_question *question, unsigned flags, uint64_t timeout_ms,
    void (*finished)(struct dns_exchange *, enum dns_reply, const struct dns_answer *))
{
	*x = (struct dns_exchange){.finished = finished, .loop = loop, .question = *question, .server = *server,
	    .flags = flags};
	buf_init(&x->in, TCP_MAX);
	loop_timer_set(loop, &x->timer, timeout_ms, deadline_met);
	ask(x);
}
