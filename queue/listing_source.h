/*
 * The names of all files of the queue, a handful at a time: active, incoming, deferred (by time), hold, corrupt; within a
 * directory as the file system has them. What moves meanwhile may be met twice or not at all. Of the directories only
 * the times of deferred/ are kept in memory.
 */
#ifndef QUEUE_LISTING_SOURCE_H
#define QUEUE_LISTING_SOURCE_H

#include "queue/listing.h"

#define LISTING_HANDFUL 128

struct listing_opened;

/* Names of one directory. */
struct listing_names {
	const struct listing_directory *directory; /* open until it is released */
	struct queue_id ids[LISTING_HANDFUL];
	size_t n;
	struct listing_opened *opened;
};

struct listing_source {
	const struct spool *spool;
	unsigned places; /* 1 << enum spool_place of those that are still to come */
	struct spool_time *times;
	size_t ntimes, cap, next_time;
	struct listing_opened *opened; /* the one that is being read; NULL: none */
};

/* places: 1 << enum spool_place of those that are wanted; 0: all. */
void listing_source_init(struct listing_source *source, const struct spool *spool, unsigned places);
void listing_source_clear(struct listing_source *source);
/* The next ones; none at the end. False fills err. */
bool listing_source_next(struct listing_source *source, struct listing_names *names, struct err *err);
/* They have been read. */
void listing_source_release(struct listing_names *names);

#endif
