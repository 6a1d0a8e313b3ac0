/*
 * Content transfer encodings (RFC 2045 6.7, 6.8), in pieces of any size: what comes out has lines of at most 76 characters and
 * nothing but ASCII, and decodes to exactly the bytes that went in. Pure.
 */
#ifndef COMMON_MIME_ENCODE_H
#define COMMON_MIME_ENCODE_H

#include "common/base/buf.h"
#include "common/mime/mime_decode.h"

#define MIME_ENCODE_ROW 57 /* bytes that make a line of Base64 */

/* All zero but for the encoding is the beginning. */
struct mime_encoder {
	enum mime_encoding encoding;
	size_t column;
	/* Quoted-printable: a blank, then a CR, of which one cannot tell yet. Base64: the bytes of a line. */
	char blank;
	bool cr;
	char held[MIME_ENCODE_ROW];
	size_t held_n;
};

/* No byte becomes more than this many; a call or the end may add MIME_ENCODE_SLACK for what was held back. */
#define MIME_ENCODE_GROWTH 4
#define MIME_ENCODE_SLACK 96

void mime_encode(struct mime_encoder *encoder, struct str in, struct buf *out);
/* No more comes. The last line is not ended. */
void mime_encode_end(struct mime_encoder *encoder, struct buf *out);

#endif
