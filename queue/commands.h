/*
 * What queued does when the postmaster says so (queue/control.h).
 */
#ifndef QUEUE_COMMANDS_H
#define QUEUE_COMMANDS_H

#include "common/base/msg.h"
#include "queue/queue.h"

#define COMMANDS_REASON_MAX 500 /* bytes of the reason of a bounce */

/* Answers on the channel. False: the message made no sense. */
bool commands_received(struct queue *q, struct channel *channel, struct msg *m);

#endif
