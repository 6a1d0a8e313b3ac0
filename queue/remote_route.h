/*
 * From a next hop to the hosts that are to be tried, best first, and from a host to its addresses: DNS for remote.
 */
#ifndef QUEUE_REMOTE_ROUTE_H
#define QUEUE_REMOTE_ROUTE_H

#include "common/dns/dns.h"
#include "queue/mx.h"
#include "queue/next_hop.h"
#include "queue/sts_client.h"
#include "queue/tls_policy.h"

/* A look-up without a verdict of DNS (address literals, sockets) holds for so long. */
#define REMOTE_ROUTE_TTL_S 3600
#define REMOTE_FAMILY_MAX 6 /* addresses of a host and family that are tried */

struct remote_route {
	/* The route is known, one way or the other; never called from inside remote_route_start. */
	void (*found)(struct remote_route *route);
	enum job_status status; /* DELIVERED: there are hosts */
	struct str code;	/* otherwise: why not */
	struct str reason;
	struct mx_list list; /* of one host for all but domains */
	bool implicit;	     /* the domain has no MX record: its own addresses count */
	struct str sts;	     /* the domain's MTA-STS policy, as its text; empty: none is known */
	uint32_t ttl_s;
	/* DNSSEC secures that these are the hosts; or nobody was asked, because the next hop names its host. */
	bool is_secure;
	struct str domain;   /* in ASCII */
	struct str expanded; /* what its CNAMEs lead to */

	struct dns_query query;
	struct sts_query sts_query;
	bool answered; /* DNS has: only MTA-STS is waited for */
	bool sts_lost; /* there was no room for the policy */
	struct arena *arena;
	struct str own;
};

/* Who is asked. */
struct remote_sources {
	struct dns *dns;
	struct sts_client *sts; /* NULL: nobody asks for MTA-STS */
	struct sts_client *reports; /* who is told of sessions; NULL: nobody */
	struct str own;		/* our host name */
};

/*
 * What the route holds lives in the arena. True: nothing had to be asked, and the route is known already; `found` is not
 * called.
 */
bool remote_route_start(struct remote_route *route, const struct remote_sources *sources, const struct next_hop *next_hop,
    struct arena *arena, void (*found)(struct remote_route *));
/* The callback will not come. */
void remote_route_stop(struct remote_route *route);
/* What the domain's MTA-STS policy says of the host. */
struct tls_sts remote_route_sts(const struct remote_route *route, struct str host);
/* What the domain demands of connections to its site, for struct job_site. In the arena; empty: nothing. */
struct str remote_route_security(const struct remote_route *route);

struct remote_addresses {
	void (*found)(struct remote_addresses *addresses); /* never from inside remote_addresses_start */
	/* The families in turn, IPv6 first. */
	struct endpoint list[2 * REMOTE_FAMILY_MAX];
	size_t n;
	bool temporary;	   /* none, because DNS could not tell */
	bool is_secure;	   /* DNSSEC secures all of them, and the aliases before */
	char name[DNS_NAME_MAX + 1]; /* what the host's CNAMEs lead to */
	struct str reason; /* of that; static or of the resolver's answer: holds during `found` */

	uint16_t port;
	unsigned waiting;
	struct endpoint v6[REMOTE_FAMILY_MAX], v4[REMOTE_FAMILY_MAX];
	size_t nv6, nv4;
	struct dns_query query_v6, query_v4;
};

void remote_addresses_start(struct remote_addresses *addresses, struct dns *dns, struct str host, uint16_t port,
    void (*found)(struct remote_addresses *));
void remote_addresses_stop(struct remote_addresses *addresses);

#endif
