/*
 * Base64 as JOSE has it (RFC 4648 5, RFC 7515 2): the alphabet that URLs bear, without padding. Pure.
 */
#ifndef AUTH_BASE64URL_H
#define AUTH_BASE64URL_H

#include "common/base/buf.h"

/* Appends what in encodes; false when it is not that, or out is full. */
bool base64url_decode(struct buf *out, struct str in);

#endif
