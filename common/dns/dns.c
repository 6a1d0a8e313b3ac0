#include "common/dns/dns.h"

#include <stdlib.h>
#include <string.h>

#include "common/dns/dns_cache.h"
#include "common/dns/dns_exchange.h"
#include "common/base/log.h"

TAILQ_HEAD(query_list, dns_query);

/* One question under way, for all who ask it. */
struct dns_lookup {
	RB_ENTRY(dns_lookup) tree;
	TAILQ_ENTRY(dns_lookup) link; /* in dns->running or dns->line */
	struct dns *dns;
	bool running;
	bool answering;		      /* out of tree and list; its queries are being called */
	struct dns_question question; /* as asked */
	struct dns_question current;  /* what its aliases lead to */
	unsigned aliases;
	uint32_t ttl_s;		      /* of the aliases so far */
	bool is_insecure;	      /* one of them is */
	size_t first_server;
	size_t tries;
	bool timed_out; /* some server in this round */
	struct dns_exchange exchange;
	struct query_list queries;
};

RB_HEAD(lookup_tree, dns_lookup);
TAILQ_HEAD(lookup_list, dns_lookup);

struct dns {
	struct loop *loop;
	struct endpoint servers[DNS_SERVERS_MAX];
	size_t nservers;
	size_t first; /* the server to begin with: not one that has just timed out */
	bool trusts;  /* what they say of DNSSEC */
	struct dns_cache *cache;
	struct lookup_tree lookups; /* running and in line */
	struct lookup_list running;
	struct lookup_list line;
	size_t nrunning;
	struct query_list cached; /* queries whose answer is known and will be told at the next turn */
};

static const uint64_t round_ms[DNS_ROUNDS] = {1500, 3000, 5000};

static void lookup_try(struct dns_lookup *l);
static void query_soon(struct loop_timer *timer);

static int
lookup_compare(struct dns_lookup *a, struct dns_lookup *b)
{
	if (a->question.type != b->question.type)
		return a->question.type < b->question.type ? -1 : 1;
	return strcmp(a->question.name, b->question.name);
}

TREE_GENERATE(lookup_tree, dns_lookup, tree, lookup_compare)

struct dns *
dns_new(struct loop *loop, const struct endpoint *servers, size_t n)
{
	struct dns *dns = calloc(1, sizeof *dns);

	if (dns == NULL)
		fatal("out of memory for the resolver");
	if (n == 0)
		fatal("the resolver needs at least one server");
	dns->loop = loop;
	dns->nservers = n < DNS_SERVERS_MAX ? n : DNS_SERVERS_MAX;
	memcpy(dns->servers, servers, dns->nservers * sizeof *servers);
	dns->cache = dns_cache_new(DNS_CACHE_BYTES);
	RB_INIT(&dns->lookups);
	TAILQ_INIT(&dns->running);
	TAILQ_INIT(&dns->line);
	TAILQ_INIT(&dns->cached);
	return dns;
}

void
dns_trust(struct dns *dns)
{
	dns->trusts = true;
}

bool
dns_is_near(const struct endpoint *servers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!network_is_loopback(&servers[i].address.any))
			return false;
	return n > 0;
}

/* Takes it off tree and lists, and lets the next one in line begin. */
static void
lookup_detach(struct dns_lookup *l)
{
	struct dns *dns = l->dns;
	struct dns_lookup *next;

	dns_exchange_stop(&l->exchange);
	(void)RB_REMOVE(lookup_tree, &dns->lookups, l);
	TAILQ_REMOVE(l->running ? &dns->running : &dns->line, l, link);
	if (l->running)
		dns->nrunning--;
	next = TAILQ_FIRST(&dns->line);
	if (next == NULL || dns->nrunning >= DNS_LOOKUPS_MAX)
		return;
	TAILQ_REMOVE(&dns->line, next, link);
	TAILQ_INSERT_TAIL(&dns->running, next, link);
	next->running = true;
	dns->nrunning++;
	lookup_try(next);
}

/* The callbacks may cancel other queries of this lookup, and ask anew: that makes another lookup. */
static void
lookup_answer(struct dns_lookup *l, const struct dns_answer *answer)
{
	struct dns_query *query;

	lookup_detach(l);
	l->answering = true;
	while ((query = TAILQ_FIRST(&l->queries)) != NULL) {
		TAILQ_REMOVE(&l->queries, query, link);
		query->lookup = NULL;
		query->dns = NULL;
		query->answered(query, answer);
	}
	free(l);
}

static void
lookup_fail(struct dns_lookup *l, struct str reason)
{
	struct dns_answer answer = {.status = DNS_TEMP, .reason = reason};

	lookup_answer(l, &answer);
}

/* This server did not tell: the next one, or the next round, if a further one could change anything. */
static void
lookup_retry(struct dns_lookup *l, struct str reason)
{
	struct dns *dns = l->dns;
	size_t server = (l->first_server + l->tries) % dns->nservers;

	if (l->exchange.timed_out) {
		l->timed_out = true;
		if (server == dns->first)
			dns->first = (server + 1) % dns->nservers;
	}
	l->tries++;
	if (l->tries % dns->nservers == 0) {
		if (!l->timed_out || l->tries / dns->nservers == DNS_ROUNDS) {
			lookup_fail(l, reason);
			return;
		}
		l->timed_out = false;
	}
	lookup_try(l);
}

