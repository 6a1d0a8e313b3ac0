/*
 * An envelope out of an open queue file.
 */
#ifndef QUEUE_ENVELOPE_FILE_H
#define QUEUE_ENVELOPE_FILE_H

#include "queue/envelope.h"

enum envelope_load {
	ENVELOPE_LOADED,
	ENVELOPE_MORE,	     /* there is more to read: call again */
	ENVELOPE_UNFINISHED, /* its writer is not done */
	ENVELOPE_DAMAGED,
	ENVELOPE_NEWER,	     /* of a version that we do not know, and nothing more can be said of it */
	ENVELOPE_UNREADABLE, /* an error of ours: try again later */
};

struct envelope_source {
	int fd;
	struct queue_reader reader;
	bool skips_content; /* for who only looks: its checksum is not checked then */
	/* Is shown each record before the envelope gets it; may be NULL. */
	void (*saw)(struct envelope_source *source, const struct queue_record *record);
};

void envelope_source_init(struct envelope_source *source, int fd);
/* Reads and checks at most about `budget` bytes. On DAMAGED, NEWER and UNREADABLE err says why. */
enum envelope_load envelope_load(struct envelope *e, struct envelope_source *source, size_t budget_bytes,
    struct err *err);

#endif
