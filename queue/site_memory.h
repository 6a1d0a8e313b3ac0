/*
 * The file `sites` of the spool: which sites are dead, so that a queued that starts again does not find out with their mail.
 * Disposable: without it that is all that happens. Lines of text (merpati-queue(5)), the last of which counts the others, so that
 * what was cut short, or changed, is not believed. Pure.
 */
#ifndef QUEUE_SITE_MEMORY_H
#define QUEUE_SITE_MEMORY_H

#include "common/base/buf.h"
#include "common/base/err.h"

/* Of the file. Sites that do not fit are left out. */
#define SITE_MEMORY_MAX_BYTES (4UL * 1024 * 1024)
#define SITE_MEMORY_DEATHS_MAX 1000

struct site_memory {
	struct str key;
	uint64_t dead_until_s; /* since 1970 */
	uint64_t deaths;       /* in a row, for the next time */
	struct str trouble;    /* the last, in words */
};

/* b: of maximum SITE_MEMORY_MAX_BYTES. Begin, add, end. */
void site_memory_begin(struct buf *b);
/* False, and nothing is added, when the rest would not fit. */
bool site_memory_add(struct buf *b, const struct site_memory *m);
void site_memory_end(struct buf *b, uint64_t n);

/* The whole text is as it was written; *text is then what site_memory_take takes from. */
bool site_memory_check(struct str *text);
/* The next one, its strings borrowed; false at the end. */
bool site_memory_take(struct str *text, struct site_memory *m);

#endif
