/*
 * Sequence sets (RFC 3501 9): `2,4:7,9:*`. Kept as ranges that ascend and do not touch, so that whoever walks a mailbox
 * walks the set once beside it. `*` is the largest number in the mailbox, which is known only when the set is used, so
 * it is kept apart until then. Pure.
 */
#ifndef IMAPD_SEQSET_H
#define IMAPD_SEQSET_H

#include "common/base/buf.h"
#include "imapd/parse.h"

#define SEQSET_STAR UINT32_MAX /* while parsed; as a UID it is never given */

struct seqset_range {
	uint32_t first, last;
};

struct seqset {
	struct seqset_range *ranges;
	size_t n;
};

bool seqset_parse(struct parse_text *t, struct seqset *set);
/*
 * Puts `largest` for every `*` and brings the ranges into order: to be called once, before the two below. largest is
 * 0 in an empty mailbox, where `*` is nothing.
 */
void seqset_resolve(struct seqset *set, uint32_t largest);
bool seqset_contains(const struct seqset *set, uint32_t n);
/* The greatest number in it; 0 when it is empty. */
uint32_t seqset_greatest(const struct seqset *set);

/* Appends numbers as a set: ascending neighbours become ranges. */
struct seqset_writer {
	struct buf *out;
	uint32_t first, last; /* the range that is open; 0: none */
	bool written;
};

void seqset_writer_init(struct seqset_writer *w, struct buf *out);
void seqset_writer_add(struct seqset_writer *w, uint32_t n);
void seqset_writer_end(struct seqset_writer *w);

#endif
