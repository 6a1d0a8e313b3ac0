/*
 * Keeps queue/site_memory.h in the spool: read at the start, written a moment after something has died or come back.
 */
#ifndef QUEUE_SITE_KEEPER_H
#define QUEUE_SITE_KEEPER_H

#include "queue/queue.h"

/* Tells the schedule what the file says; a damaged one is ignored. */
struct site_keeper *site_keeper_new(struct queue *q);
void site_keeper_free(struct site_keeper *keeper);
/* A delivery has ended, or somebody said that sites work again: if that changed what is remembered it will be written. */
void site_keeper_look(struct site_keeper *keeper);
/* Writes at once what is not written: queued ends. */
void site_keeper_write(struct site_keeper *keeper);

#endif
