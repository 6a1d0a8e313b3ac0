#include "queue/doctor_domain.h"

#include <stdio.h>

#include "queue/doctor_record.h"

/* Of one domain; what mail would try beyond that does not matter. */
#define EXCHANGERS_MAX 10
/* Names above a domain at which its DMARC record may be. */
#define PARENTS_MAX 4

struct domain {
	struct doctor *d;
	struct doctor_dns *dns;
	const struct doctor_addresses *own;
	struct str name;
	const struct dns_answer *mx;
	struct doctor_addresses addresses;	     /* of the name itself */
	struct doctor_addresses exchanger_addresses; /* of all its exchangers */
};

/* Names without a dot are for this host alone, and nobody asks DNS for them. */
static bool
is_public(const struct conf_domain *domain)
{
	struct str name = str_from(domain->name);

	return str_find(name, '.') < name.n && !str_ends_nocase(name, STR(".localhost"));
}

static size_t
exchangers(const struct dns_answer *mx)
{
	return mx->n < EXCHANGERS_MAX ? mx->n : EXCHANGERS_MAX;
}

/* The name below the domain at which a policy is published; empty when there can be none. */
static struct str
below(char name[DNS_NAME_MAX + 1], const char *label, struct str domain)
{
	int n = snprintf(name, DNS_NAME_MAX + 1, "%s.%.*s", label, STR_FMT(domain));

	return n > 0 && n <= DNS_NAME_MAX ? (struct str){name, (size_t)n} : STR("");
}

static const struct dns_answer *
policy_answer(struct doctor_dns *dns, const char *label, struct str domain)
{
	char name[DNS_NAME_MAX + 1];

	return doctor_dns_answer(dns, below(name, label, domain), DNS_TXT);
}

/* The domain without its first label; empty when that would be a whole top domain. */
static struct str
parent_of(struct str domain)
{
	struct str parent = str_skip(domain, str_find(domain, '.') + 1);

	return str_find(parent, '.') < parent.n ? parent : STR("");
}

/* ---- asking -------------------------------------------------------------------------------------------------------- */

static void
ask_policies(struct doctor_dns *dns, struct str domain)
{
	static const char *const labels[] = {"_dmarc", "_mta-sts", "_smtp._tls"};
	char name[DNS_NAME_MAX + 1];
	struct str parent = domain;

	doctor_dns_ask(dns, domain, DNS_TXT);
	for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++)
		doctor_dns_ask(dns, below(name, labels[i], domain), DNS_TXT);
	for (int i = 0; i < PARENTS_MAX && (parent = parent_of(parent)).n > 0; i++)
		doctor_dns_ask(dns, below(name, "_dmarc", parent), DNS_TXT);
}

static void
ask_hosts(struct doctor_dns *dns, struct str domain)
{
	const struct dns_answer *mx = doctor_dns_answer(dns, domain, DNS_MX);
	char name[DNS_NAME_MAX + 1];

	for (size_t i = 0; i < exchangers(mx); i++)
		doctor_addresses_ask(dns, mx->records[i].text);
	if (policy_answer(dns, "_mta-sts", domain)->n > 0)
		doctor_addresses_ask(dns, below(name, "mta-sts", domain));
}

void
doctor_domains_ask(const struct doctor *d, struct doctor_dns *dns, unsigned step)
{
	for (size_t i = 0; i < d->conf->ndomains; i++) {
		struct str domain = str_from(d->conf->domains[i].name);

		if (!is_public(&d->conf->domains[i]))
			continue;
		if (step == 1) {
			ask_hosts(dns, domain);
			continue;
		}
		doctor_dns_ask(dns, domain, DNS_MX);
		doctor_addresses_ask(dns, domain);
		ask_policies(dns, domain);
	}
}

/* ---- where its mail goes ------------------------------------------------------------------------------------------- */

