/*
 * International domain names (RFC 5890, UTS 46): whichever way a domain is written, it has one form in ASCII. Pure.
 */
#ifndef COMMON_IDN_H
#define COMMON_IDN_H

#include "common/base/str.h"

/* The domain in lower case, in A-labels where it is not ASCII; terminated. False: it is no domain, or does not fit. */
bool idn_to_ascii(struct str domain, char *ascii, size_t size);

/*
 * For comparing: a domain, or a pattern of one that begins with "*." or ".", in lower case, and in A-labels where it is
 * not ASCII. What is no domain comes back in lower case only. In dst, cut at its end; not terminated.
 */
struct str idn_fold(struct str domain, char *dst, size_t size);

#endif
