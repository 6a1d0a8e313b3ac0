#include "queue/policy_message.h"

static const char *const policies[] = {
    [TLSRPT_NO_POLICY] = "no-policy-found",
    [TLSRPT_STS] = "sts",
    [TLSRPT_TLSA] = "tlsa",
};

static const char *const results[] = {
    [TLSRPT_SUCCESS] = "success",
    [TLSRPT_STARTTLS_NOT_SUPPORTED] = "starttls-not-supported",
    [TLSRPT_CERTIFICATE_HOST_MISMATCH] = "certificate-host-mismatch",
    [TLSRPT_CERTIFICATE_EXPIRED] = "certificate-expired",
    [TLSRPT_CERTIFICATE_NOT_TRUSTED] = "certificate-not-trusted",
    [TLSRPT_VALIDATION_FAILURE] = "validation-failure",
    [TLSRPT_TLSA_INVALID] = "tlsa-invalid",
    [TLSRPT_DNSSEC_INVALID] = "dnssec-invalid",
    [TLSRPT_DANE_REQUIRED] = "dane-required",
    [TLSRPT_STS_POLICY_FETCH_ERROR] = "sts-policy-fetch-error",
    [TLSRPT_STS_POLICY_INVALID] = "sts-policy-invalid",
    [TLSRPT_STS_WEBPKI_INVALID] = "sts-webpki-invalid",
};

#define POLICIES (sizeof policies / sizeof policies[0])
#define RESULTS (sizeof results / sizeof results[0])

const char *
tlsrpt_policy_word(enum tlsrpt_policy policy)
{
	return policies[policy];
}

const char *
tlsrpt_result_word(enum tlsrpt_result result)
{
	return results[result];
}

static bool
word_find(const char *const *words, size_t n, struct str word, size_t *index)
{
	for (*index = 0; *index < n; (*index)++)
		if (str_equal(word, str_from(words[*index])))
			return true;
	return false;
}

bool
tlsrpt_policy_parse(struct str word, enum tlsrpt_policy *policy)
{
	size_t i;

	if (!word_find(policies, POLICIES, word, &i))
		return false;
	*policy = (enum tlsrpt_policy)i;
	return true;
}

bool
tlsrpt_result_parse(struct str word, enum tlsrpt_result *result)
{
	size_t i;

	if (!word_find(results, RESULTS, word, &i))
		return false;
	*result = (enum tlsrpt_result)i;
	return true;
}

void
policy_ask_encode(struct buf *b, uint32_t id, struct str domain)
{
	msg_begin(b, POLICY_ASK, id);
	msg_add_str(b, domain);
}

bool
policy_ask_decode(struct msg *m, struct str *domain)
{
	*domain = msg_get_str(m);
	return msg_done(m) && domain->n > 0 && domain->n <= POLICY_DOMAIN_MAX;
}

void
policy_answer_encode(struct buf *b, uint32_t id, const struct policy_answer *answer)
{
	msg_begin(b, POLICY_ANSWER, id);
	msg_add_str(b, answer->text);
	msg_add_u64(b, answer->holds_s);
}

bool
policy_answer_decode(struct msg *m, struct policy_answer *answer)
{
	answer->text = msg_get_str(m);
	answer->holds_s = msg_get_u64(m);
	return msg_done(m) && answer->text.n <= POLICY_TEXT_MAX;
}

void
tlsrpt_outcome_encode(struct buf *b, const struct tlsrpt_outcome *outcome)
{
	msg_begin(b, POLICY_OUTCOME, 0);
	msg_add_u64(b, outcome->policy);
	msg_add_u64(b, outcome->result);
	msg_add_str(b, outcome->domain);
	msg_add_str(b, str_sub(outcome->text, 0, POLICY_TEXT_MAX));
	msg_add_str(b, outcome->host);
	msg_add_str(b, outcome->sending_ip);
	msg_add_str(b, outcome->receiving_ip);
	msg_add_str(b, str_sub(outcome->reason, 0, POLICY_WORD_MAX));
}

static bool
is_word(struct str s)
{
	return s.n <= POLICY_WORD_MAX;
}

bool
tlsrpt_outcome_decode(struct msg *m, struct tlsrpt_outcome *outcome)
{
	uint64_t policy = msg_get_u64(m), result = msg_get_u64(m);

	outcome->domain = msg_get_str(m);
	outcome->text = msg_get_str(m);
	outcome->host = msg_get_str(m);
	outcome->sending_ip = msg_get_str(m);
	outcome->receiving_ip = msg_get_str(m);
	outcome->reason = msg_get_str(m);
	if (!msg_done(m) || policy >= POLICIES || result >= RESULTS || outcome->domain.n == 0 ||
	    outcome->domain.n > POLICY_DOMAIN_MAX || outcome->text.n > POLICY_TEXT_MAX)
		return false;
	outcome->policy = (enum tlsrpt_policy)policy;
	outcome->result = (enum tlsrpt_result)result;
	return is_word(outcome->host) && is_word(outcome->sending_ip) && is_word(outcome->receiving_ip) &&
	    is_word(outcome->reason);
}
