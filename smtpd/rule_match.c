#include "smtpd/rule_match.h"

#include <string.h>

#include "common/dns/idn.h"
#include "smtpd/policy.h"

#define NAME_MAX_BYTES 512 /* longer than any address part, name or login can be */

/* Where a name stands in lower case. */
struct lower {
	char bytes[NAME_MAX_BYTES];
};

static struct str
lower(struct lower *l, struct str s)
{
	s = str_sub(s, 0, sizeof l->bytes);
	for (size_t i = 0; i < s.n; i++)
		l->bytes[i] = ascii_lower(s.p[i]);
	return (struct str){l->bytes, s.n};
}

static bool
is_domain_with_dot(struct str name)
{
	return address_is_literal(name) || (address_is_domain(name) && str_find(name, '.') < name.n);
}

/* --- values, of each subject -------------------------------------------------------------------------------------- */

static bool
client_value(const struct rule_value *v, const struct rule_facts *f, struct str name)
{
	if (v->kind == RULE_IS_NETWORK)
		return f->client != NULL && network_contains(&v->network, f->client);
	if (v->kind != RULE_IS_WORD)
		return name.n > 0 && rule_pattern_matches(v->name, name);
	switch (v->word) {
	case RULE_WORD_KNOWN:
		return name.n > 0;
	case RULE_WORD_UNKNOWN:
		return name.n == 0;
	case RULE_WORD_TRUSTED:
		return f->in_networks;
	case RULE_WORD_LOCAL:
		return f->client == NULL || network_is_loopback(f->client);
	case RULE_WORD_ANY:
	case RULE_WORD_FQDN:
	case RULE_WORD_LITERAL:
	case RULE_WORD_NONE:
	case RULE_WORD_OURS:
	case RULE_WORD_VERIFIED:
		break;
	}
	return false;
}

/* This host's name, or the address at which the client reached it: nobody else can call itself that. */
static bool
helo_is_ours(const struct rule_facts *f, struct str helo)
{
	struct str inside = str_sub(helo, 1, helo.n > 2 ? helo.n - 2 : 0);

	if (str_equal_nocase(helo, str_from(f->conf->hostname)))
		return true;
	if (helo.n > 2 && helo.p[0] == '[' && str_starts_nocase(inside, STR("IPv6:")))
		inside = str_skip(inside, 5);
	else if (helo.n > 2 && helo.p[0] != '[')
		inside = helo;
	return f->server.n > 0 && str_equal_nocase(inside, f->server);
}

static bool
helo_value(const struct rule_value *v, const struct rule_facts *f, struct str helo)
{
	if (v->kind != RULE_IS_WORD)
		return rule_pattern_matches(v->name, helo);
	switch (v->word) {
	case RULE_WORD_FQDN:
		return is_domain_with_dot(helo);
	case RULE_WORD_LITERAL:
		return address_is_literal(helo);
	case RULE_WORD_OURS:
		return helo_is_ours(f, helo);
	case RULE_WORD_ANY:
	case RULE_WORD_KNOWN:
	case RULE_WORD_LOCAL:
	case RULE_WORD_NONE:
	case RULE_WORD_TRUSTED:
	case RULE_WORD_UNKNOWN:
	case RULE_WORD_VERIFIED:
		break;
	}
	return false;
}

static bool
tls_value(const struct rule_value *v, const struct rule_facts *f, struct str version)
{
	if (v->kind != RULE_IS_WORD)
		return version.n > 0 && rule_pattern_matches(v->name, version);
	if (v->word == RULE_WORD_VERIFIED)
		return version.n > 0 && f->is_verified;
	return v->word == RULE_WORD_NONE ? version.n == 0 : version.n > 0;
}

/* A fingerprint is compared as a whole: no star may take that of a certificate which nobody vouches for. */
static bool
certificate_value(const struct rule_value *v, const struct rule_facts *f)
{
	struct lower l;

	if (v->kind == RULE_IS_WORD)
		return v->word == RULE_WORD_NONE ? !f->is_verified : f->is_verified;
	for (size_t i = 0; i < f->ncertificate_names; i++)
		if (rule_pattern_matches(v->name, lower(&l, f->certificate_names[i])))
			return true;
	return f->fingerprint.n > 0 && str_equal_nocase(v->name, f->fingerprint);
}

static bool
login_value(const struct rule_value *v, struct str login)
{
	if (v->kind == RULE_IS_WORD)
		return v->word == RULE_WORD_NONE ? login.n == 0 : login.n > 0;
	return login.n > 0 && rule_pattern_matches(v->name, login);
}

