/*
 * Modified UTF-7, the encoding of mailbox names in IMAP4rev1 (RFC 3501 5.1.3), and what UTF-8 is. Pure.
 */
#ifndef COMMON_MUTF7_H
#define COMMON_MUTF7_H

#include "common/base/buf.h"

/* Shortest forms only, no surrogates, at most U+10FFFF (RFC 3629). */
bool utf8_is_valid(struct str s);

/* Appends utf8 (valid UTF-8, else false) in modified UTF-7. */
bool mutf7_encode(struct buf *out, struct str utf8);
/*
 * Appends the UTF-8 for s. False (and out undefined) unless s is canonical: printable ASCII, `&-` for `&`, shifts that
 * encode no printable ASCII, that do not follow each other and end in zero bits.
 */
bool mutf7_decode(struct buf *out, struct str s);

#endif
