/*
 * How much each address, network, login and sender did in the last minute and hour, and whether it may do more. A span
 * begins with the first event and ends a minute or an hour later, so that a refusal can say from when on it is possible
 * again. Pure; times are ms since 1970; the table has a fixed size (smtpd/guard_table.h).
 */
#ifndef SMTPD_GUARD_RATES_H
#define SMTPD_GUARD_RATES_H

#include "smtpd/guard_key.h"
#include "smtpd/guard_table.h"

enum guard_rate {
	GUARD_CONNECTS,	  /* a minute */
	GUARD_MESSAGES,	  /* an hour, as all that follow */
	GUARD_RECIPIENTS,
	GUARD_ERRORS,	  /* refused commands, early talk: never limited, but remembered against who makes them */
	GUARD_REFUSALS,	  /* what of the above was refused because of a limit or list */
};

#define GUARD_RATES (GUARD_REFUSALS + 1)

struct guard_span {
	uint64_t begun_ms;
	uint64_t count;
};

struct guard_rate_record {
	struct guard_slot slot;
	struct guard_span spans[GUARD_RATES];
	unsigned char kind; /* enum guard_kind; may be anything, as all here */
	unsigned char n;
	char bytes[GUARD_KEY_MAX];
};

uint64_t guard_rate_span_ms(enum guard_rate rate);

/* Counts. */
void guard_rates_add(const struct guard_table *table, const struct guard_key *key, enum guard_rate rate, uint64_t n,
    uint64_t now_ms);
/* Takes back what was counted and did not happen. */
void guard_rates_return(const struct guard_table *table, const struct guard_key *key, enum guard_rate rate, uint64_t n,
    uint64_t now_ms);
/* How many there were in the span that runs. */
uint64_t guard_rates_count(const struct guard_table *table, const struct guard_key *key, enum guard_rate rate,
    uint64_t now_ms);
/* How many more may be (max 0: UINT64_MAX); when none, *until_ms is the end of the span. */
uint64_t guard_rates_left(const struct guard_table *table, const struct guard_key *key, enum guard_rate rate, uint64_t max,
    uint64_t now_ms, uint64_t *until_ms);

/* Of a record, for listings. */
uint64_t guard_rate_record_count(const struct guard_rate_record *record, enum guard_rate rate, uint64_t now_ms);

#endif
