/*
 * Owned bytes that grow up to a maximum given at birth. A write that would pass the maximum, or that finds no
 * memory, changes nothing and marks the buffer; further writes do nothing, and one check (buf_ok) at the end tells.
 */
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include "common/base/str.h"

struct buf {
	char *p;
	size_t n;   /* bytes in use */
	size_t cap; /* bytes allocated; never more than max */
	size_t max;
	bool failed;
};

/* Allocates nothing. A buffer that is all zero is a buffer of maximum 0: every write fails. */
void buf_init(struct buf *b, size_t max);
/* Frees the memory; the buffer may be used again with the same maximum. */
void buf_clear(struct buf *b);
/* Empties it and forgets a failure; keeps the memory. */
void buf_reset(struct buf *b);
/* Wipes what it holds, then buf_clear: for secrets. */
void buf_clear_secret(struct buf *b);

bool buf_ok(const struct buf *b);
/* Borrowed until the next write. */
struct str buf_str(const struct buf *b);

void buf_add(struct buf *b, struct str s);
void buf_adds(struct buf *b, const char *cstring);
void buf_addf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* In decimal, and blanks in front of it up to the width. */
void buf_add_number(struct buf *b, size_t width, uint64_t value);

static inline void
buf_addc(struct buf *b, char c)
{
	if (b->n < b->cap && !b->failed)
		b->p[b->n++] = c;
	else
		buf_add(b, (struct str){&c, 1});
}

/* Room for n bytes at the end, or NULL (and failed); then buf_commit says how many were written there. */
char *buf_reserve(struct buf *b, size_t n);
void buf_commit(struct buf *b, size_t n);
/* Removes the first n bytes. */
void buf_consume(struct buf *b, size_t n);
/* Cuts it to its first n bytes. */
void buf_truncate(struct buf *b, size_t n);

#endif
