#include "smtpd/guard_rates.h"

#include <string.h>

#define MINUTE_MS 60000
#define HOUR_MS (60 * MINUTE_MS)

uint64_t
guard_rate_span_ms(enum guard_rate rate)
{
	return rate == GUARD_CONNECTS ? MINUTE_MS : HOUR_MS;
}

/* One that began later than now was counted under a clock that was wrong. */
static bool
is_running(const struct guard_span *span, enum guard_rate rate, uint64_t now_ms)
{
	return span->begun_ms <= now_ms && now_ms - span->begun_ms < guard_rate_span_ms(rate);
}

uint64_t
guard_rate_record_count(const struct guard_rate_record *record, enum guard_rate rate, uint64_t now_ms)
{
	return is_running(&record->spans[rate], rate, now_ms) ? record->spans[rate].count : 0;
}

void
guard_rates_add(const struct guard_table *table, const struct guard_key *key, enum guard_rate rate, uint64_t n,
    uint64_t now_ms)
{
	struct guard_rate_record *record;
	struct guard_span *span;

	if (n == 0)
		return;
	record = guard_table_make(table, key->hash, now_ms);
	record->kind = (unsigned char)key->kind;
	record->n = key->n;
	memcpy(record->bytes, key->bytes, sizeof record->bytes);
	span = &record->spans[rate];
	if (!is_running(span, rate, now_ms))
		*span = (struct guard_span){.begun_ms = now_ms};
	span->count = n > UINT64_MAX - span->count ? UINT64_MAX : span->count + n;
}

void
guard_rates_return(const struct guard_table *table, const struct guard_key *key, enum guard_rate rate, uint64_t n,
    uint64_t now_ms)
{
	struct guard_rate_record *record = guard_table_find(table, key->hash);

	if (record == NULL || !is_running(&record->spans[rate], rate, now_ms))
		return;
	record->spans[rate].count -= n < record->spans[rate].count ? n : record->spans[rate].count;
}

uint64_t
guard_rates_count(const struct guard_table *table, const struct guard_key *key, enum guard_rate rate, uint64_t now_ms)
{
	const struct guard_rate_record *record = guard_table_find(table, key->hash);

	return record != NULL ? guard_rate_record_count(record, rate, now_ms) : 0;
}

uint64_t
guard_rates_left(const struct guard_table *table, const struct guard_key *key, enum guard_rate rate, uint64_t max,
    uint64_t now_ms, uint64_t *until_ms)
{
	const struct guard_rate_record *record = guard_table_find(table, key->hash);
	uint64_t count = record != NULL ? guard_rate_record_count(record, rate, now_ms) : 0;

	if (max == 0)
		return UINT64_MAX;
	if (record == NULL || count < max)
		return max - count;
	*until_ms = record->spans[rate].begun_ms + guard_rate_span_ms(rate);
	return 0;
}
