/*
 * Where messages come from: notices of smtpd on the `poke` socket; what a look into incoming/ finds (a lost notice
 * costs only time); what the last queued left in active/; directories of deferred/ whose time has come. Files that are
 * no messages go to corrupt/; what crashed writers left is swept.
 *
 * How many are in memory is bounded; the others wait where they are and cost nothing.
 */
#ifndef QUEUE_INTAKE_H
#define QUEUE_INTAKE_H

#include "queue/queue.h"

/* poke_fd: -1 without. */
struct intake *intake_new(struct queue *q, int poke_fd);
void intake_free(struct intake *intake);
/* Another message may be taken by other ways than its own. */
bool intake_has_room(const struct intake *intake);
/* A message has left: there may be room for another. */
void intake_room(struct intake *intake);
/* Another message is in this directory of deferred/ now. */
void intake_due(struct intake *intake, const struct spool_time *time);
/* The same, of one that is not released before: it may be further ahead than any retry. */
void intake_release(struct intake *intake, const struct spool_time *time);
/* All that is deferred is due now, but for what is not released. */
void intake_retry_all(struct intake *intake);
/*
 * Takes a file that is in active/ already: a notification, or one that a command has put there. The message may be gone
 * already when this returns.
 */
void intake_take(struct intake *intake, const struct queue_id *id);
/* The same, of one that is not tried but returned to its sender, for this reason. */
void intake_bounce(struct intake *intake, const struct queue_id *id, struct str reason);

#endif
