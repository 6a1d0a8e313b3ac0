/*
 * Netstrings: `5:hello,`. A value in one can hold any bytes and never passes for what follows it.
 */
#ifndef COMMON_NETSTRING_H
#define COMMON_NETSTRING_H

#include "common/base/buf.h"
#include "common/base/err.h"

/* Appends value as a netstring; buf_ok tells whether it fitted. */
void netstring_add(struct buf *out, struct str value);
/*
 * Takes one netstring of at most max bytes off *rest; value is borrowed from it. PARSE_MORE and PARSE_BAD (a length
 * that is no number, begins with 0, is above max, or that no comma ends) leave both as they were. Linear, and decided
 * as early as the bytes allow: what is too long is BAD before it has arrived.
 */
enum parse netstring_take(struct str *rest, size_t max, struct str *value);

#endif
