/*
 * xtext (RFC 3461 4): how a parameter of SMTP carries what might hold blanks, "+" or "=": a "+" and two hexadecimal
 * digits stand for a byte.
 */
#ifndef COMMON_XTEXT_H
#define COMMON_XTEXT_H

#include "common/base/buf.h"

/* Appends what the text stands for; false when it is malformed. The result may hold any byte. */
bool xtext_decode(struct buf *out, struct str text);
void xtext_encode(struct buf *out, struct str bytes);

#endif
