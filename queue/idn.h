/*
 * International domain names (RFC 5890, UTS 46) on their way to DNS and to servers that know ASCII only. Pure.
 */
#ifndef QUEUE_IDN_H
#define QUEUE_IDN_H

#include "common/base/arena.h"

/* The domain in A-labels, in the arena; a domain in ASCII as it is. .p NULL: it is no domain, or the arena is full. */
struct str idn_domain_to_ascii(struct arena *arena, struct str domain);
/* The same for the domain of an address whose local part is ASCII; .p NULL also when that is not. */
struct str idn_address_to_ascii(struct arena *arena, struct str address);

#endif
