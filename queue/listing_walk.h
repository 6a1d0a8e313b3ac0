/*
 * All messages of the queue, read by as many threads as there are processors. Each takes a handful of names, opens those
 * files, and shows them to the visitor, which leaves something in the handful's batch; the batches come out one after the
 * other in the order of the names. How many batches are under way is bounded, so that memory does not grow with the
 * queue, and who reads the output slowly holds up the reading.
 */
#ifndef QUEUE_LISTING_WALK_H
#define QUEUE_LISTING_WALK_H

#include "queue/listing_source.h"

struct listing_batch {
	struct buf out; /* what the visitor leaves: text, or records of its own */
	/* Of each message that it has left something of: where that ends in out, and the message's size. */
	size_t ends[LISTING_HANDFUL];
	uint64_t sizes[LISTING_HANDFUL];
	size_t n;
	size_t looked_at; /* how many it has seen */
};

struct listing_walk {
	struct listing listing;
	unsigned places; /* 1 << enum spool_place of those that are walked through; 0: all */
	/* Instead of all these: one message after the other, wherever it is by now. NULL at the end. May be NULL. */
	const struct listing_seen *(*next)(struct listing_walk *walk);
	/* In any thread. Is this one to be opened? May be NULL: all are. */
	bool (*wants)(struct listing_walk *walk, const struct queue_id *id);
	/* In any thread: each message. */
	void (*visit)(struct listing_walk *walk, struct listing_batch *batch, const struct listed *message);
	/* One at a time, in order. False ends the walk. */
	bool (*take)(struct listing_walk *walk, struct listing_batch *batch);
};

/* For the visitor: what it has put into the batch since the last is of this message. */
void listing_batch_add(struct listing_batch *batch, const struct listed *message);
/* False fills err; that `take` ended it is no failure. */
bool listing_walk(struct listing_walk *walk, struct err *err);

#endif
