/*
 * Typed messages between our own processes, one packet of a SOCK_SEQPACKET socket each, with at most one descriptor.
 * A packet is type, id (both 32 bits) and fields in the order that the type's document says: numbers of 8 bytes,
 * strings with a length of 4 bytes in front, in the host's byte order (both ends are on one host). What comes from
 * another process is data: a field that is missing or too much marks the reader `bad`, and the receiver says what it
 * then does; nothing here ever exits because of a peer.
 */
#ifndef COMMON_MSG_H
#define COMMON_MSG_H

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/loop.h"

#define MSG_MAX_BYTES 65536

/* Writing: begin, add, then send. The buffer is the caller's, of maximum MSG_MAX_BYTES. */
void msg_begin(struct buf *b, uint32_t type, uint32_t id);
void msg_add_u64(struct buf *b, uint64_t value);
void msg_add_str(struct buf *b, struct str s);

/* Reading: strings are borrowed from the packet. */
struct msg {
	uint32_t type;
	uint32_t id;
	int fd; /* -1 or the descriptor that came along: now the reader's to close */
	struct str rest;
	bool bad;
};

/* False when the packet is too short to be a message. */
bool msg_open(struct msg *m, struct str packet, int fd);
uint64_t msg_get_u64(struct msg *m); /* 0 when bad */
struct str msg_get_str(struct msg *m); /* empty when bad */
/* All fields were there and nothing is left over. */
bool msg_done(const struct msg *m);

/* Takes the descriptor out of the message, so that it is not closed with it. */
int msg_take_fd(struct msg *m);

/*
 * Blocking, for simple parents and helpers. pass_fd may be -1. Both restart on EINTR. msg_receive reads one packet
 * into b (reset first); false at the end of the stream (err->class ERR_NONE) and on errors.
 */
bool msg_send(int fd, const struct buf *b, int pass_fd, struct err *err);
bool msg_receive(int fd, struct buf *b, struct msg *m, struct err *err);

/* A socket pair of the right kind, both ends close-on-exec; fatal when the kernel refuses. */
void msg_socketpair(int fds[2]);

/*
 * One end of such a socket in the event loop. What cannot be sent at once is queued up to CHANNEL_QUEUE_MAX_BYTES;
 * past that channel_send says false and the caller treats the peer as broken.
 */
#define CHANNEL_QUEUE_MAX_BYTES (4 * 1024 * 1024)

struct channel_packet;

struct channel {
	struct loop_io io;
	/* m and its strings live during the call; its descriptor is closed after it unless taken. The callback may
	 * call channel_close and free what embeds the channel. */
	void (*received)(struct channel *channel, struct msg *m);
	/* The other end is gone or broken; the channel is already closed. */
	void (*closed)(struct channel *channel);
	STAILQ_HEAD(channel_queue, channel_packet) queue;
	size_t queued_bytes;
	bool gathers, corked;
	struct loop_deferred gathered;
};

/* The channel takes the descriptor and makes it non-blocking. */
void channel_open(struct channel *channel, struct loop *loop, int fd, void (*received)(struct channel *, struct msg *),
    void (*closed)(struct channel *));
/* Closes the descriptor and drops what is queued; harmless when closed already. Calls nothing. */
void channel_close(struct channel *channel);
bool channel_is_open(const struct channel *channel);
/* From now on packets without a descriptor wait for the end of the turn of the loop, and leave together by one system
 * call: for who says several things at a time. */
void channel_gather(struct channel *channel);
/*
 * Until channel_flush packets wait, and their descriptors are the caller's, who neither closes them nor returns to the loop
 * before that.
 */
void channel_cork(struct channel *channel);
/* What waits leaves now, as far as the other end takes it, and nothing is borrowed any more. May call `closed`. */
void channel_flush(struct channel *channel);
/* pass_fd (or -1) is duplicated when the packet must wait: the caller keeps its own. */
bool channel_send(struct channel *channel, const struct buf *b, int pass_fd);

#endif
