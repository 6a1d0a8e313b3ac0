#include "queue/control_report.h"

#include <stdio.h>

#include "common/base/netstring.h"
#include "queue/site_record.h"

#define FIELD_MAX (CONTROL_SITE_MAX_BYTES / 2 - 380)
#define LIMIT_MAX 200

static void
add_text(struct buf *b, struct str text)
{
	netstring_add(b, str_sub(text, 0, FIELD_MAX));
}

static void
add_number(struct buf *b, uint64_t n)
{
	char digits[24];
	int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);

	netstring_add(b, (struct str){digits, (size_t)length});
}

static bool
take_text(struct str *text, struct str *value)
{
	return netstring_take(text, FIELD_MAX, value) == PARSE_OK;
}

static bool
take_number(struct str *text, uint64_t *n)
{
	struct str digits;

	return take_text(text, &digits) && str_to_u64(digits, UINT64_MAX, n);
}

/* A key is told whole: it is compared with others. */
void
control_where_add(struct buf *b, struct str key)
{
	netstring_add(b, key);
}

bool
control_where_take(struct str *text, struct str *key)
{
	return netstring_take(text, CONTROL_WHERE_MAX_BYTES, key) == PARSE_OK;
}

void
control_state_add(struct buf *b, const struct control_state *state)
{
	add_number(b, state->messages);
	add_number(b, state->recipients);
	add_number(b, state->retries);
	add_number(b, state->deliveries);
}

bool
control_state_take(struct str *text, struct control_state *state)
{
	return take_number(text, &state->messages) && take_number(text, &state->recipients) &&
	    take_number(text, &state->retries) && take_number(text, &state->deliveries);
}

void
control_site_add(struct buf *b, const struct control_site *site)
{
	add_text(b, site->key);
	add_number(b, site->running);
	add_number(b, site->waiting);
	add_number(b, site->window);
	add_number(b, site->dead_until_ms);
	add_number(b, site->failing);
	add_number(b, site->probing);
	add_text(b, site->trouble);
	add_number(b, site->good_ms);
	add_number(b, site->failed_ms);
	add_text(b, str_sub(site->policy, 0, SITE_POLICY_MAX));
	add_text(b, str_sub(site->limit, 0, LIMIT_MAX));
}

bool
control_site_take(struct str *text, struct control_site *site)
{
	uint64_t failing = 0, probing = 0;
	bool good = take_text(text, &site->key) && take_number(text, &site->running) && take_number(text, &site->waiting) &&
	    take_number(text, &site->window) && take_number(text, &site->dead_until_ms) && take_number(text, &failing) && take_number(text, &probing) &&
	    take_text(text, &site->trouble) && take_number(text, &site->good_ms) && take_number(text, &site->failed_ms) &&
	    take_text(text, &site->policy) && take_text(text, &site->limit);

	site->failing = failing != 0;
	site->probing = probing != 0;
	return good;
}

void
control_why_add(struct buf *b, const struct control_why *why)
{
	add_text(b, why->doing);
}

bool
control_why_take(struct str *text, struct control_why *why)
{
	return take_text(text, &why->doing);
}
