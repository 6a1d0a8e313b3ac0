#include "queue/remote_tlsrpt.h"

#include <arpa/inet.h>

/* RFC 8460 4.4: a record a line, as zone files have it; those that fit. */
static void
tlsa_format(struct buf *out, const struct remote_identity *identity)
{
	for (size_t i = 0; i < identity->ndane; i++) {
		const struct tls_dane_record *record = &identity->dane[i];

		if (2 * record->association.n + sizeof "255 255 255 \n" > out->max - out->n)
			return;
		buf_addf(out, "%u %u %u ", (unsigned)record->usage, (unsigned)record->selector, (unsigned)record->matching);
		for (size_t k = 0; k < record->association.n; k++)
			buf_addf(out, "%02x", (unsigned)(unsigned char)record->association.p[k]);
		buf_addc(out, '\n');
	}
}

/* The policy that the session is held to: with testing none decides, but MTA-STS is what is reported on. */
static struct tlsrpt_outcome
outcome_of(const struct remote_route *route, struct str host, enum tls_policy_by by)
{
	struct tlsrpt_outcome outcome = {.domain = route->domain, .host = host};

	if (by == TLS_BY_DANE) {
		outcome.policy = TLSRPT_TLSA;
	} else if (remote_route_sts(route, host).mode != TLS_STS_NONE) {
		outcome.policy = TLSRPT_STS;
		outcome.text = route->sts;
	}
	return outcome;
}

static enum tlsrpt_result
result_of_trust(enum stream_trust trust)
{
	switch (trust) {
	case STREAM_TRUSTED:
		return TLSRPT_SUCCESS;
	case STREAM_WRONG_NAME:
		return TLSRPT_CERTIFICATE_HOST_MISMATCH;
	case STREAM_EXPIRED:
		return TLSRPT_CERTIFICATE_EXPIRED;
	case STREAM_UNTRUSTED:
		break;
	}
	return TLSRPT_CERTIFICATE_NOT_TRUSTED;
}

/* Under TLS. */
static enum tlsrpt_result
secured_result(const struct remote_route *route, const struct remote_connection *c, const struct tlsrpt_outcome *outcome)
{
	switch (outcome->policy) {
	case TLSRPT_NO_POLICY:
		return TLSRPT_SUCCESS;
	case TLSRPT_TLSA:
		return c->opening_failed ? TLSRPT_VALIDATION_FAILURE : TLSRPT_SUCCESS;
	case TLSRPT_STS:
		break;
	}
	if (!remote_route_sts(route, outcome->host).names_host)
		return TLSRPT_VALIDATION_FAILURE;
	return result_of_trust(c->trust);
}

/* False: nothing was learnt of TLS. */
static bool
result_find(const struct remote_route *route, const struct remote_connection *c, struct tlsrpt_outcome *outcome)
{
	if (c->policy.need == TLS_NEED_PLAIN)
		return false; /* a second try, of which the first was told */
	if (c->tls[0] != '\0') {
		outcome->result = secured_result(route, c, outcome);
	} else if (c->tls_failed) {
		outcome->result = TLSRPT_VALIDATION_FAILURE;
		outcome->reason = c->client.failure.words;
	} else if (!c->opening_failed || str_equal(c->client.failure.code, STR("4.7.4"))) {
		outcome->result = TLSRPT_STARTTLS_NOT_SUPPORTED;
	} else {
		return false;
	}
	return true;
}

/* Our address; none when the connection is gone already. */
static struct str
own_address(const struct remote_connection *c, char text[INET6_ADDRSTRLEN])
{
	struct endpoint own = {.length = sizeof own.address};

	if (!stream_is_open(&c->stream) || getsockname(c->stream.io.fd, &own.address.any, &own.length) != 0)
		return STR("");
	next_hop_address_text(&own.address.any, text, INET6_ADDRSTRLEN);
	return str_from(text);
}

void
remote_tlsrpt_session(struct sts_client *client, const struct remote_route *route, const struct remote_connection *c,
    struct str host, const struct endpoint *to)
{
	struct tlsrpt_outcome outcome = outcome_of(route, host, c->policy.by);
	char own[INET6_ADDRSTRLEN], its[INET6_ADDRSTRLEN];
	struct buf records;

	if (!result_find(route, c, &outcome))
		return;
	buf_init(&records, POLICY_TEXT_MAX);
	if (outcome.policy == TLSRPT_TLSA) {
		tlsa_format(&records, &c->identity);
		outcome.text = buf_str(&records);
	}
	next_hop_address_text(&to->address.any, its, sizeof its);
	outcome.receiving_ip = str_from(its);
	outcome.sending_ip = own_address(c, own);
	sts_client_tell(client, &outcome);
	buf_clear(&records);
}

void
remote_tlsrpt_refused(struct sts_client *client, const struct remote_route *route, struct str host,
    const struct tls_policy *policy)
{
	struct tlsrpt_outcome outcome = outcome_of(route, host, policy->by);

	if (policy->by != TLS_BY_DANE && policy->by != TLS_BY_STS)
		return;
	outcome.result = policy->by == TLS_BY_DANE ? TLSRPT_DNSSEC_INVALID : TLSRPT_VALIDATION_FAILURE;
	outcome.reason = policy->refusal;
	sts_client_tell(client, &outcome);
}