static bool
is_ours(const struct rule_facts *f, const struct address *address, struct str domain)
{
	return address->kind == ADDRESS_LOCAL || (address->kind == ADDRESS_DOMAIN && conf_domain_find(f->conf, domain) != NULL);
}

static bool
address_value(const struct rule_value *v, const struct rule_facts *f, const struct address *address, struct str domain)
{
	struct lower l;

	if (v->kind != RULE_IS_WORD)
		return address->kind != ADDRESS_NULL && rule_pattern_matches(v->name, domain) &&
		    rule_pattern_matches(v->local, lower(&l, address->local));
	if (v->word == RULE_WORD_NONE)
		return address->kind == ADDRESS_NULL;
	if (address->kind == ADDRESS_NULL)
		return false;
	return v->word == RULE_WORD_OURS ? is_ours(f, address, domain)
					 : address->kind != ADDRESS_LOCAL && is_domain_with_dot(domain);
}

/* --- conditions --------------------------------------------------------------------------------------------------- */

/* What the values of the condition's subject are compared with, in lower case; of addresses the domain. */
static struct str
subject_name(const struct rule_condition *c, const struct rule_facts *f, struct lower *l)
{
	switch (c->subject) {
	case RULE_CLIENT:
		return lower(l, f->client_name);
	case RULE_HELO:
		return lower(l, f->helo);
	case RULE_TLS:
		return lower(l, f->tls_version);
	case RULE_LOGIN:
		return lower(l, f->login);
	case RULE_SENDER:
		return idn_fold(policy_domain(f->conf, f->sender), l->bytes, sizeof l->bytes);
	case RULE_RECIPIENT:
		return idn_fold(policy_domain(f->conf, f->recipient), l->bytes, sizeof l->bytes);
	case RULE_CERTIFICATE:
		break;
	}
	return STR_NONE;
}

static bool
value_holds(const struct rule_condition *c, const struct rule_value *v, const struct rule_facts *f, struct str name)
{
	switch (c->subject) {
	case RULE_CLIENT:
		return client_value(v, f, name);
	case RULE_HELO:
		return helo_value(v, f, name);
	case RULE_TLS:
		return tls_value(v, f, name);
	case RULE_CERTIFICATE:
		return certificate_value(v, f);
	case RULE_LOGIN:
		return login_value(v, name);
	case RULE_SENDER:
		return address_value(v, f, f->sender, name);
	case RULE_RECIPIENT:
		return address_value(v, f, f->recipient, name);
	}
	return false;
}

static bool
certificate_in_file(const struct rule_set *set, const struct rule_facts *f)
{
	struct lower l;

	for (size_t i = 0; i < f->ncertificate_names; i++)
		if (rule_set_has_name(set, lower(&l, f->certificate_names[i])))
			return true;
	return f->fingerprint.n > 0 && rule_set_has_name(set, lower(&l, f->fingerprint));
}

static bool
address_in_file(const struct rule_set *set, const struct address *address, struct str domain)
{
	struct lower l;

	return address->kind != ADDRESS_NULL && rule_set_has_address(set, lower(&l, address->local), domain);
}

static bool
file_holds(const struct rule_condition *c, const struct rule_facts *f, struct str name)
{
	const struct rule_set *set = &c->file->set;

	switch (c->subject) {
	case RULE_CLIENT:
		return (f->client != NULL && rule_set_has_client(set, f->client)) ||
		    (name.n > 0 && rule_set_has_name(set, name));
	case RULE_CERTIFICATE:
		return certificate_in_file(set, f);
	case RULE_SENDER:
		return address_in_file(set, f->sender, name);
	case RULE_RECIPIENT:
		return address_in_file(set, f->recipient, name);
	case RULE_LOGIN:
	case RULE_HELO:
	case RULE_TLS:
		break;
	}
	return name.n > 0 && rule_set_has_name(set, name);
}

bool
rule_condition_holds(const struct rule_condition *c, const struct rule_facts *f)
{
	struct lower l;
	struct str name = subject_name(c, f, &l);
	bool holds = c->file != NULL && file_holds(c, f, name);

	for (size_t i = 0; i < c->nvalues && !holds; i++)
		holds = value_holds(c, &c->values[i], f, name);
	return holds != c->negated;
}

bool
rule_applies(const struct rule *rule, const struct rule_facts *facts, const struct rule_condition **failed)
{
	for (size_t i = 0; i < rule->nconditions; i++) {
		if (rule_condition_holds(&rule->conditions[i], facts))
			continue;
		if (failed != NULL)
			*failed = &rule->conditions[i];
		return false;
	}
	return true;
}