static bool
is_ours(const struct doctor *d, struct doctor_dns *dns, const struct doctor_addresses *own, struct str host)
{
	struct doctor_addresses addresses = {.n = 0};

	doctor_addresses_add(&addresses, dns, host);
	return str_equal_nocase(host, str_from(d->conf->hostname)) || doctor_addresses_meet(&addresses, own);
}

static void
report_exchanger(struct domain *m, const struct dns_record *record)
{
	const struct dns_answer *v4 = doctor_dns_answer(m->dns, record->text, DNS_A),
				*v6 = doctor_dns_answer(m->dns, record->text, DNS_AAAA);

	if (v4->n == 0 && v6->n == 0 && v4->status != DNS_TEMP && v6->status != DNS_TEMP) {
		doctor_find(m->d, DOCTOR_WARNING, "mx-no-address", m->name, "has the exchanger %.*s, which has no address",
		    STR_FMT(record->text));
		doctor_advise(m->d, "An exchanger is the name of a host, never an address; publish its address or take it out");
	} else if (v4->n > 0 && !str_equal_nocase(v4->name, record->text)) {
		doctor_find(m->d, DOCTOR_WARNING, "mx-alias", m->name, "has the exchanger %.*s, which is only another name (CNAME) of "
		    "%.*s", STR_FMT(record->text), STR_FMT(v4->name));
		doctor_advise(m->d, "Name %.*s itself (RFC 2181 10.3)", STR_FMT(v4->name));
	}
}

/* The best of its exchangers, and the best of those that are this host; NULL: none. */
static void
find_best(const struct domain *m, const struct dns_record **best, const struct dns_record **best_own)
{
	*best = *best_own = NULL;
	for (size_t i = 0; i < exchangers(m->mx); i++) {
		const struct dns_record *r = &m->mx->records[i];

		if (*best == NULL || r->preference < (*best)->preference)
			*best = r;
		if (is_ours(m->d, m->dns, m->own, r->text) && (*best_own == NULL || r->preference < (*best_own)->preference))
			*best_own = r;
	}
}

static void
report_exchangers(struct domain *m)
{
	const struct dns_record *best, *best_own;

	find_best(m, &best, &best_own);
	if (best == NULL)
		return;
	for (size_t i = 0; i < exchangers(m->mx); i++)
		report_exchanger(m, &m->mx->records[i]);
	if (best_own == NULL) {
		doctor_find(m->d, DOCTOR_ERROR, "mx-elsewhere", m->name, "has %.*s for its exchanger, and none that is this host: its "
		    "mail goes elsewhere", STR_FMT(best->text));
		doctor_advise(m->d, "Publish: %.*s. MX 10 %s.", STR_FMT(m->name), m->d->conf->hostname);
	} else if (best_own->preference > best->preference) {
		doctor_find(m->d, DOCTOR_NOTE, "mx-second", m->name, "has %.*s for its first exchanger; this host is another one",
		    STR_FMT(best->text));
	} else {
		doctor_find(m->d, DOCTOR_OK, "mx", m->name, "has %.*s for its exchanger, which is this host", STR_FMT(best_own->text));
	}
}

static void
report_without_exchangers(struct domain *m)
{
	if (doctor_addresses_meet(&m->addresses, m->own)) {
		doctor_find(m->d, DOCTOR_NOTE, "mx-implicit", m->name, "has no MX record; its mail comes here because its own address is "
		    "this host's");
	} else {
		doctor_find(m->d, DOCTOR_ERROR, "mx-missing", m->name, "has no MX record, so that no mail for it comes here");
	}
	doctor_advise(m->d, "Publish: %.*s. MX 10 %s.", STR_FMT(m->name), m->d->conf->hostname);
}

