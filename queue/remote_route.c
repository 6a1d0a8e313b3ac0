#include "queue/remote_route.h"

#include <bsd/stdlib.h>
#include <stdio.h>
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

/* A policy that was lost must not be taken for none. */
static void
all_answered(struct remote_route *route)
{
	if (route->status == JOB_DELIVERED && route->sts_lost)
		fail(route, JOB_DEFERRED, STR("4.3.0"), "out of room for the policy of", STR(""));
	route->found(route);
}

static void
answered(struct dns_query *query, const struct dns_answer *answer)
{
	struct remote_route *route = container_of(query, struct remote_route, query);

	route->ttl_s = answer->ttl_s;
	route->is_secure = answer->is_secure;
	route->expanded = arena_copy(route->arena, answer->name);
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
	route->answered = true;
	if (route->status != JOB_DELIVERED)
		sts_client_cancel(&route->sts_query);
	if (route->sts_query.client == NULL)
		all_answered(route);
}

static void
sts_answered(struct sts_query *query, struct str text)
{
	struct remote_route *route = container_of(query, struct remote_route, sts_query);

	route->sts = arena_copy(route->arena, text);
	route->sts_lost = text.n > 0 && route->sts.n == 0;
	if (route->answered)
		all_answered(route);
}

/* A list of one: the host, address or socket that the next hop names. */
static void
single(struct remote_route *route, const struct next_hop *next_hop)
{
	route->list.hosts = arena_alloc(route->arena, sizeof *route->list.hosts);
	route->ttl_s = REMOTE_ROUTE_TTL_S;
	route->is_secure = true;
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
remote_route_start(struct remote_route *route, const struct remote_sources *sources, const struct next_hop *next_hop,
    struct arena *arena, void (*found)(struct remote_route *))
{
	*route = (struct remote_route){.found = found, .arena = arena, .domain = next_hop->name, .own = sources->own};
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
	if (sources->sts != NULL)
		sts_client_ask(sources->sts, &route->sts_query, route->domain, sts_answered);
	dns_ask(sources->dns, &route->query, route->domain, DNS_MX, answered);
	return false;
}

void
remote_route_stop(struct remote_route *route)
{
	sts_client_cancel(&route->sts_query);
	dns_cancel(&route->query);
}

/* --- what the domain demands --------------------------------------------------------------------------------------- */

static enum tls_sts_mode
mode_of(enum sts_mode mode)
{
	switch (mode) {
	case STS_MODE_NONE:
		break;
	case STS_MODE_TESTING:
		return TLS_STS_TESTING;
	case STS_MODE_ENFORCE:
		return TLS_STS_ENFORCE;
	}
	return TLS_STS_NONE;
}

struct tls_sts
remote_route_sts(const struct remote_route *route, struct str host)
{
	struct sts_policy policy;
	const char *why;

	if (route->sts.n == 0 || !sts_policy_parse(route->sts, &policy, &why))
		return (struct tls_sts){.mode = TLS_STS_NONE};
	return (struct tls_sts){.mode = mode_of(policy.mode), .names_host = sts_policy_has_mx(&policy, host)};
}

/* The mode, and which of the site's exchangers the policy names. */
static size_t
sts_describe(const struct remote_route *route, char *text, size_t max)
{
	struct sts_policy policy;
	struct str site = route->list.site, host;
	const char *why;
	size_t n;

	if (route->sts.n == 0 || !sts_policy_parse(route->sts, &policy, &why) || policy.mode == STS_MODE_NONE)
		return 0;
	n = (size_t)snprintf(text, max, "sts-%s:", sts_mode_word(policy.mode));
	while (n < max && str_word(&site, &host))
		text[n++] = sts_policy_has_mx(&policy, host) ? '1' : '0';
	return n;
}

/* Domains with the same may share connections. */
struct str
remote_route_security(const struct remote_route *route)
{
	char text[JOB_TEXT_MAX];
	size_t n = 0;

	/* Where DNS was asked, and DANE may be. */
	if (route->answered && route->is_secure)
		n = (size_t)snprintf(text, sizeof text, "dnssec ");
	n += sts_describe(route, text + n, sizeof text - n);
	return arena_copy(route->arena, str_trim((struct str){text, n}));
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
	if (answer->status == DNS_FOUND) {
		a->is_secure = a->is_secure && answer->is_secure;
		(void)str_copy(a->name, sizeof a->name, answer->name);
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
	*a = (struct remote_addresses){.found = found, .port = port, .waiting = 2, .is_secure = true};
	dns_ask(dns, &a->query_v6, host, DNS_AAAA, v6_answered);
	dns_ask(dns, &a->query_v4, host, DNS_A, v4_answered);
}

void
remote_addresses_stop(struct remote_addresses *a)
{
	dns_cancel(&a->query_v6);
	dns_cancel(&a->query_v4);
}
