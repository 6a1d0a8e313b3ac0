/*
 * Notifications (RFC 3464): queued makes a file and says what is in them; the bounce process, which has nothing but
 * the descriptors that it is handed, writes them, because for that the message must be read.
 */
#ifndef QUEUE_NOTICE_H
#define QUEUE_NOTICE_H

#include "queue/dsn.h"
#include "queue/queue.h"

/* bounce_fd: a SOCK_SEQPACKET connection to the bounce process, or -1. */
struct notices *notices_new(struct queue *q, int bounce_fd);
void notices_free(struct notices *notices);

/* Is this recipient one of whom such a notification is to be written? */
bool notice_is_due(const struct message *m, const struct recipient *r, enum dsn_kind kind);
/*
 * Writes to `to` about those of the message's recipients for whom that is due and whose return path is this one: at most
 * NOTICE_RECIPIENTS_MAX. outcome_noticed follows, never from inside; then they have been marked as told.
 */
void notice_send(struct notices *notices, struct message *m, enum dsn_kind kind, struct str return_path, struct str to);

/* Is active/ID a notification that is not finished? */
bool notice_is_being_written(const struct notices *notices, const struct queue_id *id);

#define NOTICE_RECIPIENTS_MAX 1000

#endif
