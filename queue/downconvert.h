/*
 * A message for a server that takes less than it has: 8-bit text for one without 8BITMIME (RFC 6152 3), binary content for one
 * without BINARYMIME (RFC 3030). Bodies that cannot go as they are become quoted-printable (text) or Base64, each part by
 * itself, also in a message within; their headers say so, and everything else stays as it was. Pure.
 *
 * The message passes three times, in pieces of any size, and is not kept:
 *
 *     d = downconvert_new(target);
 *     downconvert_parse(d, bytes) ..., downconvert_parse_end(d)     its structure
 *     downconvert_look(d, bytes) ...                                what is in each part
 *     downconvert_decide(d, &why)                                   must it be changed, and can it?
 *     downconvert_begin(d), downconvert_write(d, bytes, out) ..., downconvert_end(d, out)
 *
 * Not changed, ever: what is signed or encrypted, since that would break it; a header, since 8-bit characters there mean
 * nothing that is known; and what says of itself that it is encoded, and is not. (A DKIM signature over the body breaks; its own
 * purpose ends where a message is changed on its way.)
 */
#ifndef QUEUE_DOWNCONVERT_H
#define QUEUE_DOWNCONVERT_H

#include "common/base/buf.h"

/* What the server takes. */
enum downconvert_target {
	DOWNCONVERT_TO_7BIT,
	DOWNCONVERT_TO_8BIT, /* lines of any bytes but NUL */
};

enum downconvert_need {
	DOWNCONVERT_NOT_NEEDED, /* it can go as it is, and without being announced as anything more */
	DOWNCONVERT_NEEDED,
	DOWNCONVERT_IMPOSSIBLE,
};

/* Bytes of a line without its end (RFC 5321 4.5.3.1.6). */
#define DOWNCONVERT_LINE_MAX 998
/* A byte becomes at most so many (in a digest of messages of one letter), and a call may add so many. */
#define DOWNCONVERT_GROWTH 12
#define DOWNCONVERT_SLACK 1024

struct downconvert;

/* Fatal when memory is out; holds what MIME_PARTS_MAX parts need at most. */
struct downconvert *downconvert_new(enum downconvert_target target);
/* NULL is fine. */
void downconvert_free(struct downconvert *d);

void downconvert_parse(struct downconvert *d, struct str bytes);
void downconvert_parse_end(struct downconvert *d);
void downconvert_look(struct downconvert *d, struct str bytes);
/* *why: when it is impossible; static. */
enum downconvert_need downconvert_decide(struct downconvert *d, const char **why);

/* From the first byte on, as often as is wanted. */
void downconvert_begin(struct downconvert *d);
/* Appends to out, which must have room as said above; a failure of it is the caller's to see. */
void downconvert_write(struct downconvert *d, struct str bytes, struct buf *out);
void downconvert_end(struct downconvert *d, struct buf *out);

#endif
