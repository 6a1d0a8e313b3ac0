/*
 * The resolver in the event loop: a stub that asks recursive servers, over several if need be, and keeps what they
 * said. Equal questions at one time are asked once. Bounded: DNS_LOOKUPS_MAX questions are under way, the others wait
 * in line; the cache has a limit; a lookup ends within DNS_ROUNDS time-outs a server (1.5, 3 and 5 s).
 */
#ifndef COMMON_DNS_H
#define COMMON_DNS_H

#include "common/dns/dns_message.h"
#include "common/base/loop.h"
#include "common/net/network.h"

#define DNS_SERVERS_MAX 8
#define DNS_LOOKUPS_MAX 200
#define DNS_ROUNDS 3
#define DNS_CACHE_BYTES (4 * 1024 * 1024)

struct dns;
struct dns_lookup;

struct dns_query {
	/* Called once for each dns_ask, never from inside it; the answer lives during the call. The callback may free
	 * the query, ask again with it, and cancel others; it must not free the resolver. */
	void (*answered)(struct dns_query *query, const struct dns_answer *answer);
	struct dns *dns; /* NULL when nothing is asked */
	struct dns_lookup *lookup;
	struct dns_question question;
	bool bad_name;
	struct loop_timer timer; /* when the answer is known already */
	TAILQ_ENTRY(dns_query) link;
};

/* 1 to DNS_SERVERS_MAX servers (the rest is left out), tried in this order. Fatal when memory is out. */
struct dns *dns_new(struct loop *loop, const struct endpoint *servers, size_t n);
/* The servers are asked whether DNSSEC secures what they say, and believed: only where nobody can come between them and us.
 * Otherwise no answer is secure. Before anything is asked. */
void dns_trust(struct dns *dns);
/* All of them are on this host. */
bool dns_is_near(const struct endpoint *servers, size_t n);
/* Queries under way are forgotten without a call. */
void dns_free(struct dns *dns);

/* The query must be zero, or answered or cancelled before. */
void dns_ask(struct dns *dns, struct dns_query *query, struct str name, enum dns_type type,
    void (*answered)(struct dns_query *, const struct dns_answer *));
/* The callback will not come; the query may be freed. Harmless when nothing is asked. */
void dns_cancel(struct dns_query *query);

#endif
