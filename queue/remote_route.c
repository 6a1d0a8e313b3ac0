#include "queue/remote_route.h"

#include <bsd/stdlib.h>
#include <string.h>

#include "queue/idn.h"

/* --- from a next hop to hosts -------------------------------------------------------------------------------------- */

/* The reason: some words, the domain, and more words. */
static void
fail(struct remote_route *route, enum job_status status, struct str code, const char *before, struct str after)
{
	route->status = status;
	route->code = code;
	route->reason = arena_printf(route->arena, "%s %.*s%.*s", before, STR_FMT(route->domain), STR_FMT(after));
	if (route->reason.p == NULL)
		route->reason = STR("out of room for the reason");
}

static void
make_list(struct remote_route *route, const struct dns_answer *answer)
{
	route->implicit = answer->status == DNS_NODATA;
	switch (mx_make(answer, route->domain, route->own, arc4random_uniform, JOB_SITE_MAX, route->arena, &route->list)) {
	case MX_NULL:
		fail(route, JOB_FAILED, STR("5.1.10"), "no mail is taken for the domain", STR(" (null MX)"));
		return;
	case MX_LOOP:
		fail(route, JOB_FAILED, STR("5.4.6"), "mail for", STR(" loops back to myself"));
		return;
	case MX_FOUND:
		break;
	}
	route->status = JOB_DELIVERED;
	if (route->list.n == 0)
		fail(route, JOB_DEFERRED, STR("4.3.0"), "out of room for the exchangers of", STR(""));
}

static void
answered(struct dns_query *query, const struct dns_answer *answer)
{
	struct remote_route *route = container_of(query, struct remote_route, query);

	route->ttl_s = answer->ttl_s;
	switch (answer->status) {
	case DNS_FOUND:
	case DNS_NODATA:
		make_list(route, answer);
		break;
	case DNS_NXDOMAIN:
		fail(route, JOB_FAILED, STR("5.1.2"), "there is no domain", STR(""));
		break;
	case DNS_BAD_NAME:
		fail(route, JOB_FAILED, STR("5.1.2"), "not a domain name:", STR(""));
		break;
	case DNS_TEMP:
		fail(route, JOB_DEFERRED, STR("4.4.3"), "DNS does not tell the exchangers of",
		    arena_printf(route->arena, ": %.*s", STR_FMT(answer->reason)));
		break;
	}
	route->found(route);
}

/* A list of one: the host, address or socket that the next hop names. */
static void
single(struct remote_route *route, const struct next_hop *next_hop)
{
	route->list.hosts = arena_alloc(route->arena, sizeof *route->list.hosts);
	route->ttl_s = REMOTE_ROUTE_TTL_S;
	route->domain = next_hop->name;
	if (route->list.hosts == NULL) {
		fail(route, JOB_DEFERRED, STR("4.3.0"), "out of room for", STR(""));
		return;
	}
	route->list.hosts[0] = next_hop->name;
	route->list.n = 1;
	route->list.site = arena_printf(route->arena, next_hop->kind == NEXT_HOP_SOCKET ? "%.*s" : "[%.*s]",
	    STR_FMT(next_hop->name));
	route->status = JOB_DELIVERED;
}

bool
remote_route_start(struct remote_route *route, struct dns *dns, const struct next_hop *next_hop, struct str own,
    struct arena *arena, void (*found)(struct remote_route *))
{
	*route = (struct remote_route){.found = found, .arena = arena, .domain = next_hop->name, .own = own};
	if (next_hop->kind != NEXT_HOP_DOMAIN) {
		single(route, next_hop);
		return true;
	}
	route->domain = idn_domain_to_ascii(arena, next_hop->name);
	if (route->domain.p == NULL) {
		route->domain = next_hop->name;
		fail(route, JOB_FAILED, STR("5.1.2"), "not a domain name:", STR(""));
		return true;
	}
	dns_ask(dns, &route->query, route->domain, DNS_MX, answered);
	return false;
}

void
remote_route_stop(struct remote_route *route)
{
	dns_cancel(&route->query);
}

/* --- from a host to addresses -------------------------------------------------------------------------------------- */

/* One of each family in turn, so that a broken one costs little. */
static void
merge(struct remote_addresses *a)
{
	for (size_t i = 0; i < REMOTE_FAMILY_MAX; i++) {
		if (i < a->nv6)
			a->list[a->n++] = a->v6[i];
		if (i < a->nv4)
			a->list[a->n++] = a->v4[i];
	}
	a->temporary = a->temporary && a->n == 0;
}

static void
family_answered(struct remote_addresses *a, const struct dns_answer *answer)
{
	if (answer->status == DNS_TEMP) {
		a->temporary = true;
		a->reason = answer->reason;
	}
	if (--a->waiting > 0)
		return;
	merge(a);
	a->found(a);
}

static void
v6_answered(struct dns_query *query, const struct dns_answer *answer)
{
	struct remote_addresses *a = container_of(query, struct remote_addresses, query_v6);

	for (size_t i = 0; i < answer->n && a->nv6 < REMOTE_FAMILY_MAX; i++) {
		struct endpoint *e = &a->v6[a->nv6++];

		*e = (struct endpoint){.length = sizeof e->address.v6};
		e->address.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(a->port),
		    .sin6_addr = answer->records[i].address.v6};
	}
	family_answered(a, answer);
}

static void
v4_answered(struct dns_query *query, const struct dns_answer *answer)
{
	struct remote_addresses *a = container_of(query, struct remote_addresses, query_v4);

	for (size_t i = 0; i < answer->n && a->nv4 < REMOTE_FAMILY_MAX; i++) {
		struct endpoint *e = &a->v4[a->nv4++];

		*e = (struct endpoint){.length = sizeof e->address.v4};
		e->address.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(a->port),
		    .sin_addr = answer->records[i].address.v4};
	}
	family_answered(a, answer);
}

void
remote_addresses_start(struct remote_addresses *a, struct dns *dns, struct str host, uint16_t port,
    void (*found)(struct remote_addresses *))
{
	*a = (struct remote_addresses){.found = found, .port = port, .waiting = 2};
	dns_ask(dns, &a->query_v6, host, DNS_AAAA, v6_answered);
	dns_ask(dns, &a->query_v4, host, DNS_A, v4_answered);
}

void
remote_addresses_stop(struct remote_addresses *a)
{
	dns_cancel(&a->query_v6);
	dns_cancel(&a->query_v4);
}
