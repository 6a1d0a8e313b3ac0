#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/msg.h"
#include "common/base/msg_packet.h"

struct channel_packet {
	STAILQ_ENTRY(channel_packet) link;
	int fd;
	bool borrowed; /* the descriptor: by cork or for the moment */
	size_t n;
	char bytes[];
};

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
packets_receive(int fd, struct mmsghdr headers[BATCH], union msg_control controls[BATCH])
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

	if (!msg_open(&m, cut ? STR_NONE : bytes, msg_control_take(&header->msg_hdr)))
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
	union msg_control controls[BATCH];
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
			int fd = msg_control_take(&headers[i].msg_hdr);

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
	if (p->fd >= 0 && !p->borrowed)
		(void)close(p->fd);
	free(p);
}

/* From now on its descriptor is its own. */
static bool
packet_own(struct channel_packet *p)
{
	if (p->fd < 0 || !p->borrowed)
		return true;
	p->fd = fcntl(p->fd, F_DUPFD_CLOEXEC, 0);
	p->borrowed = false;
	return p->fd >= 0;
}

/* The first packets of the queue; how many, or -1. */
static int
packets_send(struct channel *channel)
{
	struct mmsghdr headers[BATCH] = {0};
	union msg_control controls[BATCH];
	struct iovec iov[BATCH];
	const struct channel_packet *p;
	unsigned count = 0;
	int n;

	STAILQ_FOREACH(p, &channel->queue, link) {
		if (count == BATCH)
			break;
		iov[count] = (struct iovec){(void *)(uintptr_t)p->bytes, p->n};
		headers[count].msg_hdr = (struct msghdr){.msg_iov = &iov[count], .msg_iovlen = 1};
		if (p->fd >= 0)
			msg_control_put(&headers[count].msg_hdr, &controls[count], p->fd);
		count++;
	}
	do
		n = sendmmsg(channel->io.fd, headers, count, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n;
}

/* What is left must wait, with descriptors of its own; false when there are none left for it. */
static bool
packets_wait(struct channel *channel)
{
	struct channel_packet *p;

	loop_io_want(&channel->io, LOOP_READ | LOOP_WRITE);
	STAILQ_FOREACH(p, &channel->queue, link)
		if (!packet_own(p))
			return false;
	return true;
}

/* False when the channel failed (and may be freed by now). */
static bool
channel_write(struct channel *channel)
{
	while (!STAILQ_EMPTY(&channel->queue)) {
		int n = packets_send(channel);

		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) && packets_wait(channel))
			return true;
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
	channel->gathers = channel->corked = false;
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

/* Its descriptor is borrowed. */
static struct channel_packet *
packet_queue(struct channel *channel, struct str bytes, int pass_fd)
{
	struct channel_packet *p;

	if (bytes.n > CHANNEL_QUEUE_MAX_BYTES - channel->queued_bytes)
		return NULL;
	p = malloc(sizeof *p + bytes.n);
	if (p == NULL)
		return NULL;
	p->fd = pass_fd;
	p->borrowed = true;
	p->n = bytes.n;
	memcpy(p->bytes, bytes.p, bytes.n);
	STAILQ_INSERT_TAIL(&channel->queue, p, link);
	channel->queued_bytes += bytes.n;
	return p;
}

/* The other end took nothing just now. */
static bool
packet_wait(struct channel *channel, struct str bytes, int pass_fd)
{
	struct channel_packet *p = packet_queue(channel, bytes, pass_fd);

	if (p == NULL)
		return false;
	if (!packet_own(p)) {
		STAILQ_REMOVE(&channel->queue, p, channel_packet, link);
		channel->queued_bytes -= p->n;
		free(p);
		return false;
	}
	loop_io_want(&channel->io, LOOP_READ | LOOP_WRITE);
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
channel_cork(struct channel *channel)
{
	channel->corked = true;
}

void
channel_flush(struct channel *channel)
{
	channel->corked = false;
	if (channel_is_open(channel))
		(void)channel_write(channel);
}

bool
channel_send(struct channel *channel, const struct buf *b, int pass_fd)
{
	if (!buf_ok(b) || !channel_is_open(channel))
		return false;
	if (channel->corked)
		return packet_queue(channel, buf_str(b), pass_fd) != NULL;
	if (channel->gathers && pass_fd < 0) {
		loop_defer(channel->io.loop, &channel->gathered, gathered_due);
		return packet_queue(channel, buf_str(b), -1) != NULL;
	}
	if (!STAILQ_EMPTY(&channel->queue))
		return packet_wait(channel, buf_str(b), pass_fd);
	if (msg_packet_send(channel->io.fd, buf_str(b), pass_fd, MSG_DONTWAIT) >= 0)
		return true;
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return packet_wait(channel, buf_str(b), pass_fd);
	return false;
}
