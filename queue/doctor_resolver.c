#include "queue/doctor_resolver.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "common/dns/resolver.h"

void
doctor_resolvers_init(struct doctor_resolvers *resolvers, const struct conf *conf, struct doctor_net *net)
{
	struct resolver_servers found;

	resolver_find(conf, &found);
	resolvers->n = found.n;
	memcpy(resolvers->servers, found.list, found.n * sizeof found.list[0]);
	for (size_t i = 0; i < resolvers->n; i++)
		doctor_dns_init(&resolvers->dns[i], net, &resolvers->servers[i], 1);
}

void
doctor_resolvers_clear(struct doctor_resolvers *resolvers)
{
	for (size_t i = 0; i < resolvers->n; i++)
		doctor_dns_clear(&resolvers->dns[i]);
	resolvers->n = 0;
}

void
doctor_resolvers_ask(const struct doctor *d, struct doctor_resolvers *resolvers)
{
	for (size_t i = 0; i < resolvers->n; i++)
		doctor_dns_ask(&resolvers->dns[i], str_from(d->conf->hostname), DNS_A);
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
report(struct doctor *d, const struct endpoint *server, const struct dns_answer *answer)
{
	char text[INET6_ADDRSTRLEN + 16];

	name_of(text, server);
	if (answer->status != DNS_TEMP) {
		doctor_find(d, DOCTOR_OK, "resolver", str_from(text), "answers");
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
	for (size_t i = 0; i < resolvers->n; i++)
		report(d, &resolvers->servers[i], doctor_dns_answer(&resolvers->dns[i], str_from(d->conf->hostname), DNS_A));
}