static void
lookup_alias(struct dns_lookup *l, const struct dns_answer *answer)
{
	struct str name = answer->name;

	if (++l->aliases > DNS_ALIASES_MAX || !dns_question_set(&l->current, name, l->question.type)) {
		lookup_fail(l, STR("too many CNAMEs, or one that leads nowhere"));
		return;
	}
	if (answer->ttl_s < l->ttl_s)
		l->ttl_s = answer->ttl_s;
	l->is_insecure = l->is_insecure || !answer->is_secure;
	l->tries = 0;
	l->timed_out = false;
	l->first_server = l->dns->first;
	lookup_try(l);
}

static void
lookup_finished(struct dns_exchange *exchange, enum dns_reply reply, const struct dns_answer *answer)
{
	struct dns_lookup *l = container_of(exchange, struct dns_lookup, exchange);
	struct dns_answer whole = *answer;

	switch (reply) {
	case DNS_REPLY_ANSWER:
		if (l->ttl_s < whole.ttl_s)
			whole.ttl_s = l->ttl_s;
		whole.is_secure = whole.is_secure && l->dns->trusts && !l->is_insecure;
		dns_cache_store(l->dns->cache, &l->question, loop_now_ms(l->dns->loop), &whole);
		lookup_answer(l, &whole);
		return;
	case DNS_REPLY_ALIAS:
		lookup_alias(l, answer);
		return;
	case DNS_REPLY_FAILED:
	case DNS_REPLY_FOREIGN:
	case DNS_REPLY_TRUNCATED:
	case DNS_REPLY_NO_EDNS:
		lookup_retry(l, answer->reason);
		return;
	}
}

static void
lookup_try(struct dns_lookup *l)
{
	struct dns *dns = l->dns;
	size_t server = (l->first_server + l->tries) % dns->nservers;

	dns_exchange_start(&l->exchange, dns->loop, &dns->servers[server], &l->current,
	    DNS_QUERY_EDNS | (dns->trusts ? DNS_QUERY_AD : 0), round_ms[l->tries / dns->nservers], lookup_finished);
}

static struct dns_lookup *
lookup_new(struct dns *dns, const struct dns_question *question)
{
	struct dns_lookup *l = calloc(1, sizeof *l);

	if (l == NULL)
		fatal("out of memory for a DNS lookup");
	l->dns = dns;
	l->question = *question;
	l->current = *question;
	l->ttl_s = UINT32_MAX;
	l->first_server = dns->first;
	TAILQ_INIT(&l->queries);
	(void)RB_INSERT(lookup_tree, &dns->lookups, l);
	if (dns->nrunning >= DNS_LOOKUPS_MAX) {
		TAILQ_INSERT_TAIL(&dns->line, l, link);
		return l;
	}
	TAILQ_INSERT_TAIL(&dns->running, l, link);
	l->running = true;
	dns->nrunning++;
	lookup_try(l);
	return l;
}

static void
query_join(struct dns_query *query)
{
	struct dns *dns = query->dns;
	struct dns_lookup wanted = {.question = query->question};
	struct dns_lookup *l = RB_FIND(lookup_tree, &dns->lookups, &wanted);

	if (l == NULL)
		l = lookup_new(dns, &query->question);
	TAILQ_INSERT_TAIL(&l->queries, query, link);
	query->lookup = l;
}

/* One turn after dns_ask. What was in the cache may have run out meanwhile. */
static void
query_soon(struct loop_timer *timer)
{
	struct dns_query *query = container_of(timer, struct dns_query, timer);
	struct dns *dns = query->dns;
	struct dns_answer answer = {.status = DNS_BAD_NAME};

	TAILQ_REMOVE(&dns->cached, query, link);
	if (!query->bad_name && !dns_cache_find(dns->cache, &query->question, loop_now_ms(dns->loop), &answer)) {
		query_join(query);
		return;
	}
	query->dns = NULL;
	query->answered(query, &answer);
}

void
dns_ask(struct dns *dns, struct dns_query *query, struct str name, enum dns_type type,
    void (*answered)(struct dns_query *, const struct dns_answer *))
{
	struct dns_answer answer;

	*query = (struct dns_query){.answered = answered, .dns = dns};
	query->bad_name = !dns_question_set(&query->question, name, type);
	if (!query->bad_name && !dns_cache_find(dns->cache, &query->question, loop_now_ms(dns->loop), &answer)) {
		query_join(query);
		return;
	}
	TAILQ_INSERT_TAIL(&dns->cached, query, link);
	loop_timer_set(dns->loop, &query->timer, 0, query_soon);
}

void
dns_cancel(struct dns_query *query)
{
	struct dns_lookup *l = query->lookup;

	if (query->dns == NULL)
		return;
	TAILQ_REMOVE(l == NULL ? &query->dns->cached : &l->queries, query, link);
	loop_timer_cancel(&query->timer);
	query->dns = NULL;
	query->lookup = NULL;
	if (l == NULL || l->answering || !TAILQ_EMPTY(&l->queries))
		return;
	lookup_detach(l);
	free(l);
}

static void
queries_forget(struct query_list *queries)
{
	struct dns_query *query;

	while ((query = TAILQ_FIRST(queries)) != NULL) {
		TAILQ_REMOVE(queries, query, link);
		loop_timer_cancel(&query->timer);
		query->dns = NULL;
		query->lookup = NULL;
	}
}

static void
lookups_drop(struct lookup_list *lookups)
{
	struct dns_lookup *l;

	while ((l = TAILQ_FIRST(lookups)) != NULL) {
		TAILQ_REMOVE(lookups, l, link);
		dns_exchange_stop(&l->exchange);
		queries_forget(&l->queries);
		free(l);
	}
}

void
dns_free(struct dns *dns)
{
	lookups_drop(&dns->running);
	lookups_drop(&dns->line);
	queries_forget(&dns->cached);
	dns_cache_free(dns->cache);
	free(dns);
}
