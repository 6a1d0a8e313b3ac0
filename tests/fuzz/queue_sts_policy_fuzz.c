/*
 * MTA-STS: a policy that was accepted is the same after it was written and read again, and has no more than its limits; each
 * line is also tried as a record, and as an exchanger.
 */
#include <stdlib.h>
#include <string.h>

#include "queue/sts_policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void
records(struct str text, const struct sts_policy *policy)
{
	char id[STS_ID_MAX + 1];
	struct str line;

	while (str_token(&text, '\n', &line)) {
		if (sts_record_find(&line, 1, id) && (strlen(id) == 0 || strlen(id) > STS_ID_MAX))
			abort();
		(void)sts_policy_has_mx(policy, line);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct str text = {(const char *)bytes, n};
	struct sts_policy policy, again;
	struct buf out;
	const char *why;

	if (sts_policy_parse(text, &policy, &why)) {
		buf_init(&out, STS_TEXT_MAX);
		sts_policy_format(&out, &policy);
		if (!buf_ok(&out) || !sts_policy_parse(buf_str(&out), &again, &why) || again.mode != policy.mode ||
		    again.max_age_s != policy.max_age_s || again.nmx != policy.nmx || policy.max_age_s > STS_AGE_MAX_S)
			abort();
		buf_clear(&out);
	} else if (why == NULL) {
		abort();
	}
	records(text, &policy);
	return 0;
}
