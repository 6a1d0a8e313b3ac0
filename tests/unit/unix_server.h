/*
 * A scripted server on a UNIX socket, in the loop of the test itself: what has come is appended to `in`, and the test
 * says what is sent back and when it closes.
 */
#ifndef TESTS_UNIT_UNIX_SERVER_H
#define TESTS_UNIT_UNIX_SERVER_H

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/loop.h"

struct unix_server {
	struct loop *loop;
	char path[64];
	struct loop_io listener, connection;
	struct buf in;
	unsigned accepted;
};

static inline void
unix_server_hang_up(struct unix_server *server)
{
	if (server->connection.loop == NULL)
		return;
	loop_io_remove(&server->connection);
	(void)close(server->connection.fd);
}

static inline void
unix_server_received(struct loop_io *io, unsigned events)
{
	struct unix_server *server = container_of(io, struct unix_server, connection);
	char bytes[4096];
	ssize_t n = recv(io->fd, bytes, sizeof bytes, MSG_DONTWAIT);

	(void)events;
	if (n > 0)
		buf_add(&server->in, (struct str){bytes, (size_t)n});
	else
		unix_server_hang_up(server);
}

static inline void
unix_server_accepted(struct loop_io *io, unsigned events)
{
	struct unix_server *server = container_of(io, struct unix_server, listener);
	int fd = accept(io->fd, NULL, NULL);

	(void)events;
	assert_true(fd >= 0);
	unix_server_hang_up(server);
	buf_reset(&server->in);
	server->accepted++;
	loop_io_add(server->loop, &server->connection, fd, LOOP_READ, unix_server_received);
}

static inline void
unix_server_open(struct unix_server *server, struct loop *loop)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memset(server, 0, sizeof *server);
	server->loop = loop;
	buf_init(&server->in, 1 << 20);
	(void)snprintf(server->path, sizeof server->path, "/tmp/mu%d", (int)getpid());
	(void)unlink(server->path);
	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s", server->path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(fd, 5), 0);
	loop_io_add(loop, &server->listener, fd, LOOP_READ, unix_server_accepted);
}

static inline void
unix_server_close(struct unix_server *server)
{
	unix_server_hang_up(server);
	loop_io_remove(&server->listener);
	(void)close(server->listener.fd);
	(void)unlink(server->path);
	buf_clear(&server->in);
}

static inline void
unix_server_send(struct unix_server *server, struct str s)
{
	assert_int_equal(send(server->connection.fd, s.p, s.n, MSG_NOSIGNAL), s.n);
}

/* Turns the loop until nothing is left to do for a moment. */
static inline void
settle(struct loop *loop)
{
	for (int i = 0; i < 12; i++)
		loop_once(loop, 2);
}

#endif
