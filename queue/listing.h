/*
 * Looking at the queue from outside of queued: one message of the spool (all of them: queue/listing_walk.h). Only reads.
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
	struct envelope envelope; /* what could be read of it */
	enum envelope_load load;
};

/* A directory of the queue. */
struct listing_directory {
	enum spool_place place;
	struct spool_time time;
	uint64_t due_s;
	int fd;
};

/* Where a message was seen. */
struct listing_seen {
	struct queue_id id;
	enum spool_place place;
	struct spool_time time;
};

struct listing {
	struct spool spool;
	struct siphash_key key;
	/* Of listing_find: the message, and while it is read its records. The latter may be NULL. */
	void (*visit)(struct listing *listing, const struct listed *message);
	void (*saw)(struct envelope_source *source, const struct queue_record *record);
};

bool listing_open(struct listing *listing, const char *spool_directory, struct err *err);
void listing_close(struct listing *listing);

/* Before the first message is read into it, and behind the last. */
void listed_init(struct listed *m, const struct listing *listing);
void listed_clear(struct listed *m);
/*
 * Reads that file; the memory of the message before is used again. False: it is not there any more, or no message yet.
 * Several threads may do so, each with a message of its own.
 */
bool listing_read(const struct listing *listing, const struct listing_directory *directory, const struct queue_id *id,
    struct listed *m);
/* The same, where it was seen or wherever it is by now. */
bool listing_read_again(const struct listing *listing, const struct listing_seen *seen, struct listed *m);
/* The same, not knowing where. */
bool listing_read_anywhere(const struct listing *listing, const struct queue_id *id, struct listed *m);
/* The same, and shows it to the visitor. */
bool listing_find(struct listing *listing, const struct queue_id *id);

#endif
