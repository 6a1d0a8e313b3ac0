#include "queue/doctor_record.h"

/* ---- finding ------------------------------------------------------------------------------------------------------- */

/* What a record begins with, and what must follow that (or nothing at all). */
static const struct {
	struct str version;
	char next;
} versions[] = {
    [DOCTOR_SPF] = {{"v=spf1", 6}, ' '},
    [DOCTOR_DMARC] = {{"v=DMARC1", 8}, ';'},
    [DOCTOR_STS] = {{"v=STSv1", 7}, ';'},
    [DOCTOR_TLSRPT] = {{"v=TLSRPTv1", 10}, ';'},
};

static bool
is_kind(struct str text, enum doctor_record_kind kind)
{
	struct str version = versions[kind].version, rest;

	if (!str_starts_nocase(text, version))
		return false;
	rest = kind == DOCTOR_SPF ? str_skip(text, version.n) : str_trim(str_skip(text, version.n));
	return rest.n == 0 || rest.p[0] == versions[kind].next;
}

size_t
doctor_record_find(const struct dns_answer *answer, enum doctor_record_kind kind, struct str *text)
{
	size_t found = 0;

	for (size_t i = 0; i < answer->n; i++) {
		if (!is_kind(answer->records[i].text, kind))
			continue;
		if (found++ == 0)
			*text = answer->records[i].text;
	}
	return found;
}

/* ---- tags ---------------------------------------------------------------------------------------------------------- */

bool
doctor_record_tag(struct str record, const char *name, struct str *value)
{
	struct str tag;

	while (str_token(&record, ';', &tag)) {
		size_t at = str_find(tag, '=');

		if (at == tag.n || !str_equal_nocase(str_trim(str_sub(tag, 0, at)), str_from(name)))
			continue;
		*value = str_trim(str_skip(tag, at + 1));
		return true;
	}
	return false;
}

static const char *
dmarc_problem(struct str record)
{
	struct str policy;

	if (!doctor_record_tag(record, "p", &policy))
		return "has no policy (p=none, quarantine or reject)";
	if (!str_has_word_nocase(STR("none quarantine reject"), policy))
		return "has a policy (p=) that is none of none, quarantine and reject";
	return NULL;
}

/* 1 to 32 letters and digits. */
static const char *
sts_problem(struct str record)
{
	struct str id;

	if (!doctor_record_tag(record, "id", &id) || id.n == 0)
		return "has no id, by which senders see that the policy is a new one";
	for (size_t i = 0; i < id.n; i++)
		if (!ascii_is_alnum(id.p[i]))
			return "has an id of other characters than letters and digits";
	return id.n > 32 ? "has an id of more than 32 characters" : NULL;
}

static const char *
tlsrpt_problem(struct str record)
{
	struct str addresses, address;
	bool any = false;

	if (!doctor_record_tag(record, "rua", &addresses))
		return "does not say where reports go (rua=)";
	while (str_token(&addresses, ',', &address)) {
		address = str_trim(address);
		any = true;
		if (!str_starts_nocase(address, STR("mailto:")) && !str_starts_nocase(address, STR("https:")))
			return "sends reports to what is neither mailto: nor https:";
	}
	return any ? NULL : "does not say where reports go (rua=)";
}

const char *
doctor_record_problem(enum doctor_record_kind kind, struct str record)
{
	switch (kind) {
	case DOCTOR_DMARC:
		return dmarc_problem(record);
	case DOCTOR_STS:
		return sts_problem(record);
	case DOCTOR_TLSRPT:
		return tlsrpt_problem(record);
	case DOCTOR_SPF:
		break;
	}
	return NULL;
}

/* ---- SPF ----------------------------------------------------------------------------------------------------------- */

enum match {
	MATCH,
	NO_MATCH,
	MATCH_UNKNOWN,
	MATCH_BAD,
};

struct play {
	const struct doctor_spf_facts *facts;
	unsigned lookups;
	enum doctor_spf_result result;
	bool is_decided;
	const char *problem;
};

static enum match
match_if(bool condition)
{
	return condition ? MATCH : NO_MATCH;
}

