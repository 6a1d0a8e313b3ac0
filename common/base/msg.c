#include "common/base/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"

struct head {
	uint32_t type;
	uint32_t id;
};

struct channel_packet {
	STAILQ_ENTRY(channel_packet) link;
	int fd;
	size_t n;
	char bytes[];
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

union fd_control {
	struct cmsghdr head;
	char bytes[CMSG_SPACE(sizeof(int))];
};

static ssize_t
packet_send(int fd, struct str packet, int pass_fd, int flags)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)packet.p, .iov_len = packet.n};
	struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
	union fd_control control;
	struct cmsghdr *c;
	ssize_t n;

	if (pass_fd >= 0) {
		memset(&control, 0, sizeof control);
		header.msg_control = control.bytes;
		header.msg_controllen = sizeof control.bytes;
		c = CMSG_FIRSTHDR(&header);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &pass_fd, sizeof pass_fd);
	}
	do
		n = sendmsg(fd, &header, flags | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n;
}

/* The first descriptor of the control data is the message's; should there be more, they are closed. */
static int
control_fd(struct msghdr *header)
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
	union fd_control control;
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
	*passed_fd = control_fd(&header);
	if (n > 0 && !(header.msg_flags & MSG_TRUNC))
		buf_commit(b, (size_t)n);
	return n;
}

bool
msg_send(int fd, const struct buf *b, int pass_fd, struct err *err)
{
	if (!buf_ok(b))
		return err_set(err, ERR_LIMIT, "a message of more than %d bytes", MSG_MAX_BYTES);
	if (packet_send(fd, buf_str(b), pass_fd, 0) < 0)
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

/* So many packets are read or written by one system call. */
#define BATCH 8

/* Room for packets that are read, for all channels of the process: they live only during their callbacks, and callbacks do
 * not nest. What is not touched of it costs nothing. */
static char *packets;
/* The channel whose callback runs, or NULL once that callback has closed (and perhaps freed) it. */
static struct channel *receiving;

static void
channel_fail(struct channel *channel)
{
	channel_close(channel);
	channel->closed(channel);
}

/* How many packets came, or -1. One of length 0 is the end of the stream. */
static int
packets_receive(int fd, struct mmsghdr headers[BATCH], union fd_control controls[BATCH])
{
	struct iovec iov[BATCH];
	int n;

	if (packets == NULL && (packets = malloc((size_t)BATCH * MSG_MAX_BYTES)) == NULL) {
		errno = ENOMEM;
		return -1;
	}
	for (size_t i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){packets + i * MSG_MAX_BYTES, MSG_MAX_BYTES};
		headers[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1,
		    .msg_control = controls[i].bytes, .msg_controllen = sizeof controls[i].bytes};
	}
	do
		n = recvmmsg(fd, headers, BATCH, MSG_CMSG_CLOEXEC | MSG_DONTWAIT, NULL);
	while (n < 0 && errno == EINTR);
	return n;
}

/* False when the channel was closed by who was told. */
static bool
packet_tell(struct channel *channel, struct mmsghdr *header, struct str bytes)
{
	bool cut = (header->msg_hdr.msg_flags & MSG_TRUNC) != 0; /* it was too long for us */
	struct msg m;

	if (!msg_open(&m, cut ? STR_NONE : bytes, control_fd(&header->msg_hdr)))
		log_warning("a malformed message of %zu bytes was dropped", bytes.n);
	receiving = channel;
	if (!m.bad)
		channel->received(channel, &m);
	if (m.fd >= 0)
		(void)close(m.fd);
	return receiving == channel;
}

/* Reads some packets; false when the channel is closed or has nothing more at present. */
static bool
channel_read(struct channel *channel)
{
	struct mmsghdr headers[BATCH];
	union fd_control controls[BATCH];
	int n = packets_receive(channel->io.fd, headers, controls);
	bool open = true;

	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return false;
	if (n < 0) {
		channel_fail(channel);
		return false;
	}
	for (int i = 0; i < n; i++) {
		struct str bytes = {packets + (size_t)i * MSG_MAX_BYTES, headers[i].msg_len};

		if (!open) {
			int fd = control_fd(&headers[i].msg_hdr);

			if (fd >= 0)
				(void)close(fd);
		} else if (bytes.n == 0) {
			channel_fail(channel);
			open = false;
		} else {
			open = packet_tell(channel, &headers[i], bytes);
		}
	}
	return open && n == BATCH;
}

static void
packet_free(struct channel *channel, struct channel_packet *p)
{
	STAILQ_REMOVE_HEAD(&channel->queue, link);
	channel->queued_bytes -= p->n;
	if (p->fd >= 0)
		(void)close(p->fd);
	free(p);
}

