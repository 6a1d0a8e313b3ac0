#include "common/smtp/enhanced_status.h"

/* subject and detail: one to three digits */
static bool
is_number(struct str s)
{
	uint64_t value;

	return s.n >= 1 && s.n <= 3 && str_to_u64(s, 999, &value);
}

bool
enhanced_status_is(struct str s, unsigned reply_code)
{
	struct str part;

	if (!str_token(&s, '.', &part) || part.n != 1 || part.p[0] != (char)('0' + reply_code / 100))
		return false;
	return str_token(&s, '.', &part) && is_number(part) && str_token(&s, '.', &part) && is_number(part) && s.p == NULL;
}
