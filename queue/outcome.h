/*
 * What becomes of a message: results are recorded, and at the end of a round (all of its recipients were tried once)
 * the sender is notified of what failed, what is left is put off or, when nothing is left, the file removed.
 *
 * What is promised by whom, when: a recipient's result is in memory until its record is durable, at most RECORD_MS
 * later, unless the message is finished before that: then its removal is the record. A notification is durable before
 * the failure that it tells of is settled. A full disk delays all this; nothing is forgotten before it is written.
 */
#ifndef QUEUE_OUTCOME_H
#define QUEUE_OUTCOME_H

#include "queue/queue.h"

struct outcome *outcome_new(struct queue *q);
void outcome_free(struct outcome *outcome);

/* A result of one of its recipients has come. */
void outcome_result(struct message *m);
/* Something about it has come to an end: if that was the last thing, the round is over. It may be gone then. */
void outcome_progress(struct message *m);
/* It is not to be tried now: it goes on hold when that is its wish, or waits for its release, or until there is room. It may be
 * gone then. */
void outcome_untried(struct message *m);
/* What became of a notification about it. It may be gone then. */
enum outcome_notice {
	OUTCOME_NOTICE_DURABLE, /* in the queue */
	OUTCOME_NOTICE_NOT_NOW, /* the spool takes nothing: that is no fault of the message's */
	OUTCOME_NOTICE_FAILED,
};
void outcome_noticed(struct message *m, enum outcome_notice what);
/* Writes at once what is not recorded: queued ends. */
void outcome_record_all(struct outcome *outcome);

#endif
