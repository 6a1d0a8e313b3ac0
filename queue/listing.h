/*
 * Looking at the queue from outside of queued: every message of the spool, or one. Only reads; what moves meanwhile may
 * be met twice or not at all.
 */
#ifndef QUEUE_LISTING_H
#define QUEUE_LISTING_H

#include "queue/envelope_file.h"
#include "queue/spool.h"

struct listed {
	struct queue_id id;
	enum spool_place place;
	struct spool_time time;	  /* deferred: the directory; else "" */
	uint64_t due_s;		  /* deferred: when it is tried again; else 0 */
	struct envelope envelope; /* empty unless loaded */
	enum envelope_load load;
};

struct listing {
	struct spool spool;
	struct siphash_key key;
	unsigned places; /* 1 << enum spool_place of those that are walked through; 0: all */
	/* Is this one to be opened? May be NULL: all are. */
	bool (*wants)(struct listing *listing, const struct queue_id *id);
	/* Each message, and when it is opened its records before; false ends the walk. The latter may be NULL. */
	bool (*visit)(struct listing *listing, const struct listed *message);
	void (*saw)(struct envelope_source *source, const struct queue_record *record);
};

bool listing_open(struct listing *listing, const char *spool_directory, struct err *err);
void listing_close(struct listing *listing);
/* All of them: active, incoming, deferred (by time), hold, corrupt. */
bool listing_walk(struct listing *listing, struct err *err);
/* The one that was listed there, or has moved meanwhile; false: there is none any more. */
bool listing_again(struct listing *listing, const struct queue_id *id, enum spool_place place,
    const struct spool_time *time);
/* Just that one; false: there is none. */
bool listing_find(struct listing *listing, const struct queue_id *id);

#endif
