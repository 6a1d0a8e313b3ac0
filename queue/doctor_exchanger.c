#include "queue/doctor_exchanger.h"

#include <stdio.h>

struct exchanger {
	struct doctor *d;
	char host[DNS_NAME_MAX + 1];
	char base[DNS_NAME_MAX + 1]; /* of its TLSA records: _25._tcp.HOST */
	const struct doctor_certificates *certificates;
	const struct dns_answer *tlsa;
	bool resolver_validates;
};

/* Empty when there can be none. */
static struct str
tlsa_name(char name[DNS_NAME_MAX + 1], const struct conf *conf, struct str host)
{
	int n = snprintf(name, DNS_NAME_MAX + 1, "_%u._tcp.%.*s", (unsigned)conf->relay_port, STR_FMT(host));

	return n > 0 && n <= DNS_NAME_MAX ? (struct str){name, (size_t)n} : STR("");
}

void
doctor_exchangers_ask(const struct doctor *d, struct doctor_dns *dns, const struct doctor_addresses *own)
{
	struct str names[DOCTOR_EXCHANGERS_MAX];
	size_t n = doctor_domains_exchangers(d, dns, own, names, DOCTOR_EXCHANGERS_MAX);
	char name[DNS_NAME_MAX + 1];

	for (size_t i = 0; i < n; i++)
		doctor_dns_ask(dns, tlsa_name(name, d->conf, names[i]), DNS_TLSA);
}

/* ---- certificates ---------------------------------------------------------------------------------------------------- */

static bool
has_certificate(const struct exchanger *e)
{
	for (size_t i = 0; i < e->certificates->n; i++)
		if (doctor_certificate_is_for(&e->certificates->list[i], e->host))
			return true;
	return false;
}

/* Is it shown to a client that asks for the host's name? Without one for that name it is the first. */
static bool
is_shown(const struct exchanger *e, size_t i)
{
	return has_certificate(e) ? doctor_certificate_is_for(&e->certificates->list[i], e->host) : i == 0;
}

static void
report_name(struct exchanger *e)
{
	if (has_certificate(e)) {
		doctor_find(e->d, DOCTOR_OK, "certificate-name", str_from(e->host), "has a certificate");
		return;
	}
	doctor_find(e->d, DOCTOR_WARNING, "certificate-name-missing", str_from(e->host), "is an exchanger of ours without a certificate "
	    "for that name: senders that verify it do not deliver");
	doctor_advise(e->d, "Get one, and give it a section [certificate NAME]");
}

/* ---- TLSA ------------------------------------------------------------------------------------------------------------- */

/* The records to publish: a line for each certificate that may be shown. */
static void
advise_records(struct exchanger *e)
{
	struct buf text;
	char digest[65];

	buf_init(&text, 2000);
	for (size_t i = 0; i < e->certificates->n; i++)
		if (is_shown(e, i) && doctor_certificate_digest(&e->certificates->list[i], digest))
			buf_addf(&text, "%sPublish: %s. TLSA 3 1 1 %s", text.n > 0 ? "\n" : "", e->base, digest);
	doctor_advise(e->d, "%.*s", STR_FMT(buf_str(&text)));
	buf_clear(&text);
}

static bool
is_vouched_for(const struct exchanger *e, const struct doctor_certificate *certificate)
{
	for (size_t i = 0; i < e->tlsa->n; i++) {
		const struct dns_record *r = &e->tlsa->records[i];
		const struct doctor_tlsa tlsa = {.usage = r->tlsa.usage, .selector = r->tlsa.selector, .matching = r->tlsa.matching,
		    .association = r->text};

		if (doctor_certificate_matches(certificate, &tlsa))
			return true;
	}
	return false;
}

static void
report_records(struct exchanger *e)
{
	size_t shown = 0, good = 0;

	for (size_t i = 0; i < e->certificates->n; i++) {
		if (!is_shown(e, i))
			continue;
		shown++;
		good += is_vouched_for(e, &e->certificates->list[i]);
	}
	if (good == shown && e->tlsa->is_secure) {
		doctor_find(e->d, DOCTOR_OK, "tlsa", str_from(e->host), "has TLSA records that vouch for its certificate (DANE)");
	} else if (good == shown) {
		doctor_find(e->d, e->resolver_validates ? DOCTOR_WARNING : DOCTOR_NOTE, "tlsa-insecure", str_from(e->host),
		    e->resolver_validates ? "has TLSA records, but in a zone without DNSSEC: nobody goes by them"
					  : "has TLSA records; whether DNSSEC secures them our resolver cannot tell");
		doctor_advise(e->d, e->resolver_validates ? "Have the zone signed" : "Use a resolver that validates: apt-get install unbound");
	} else {
		doctor_find(e->d, DOCTOR_ERROR, "tlsa-mismatch", str_from(e->host), "has TLSA records that do not vouch for %s: senders that "
		    "go by DANE do not deliver", good > 0 ? "all of its certificates" : "its certificate");
		advise_records(e);
	}
}

static void
report_tlsa(struct exchanger *e)
{
	switch (e->tlsa->status) {
	case DNS_FOUND:
		report_records(e);
		return;
	case DNS_TEMP:
		doctor_find(e->d, DOCTOR_WARNING, "tlsa-unknown", str_from(e->host), "may have TLSA records, which cannot be looked up: %.*s",
		    STR_FMT(e->tlsa->reason));
		doctor_advise(e->d, "If it is so for others too, senders that go by DANE do not deliver");
		return;
	case DNS_NODATA:
	case DNS_NXDOMAIN:
		doctor_find(e->d, DOCTOR_NOTE, "tlsa-missing", str_from(e->host), "has no TLSA record, by which senders know its certificate "
		    "(DANE, RFC 7672; %s)", e->tlsa->is_secure ? "its zone is signed" : "its zone must be signed first");
		advise_records(e);
		return;
	case DNS_BAD_NAME:
		return;
	}
}

/* ---- all of them ------------------------------------------------------------------------------------------------------ */

void
doctor_exchangers_report(struct doctor *d, struct doctor_dns *dns, const struct doctor_addresses *own,
    const struct doctor_certificates *certificates, bool resolver_validates)
{
	struct str names[DOCTOR_EXCHANGERS_MAX];
	size_t n = doctor_domains_exchangers(d, dns, own, names, DOCTOR_EXCHANGERS_MAX);

	d->area = DOCTOR_EXCHANGERS;
	for (size_t i = 0; certificates->n > 0 && i < n; i++) {
		struct exchanger e = {.d = d, .certificates = certificates, .resolver_validates = resolver_validates};

		if (!str_copy(e.host, sizeof e.host, names[i]))
			continue;
		e.tlsa = doctor_dns_answer(dns, tlsa_name(e.base, d->conf, names[i]), DNS_TLSA);
		report_name(&e);
		report_tlsa(&e);
	}
}
