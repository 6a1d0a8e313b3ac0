#include "queue/doctor_resolver.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* A name that has been signed for long. On a network without the world our own domains may be. */
#define SIGNED_NAME STR("org")

void
doctor_resolvers_init(struct doctor_resolvers *resolvers, const struct conf *conf, struct doctor_net *net)
{
	resolver_find(conf, &resolvers->servers);
	for (size_t i = 0; i < resolvers->servers.n; i++)
		doctor_dns_init(&resolvers->dns[i], net, &resolvers->servers.list[i], 1);
}

void
doctor_resolvers_clear(struct doctor_resolvers *resolvers)
{
	for (size_t i = 0; i < resolvers->servers.n; i++)
		doctor_dns_clear(&resolvers->dns[i]);
	resolvers->servers.n = 0;
}

void
doctor_resolvers_ask(const struct doctor *d, struct doctor_resolvers *resolvers)
{
	for (size_t i = 0; i < resolvers->servers.n; i++) {
		doctor_dns_ask(&resolvers->dns[i], str_from(d->conf->hostname), DNS_A);
		doctor_dns_ask(&resolvers->dns[i], SIGNED_NAME, DNS_MX);
	}
}

static bool
validates(const struct doctor *d, struct doctor_dns *dns)
{
	return doctor_dns_answer(dns, str_from(d->conf->hostname), DNS_A)->is_secure ||
	    doctor_dns_answer(dns, SIGNED_NAME, DNS_MX)->is_secure;
}

bool
doctor_resolvers_validate(const struct doctor *d, struct doctor_resolvers *resolvers)
{
	for (size_t i = 0; i < resolvers->servers.n; i++)
		if (!validates(d, &resolvers->dns[i]))
			return false;
	return true;
}

/* "127.0.0.1", or with the port behind it when that is another than usual. */
static void
name_of(char text[INET6_ADDRSTRLEN + 16], const struct endpoint *e)
{
	uint16_t port = network_port(&e->address.any);
	size_t n;

	network_address_format(&e->address.any, text);
	n = strlen(text);
	if (port != 53)
		(void)snprintf(text + n, 16, " port %u", port);
}

static void
report_dnssec(struct doctor *d, const struct doctor_resolvers *resolvers, struct doctor_dns *dns, struct str name)
{
	bool is_trusted = resolvers->servers.trusted, is_wanted = d->conf->dns_trust_ad == CONF_TRUST_AD_YES;

	if (validates(d, dns) && is_trusted) {
		doctor_find(d, DOCTOR_OK, "resolver", name, "answers and validates (DNSSEC), and is believed: DANE is used");
	} else if (validates(d, dns)) {
		doctor_find(d, DOCTOR_NOTE, "resolver-not-believed", name, "answers and validates (DNSSEC), but is not believed, because it "
		    "is not on this host: DANE is not used");
		doctor_advise(d, "Best is one on this host: apt-get install unbound; or say dns_trust_ad = yes, if nobody can come between");
	} else {
		doctor_find(d, is_wanted ? DOCTOR_WARNING : DOCTOR_NOTE, "resolver-not-validating", name, "answers, but does not validate "
		    "(DNSSEC): DANE is not used");
		doctor_advise(d, "Use one that does, on this host: apt-get install unbound");
	}
}

static void
report(struct doctor *d, struct doctor_resolvers *resolvers, size_t i)
{
	const struct dns_answer *answer = doctor_dns_answer(&resolvers->dns[i], str_from(d->conf->hostname), DNS_A);
	char text[INET6_ADDRSTRLEN + 16];

	name_of(text, &resolvers->servers.list[i]);
	if (answer->status != DNS_TEMP) {
		report_dnssec(d, resolvers, &resolvers->dns[i], str_from(text));
		return;
	}
	doctor_find(d, DOCTOR_ERROR, "resolver-silent", str_from(text), "gives no answer: %.*s", STR_FMT(answer->reason));
	doctor_advise(d, "Set `resolvers` (or /etc/resolv.conf) to servers that do; best is one of your own on this host: apt-get install "
	    "unbound");
}

void
doctor_resolvers_report(struct doctor *d, struct doctor_resolvers *resolvers)
{
	d->area = DOCTOR_RESOLVERS;
	for (size_t i = 0; i < resolvers->servers.n; i++)
		report(d, resolvers, i);
}
