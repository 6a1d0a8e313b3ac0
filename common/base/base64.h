/*
 * Base64 (RFC 4648 4), strict: the padded alphabet with nothing between, no bits left over that are not zero, so that
 * every string of bytes has exactly one encoding.
 */
#ifndef COMMON_BASE64_H
#define COMMON_BASE64_H

#include "common/base/buf.h"

/* Appends the encoding of in; buf_ok tells whether it fitted. */
void base64_encode(struct buf *out, struct str in);
/* Appends what in encodes. False when it is not Base64 (out is then as it was) or when out is full (out has failed). */
bool base64_decode(struct buf *out, struct str in);

/* Whether base64_decode would take it. */
bool base64_is_good(struct str in);

#endif
