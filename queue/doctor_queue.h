/*
 * The health of the queue: what lies where for how long, and sites that do not work.
 */
#ifndef QUEUE_DOCTOR_QUEUE_H
#define QUEUE_DOCTOR_QUEUE_H

#include "queue/doctor.h"

/* has_queued: it answers, and can be asked about sites. */
void doctor_queue(struct doctor *d, bool has_queued);

#endif
