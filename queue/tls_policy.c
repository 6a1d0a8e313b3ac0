#include "queue/tls_policy.h"

const char *
tls_policy_word(enum tls_policy_by by)
{
	switch (by) {
	case TLS_BY_NONE:
		return "none";
	case TLS_BY_MAY:
		return "may";
	case TLS_BY_ENCRYPT:
		return "encrypt";
	case TLS_BY_VERIFY:
		return "verify";
	case TLS_BY_DANE:
		return "dane";
	case TLS_BY_STS:
		return "sts";
	case TLS_BY_REQUIRETLS:
		return "requiretls";
	}
	return "may";
}

static struct tls_policy
need(enum tls_policy_by by, enum tls_need what)
{
	return (struct tls_policy){.by = by, .need = what};
}

static struct tls_policy
refuse(enum tls_policy_by by, struct str code, struct str why)
{
	return (struct tls_policy){.by = by, .need = TLS_NEED_DANE, .refusal = why, .code = code};
}

static struct tls_policy
unknown_dane(void)
{
	return refuse(TLS_BY_DANE, STR("4.4.3"), STR("DNS does not tell the TLSA records of the server"));
}

/* `tls = dane`: nothing but DANE will do. */
static struct tls_policy
only_dane(const struct tls_facts *facts)
{
	switch (facts->dane) {
	case TLS_DANE_USABLE:
		return need(TLS_BY_DANE, TLS_NEED_DANE);
	case TLS_DANE_UNKNOWN:
		return unknown_dane();
	case TLS_DANE_NONE:
	case TLS_DANE_UNUSABLE:
		break;
	}
	return refuse(TLS_BY_DANE, STR("4.7.5"), STR("the server has no usable TLSA records that DNSSEC secures"));
}

static struct tls_policy
by_sts(const struct tls_facts *facts)
{
	if (facts->sts.names_host)
		return need(TLS_BY_STS, TLS_NEED_NAME);
	return refuse(TLS_BY_STS, STR("4.7.5"), STR("the MTA-STS policy of the domain does not name the server"));
}

static struct tls_policy
only_sts(const struct tls_facts *facts)
{
	if (facts->sts.mode == TLS_STS_NONE)
		return refuse(TLS_BY_STS, STR("4.7.5"), STR("no MTA-STS policy of the domain is known"));
	return by_sts(facts);
}

/* What the domain publishes. Where DANE could only have TLS without a name, MTA-STS asks for more. */
static struct tls_policy
by_domain(const struct tls_facts *facts)
{
	bool enforced = facts->sts.mode == TLS_STS_ENFORCE;

	switch (facts->dane) {
	case TLS_DANE_USABLE:
		return need(TLS_BY_DANE, TLS_NEED_DANE);
	case TLS_DANE_UNKNOWN:
		return unknown_dane();
	case TLS_DANE_UNUSABLE:
		return enforced ? by_sts(facts) : need(TLS_BY_DANE, TLS_NEED_ENCRYPT);
	case TLS_DANE_NONE:
		break;
	}
	return enforced ? by_sts(facts) : need(TLS_BY_MAY, TLS_NEED_MAY);
}

static struct tls_policy
without_requiretls(const struct tls_facts *facts)
{
	switch (facts->configured) {
	case CONF_TLS_AUTO:
		return by_domain(facts);
	case CONF_TLS_NONE:
		return need(TLS_BY_NONE, TLS_NEED_PLAIN);
	case CONF_TLS_MAY:
		return need(TLS_BY_MAY, TLS_NEED_MAY);
	case CONF_TLS_ENCRYPT:
		return need(TLS_BY_ENCRYPT, TLS_NEED_ENCRYPT);
	case CONF_TLS_VERIFY:
		return need(TLS_BY_VERIFY, TLS_NEED_NAME);
	case CONF_TLS_DANE:
		return only_dane(facts);
	case CONF_TLS_STS:
		return only_sts(facts);
	}
	return need(TLS_BY_MAY, TLS_NEED_MAY);
}

/*
 * RFC 8689 4.2.1: the server proves its name, by DANE or an authority; and that this is the server's name is vouched for by
 * DNSSEC or MTA-STS.
 */
static struct tls_policy
with_requiretls(const struct tls_facts *facts, struct tls_policy policy)
{
	bool sts_vouches = facts->sts.mode != TLS_STS_NONE && facts->sts.names_host;

	if (policy.need == TLS_NEED_PLAIN)
		return refuse(TLS_BY_REQUIRETLS, STR("5.7.30"),
		    STR("the message needs REQUIRETLS, and the configuration wants no TLS"));
	if (policy.need != TLS_NEED_DANE && !facts->name_is_certain && !sts_vouches)
		return refuse(TLS_BY_REQUIRETLS, STR("5.7.30"),
		    STR("the message needs REQUIRETLS, and neither DNSSEC nor MTA-STS vouches for the server's name"));
	return need(TLS_BY_REQUIRETLS, policy.need == TLS_NEED_DANE ? TLS_NEED_DANE : TLS_NEED_NAME);
}

struct tls_policy
tls_policy_decide(const struct tls_facts *facts)
{
	struct tls_policy policy = without_requiretls(facts);

	if (!facts->requiretls || policy.refusal.p != NULL)
		return policy;
	return with_requiretls(facts, policy);
}

bool
tls_policy_wants_dane(enum conf_route_tls configured)
{
	return configured == CONF_TLS_AUTO || configured == CONF_TLS_DANE;
}

bool
tls_policy_wants_sts(enum conf_route_tls configured, bool requiretls)
{
	return configured == CONF_TLS_AUTO || configured == CONF_TLS_STS || requiretls;
}
