/*
 * The patterns of LIST and LSUB (RFC 3501 6.3.8): * matches anything, % anything but the separator. Pure; the time is
 * bounded by the product of the lengths, whatever the pattern.
 */
#ifndef IMAPD_LIST_PATTERN_H
#define IMAPD_LIST_PATTERN_H

#include "common/base/arena.h"

#define LIST_PATTERN_MAX 1000

/* Reference and mailbox as one pattern, without wildcards that repeat each other; .p is NULL when it is too long. */
struct str list_pattern_make(struct arena *a, struct str reference, struct str mailbox);
/* name: in modified UTF-7, as the pattern. INBOX matches in any case. */
bool list_pattern_matches(struct str pattern, struct str name);

#endif
