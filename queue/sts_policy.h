/*
 * MTA-STS (RFC 8461): what a domain says in DNS and over HTTPS of how its mail exchangers are to be reached. Pure.
 */
#ifndef QUEUE_STS_POLICY_H
#define QUEUE_STS_POLICY_H

#include "common/base/buf.h"

#define STS_ID_MAX 32
#define STS_MX_MAX 100		/* patterns of a policy; one with more is invalid */
#define STS_TEXT_MAX 16384	/* bytes of a policy as sts_policy_format writes it; one that is longer is invalid */
#define STS_AGE_MAX_S 31557600U /* RFC 8461 3.2: a year; what is said beyond counts as this */

/*
 * The id of the one record among the TXT records of _mta-sts.DOMAIN (RFC 8461 3.1). False when there is none: no policy.
 * Records of other kinds are passed over; two of this kind are as good as none.
 */
bool sts_record_find(const struct str *records, size_t n, char id[STS_ID_MAX + 1]);

enum sts_mode {
	STS_MODE_NONE,
	STS_MODE_TESTING,
	STS_MODE_ENFORCE,
};

struct sts_policy {
	enum sts_mode mode;
	uint64_t max_age_s;
	struct str mx[STS_MX_MAX]; /* host names, or "*." and a domain; borrowed from the text */
	size_t nmx;
};

/* The text of /.well-known/mta-sts.txt (RFC 8461 3.2). Unknown keys are passed over. False: invalid, `why` says it. */
bool sts_policy_parse(struct str text, struct sts_policy *policy, const char **why);
/* The policy again, in its lines' usual order, each ended by a line feed. */
void sts_policy_format(struct buf *out, const struct sts_policy *policy);
const char *sts_mode_word(enum sts_mode mode);

/* RFC 8461 4.1: is the exchanger one of the policy's? A wildcard stands for one label. */
bool sts_policy_has_mx(const struct sts_policy *policy, struct str host);

#endif
