/*
 * Greylisting: the first message from a network (IPv4 /24, IPv6 /64) to a recipient with a sender is put off, and taken
 * when it comes again after a delay. A network that did so often enough is not put off any more. Pure; times are ms
 * since 1970; the table has a fixed size.
 */
#ifndef SMTPD_GUARD_GREY_H
#define SMTPD_GUARD_GREY_H

#include "common/base/siphash.h"
#include "smtpd/guard_table.h"

struct guard_grey_rules {
	uint64_t delay_ms;    /* at least this long between the first attempt and the accepted one */
	uint64_t window_ms;   /* and at most this long */
	uint64_t lifetime_ms; /* how long who was accepted is remembered */
	uint64_t allow_after; /* accepted combinations that make a network known; 0: never */
};

struct guard_grey_record {
	struct guard_slot slot;
	uint64_t first_ms; /* of a combination that waits */
	uint64_t passed;   /* a combination: 1 when accepted; a network: how many combinations were */
};

struct guard_grey {
	const struct guard_grey_rules *rules;
	const struct guard_table *table; /* of guard_grey_record */
	const struct siphash_key *key;
};

struct guard_triplet {
	struct str address; /* 4 or 16 bytes */
	struct str sender, recipient;
};

/* Is the recipient accepted now? If not, *until_ms says when it will be. */
bool guard_grey_ask(const struct guard_grey *grey, const struct guard_triplet *triplet, uint64_t now_ms, uint64_t *until_ms);

#endif
