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

static struct str
network_of(struct str address)
{
	return str_sub(address, 0, address.n == 4 ? 3 : 8);
}

static uint64_t
hash_of(const struct siphash_key *hash_key, struct str network, struct str sender, struct str recipient)
{
	char key[3 * (PART_MAX + 2)];
	uint64_t hash;
	size_t n = part_add(key, network);

	if (recipient.n > 0) {
		n += part_add(key + n, sender);
		n += part_add(key + n, recipient);
	}
	hash = siphash(hash_key, (struct str){key, n});
	return hash == 0 ? 1 : hash;
}

static struct guard_grey_record *
find(const struct guard_table *table, uint64_t hash, uint64_t lifetime_ms, uint64_t now_ms)
{
	struct guard_grey_record *record = guard_table_find(table, hash);

	if (record == NULL || record->slot.used_ms > now_ms || now_ms - record->slot.used_ms > lifetime_ms)
		return NULL;
	return record;
}

static bool
network_is_known(const struct guard_table *table, uint64_t hash, const struct guard_grey_rules *rules, uint64_t now_ms)
{
	struct guard_grey_record *record = find(table, hash, rules->lifetime_ms, now_ms);

	if (record == NULL || rules->allow_after == 0 || record->passed < rules->allow_after)
		return false;
	record->slot.used_ms = now_ms;
	return true;
}

static void
accept_first(const struct guard_table *table, struct guard_grey_record *record, uint64_t network,
    const struct guard_grey_rules *rules, uint64_t now_ms)
{
	struct guard_grey_record *of_network;
	bool is_new = find(table, network, rules->lifetime_ms, now_ms) == NULL;

	record->passed = 1;
	of_network = guard_table_make(table, network, now_ms);
	of_network->passed = is_new ? 1 : of_network->passed + 1;
}

bool
guard_grey_ask(const struct guard_table *table, const struct siphash_key *key, const struct guard_grey_rules *rules,
    struct str address, struct str sender, struct str recipient, uint64_t now_ms, uint64_t *until_ms)
{
	uint64_t network = hash_of(key, network_of(address), STR_NONE, STR_NONE);
	uint64_t hash = hash_of(key, network_of(address), sender, recipient);
	struct guard_grey_record *record;

	if (network_is_known(table, network, rules, now_ms))
		return true;
	record = find(table, hash, rules->lifetime_ms, now_ms);
	if (record != NULL && record->passed == 0 &&
	    (record->first_ms > now_ms || now_ms - record->first_ms > rules->window_ms))
		record = NULL; /* it came again too late: this is a first attempt */
	if (record == NULL) {
		record = guard_table_make(table, hash, now_ms);
		record->first_ms = now_ms;
		record->passed = 0;
	}
	if (record->passed == 0 && now_ms - record->first_ms < rules->delay_ms) {
		*until_ms = record->first_ms + rules->delay_ms;
		return false;
	}
	if (record->passed == 0)
		accept_first(table, record, network, rules, now_ms);
	record->slot.used_ms = now_ms;
	return true;
}
