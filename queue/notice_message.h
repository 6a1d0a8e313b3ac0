/*
 * What queued and the bounce process say to each other, as messages of common/base/msg.h; all of one notification carry the
 * same id:
 *
 *     queued                                            bounce
 *       | NOTICE_BEGIN: what it is about, + the new file  |
 *       | NOTICE_RECIPIENT: one                           |  any number of times
 *       | NOTICE_END: + the message's file                |
 *       |                 NOTICE_DONE: well, or why not --> |
 *
 * NOTICE_HELLO is the first word of a bounce process: what an earlier one had under way died with it.
 */
#ifndef QUEUE_NOTICE_MESSAGE_H
#define QUEUE_NOTICE_MESSAGE_H

#include "common/base/arena.h"
#include "common/base/msg.h"
#include "common/queue/queue_file.h"
#include "queue/dsn.h"

enum notice_message {
	NOTICE_BEGIN = 1,
	NOTICE_RECIPIENT,
	NOTICE_END,
	NOTICE_DONE,
	NOTICE_HELLO,
};

void notice_begin_encode(struct buf *b, uint32_t id, const struct dsn *dsn);
void notice_recipient_encode(struct buf *b, uint32_t id, const struct dsn_recipient *recipient);
/* pieces: where the message is in its file. */
void notice_end_encode(struct buf *b, uint32_t id, const struct queue_piece *pieces, size_t n);
/* errnum: 0 when all went well, EPROTO when it was not the file's fault. */
void notice_done_encode(struct buf *b, uint32_t id, int errnum);

void notice_hello_encode(struct buf *b);

/* Strings are copied into the arena. False: malformed, or the arena is full. */
bool notice_begin_decode(struct msg *m, struct arena *arena, struct dsn *dsn);
bool notice_recipient_decode(struct msg *m, struct arena *arena, struct dsn_recipient *recipient);
bool notice_end_decode(struct msg *m, struct queue_piece pieces[QUEUE_PIECES_MAX], size_t *n);
bool notice_done_decode(struct msg *m, int *errnum);

#endif
