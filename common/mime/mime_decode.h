/*
 * Undoing content transfer encodings (RFC 2045 6.7, 6.8), in pieces of any size and as tolerant as reading mail has to
 * be: what is not encoded right comes out as it is (quoted-printable) or is passed over (Base64). Pure.
 */
#ifndef COMMON_MIME_DECODE_H
#define COMMON_MIME_DECODE_H

#include "common/base/str.h"

enum mime_encoding {
	MIME_IDENTITY, /* 7bit, 8bit, binary, and what we do not know */
	MIME_BASE64,
	MIME_QUOTED_PRINTABLE,
};

#define MIME_DECODE_SLACK 4

struct mime_decoder {
	enum mime_encoding encoding;
	unsigned held_n; /* quoted-printable: bytes of an escape; Base64: letters of a quantum */
	char held[2];
	uint32_t bits;
};

enum mime_encoding mime_encoding_find(struct str name);
void mime_decoder_init(struct mime_decoder *d, enum mime_encoding encoding);
/* Returns how much was written to out, which has room for in.n + MIME_DECODE_SLACK bytes. */
size_t mime_decode(struct mime_decoder *d, struct str in, char *out);
/* At the end: what was held back; at most MIME_DECODE_SLACK bytes. */
size_t mime_decode_end(struct mime_decoder *d, char *out);

#endif
