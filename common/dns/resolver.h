/*
 * The resolver as the configuration wants it: its servers are those of `resolvers`, else of /etc/resolv.conf; and whether what
 * they say of DNSSEC is believed is said by `dns_trust_ad`.
 */
#ifndef COMMON_RESOLVER_H
#define COMMON_RESOLVER_H

#include "common/conf/conf.h"
#include "common/dns/dns.h"

struct resolver_servers {
	struct endpoint list[DNS_SERVERS_MAX];
	size_t n;
	bool trusted;
};

/* Reads /etc/resolv.conf if need be: to be called before the process is locked in. */
void resolver_find(const struct conf *conf, struct resolver_servers *servers);
struct dns *resolver_new(struct loop *loop, const struct resolver_servers *servers);

#endif
