#include "common/login/authd_link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/net/unix_socket.h"

/* All of `out` at once, so that no copy of a secret is left behind when it grows. */
void
authd_link_init(struct authd_link *link, struct loop *loop, const char *path, size_t in_max, size_t out_max)
{
	link->loop = loop;
	link->path = str_dup(str_from(path));
	buf_init(&link->in, in_max);
	buf_init(&link->out, out_max);
	if (buf_reserve(&link->out, out_max) == NULL)
		fatal("out of memory for a connection to authd");
}

void
authd_link_clear(struct authd_link *link)
{
	authd_link_close(link);
	buf_clear(&link->in);
	buf_clear_secret(&link->out);
	free(link->path);
}

bool
authd_link_is_open(const struct authd_link *link)
{
	return link->io.loop != NULL;
}

void
authd_link_close(struct authd_link *link)
{
	if (authd_link_is_open(link)) {
		loop_io_remove(&link->io);
		(void)close(link->io.fd);
	}
	buf_reset(&link->in);
	explicit_bzero(link->out.p, link->out.cap);
	buf_reset(&link->out);
}

bool
authd_link_flush(struct authd_link *link)
{
	struct buf *out = &link->out;
	ssize_t n;

	if (!buf_ok(out))
		return false;
	if (out->n == 0)
		return true;
	n = send(link->io.fd, out->p, out->n, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return false;
	if (n > 0)
		buf_consume(out, (size_t)n);
	explicit_bzero(out->p + out->n, out->cap - out->n);
	loop_io_want(&link->io, out->n > 0 ? LOOP_READ | LOOP_WRITE : LOOP_READ);
	return true;
}

/* False: the other side closed, broke a rule, or sends a line without end. */
static bool
read_lines(struct authd_link *link)
{
	size_t room = link->in.max - link->in.n;
	char *p = buf_reserve(&link->in, room);
	ssize_t n = p == NULL ? 0 : recv(link->io.fd, p, room, MSG_DONTWAIT);
	struct str rest;
	size_t end;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	buf_commit(&link->in, (size_t)n);
	rest = buf_str(&link->in);
	while ((end = str_find(rest, '\n')) < rest.n) {
		if (!link->line(link, str_sub(rest, 0, end))) {
			log_warning("%s: not the Dovecot authentication protocol 1.x", link->path);
			return false;
		}
		rest = str_skip(rest, end + 1);
	}
	buf_consume(&link->in, link->in.n - rest.n);
	return true;
}

static void
ready(struct loop_io *io, unsigned events)
{
	struct authd_link *link = container_of(io, struct authd_link, io);

	if (((events & LOOP_READ) && !read_lines(link)) || !authd_link_flush(link)) {
		authd_link_close(link);
		link->lost(link);
	}
}

bool
authd_link_open(struct authd_link *link, const char *greeting, struct err *err)
{
	int fd;

	if (authd_link_is_open(link))
		return true;
	fd = unix_connect(link->path, SOCK_STREAM | SOCK_NONBLOCK, err);
	if (fd < 0)
		return false;
	loop_io_add(link->loop, &link->io, fd, LOOP_READ, ready);
	buf_addf(&link->out, "%sCPID\t%ld\n", greeting, (long)getpid());
	return true;
}
