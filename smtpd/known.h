/*
 * Recipients of whom authd said moments ago that they exist, so that a burst of mail for a few of them asks once. Only what
 * may be is remembered, never a refusal. Of fixed size: a newer one takes an older one's place. Pure.
 */
#ifndef SMTPD_KNOWN_H
#define SMTPD_KNOWN_H

#include "common/base/siphash.h"

#define KNOWN_MS 3000	/* an account that is removed takes mail for so long; what cannot be delivered then is returned */
#define KNOWN_SLOTS 512 /* a power of two */

struct known {
	struct siphash_key key; /* strangers choose the recipients, but not who displaces whom */
	struct {
		uint64_t hash;
		uint64_t until_ms;
	} slots[KNOWN_SLOTS];
};

void known_init(struct known *known);
bool known_has(const struct known *known, struct str recipient, uint64_t now_ms);
void known_add(struct known *known, struct str recipient, uint64_t now_ms);

#endif
