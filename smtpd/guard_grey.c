#include "smtpd/guard_grey.h"

#include <string.h>

#define PART_MAX 320

/* A part with its length in front, in lower case; cut when it is longer than any address. */
static size_t
part_add(char *key, struct str part)
{
	part = str_sub(part, 0, PART_MAX);
	key[0] = (char)(part.n >> 8);
	key[1] = (char)(part.n & 255);
	for (size_t i = 0; i < part.n; i++)
		key[2 + i] = ascii_lower(part.p[i]);
	return 2 + part.n;
}

static uint64_t
hash_of(const struct guard_grey *grey, const char *key, size_t n)
{
	uint64_t hash = siphash(grey->key, (struct str){key, n});

	return hash == 0 ? 1 : hash;
}

/* Of the combination, and of the network alone. */
static uint64_t
hashes_of(const struct guard_grey *grey, const struct guard_triplet *triplet, uint64_t *network)
{
	char key[3 * (PART_MAX + 2)];
	size_t n = part_add(key, str_sub(triplet->address, 0, triplet->address.n == 4 ? 3 : 8));

	*network = hash_of(grey, key, n);
	n += part_add(key + n, triplet->sender);
	n += part_add(key + n, triplet->recipient);
	return hash_of(grey, key, n);
}

static struct guard_grey_record *
find(const struct guard_grey *grey, uint64_t hash, uint64_t now_ms)
{
	struct guard_grey_record *record = guard_table_find(grey->table, hash);

	if (record == NULL || record->slot.used_ms > now_ms || now_ms - record->slot.used_ms > grey->rules->lifetime_ms)
		return NULL;
	return record;
}

static bool
network_is_known(const struct guard_grey *grey, uint64_t network, uint64_t now_ms)
{
	struct guard_grey_record *record = find(grey, network, now_ms);

	if (record == NULL || grey->rules->allow_after == 0 || record->passed < grey->rules->allow_after)
		return false;
	record->slot.used_ms = now_ms;
	return true;
}

static void
accept_first(const struct guard_grey *grey, struct guard_grey_record *record, uint64_t network, uint64_t now_ms)
{
	struct guard_grey_record *of_network;
	bool is_new = find(grey, network, now_ms) == NULL;

	record->passed = 1;
	of_network = guard_table_make(grey->table, network, now_ms);
	of_network->passed = is_new ? 1 : of_network->passed + 1;
}

/* The record of the combination: a new one at a first attempt, also if one came again too late. */
static struct guard_grey_record *
attempt(const struct guard_grey *grey, uint64_t hash, uint64_t now_ms)
{
	struct guard_grey_record *record = find(grey, hash, now_ms);

	if (record != NULL && (record->passed > 0 ||
	        (record->first_ms <= now_ms && now_ms - record->first_ms <= grey->rules->window_ms)))
		return record;
	record = guard_table_make(grey->table, hash, now_ms);
	record->first_ms = now_ms;
	record->passed = 0;
	return record;
}

bool
guard_grey_ask(const struct guard_grey *grey, const struct guard_triplet *triplet, uint64_t now_ms, uint64_t *until_ms)
{
	uint64_t network, hash = hashes_of(grey, triplet, &network);
	struct guard_grey_record *record;

	if (network_is_known(grey, network, now_ms))
		return true;
	record = attempt(grey, hash, now_ms);
	if (record->passed == 0 && now_ms - record->first_ms < grey->rules->delay_ms) {
		*until_ms = record->first_ms + grey->rules->delay_ms;
		return false;
	}
	if (record->passed == 0)
		accept_first(grey, record, network, now_ms);
	record->slot.used_ms = now_ms;
	return true;
}
