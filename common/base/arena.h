/*
 * Memory that is given back all at once: one arena a lifetime (session, transaction, scratch). The limit comes from
 * the configuration; reaching it gives NULL, which the caller turns into an ordinary "452 too much". What lives in an
 * arena dies with arena_reset: nothing that lives longer may point into it. There is no free of a single piece, so an
 * arena is wrong for what comes and goes during its lifetime.
 */
#ifndef COMMON_ARENA_H
#define COMMON_ARENA_H

#include "common/base/str.h"

struct arena_block;

struct arena {
	struct arena_block *blocks; /* newest first */
	size_t used;		    /* bytes handed out, alignment included */
	size_t max;
	bool failed; /* sticky until arena_reset: one check at the end may do */
};

void arena_init(struct arena *a, size_t max_bytes);
/* Drops everything; keeps the first block, so that a reset and refill costs no malloc. */
void arena_reset(struct arena *a);
/* Drops everything and the memory. */
void arena_clear(struct arena *a);

/* Zeroed and aligned for any type; NULL at the limit. */
void *arena_alloc(struct arena *a, size_t n);
/* A NUL-terminated copy; .p is NULL at the limit (test .p, since an empty string is a valid copy). */
struct str arena_copy(struct arena *a, struct str s);
struct str arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