static void
report_mx(struct domain *m)
{
	switch (m->mx->status) {
	case DNS_FOUND:
		if (m->mx->n == 1 && m->mx->records[0].text.n == 0) {
			doctor_find(m->d, DOCTOR_ERROR, "mx-null", m->name, "says that it takes no mail at all (null MX, RFC 7505)");
			doctor_advise(m->d, "Publish: %.*s. MX 10 %s.", STR_FMT(m->name), m->d->conf->hostname);
		} else {
			report_exchangers(m);
		}
		return;
	case DNS_NODATA:
		report_without_exchangers(m);
		return;
	case DNS_NXDOMAIN:
	case DNS_BAD_NAME:
		doctor_find(m->d, DOCTOR_ERROR, "domain-missing", m->name, "is not in DNS: nobody can write to it");
		return;
	case DNS_TEMP:
		doctor_find(m->d, DOCTOR_WARNING, "mx-unknown", m->name, "cannot be looked up: %.*s", STR_FMT(m->mx->reason));
		return;
	}
}

/* ---- what it says of its mail -------------------------------------------------------------------------------------- */

/* What was found, or NULL after it was said what is wrong: none or several of the kind, or no answer. */
static const char *
find_record(struct domain *m, const struct dns_answer *answer, enum doctor_record_kind kind, const char *what,
    struct str *text)
{
	size_t n = doctor_record_find(answer, kind, text);

	if (answer->status == DNS_TEMP) {
		doctor_find(m->d, DOCTOR_WARNING, "record-unknown", m->name, "has a%s %s record that cannot be looked up: %.*s",
		    what[0] == 'S' || what[0] == 'M' ? "n" : "", what, STR_FMT(answer->reason));
		return "unknown";
	}
	if (n > 1) {
		doctor_find(m->d, DOCTOR_ERROR, "record-twice", m->name, "has %zu %s records, so that none of them counts", n, what);
		doctor_advise(m->d, "Make them one");
		return "twice";
	}
	return n == 0 ? "missing" : NULL;
}

static bool
is_missing(const char *trouble)
{
	return trouble != NULL && trouble[0] == 'm';
}

static void
report_spf_result(struct domain *m, enum doctor_spf_result result, const char *problem, struct str from)
{
	switch (result) {
	case DOCTOR_SPF_PASS:
		doctor_find(m->d, DOCTOR_OK, "spf", m->name, "lets %.*s send its mail (SPF)", STR_FMT(from));
		return;
	case DOCTOR_SPF_UNKNOWN:
		doctor_find(m->d, DOCTOR_OK, "spf", m->name, "has an SPF record; whether it lets %.*s pass hangs on other records",
		    STR_FMT(from));
		return;
	case DOCTOR_SPF_FAIL:
		doctor_find(m->d, DOCTOR_ERROR, "spf-excludes", m->name, "does not let %.*s send its mail (SPF)", STR_FMT(from));
		doctor_advise(m->d, "Add `mx` or `a:%s` to the record, in front of `all`", m->d->conf->hostname);
		return;
	case DOCTOR_SPF_OPEN:
		doctor_find(m->d, DOCTOR_WARNING, "spf-open", m->name, "lets all the world send in its name (SPF: +all)");
		doctor_advise(m->d, "End the record in `-all` or `~all`");
		return;
	case DOCTOR_SPF_BAD:
		doctor_find(m->d, DOCTOR_ERROR, "spf-bad", m->name, "has an SPF record that %s", problem);
		return;
	}
}

/* The worst of what it says of each of our addresses. */
static void
play_spf(struct domain *m, struct str record)
{
	struct doctor_addresses ours = {.n = 0};
	enum doctor_spf_result worst = DOCTOR_SPF_PASS;
	char from[INET6_ADDRSTRLEN] = "this host";
	const char *problem = NULL;
	size_t i = 0;

	doctor_addresses_add(&ours, m->dns, str_from(m->d->conf->hostname));
	do {
		const struct endpoint *e = ours.n > 0 ? &ours.list[i] : NULL;
		const struct doctor_spf_facts facts = {.hostname = str_from(m->d->conf->hostname), .address = e,
		    .is_a = e != NULL && doctor_addresses_has(&m->addresses, e),
		    .is_mx = e != NULL && doctor_addresses_has(&m->exchanger_addresses, e)};
		enum doctor_spf_result result = doctor_spf_play(record, &facts, &problem);

		if (e != NULL && (result != DOCTOR_SPF_PASS || worst == DOCTOR_SPF_PASS))
			network_address_format(&e->address.any, from);
		if (result != DOCTOR_SPF_PASS)
			worst = result;
	} while (worst != DOCTOR_SPF_FAIL && worst != DOCTOR_SPF_BAD && ++i < ours.n);
	report_spf_result(m, worst, problem, str_from(from));
}

