/*
 * smtp_sink SITES: an SMTP server that takes everything and keeps nothing, at the least cost, on 127.9.0.1, 127.9.0.2 ...
 * and one port, which it prints. For each line on standard input it prints
 * "messages connections most_connections_at_one_site cpu_seconds" so far; it ends with its input.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/loop.h"

#define SITES_MAX 250
#define LINE_MAX_BYTES 2048

struct site {
	struct loop_io listener;
	unsigned open;
};

struct session {
	struct loop_io io;
	struct site *site;
	bool in_content;
	uint64_t chunk_left;
	bool last_chunk;
	size_t n;
	char bytes[LINE_MAX_BYTES]; /* of a line, or of what may be the end of a message, that has not come whole */
};

static struct {
	struct loop *loop;
	struct loop_io input;
	struct site sites[SITES_MAX];
	unsigned long messages, connections;
	unsigned most;
	struct buf out;
} sink;

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "smtp_sink: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void
say(const char *reply)
{
	buf_adds(&sink.out, reply);
}

/* ---- a session ------------------------------------------------------------------------------------------------- */

static void
message_over(void)
{
	sink.messages++;
	say("250 2.0.0 taken\r\n");
}

static void
chunk(struct session *s, struct str words)
{
	struct str size, last;

	if (!str_token(&words, ' ', &size) || !str_to_u64(size, 1 << 30, &s->chunk_left))
		die("a chunk without size");
	s->last_chunk = str_token(&words, ' ', &last);
	if (s->chunk_left > 0)
		return;
	if (s->last_chunk)
		message_over();
	else
		say("250 2.0.0 go on\r\n");
}

/* False: the client goes. */
static bool
command(struct session *s, struct str line)
{
	if (str_starts_nocase(line, STR("MAIL")) || str_starts_nocase(line, STR("RCPT")) ||
	    str_starts_nocase(line, STR("RSET"))) {
		say("250 2.1.0 ok\r\n");
	} else if (str_starts_nocase(line, STR("DATA"))) {
		s->in_content = true;
		say("354 go on\r\n");
	} else if (str_starts_nocase(line, STR("BDAT "))) {
		chunk(s, str_skip(line, 5));
	} else if (str_starts_nocase(line, STR("EHLO"))) {
		say("250-sink.test\r\n250-PIPELINING\r\n250-SIZE\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 CHUNKING\r\n");
	} else if (str_starts_nocase(line, STR("QUIT"))) {
		say("221 2.0.0 bye\r\n");
		return false;
	} else {
		say("502 5.5.1 no\r\n");
	}
	return true;
}

static struct str
chunk_skip(struct session *s, struct str in)
{
	size_t n = in.n < s->chunk_left ? in.n : (size_t)s->chunk_left;

	s->chunk_left -= n;
	if (s->chunk_left == 0 && s->last_chunk)
		message_over();
	else if (s->chunk_left == 0)
		say("250 2.0.0 go on\r\n");
	return str_skip(in, n);
}

/* What is behind the end of the message; what may be its beginning when that has not come. */
static struct str
content_skip(struct session *s, struct str in)
{
	static const char end[] = "\r\n.\r\n";
	const char *found = memmem(in.p, in.n, end, sizeof end - 1);

	if (found == NULL)
		return str_skip(in, in.n < sizeof end - 2 ? 0 : in.n - (sizeof end - 2));
	s->in_content = false;
	message_over();
	return str_skip(in, (size_t)(found - in.p) + sizeof end - 1);
}

/* False: the client goes. *in: what is left for the next time. */
static bool
consume(struct session *s, struct str *in)
{
	while (in->n > 0) {
		const char *end;

		if (s->chunk_left > 0) {
			*in = chunk_skip(s, *in);
			continue;
		}
		if (s->in_content) {
			*in = content_skip(s, *in);
			if (s->in_content)
				return true;
			continue;
		}
		end = memchr(in->p, '\n', in->n);
		if (end == NULL)
			return true;
		if (!command(s, (struct str){in->p, (size_t)(end - in->p)}))
			return false;
		*in = str_skip(*in, (size_t)(end - in->p) + 1);
	}
	return true;
}

static void
session_end(struct session *s)
{
	loop_io_remove(&s->io);
	(void)close(s->io.fd);
	s->site->open--;
	free(s);
}

static void
session_ready(struct loop_io *io, unsigned events)
{
	static char bytes[LINE_MAX_BYTES + 65536];
	struct session *s = container_of(io, struct session, io);
	struct str in;
	ssize_t n;
	bool stays;

	(void)events;
	memcpy(bytes, s->bytes, s->n);
	n = recv(io->fd, bytes + s->n, sizeof bytes - s->n, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		session_end(s);
		return;
	}
	in = (struct str){bytes, s->n + (size_t)n};
	buf_reset(&sink.out);
	stays = consume(s, &in);
	if (sink.out.n > 0)
		(void)send(io->fd, sink.out.p, sink.out.n, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (!stays || in.n > sizeof s->bytes) {
		session_end(s);
		return;
	}
	s->n = in.n;
	memcpy(s->bytes, in.p, in.n);
}

/* ---- sites ----------------------------------------------------------------------------------------------------- */

static void
listener_ready(struct loop_io *io, unsigned events)
{
	static const char greeting[] = "220 sink.test ESMTP\r\n";
	struct session *s;
	int on = 1, fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0)
		return;
	s = calloc(1, sizeof *s);
	if (s == NULL)
		die("memory");
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	s->site = container_of(io, struct site, listener);
	sink.connections++;
	if (++s->site->open > sink.most)
		sink.most = s->site->open;
	(void)send(fd, greeting, sizeof greeting - 1, MSG_NOSIGNAL);
	loop_io_add(sink.loop, &s->io, fd, LOOP_READ, session_ready);
}

/* All on the port that the first was given. */
static void
listen_all(unsigned sites)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	socklen_t length = sizeof in;
	int on = 1;

	for (unsigned i = 0; i < sites; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

		in.sin_addr.s_addr = htonl(0x7f090001 + i);
		if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
		    bind(fd, (struct sockaddr *)&in, sizeof in) != 0 || listen(fd, 512) != 0 ||
		    getsockname(fd, (struct sockaddr *)&in, &length) != 0)
			die("listen");
		loop_io_add(sink.loop, &sink.sites[i].listener, fd, LOOP_READ, listener_ready);
	}
	printf("%u\n", (unsigned)ntohs(in.sin_port));
	(void)fflush(stdout);
}

static void
asked(struct loop_io *io, unsigned events)
{
	struct rusage use;
	char bytes[256];

	(void)events;
	if (read(io->fd, bytes, sizeof bytes) <= 0) {
		loop_stop(sink.loop);
		return;
	}
	(void)getrusage(RUSAGE_SELF, &use);
	printf("%lu %lu %u %.6f\n", sink.messages, sink.connections, sink.most,
	    (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
		(double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6);
	(void)fflush(stdout);
}

int
main(int argc, char **argv)
{
	uint64_t sites;

	if (argc != 2 || !str_to_u64(str_from(argv[1]), SITES_MAX, &sites) || sites == 0) {
		fprintf(stderr, "usage: smtp_sink SITES (1 to %d)\n", SITES_MAX);
		return 64;
	}
	sink.loop = loop_new();
	buf_init(&sink.out, 1 << 20);
	listen_all((unsigned)sites);
	loop_io_add(sink.loop, &sink.input, STDIN_FILENO, LOOP_READ, asked);
	loop_run(sink.loop);
	return 0;
}
