/*
 * What queued tells the postmaster of itself: answers to the questions of queue/control.h that change nothing.
 */
#ifndef QUEUE_REPORT_H
#define QUEUE_REPORT_H

#include "queue/control.h"
#include "queue/queue.h"

/* Appends the text of the reply. False: this is no such question. */
bool report_answer(struct queue *q, const struct control_request *request, struct buf *text);

#endif