static void
report_spf(struct domain *m)
{
	struct str record;
	const char *trouble = find_record(m, doctor_dns_answer(m->dns, m->name, DNS_TXT), DOCTOR_SPF, "SPF", &record);

	if (is_missing(trouble)) {
		doctor_find(m->d, DOCTOR_WARNING, "spf-missing", m->name, "has no SPF record: others may send in its name, and large "
		    "receivers refuse its mail");
		doctor_advise(m->d, "Publish: %.*s. TXT \"v=spf1 mx -all\"", STR_FMT(m->name));
	} else if (trouble == NULL) {
		play_spf(m, record);
	}
}

/* Its own record, or that of a domain above it. */
static struct str
find_dmarc(const struct domain *m, const struct dns_answer **answer)
{
	struct str at = m->name, text;

	for (int i = 0; i <= PARENTS_MAX && at.n > 0; i++, at = parent_of(at)) {
		*answer = policy_answer(m->dns, "_dmarc", at);
		if ((*answer)->status == DNS_TEMP || doctor_record_find(*answer, DOCTOR_DMARC, &text) > 0)
			return at;
	}
	return m->name;
}

static void
report_dmarc(struct domain *m)
{
	const struct dns_answer *answer = policy_answer(m->dns, "_dmarc", m->name);
	struct str at = find_dmarc(m, &answer), record, policy;
	const char *trouble = find_record(m, answer, DOCTOR_DMARC, "DMARC", &record), *problem;

	if (is_missing(trouble)) {
		doctor_find(m->d, DOCTOR_WARNING, "dmarc-missing", m->name, "has no DMARC record: receivers are not told what to do with "
		    "mail that only pretends to be from there");
		doctor_advise(m->d, "Publish: _dmarc.%.*s. TXT \"v=DMARC1; p=none; rua=mailto:postmaster@%.*s\"", STR_FMT(m->name),
		    STR_FMT(m->name));
	}
	if (trouble != NULL)
		return;
	problem = doctor_record_problem(DOCTOR_DMARC, record);
	if (problem != NULL)
		doctor_find(m->d, DOCTOR_ERROR, "dmarc-bad", m->name, "has a DMARC record that %s", problem);
	else if (doctor_record_tag(record, "p", &policy))
		doctor_find(m->d, DOCTOR_OK, "dmarc", m->name, "has the DMARC policy %.*s%s%.*s", STR_FMT(policy),
		    str_equal(at, m->name) ? "" : ", that of ", STR_FMT(str_equal(at, m->name) ? STR("") : at));
}

static void
report_sts(struct domain *m)
{
	struct str record;
	const char *trouble = find_record(m, policy_answer(m->dns, "_mta-sts", m->name), DOCTOR_STS, "MTA-STS", &record), *problem;
	struct doctor_addresses addresses = {.n = 0};
	char name[DNS_NAME_MAX + 1];

	if (is_missing(trouble))
		doctor_find(m->d, DOCTOR_NOTE, "sts-missing", m->name, "has no MTA-STS policy, by which large senders insist on TLS "
		    "(RFC 8461)");
	if (trouble != NULL)
		return;
	problem = doctor_record_problem(DOCTOR_STS, record);
	doctor_addresses_add(&addresses, m->dns, below(name, "mta-sts", m->name));
	if (problem != NULL) {
		doctor_find(m->d, DOCTOR_ERROR, "sts-bad", m->name, "has an MTA-STS record that %s", problem);
	} else if (addresses.n == 0) {
		doctor_find(m->d, DOCTOR_ERROR, "sts-no-host", m->name, "has an MTA-STS record, but no host mta-sts.%.*s, from which "
		    "the policy is fetched", STR_FMT(m->name));
		doctor_advise(m->d, "Serve https://mta-sts.%.*s/.well-known/mta-sts.txt, or take the record away", STR_FMT(m->name));
	} else {
		doctor_find(m->d, DOCTOR_OK, "sts", m->name, "has an MTA-STS record");
	}
}

