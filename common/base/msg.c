#include "common/base/msg.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/msg_packet.h"

struct head {
	uint32_t type;
	uint32_t id;
};

void
msg_begin(struct buf *b, uint32_t type, uint32_t id)
{
	struct head head = {.type = type, .id = id};

	buf_reset(b);
	buf_add(b, (struct str){(const char *)&head, sizeof head});
}

void
msg_add_u64(struct buf *b, uint64_t value)
{
	buf_add(b, (struct str){(const char *)&value, sizeof value});
}

void
msg_add_str(struct buf *b, struct str s)
{
	uint32_t n = (uint32_t)s.n;

	if (s.n > MSG_MAX_BYTES) {
		b->failed = true;
		return;
	}
	buf_add(b, (struct str){(const char *)&n, sizeof n});
	buf_add(b, s);
}

bool
msg_open(struct msg *m, struct str packet, int fd)
{
	struct head head;

	*m = (struct msg){.fd = fd, .bad = true};
	if (packet.n < sizeof head)
		return false;
	memcpy(&head, packet.p, sizeof head);
	m->type = head.type;
	m->id = head.id;
	m->rest = str_skip(packet, sizeof head);
	m->bad = false;
	return true;
}

static bool
take(struct msg *m, void *value, size_t n)
{
	if (m->bad || m->rest.n < n) {
		m->bad = true;
		return false;
	}
	memcpy(value, m->rest.p, n);
	m->rest = str_skip(m->rest, n);
	return true;
}

uint64_t
msg_get_u64(struct msg *m)
{
	uint64_t value;

	return take(m, &value, sizeof value) ? value : 0;
}

struct str
msg_get_str(struct msg *m)
{
	struct str s;
	uint32_t n;

	if (!take(m, &n, sizeof n))
		return STR_NONE;
	if (n > m->rest.n) {
		m->bad = true;
		return STR_NONE;
	}
	s = str_sub(m->rest, 0, n);
	m->rest = str_skip(m->rest, n);
	return s;
}

bool
msg_done(const struct msg *m)
{
	return !m->bad && m->rest.n == 0;
}

int
msg_take_fd(struct msg *m)
{
	int fd = m->fd;

	m->fd = -1;
	return fd;
}

void
msg_control_put(struct msghdr *header, union msg_control *control, int fd)
{
	struct cmsghdr *c;

	memset(control, 0, sizeof *control);
	header->msg_control = control->bytes;
	header->msg_controllen = sizeof control->bytes;
	c = CMSG_FIRSTHDR(header);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof fd);
}

ssize_t
msg_packet_send(int fd, struct str packet, int pass_fd, int flags)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)packet.p, .iov_len = packet.n};
	struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
	union msg_control control;
	ssize_t n;

	if (pass_fd >= 0)
		msg_control_put(&header, &control, pass_fd);
	do
		n = sendmsg(fd, &header, flags | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n;
}

int
msg_control_take(struct msghdr *header)
{
	int first = -1;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
			if (first < 0)
				first = fd;
			else
				(void)close(fd);
		}
	}
	return first;
}

/* <0 error, 0 end of stream, else one packet in b (empty when it was cut: too long for us). */
static ssize_t
packet_receive(int fd, struct buf *b, int *passed_fd)
{
	union msg_control control;
	struct iovec iov;
	struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	buf_reset(b);
	*passed_fd = -1;
	iov.iov_base = buf_reserve(b, MSG_MAX_BYTES);
	iov.iov_len = MSG_MAX_BYTES;
	if (iov.iov_base == NULL) {
		errno = ENOMEM;
		return -1;
	}
	header.msg_control = control.bytes;
	header.msg_controllen = sizeof control.bytes;
	do
		n = recvmsg(fd, &header, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return n;
	*passed_fd = msg_control_take(&header);
	if (n > 0 && !(header.msg_flags & MSG_TRUNC))
		buf_commit(b, (size_t)n);
	return n;
}

bool
msg_send(int fd, const struct buf *b, int pass_fd, struct err *err)
{
	if (!buf_ok(b))
		return err_set(err, ERR_LIMIT, "a message of more than %d bytes", MSG_MAX_BYTES);
	if (msg_packet_send(fd, buf_str(b), pass_fd, 0) < 0)
		return err_sys(err, "cannot send a message");
	return true;
}

bool
msg_receive(int fd, struct buf *b, struct msg *m, struct err *err)
{
	int passed_fd;
	ssize_t n = packet_receive(fd, b, &passed_fd);

	if (n < 0)
		return err_sys(err, "cannot receive a message");
	if (n == 0)
		return err_set(err, ERR_NONE, "end of stream");
	if (!msg_open(m, buf_str(b), passed_fd)) {
		if (passed_fd >= 0)
			(void)close(passed_fd);
		return err_set(err, ERR_TEMP, "malformed message of %zd bytes", n);
	}
	return true;
}

void
msg_socketpair(int fds[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
		fatal("socketpair: %s", strerror(errno));
}
