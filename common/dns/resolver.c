#include "common/dns/resolver.h"

#include <string.h>

#include "common/dns/resolv_conf.h"

_Static_assert(RESOLV_CONF_SERVERS_MAX <= DNS_SERVERS_MAX, "what resolv.conf names has room");

void
resolver_find(const struct conf *conf, struct resolver_servers *servers)
{
	const struct conf_endpoints *named = &conf->resolvers;
	bool trust_ad = false;

	*servers = (struct resolver_servers){.n = named->n < DNS_SERVERS_MAX ? named->n : DNS_SERVERS_MAX};
	if (servers->n > 0)
		memcpy(servers->list, named->list, servers->n * sizeof *servers->list);
	else
		servers->n = resolv_conf_read(servers->list, &trust_ad);
	switch (conf->dns_trust_ad) {
	case CONF_TRUST_AD_AUTO:
		servers->trusted = trust_ad || dns_is_near(servers->list, servers->n);
		break;
	case CONF_TRUST_AD_YES:
		servers->trusted = true;
		break;
	case CONF_TRUST_AD_NO:
		break;
	}
}

struct dns *
resolver_new(struct loop *loop, const struct resolver_servers *servers)
{
	struct dns *dns = dns_new(loop, servers->list, servers->n);

	if (servers->trusted)
		dns_trust(dns);
	return dns;
}
