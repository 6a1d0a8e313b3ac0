/*
 * Names and passwords made comparable, as far as is done without tables of all of Unicode: the mappings of SASLprep
 * (RFC 4013 2.1: every kind of space becomes a space, what is not seen is dropped) and its ban on control characters, in
 * valid UTF-8. Not done: normalisation form KC. ASCII is as SASLprep wants it, and so is what keyboards make of other
 * scripts (form C without compatibility characters); who types full-width or ligature letters into one client and plain
 * ones into another has two passwords. Pure.
 */
#ifndef COMMON_SASLPREP_H
#define COMMON_SASLPREP_H

#include "common/base/buf.h"

#define SASLPREP_MAX 512 /* bytes of the outcome */

/* Appends the prepared form of s. False when it is empty, has control characters or is not UTF-8, or does not fit. */
bool saslprep(struct buf *out, struct str s);

#endif
