#include "queue/sendmail_pump.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/buf.h"

/* One direction. Neither may wait for the other: a client may write without reading for a while, and so may smtpd. */
struct pipe_way {
	int from, to; /* from -1: at its end */
	char bytes[32768];
	size_t at, n;
	bool broken; /* nobody reads */
};

/*
 * Standard input and output may be shared with others, so they are not made non-blocking: poll says that a pipe has room
 * for PIPE_BUF bytes, and of a socket we ask not to wait.
 */
static ssize_t
write_some(int fd, const char *bytes, size_t n)
{
	ssize_t done = send(fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (done < 0 && errno == ENOTSOCK)
		done = write(fd, bytes, n < PIPE_BUF ? n : PIPE_BUF);
	return done;
}

static bool
is_passing(int errnum)
{
	return errnum == EINTR || errnum == EAGAIN || errnum == EWOULDBLOCK;
}

static void
way_write(struct pipe_way *way)
{
	ssize_t n = write_some(way->to, way->bytes + way->at, way->n - way->at);

	if (n < 0 && is_passing(errno))
		return;
	way->broken = n < 0;
	way->at += n > 0 ? (size_t)n : 0;
	if (way->at == way->n)
		way->at = way->n = 0;
}

static void
way_read(struct pipe_way *way)
{
	ssize_t n = read(way->from, way->bytes, sizeof way->bytes);

	if (n < 0 && is_passing(errno))
		return;
	if (n <= 0)
		way->from = -1;
	else
		way->n = (size_t)n;
}

static struct pollfd
way_poll(const struct pipe_way *way)
{
	bool full = way->n > 0;

	return (struct pollfd){.fd = full ? way->to : way->from, .events = full ? POLLOUT : POLLIN};
}

static void
way_move(struct pipe_way *way, const struct pollfd *poll_fd)
{
	if (poll_fd->fd < 0 || poll_fd->revents == 0)
		return;
	if (way->n > 0)
		way_write(way);
	else
		way_read(way);
}

bool
sendmail_pump(int in_fd, int out_fd, int socket_fd, struct err *err)
{
	struct pipe_way there = {.from = in_fd, .to = socket_fd}, back = {.from = socket_fd, .to = out_fd};
	bool told = false; /* smtpd, that no more comes */

	while (!back.broken && (back.from >= 0 || back.n > 0)) {
		struct pollfd fds[2] = {way_poll(&there), way_poll(&back)};

		if (there.broken)
			fds[0].fd = -1;
		if (poll(fds, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return err_sys(err, "poll");
		}
		way_move(&there, &fds[0]);
		way_move(&back, &fds[1]);
		if (!told && there.from < 0 && there.n == 0) {
			(void)shutdown(socket_fd, SHUT_WR);
			told = true;
		}
	}
	return true;
}