/* The first packets of the queue that have no descriptor; how many, or -1. */
static int
packets_send(struct channel *channel)
{
	struct mmsghdr headers[BATCH] = {0};
	struct iovec iov[BATCH];
	const struct channel_packet *p;
	unsigned count = 0;
	int n;

	STAILQ_FOREACH(p, &channel->queue, link) {
		if (p->fd >= 0 || count == BATCH)
			break;
		iov[count] = (struct iovec){(void *)(uintptr_t)p->bytes, p->n};
		headers[count].msg_hdr = (struct msghdr){.msg_iov = &iov[count], .msg_iovlen = 1};
		count++;
	}
	do
		n = sendmmsg(channel->io.fd, headers, count, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n;
}

static int
queue_send(struct channel *channel)
{
	const struct channel_packet *first = STAILQ_FIRST(&channel->queue);

	if (first->fd < 0)
		return packets_send(channel);
	return packet_send(channel->io.fd, (struct str){first->bytes, first->n}, first->fd, MSG_DONTWAIT) < 0 ? -1 : 1;
}

/* False when the channel failed (and may be freed by now). */
static bool
channel_write(struct channel *channel)
{
	while (!STAILQ_EMPTY(&channel->queue)) {
		int n = queue_send(channel);

		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			loop_io_want(&channel->io, LOOP_READ | LOOP_WRITE);
			return true;
		}
		if (n < 0) {
			channel_fail(channel);
			return false;
		}
		while (n-- > 0)
			packet_free(channel, STAILQ_FIRST(&channel->queue));
	}
	loop_io_want(&channel->io, LOOP_READ);
	return true;
}

/* At most so many batches a turn, so that one busy peer does not hold up the others. */
#define BATCHES_A_TURN 4

static void
channel_ready(struct loop_io *io, unsigned events)
{
	struct channel *channel = container_of(io, struct channel, io);

	if ((events & LOOP_WRITE) && !channel_write(channel))
		return;
	if (events & LOOP_READ)
		for (int i = 0; i < BATCHES_A_TURN; i++)
			if (!channel_read(channel))
				return;
}

void
channel_open(struct channel *channel, struct loop *loop, int fd, void (*received)(struct channel *, struct msg *),
    void (*closed)(struct channel *))
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
		fatal("fcntl: %s", strerror(errno));
	channel->received = received;
	channel->closed = closed;
	channel->queued_bytes = 0;
	channel->gathers = false;
	channel->gathered.loop = NULL;
	STAILQ_INIT(&channel->queue);
	loop_io_add(loop, &channel->io, fd, LOOP_READ, channel_ready);
}

void
channel_close(struct channel *channel)
{
	struct channel_packet *p;

	if (!channel_is_open(channel))
		return;
	if (receiving == channel)
		receiving = NULL;
	loop_io_remove(&channel->io);
	loop_defer_cancel(&channel->gathered);
	(void)close(channel->io.fd);
	while ((p = STAILQ_FIRST(&channel->queue)) != NULL)
		packet_free(channel, p);
}

bool
channel_is_open(const struct channel *channel)
{
	return channel->io.loop != NULL;
}

static bool
packet_queue(struct channel *channel, struct str bytes, int pass_fd)
{
	struct channel_packet *p;

	if (bytes.n > CHANNEL_QUEUE_MAX_BYTES - channel->queued_bytes)
		return false;
	p = malloc(sizeof *p + bytes.n);
	if (p == NULL)
		return false;
	p->fd = -1;
	if (pass_fd >= 0) {
		p->fd = fcntl(pass_fd, F_DUPFD_CLOEXEC, 0);
		if (p->fd < 0) {
			free(p);
			return false;
		}
	}
	p->n = bytes.n;
	memcpy(p->bytes, bytes.p, bytes.n);
	STAILQ_INSERT_TAIL(&channel->queue, p, link);
	channel->queued_bytes += bytes.n;
	return true;
}

static void
gathered_due(struct loop_deferred *deferred)
{
	(void)channel_write(container_of(deferred, struct channel, gathered));
}

void
channel_gather(struct channel *channel)
{
	channel->gathers = true;
}

void
channel_flush(struct channel *channel)
{
	if (channel_is_open(channel))
		(void)channel_write(channel);
}

/* The same when the other end took nothing just now. */
static bool
packet_wait(struct channel *channel, struct str bytes, int pass_fd)
{
	if (!packet_queue(channel, bytes, pass_fd))
		return false;
	loop_io_want(&channel->io, LOOP_READ | LOOP_WRITE);
	return true;
}

bool
channel_send(struct channel *channel, const struct buf *b, int pass_fd)
{
	if (!buf_ok(b) || !channel_is_open(channel))
		return false;
	if (channel->gathers && pass_fd < 0) {
		loop_defer(channel->io.loop, &channel->gathered, gathered_due);
		return packet_queue(channel, buf_str(b), -1);
	}
	if (!STAILQ_EMPTY(&channel->queue))
		return packet_wait(channel, buf_str(b), pass_fd);
	if (packet_send(channel->io.fd, buf_str(b), pass_fd, MSG_DONTWAIT) >= 0)
		return true;
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return packet_wait(channel, buf_str(b), pass_fd);
	return false;
}
