#include "smtpd/guard_table.h"

#include <string.h>

#define CLOCK_SLACK_MS 60000

size_t
guard_table_size(const struct guard_table *table)
{
	return table->sets * GUARD_TABLE_WAYS * table->record_size;
}

static struct guard_slot *
record_at(const struct guard_table *table, size_t i)
{
	return (struct guard_slot *)(void *)(table->records + i * table->record_size);
}

void *
guard_table_find(const struct guard_table *table, uint64_t hash)
{
	size_t first = hash % table->sets * GUARD_TABLE_WAYS;

	for (size_t i = first; i < first + GUARD_TABLE_WAYS; i++)
		if (record_at(table, i)->hash == hash)
			return record_at(table, i);
	return NULL;
}

/* What claims to have been used later than now was written under a clock that was wrong. */
static uint64_t
age_of(const struct guard_slot *slot, uint64_t now_ms)
{
	if (slot->hash == 0)
		return UINT64_MAX;
	if (slot->used_ms > now_ms)
		return slot->used_ms - now_ms > CLOCK_SLACK_MS ? UINT64_MAX - 1 : 0;
	return now_ms - slot->used_ms;
}

static struct guard_slot *
oldest_of_set(const struct guard_table *table, uint64_t hash, uint64_t now_ms)
{
	size_t first = hash % table->sets * GUARD_TABLE_WAYS;
	struct guard_slot *oldest = record_at(table, first);

	for (size_t i = first + 1; i < first + GUARD_TABLE_WAYS; i++)
		if (age_of(record_at(table, i), now_ms) > age_of(oldest, now_ms))
			oldest = record_at(table, i);
	return oldest;
}

void *
guard_table_make(const struct guard_table *table, uint64_t hash, uint64_t now_ms)
{
	struct guard_slot *slot = guard_table_find(table, hash);

	if (slot == NULL) {
		slot = oldest_of_set(table, hash, now_ms);
		memset(slot, 0, table->record_size);
		slot->hash = hash;
	}
	slot->used_ms = now_ms;
	return slot;
}

void
guard_table_each(const struct guard_table *table, struct guard_table_visit *visit)
{
	for (size_t i = 0; i < table->sets * GUARD_TABLE_WAYS; i++)
		if (record_at(table, i)->hash != 0)
			visit->visit(visit, record_at(table, i));
}