static enum match
match_network(struct play *play, struct str value)
{
	struct network network;
	struct err err;

	/* host bits behind the prefix are allowed here, unlike in our own configuration */
	if (!network_parse(value, &network, &err)) {
		struct endpoint endpoint;

		if (!endpoint_parse_address(str_sub(value, 0, str_find(value, '/')), 0, &endpoint)) {
			play->problem = "names a network that is none (ip4, ip6)";
			return MATCH_BAD;
		}
		return MATCH_UNKNOWN;
	}
	if (play->facts->address == NULL)
		return MATCH_UNKNOWN;
	return match_if(network_contains(&network, &play->facts->address->address.any));
}

/* `a` and `mx`: of the domain itself, or another's, perhaps with a prefix length. */
static enum match
match_host(struct play *play, struct str value, bool of_domain)
{
	struct str host = str_sub(value, 0, str_find(value, '/'));

	play->lookups++;
	if (value.n > 0 && value.p[0] == ':') {
		bool is_ours = str_equal_nocase(str_skip(host, 1), play->facts->hostname);

		return is_ours ? MATCH : MATCH_UNKNOWN;
	}
	if (value.n > host.n && !of_domain)
		return MATCH_UNKNOWN;
	return match_if(of_domain);
}

static bool
has_name(struct str term, const char *name, struct str *value)
{
	struct str wanted = str_from(name);

	*value = str_skip(term, wanted.n);
	return str_starts_nocase(term, wanted) && (value->n == 0 || value->p[0] == ':' || value->p[0] == '/');
}

static enum match
match_mechanism(struct play *play, struct str term)
{
	struct str value;

	if (has_name(term, "all", &value) && value.n == 0)
		return MATCH;
	if (has_name(term, "ip4", &value) || has_name(term, "ip6", &value))
		return match_network(play, str_skip(value, 1));
	if (has_name(term, "a", &value))
		return match_host(play, value, play->facts->is_a);
	if (has_name(term, "mx", &value))
		return match_host(play, value, play->facts->is_mx);
	if (has_name(term, "include", &value) || has_name(term, "exists", &value) || has_name(term, "ptr", &value)) {
		play->lookups++;
		return MATCH_UNKNOWN;
	}
	play->problem = "has a word that means nothing there";
	return MATCH_BAD;
}

/* `redirect=` and `exp=` stand anywhere; what is unknown among them is passed over (RFC 7208 6). */
static bool
is_modifier(struct str term)
{
	size_t equals = str_find(term, '=');

	return equals < term.n && equals < str_find(term, ':') && equals < str_find(term, '/');
}

static enum doctor_spf_result
result_of(char qualifier, struct str term)
{
	bool is_all = str_equal_nocase(term, STR("all"));

	if (qualifier == '+')
		return is_all ? DOCTOR_SPF_OPEN : DOCTOR_SPF_PASS;
	return DOCTOR_SPF_FAIL;
}

static char
take_qualifier(struct str *term)
{
	char c = term->p[0];

	if (c != '+' && c != '-' && c != '~' && c != '?')
		return '+';
	*term = str_skip(*term, 1);
	return c;
}

/* A record that hands over to another says nothing itself of what it has not matched. */
static void
play_modifier(struct play *play, struct str term)
{
	if (!str_starts_nocase(term, STR("redirect=")))
		return;
	play->lookups++;
	if (!play->is_decided)
		play->result = DOCTOR_SPF_UNKNOWN;
}

static void
play_term(struct play *play, struct str term)
{
	char qualifier = take_qualifier(&term);
	enum match match = match_mechanism(play, term);

	if (play->is_decided || match == NO_MATCH || match == MATCH_BAD)
		return;
	if (match == MATCH_UNKNOWN) {
		play->result = DOCTOR_SPF_UNKNOWN;
	} else if (play->result != DOCTOR_SPF_UNKNOWN || qualifier == '+') { /* behind an open question a no changes nothing */
		play->result = result_of(qualifier, term);
		play->is_decided = true;
	}
}

enum doctor_spf_result
doctor_spf_play(struct str record, const struct doctor_spf_facts *facts, const char **problem)
{
	struct play play = {.facts = facts, .result = DOCTOR_SPF_FAIL};
	struct str term;

	(void)str_word(&record, &term); /* the version */
	while (play.problem == NULL && str_word(&record, &term)) {
		if (is_modifier(term))
			play_modifier(&play, term);
		else
			play_term(&play, term);
	}
	if (play.problem == NULL && play.lookups > DOCTOR_SPF_LOOKUPS_MAX)
		play.problem = "needs more than 10 look-ups in DNS";
	*problem = play.problem;
	return play.problem != NULL ? DOCTOR_SPF_BAD : play.result;
}
