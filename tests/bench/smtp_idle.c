/*
 * smtp_idle HOST PORT SESSIONS [tls]: opens SESSIONS connections from many addresses of 127.0.0.0/8, says EHLO on each
 * (with "tls" after STARTTLS again), prints "ready", and leaves them idle until its standard input ends. Then it says
 * QUIT on all, waits for the server to close them, and prints "over".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/str.h"

struct session {
	int fd;
	SSL *ssl;
};

static _Noreturn void
die(const char *what, const char *detail)
{
	fprintf(stderr, "smtp_idle: %s: %s\n", what, detail);
	exit(1);
}

static size_t
take(struct session *s, char *to, size_t max)
{
	ssize_t n = s->ssl != NULL ? SSL_read(s->ssl, to, (int)max) : recv(s->fd, to, max, 0);

	if (n <= 0)
		die("read", n == 0 ? "closed by the server" : strerror(errno));
	return (size_t)n;
}

/* Says it (nothing, if empty) and reads one reply, to the end of its last line. */
static void
say(struct session *s, const char *words)
{
	char reply[4096];
	size_t n = 0, length = strlen(words), line;

	if (length > 0 && (s->ssl != NULL ? SSL_write(s->ssl, words, (int)length) : send(s->fd, words, length, 0)) <= 0)
		die("write", strerror(errno));
	do {
		n += take(s, reply + n, sizeof reply - 1 - n);
		reply[n] = '\0';
		for (line = n; line > 2 && (line == n || reply[line - 1] != '\n'); line--)
			continue;
		line = line <= 2 ? 0 : line;
	} while (reply[n - 1] != '\n' || n - line < 4 || reply[line + 3] == '-');
	if (reply[0] != '2')
		die("refused", reply);
}

static void
open_session(struct session *s, const struct sockaddr_in *to, unsigned number, SSL_CTX *tls)
{
	struct sockaddr_in from = {.sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(0x7f010000U + number / 4000 * 65536 + number % 250 + 1)};

	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&from, sizeof from) != 0 ||
	    connect(s->fd, (const struct sockaddr *)to, sizeof *to) != 0)
		die("connect", strerror(errno));
	say(s, "");
	say(s, "EHLO idle.test\r\n");
	if (tls == NULL)
		return;
	say(s, "STARTTLS\r\n");
	s->ssl = SSL_new(tls);
	if (s->ssl == NULL || SSL_set_fd(s->ssl, s->fd) != 1 || SSL_connect(s->ssl) != 1)
		die("TLS", "handshake");
	say(s, "EHLO idle.test\r\n");
}

static void
close_session(struct session *s)
{
	char bytes[256];

	say(s, "QUIT\r\n");
	(void)shutdown(s->fd, SHUT_WR);
	while (recv(s->fd, bytes, sizeof bytes, 0) > 0)
		continue;
	(void)close(s->fd);
}

int
main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	struct rlimit limit;
	struct session *sessions;
	uint64_t port, count;
	SSL_CTX *tls = NULL;
	char byte;

	if (argc < 4 || !str_to_u64(str_from(argv[2]), 65535, &port) || !str_to_u64(str_from(argv[3]), 100000, &count) ||
	    inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
		die("usage", "smtp_idle HOST PORT SESSIONS [tls]");
	to.sin_port = htons((uint16_t)port);
	if (argc > 4 && (tls = SSL_CTX_new(TLS_client_method())) == NULL)
		die("TLS", "no context");
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	sessions = calloc(count, sizeof *sessions);
	if (sessions == NULL)
		die("memory", "none");
	for (unsigned i = 0; i < count; i++)
		open_session(&sessions[i], &to, i, tls);
	puts("ready");
	(void)fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		continue;
	for (unsigned i = 0; i < count; i++)
		close_session(&sessions[i]);
	puts("over");
	return 0;
}
