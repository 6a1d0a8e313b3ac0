/*
 * Finding texts in a text that comes in pieces: substrings, without regard to case (RFC 3501 6.4.4), over UTF-8. Each
 * byte is looked at once for each needle, whatever the needle.
 */
#ifndef IMAPD_MATCH_H
#define IMAPD_MATCH_H

#include "common/base/arena.h"
#include "common/base/buf.h"

/* Loads what is known of letters, to stay: for processes that cannot open files later. */
void match_preload(void);

/* Appends in with every letter in lower case; bytes that are not UTF-8 stay as they are. */
struct match_fold {
	char held[4]; /* the beginning of a character */
	size_t held_n;
};

void match_fold(struct match_fold *f, struct str in, struct buf *out);
/* At the end of a text; ready for a new one then. */
void match_fold_end(struct match_fold *f, struct buf *out);

struct match {
	struct str needle; /* folded */
	uint32_t *fallback;
	size_t matched; /* bytes of the needle */
	bool found;
};

/* needle: UTF-8. False when the arena is full. */
bool match_init(struct match *m, struct arena *a, struct str needle);
/* For a new text; what was found stays found until match_forget. */
void match_restart(struct match *m);
void match_forget(struct match *m);
/* The next piece of the text, folded. */
void match_feed(struct match *m, struct str folded);

#endif
