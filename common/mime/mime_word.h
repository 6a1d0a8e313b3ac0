/*
 * Encoded words (RFC 2047) in header fields: `=?utf-8?q?Apa_kabar=3F?=`.
 */
#ifndef COMMON_MIME_WORD_H
#define COMMON_MIME_WORD_H

#include "common/base/buf.h"

/*
 * Appends the field's value in UTF-8: unfolded, encoded words decoded wherever they stand, blanks between two of them
 * gone. What is not an encoded word after all, or in a character set that is not known, stays as it is.
 */
void mime_word_decode(struct str value, struct buf *out);

#endif
