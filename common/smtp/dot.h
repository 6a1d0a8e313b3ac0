/*
 * The content of a message between DATA's 354 and its end (RFC 5321 4.5.2), and of POP3's multi-line replies (RFC 1939
 * 3): both ways of dot-stuffing. Only CRLF "." CRLF ends it (immunity rule 1). The same rules for what may be in it hold
 * for content that came in counted pieces (BDAT, RFC 3030).
 */
#ifndef COMMON_DOT_H
#define COMMON_DOT_H

#include "common/base/str.h"

/* What a reader found that must not be in mail: the owner refuses the message, or had it normalised. */
enum {
	DOT_BARE_CR = 1,
	DOT_BARE_LF = 2,
	DOT_NUL = 4,
};

/* All zero (but for normalise and counted) is the beginning of the content. */
struct dot_reader {
	bool normalise;	 /* bare CR and bare LF become CRLF, a NUL disappears; none of them ever ends anything */
	bool inside;	 /* of a line; false: behind a CRLF, or at the beginning */
	bool counted;	 /* a dot is nothing special, and the end is told by dot_read_end */
	bool cr;	 /* counted: a CR is held back */
	unsigned found;
};

/*
 * Takes a piece off the beginning of in and returns its length; *content is what it stands for, borrowed from in (or a
 * constant). Comes again for the rest. When nothing is taken and it has not ended, the bytes left (at most two) cannot
 * be judged yet: they must be offered again with what follows. *ended: the end of the content was taken.
 *
 * Counted: everything is taken in the end (a piece may come of what was held back, with nothing taken).
 */
size_t dot_read(struct dot_reader *reader, struct str in, struct str *content, bool *ended);

/* The counted content is complete: true when there is still *content to come. */
bool dot_read_end(struct dot_reader *reader, struct str *content);

/* All zero (but for bare) is the beginning. */
struct dot_writer {
	bool bare;   /* neither stuffs nor ends with a dot: for who says the length in front (RFC 3030) */
	bool inside; /* of a line */
	bool cr;     /* the last byte was a CR, which is not written yet */
};

#define DOT_WRITE_ROOM_MIN 4
#define DOT_WRITE_END_MAX 5

/*
 * Stuffs as much of in as there is room for: returns the bytes taken, *written says how many were written (at most
 * room). room >= DOT_WRITE_ROOM_MIN makes progress. A bare CR or LF leaves as CRLF.
 */
size_t dot_write(struct dot_writer *writer, struct str in, char *out, size_t room, size_t *written);
/* At the end: ends the last line if it had no end, then writes the dot (unless bare); returns the bytes written. */
size_t dot_write_end(struct dot_writer *writer, char out[DOT_WRITE_END_MAX]);

#endif
