/*
 * smtp_load HOST PORT CONNECTIONS MESSAGES BYTES SENDER RECIPIENT [one]: sends MESSAGES letters of BYTES octets over
 * CONNECTIONS kept connections (pipelined as PIPELINING allows; with "one" a connection a message), and prints
 * "messages seconds". Several recipients, parted by commas, take turns.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/loop.h"

enum step {
	GREETING,
	EHLO,
	ENVELOPE, /* MAIL, RCPT and DATA went out together: three replies */
	CONTENT,
	QUIT,
};

struct connection {
	struct loop_io io;
	enum step step;
	int replies; /* still to come in this step */
	char line[4096];
	size_t n;
	size_t out; /* of the content: already sent */
};

static struct {
	struct loop *loop;
	struct sockaddr_storage address;
	socklen_t address_length;
	const char *sender, *recipients;
	struct str next; /* of the recipients: those that have not had their turn */
	struct buf hello, envelope, content;
	unsigned long wanted, started, done, open;
	bool one;
} load;

static _Noreturn void
die(const char *what, const char *detail)
{
	fprintf(stderr, "smtp_load: %s: %s\n", what, detail);
	exit(1);
}

static void connection_open(struct connection *c);

static void
send_all(struct connection *c, const struct buf *b)
{
	size_t off = 0;

	while (off < b->n) {
		ssize_t n = send(c->io.fd, b->p + off, b->n - off, MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n < 0)
			die("send", strerror(errno));
		off += (size_t)n;
	}
}

static void
envelope_make(void)
{
	struct str recipient;

	if (load.next.n == 0)
		load.next = str_from(load.recipients);
	(void)str_token(&load.next, ',', &recipient);
	buf_reset(&load.envelope);
	buf_addf(&load.envelope, "MAIL FROM:<%s>\r\nRCPT TO:<%.*s>\r\nDATA\r\n", load.sender, STR_FMT(recipient));
}

static void
next_message(struct connection *c)
{
	static const char quit[] = "QUIT\r\n";

	if (load.started == load.wanted || (load.one && c->step == CONTENT)) {
		c->step = QUIT;
		c->replies = 1;
		if (send(c->io.fd, quit, sizeof quit - 1, MSG_NOSIGNAL) < 0)
			die("send", strerror(errno));
		return;
	}
	load.started++;
	c->step = ENVELOPE;
	c->replies = 3;
	envelope_make();
	send_all(c, &load.envelope);
}

static void
connection_over(struct connection *c)
{
	loop_io_remove(&c->io);
	(void)close(c->io.fd);
	if (load.one && load.started < load.wanted) {
		connection_open(c);
		return;
	}
	if (--load.open == 0)
		loop_stop(load.loop);
}

static void
step_over(struct connection *c)
{
	switch (c->step) {
	case GREETING:
		c->step = EHLO;
		c->replies = 1;
		send_all(c, &load.hello);
		break;
	case EHLO:
		next_message(c);
		break;
	case ENVELOPE:
		c->step = CONTENT;
		c->replies = 1;
		send_all(c, &load.content);
		break;
	case CONTENT:
		load.done++;
		next_message(c);
		break;
	case QUIT:
		connection_over(c);
		break;
	}
}

static void
line_read(struct connection *c, const char *line)
{
	if (line[0] != '2' && line[0] != '3')
		die("refused", line);
	if (line[3] == '-')
		return;
	if (--c->replies == 0)
		step_over(c);
}

static void
connection_ready(struct loop_io *io, unsigned events)
{
	struct connection *c = container_of(io, struct connection, io);
	ssize_t got = recv(io->fd, c->line + c->n, sizeof c->line - 1 - c->n, MSG_DONTWAIT);
	char *begin = c->line, *end;

	(void)events;
	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0)
		die("connection", got == 0 ? "closed by the server" : strerror(errno));
	c->n += (size_t)got;
	c->line[c->n] = '\0';
	while ((end = strstr(begin, "\r\n")) != NULL) {
		*end = '\0';
		line_read(c, begin);
		if (c->step == GREETING || io->loop == NULL)
			return; /* closed, perhaps opened anew */
		begin = end + 2;
	}
	c->n -= (size_t)(begin - c->line);
	memmove(c->line, begin, c->n);
}

static void
connection_open(struct connection *c)
{
	int on = 1, fd = socket(load.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&load.address, load.address_length) != 0)
		die("connect", strerror(errno));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	c->step = GREETING;
	c->replies = 1;
	c->n = 0;
	loop_io_add(load.loop, &c->io, fd, LOOP_READ, connection_ready);
}

static void
content_make(size_t bytes)
{
	buf_addf(&load.content, "From: <%s>\r\nTo: <%.*s>\r\nSubject: load\r\nMessage-ID: <load@bench.test>\r\n"
	    "Date: Tue, 24 Nov 2026 10:00:00 +0700\r\n\r\n", load.sender, (int)strcspn(load.recipients, ","), load.recipients);
	while (load.content.n + 78 < bytes)
		buf_adds(&load.content, "merpati terbang membawa surat dari satu kota ke kota yang lain, setiap hari.\r\n");
	buf_adds(&load.content, ".\r\n");
}

static double
now_s(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int
main(int argc, char **argv)
{
	struct sockaddr_in *in = (struct sockaddr_in *)(void *)&load.address;
	struct connection *connections;
	uint64_t port, count, messages, bytes;
	double begin;

	if (argc < 8 || !str_to_u64(str_from(argv[2]), 65535, &port) || !str_to_u64(str_from(argv[3]), 10000, &count) ||
	    !str_to_u64(str_from(argv[4]), 10000000, &messages) || !str_to_u64(str_from(argv[5]), 1 << 30, &bytes))
		die("usage", "smtp_load HOST PORT CONNECTIONS MESSAGES BYTES SENDER RECIPIENT [one]");
	in->sin_family = AF_INET;
	in->sin_port = htons((uint16_t)port);
	if (inet_pton(AF_INET, argv[1], &in->sin_addr) != 1)
		die("address", argv[1]);
	load.address_length = sizeof *in;
	load.one = argc > 8;
	load.wanted = messages;
	buf_init(&load.hello, 256);
	buf_init(&load.envelope, 4096);
	buf_init(&load.content, bytes + 4096);
	buf_adds(&load.hello, "EHLO load.test\r\n");
	load.sender = argv[6];
	load.recipients = argv[7];
	content_make(bytes);
	load.loop = loop_new();
	connections = calloc(count, sizeof *connections);
	if (connections == NULL || count == 0)
		die("memory", "none");
	begin = now_s();
	for (uint64_t i = 0; i < count; i++, load.open++)
		connection_open(&connections[i]);
	loop_run(load.loop);
	printf("%lu %.6f\n", load.done, now_s() - begin);
	free(connections);
	return 0;
}