static void
report_tlsrpt(struct domain *m)
{
	struct str record;
	const char *trouble = find_record(m, policy_answer(m->dns, "_smtp._tls", m->name), DOCTOR_TLSRPT, "TLSRPT", &record),
		   *problem;

	if (is_missing(trouble)) {
		doctor_find(m->d, DOCTOR_NOTE, "tlsrpt-missing", m->name, "is not told when others cannot deliver to it under TLS "
		    "(TLSRPT, RFC 8460)");
		doctor_advise(m->d, "Publish: _smtp._tls.%.*s. TXT \"v=TLSRPTv1; rua=mailto:postmaster@%.*s\"", STR_FMT(m->name),
		    STR_FMT(m->name));
	}
	if (trouble != NULL)
		return;
	problem = doctor_record_problem(DOCTOR_TLSRPT, record);
	if (problem != NULL)
		doctor_find(m->d, DOCTOR_ERROR, "tlsrpt-bad", m->name, "has a TLSRPT record that %s", problem);
	else
		doctor_find(m->d, DOCTOR_OK, "tlsrpt", m->name, "is told when others cannot deliver to it under TLS (TLSRPT)");
}

/* ---- all of it ----------------------------------------------------------------------------------------------------- */

static void
domain_fill(struct domain *m)
{
	m->mx = doctor_dns_answer(m->dns, m->name, DNS_MX);
	m->addresses.n = m->exchanger_addresses.n = 0;
	doctor_addresses_add(&m->addresses, m->dns, m->name);
	for (size_t i = 0; i < exchangers(m->mx); i++)
		doctor_addresses_add(&m->exchanger_addresses, m->dns, m->mx->records[i].text);
}

static void
report_domain(struct domain *m)
{
	report_mx(m);
	if (m->mx->status == DNS_NXDOMAIN || m->mx->status == DNS_BAD_NAME)
		return;
	report_spf(m);
	report_dmarc(m);
	report_sts(m);
	report_tlsrpt(m);
}

void
doctor_domains_report(struct doctor *d, struct doctor_dns *dns, const struct doctor_addresses *own)
{
	struct domain m = {.d = d, .dns = dns, .own = own};

	d->area = DOCTOR_DOMAINS;
	for (size_t i = 0; i < d->conf->ndomains; i++) {
		if (!is_public(&d->conf->domains[i]))
			continue;
		m.name = str_from(d->conf->domains[i].name);
		domain_fill(&m);
		report_domain(&m);
	}
}

static size_t
add_name(struct str *names, size_t n, struct str name)
{
	for (size_t i = 0; i < n; i++)
		if (str_equal_nocase(names[i], name))
			return n;
	names[n] = name;
	return n + 1;
}

size_t
doctor_domains_exchangers(const struct doctor *d, struct doctor_dns *dns, const struct doctor_addresses *own,
    struct str *names, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < d->conf->ndomains; i++) {
		const struct dns_answer *mx;

		if (!is_public(&d->conf->domains[i]))
			continue;
		mx = doctor_dns_answer(dns, str_from(d->conf->domains[i].name), DNS_MX);
		for (size_t j = 0; j < exchangers(mx) && n < max; j++)
			if (is_ours(d, dns, own, mx->records[j].text))
				n = add_name(names, n, mx->records[j].text);
	}
	return n;
}
