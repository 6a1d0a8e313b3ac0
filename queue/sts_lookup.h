/*
 * Finding the MTA-STS policy of a domain: its record in DNS, and where that is new the policy over HTTPS (RFC 8461 3.3, 5.1).
 * In the event loop of the process `policy`. Whatever goes wrong, a policy that is in the cache holds until its time is over.
 *
 * One fetch a domain at a time, STS_FETCHES_MAX in all, the others wait in line; beyond STS_LOOKUPS_MAX look-ups the cache
 * alone answers.
 */
#ifndef QUEUE_STS_LOOKUP_H
#define QUEUE_STS_LOOKUP_H

#include "common/net/http_client.h"
#include "queue/policy_message.h"
#include "queue/sts_cache.h"

#define STS_LOOKUPS_MAX 10000 /* as many as a worker looks up: the first mail to a domain is not to miss its policy */
#define STS_WAITERS_MAX 20000 /* questions that wait for one of them */
#define STS_FETCHES_MAX 20
#define STS_FETCH_MS 30000 /* RFC 8461 3.3 suggests a minute */

struct sts_lookup;

RB_HEAD(sts_lookup_tree, sts_lookup);
TAILQ_HEAD(sts_lookup_line, sts_lookup);

struct sts_lookups {
	/* Set by the owner: */
	struct http_client http;
	uint16_t port;	/* of the servers of policies */
	int directory;	/* of the cache; -1: in memory only */
	/* A policy could not be had. May be NULL. */
	void (*failed)(struct sts_lookups *lookups, struct str domain, enum tlsrpt_result result, const char *why);
	/* What sts_lookups_ask was asked; the answer lives during the call. asker may be gone: that is the owner's to know. */
	void (*answered)(struct sts_lookups *lookups, void *asker, uint32_t id, const struct policy_answer *answer);

	struct sts_cache cache;
	/* sts_lookup.c's own: */
	struct sts_lookup_tree tree;
	struct sts_lookup_line line;
	size_t n, nwaiters, nfetches;
	struct loop_timer refresh;
	bool complained; /* that the cache's files cannot be written */
};

/* Reads the cache's files, and begins to refresh policies whose time comes. */
void sts_lookups_start(struct sts_lookups *lookups);
/* Answers later or from inside, once. */
void sts_lookups_ask(struct sts_lookups *lookups, struct str domain, void *asker, uint32_t id);

#endif
