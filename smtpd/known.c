#include "smtpd/known.h"

#include <string.h>

void
known_init(struct known *known)
{
	memset(known, 0, sizeof *known);
	known->key = siphash_key_new();
}

/* Of 64 bits under a key that nobody knows two are never equal by chance, so the name itself need not be kept. */
bool
known_has(const struct known *known, struct str recipient, uint64_t now_ms)
{
	uint64_t hash = siphash(&known->key, recipient);
	size_t slot = hash % KNOWN_SLOTS;

	return known->slots[slot].hash == hash && now_ms < known->slots[slot].until_ms;
}

void
known_add(struct known *known, struct str recipient, uint64_t now_ms)
{
	uint64_t hash = siphash(&known->key, recipient);

	known->slots[hash % KNOWN_SLOTS].hash = hash;
	known->slots[hash % KNOWN_SLOTS].until_ms = now_ms + KNOWN_MS;
}
