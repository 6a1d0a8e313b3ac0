#include "queue/doctor_host.h"

/* Names of one address that are looked at. */
#define NAMES_MAX 10

static struct str
hostname(const struct doctor *d)
{
	return str_from(d->conf->hostname);
}

static const struct dns_answer *
names_of(struct doctor_dns *dns, const struct endpoint *address)
{
	char reverse[DNS_NAME_MAX + 1];

	(void)doctor_address_reverse(reverse, address);
	return doctor_dns_answer(dns, str_from(reverse), DNS_PTR);
}

void
doctor_host_ask(const struct doctor *d, struct doctor_dns *dns, unsigned step)
{
	struct doctor_addresses addresses = {.n = 0};

	if (step == 0)
		doctor_addresses_ask(dns, hostname(d));
	else
		doctor_addresses_add(&addresses, dns, hostname(d));
	for (size_t i = 0; i < addresses.n; i++) {
		const struct dns_answer *names = names_of(dns, &addresses.list[i]);
		char reverse[DNS_NAME_MAX + 1];

		if (step == 1 && doctor_address_reverse(reverse, &addresses.list[i]))
			doctor_dns_ask(dns, str_from(reverse), DNS_PTR);
		for (size_t n = 0; step == 2 && n < names->n && n < NAMES_MAX; n++)
			doctor_addresses_ask(dns, names->records[n].text);
	}
}

static bool
leads_back(struct doctor_dns *dns, struct str name, const struct endpoint *address)
{
	struct doctor_addresses addresses = {.n = 0};

	doctor_addresses_add(&addresses, dns, name);
	return doctor_addresses_has(&addresses, address);
}

/* One of several addresses may be another host's: whichever of them this one sends from, it is to have our name. */
static void
report_names(struct doctor *d, struct doctor_dns *dns, const struct endpoint *address, struct str text)
{
	const struct dns_answer *names = names_of(dns, address);
	bool is_confirmed = false, is_ours = false;

	for (size_t i = 0; i < names->n && i < NAMES_MAX; i++) {
		struct str name = names->records[i].text;

		is_ours = is_ours || str_equal_nocase(name, hostname(d));
		is_confirmed = is_confirmed || leads_back(dns, name, address);
	}
	if (names->status == DNS_TEMP)
		doctor_find(d, DOCTOR_WARNING, "reverse-unknown", text, "(of %s): its name cannot be looked up: %.*s",
		    d->conf->hostname, STR_FMT(names->reason));
	else if (names->n == 0)
		doctor_find(d, DOCTOR_WARNING, "reverse-missing", text, "has no name in DNS (PTR); many servers refuse mail from there");
	else if (!is_confirmed)
		doctor_find(d, DOCTOR_WARNING, "reverse-unconfirmed", text, "is called %.*s, but no such name has this address",
		    STR_FMT(names->records[0].text));
	else if (!is_ours)
		doctor_find(d, DOCTOR_WARNING, "reverse-other", text, "is called %.*s, not %s as in the greeting",
		    STR_FMT(names->records[0].text), d->conf->hostname);
	else
		doctor_find(d, DOCTOR_OK, "reverse", text, "is called %s", d->conf->hostname);
	if (names->status != DNS_TEMP && (!is_confirmed || !is_ours))
		doctor_advise(d, "Have whoever gave you the address (the provider) set its name to %s", d->conf->hostname);
}

static void
report_address(struct doctor *d, struct doctor_dns *dns, const struct endpoint *address, const struct doctor_addresses *own)
{
	char text[INET6_ADDRSTRLEN];

	network_address_format(&address->address.any, text);
	report_names(d, dns, address, str_from(text));
	if (doctor_addresses_has(own, address))
		return;
	doctor_find(d, DOCTOR_NOTE, "address-elsewhere", str_from(text), "(of %s) is none at which this host listens",
	    d->conf->hostname);
	doctor_advise(d, "That is right only where a router or proxy passes connections on");
}

void
doctor_host_report(struct doctor *d, struct doctor_dns *dns, const struct doctor_addresses *own)
{
	const struct dns_answer *v4 = doctor_dns_answer(dns, hostname(d), DNS_A),
				*v6 = doctor_dns_answer(dns, hostname(d), DNS_AAAA);
	struct doctor_addresses addresses = {.n = 0};

	d->area = DOCTOR_HOST;
	doctor_addresses_add(&addresses, dns, hostname(d));
	if (addresses.n == 0 && (v4->status == DNS_TEMP || v6->status == DNS_TEMP)) {
		doctor_find(d, DOCTOR_WARNING, "hostname-unknown", hostname(d), "cannot be looked up: %.*s",
		    STR_FMT(v4->status == DNS_TEMP ? v4->reason : v6->reason));
		return;
	}
	if (addresses.n == 0) {
		doctor_find(d, DOCTOR_ERROR, "hostname-missing", hostname(d), "has no address in DNS; many servers refuse mail from "
		    "such a host");
		doctor_advise(d, "Publish its address, or set `hostname` to a name that has one");
		return;
	}
	if (v4->n > 0 && !str_equal_nocase(v4->name, hostname(d))) {
		doctor_find(d, DOCTOR_WARNING, "hostname-alias", hostname(d), "is only another name (CNAME) of %.*s", STR_FMT(v4->name));
		doctor_advise(d, "Set `hostname` to that (RFC 5321 2.3.5)");
	}
	for (size_t i = 0; i < addresses.n; i++)
		report_address(d, dns, &addresses.list[i], own);
}
