/*
 * MTA-STS policies that were fetched (RFC 8461 5.1), and which could not be. Pure but for its memory; times are seconds of
 * the wall clock. Bounded: STS_CACHE_POLICIES_MAX policies of STS_CACHE_BYTES_MAX bytes, the least recently used goes first;
 * of STS_CACHE_FAILURES_MAX further domains it is known that their policy cannot be had.
 */
#ifndef QUEUE_STS_CACHE_H
#define QUEUE_STS_CACHE_H

#include <bsd/sys/queue.h>

#include "common/base/tree.h"
#include "queue/sts_policy.h"

#define STS_CACHE_POLICIES_MAX 10000
#define STS_CACHE_BYTES_MAX (16 * 1024 * 1024)
#define STS_CACHE_FAILURES_MAX 1000
/* RFC 8461 3.3: how long a policy of an id that could not be fetched is not tried again. */
#define STS_FAILURE_S 300
/* A policy that is in use is fetched anew so often, or when half of its time is over: who blocks that gains nothing for long. */
#define STS_REFRESH_S 86400
/* One that was not used for so long is left to expire. */
#define STS_UNUSED_S (31 * 86400)

struct sts_cache_entry {
	RB_ENTRY(sts_cache_entry) link;
	TAILQ_ENTRY(sts_cache_entry) age; /* the least recently used first */
	char *domain;
	char *text; /* as sts_policy_format writes it; NULL: only a failure is known */
	size_t n;
	char id[STS_ID_MAX + 1];
	uint64_t fetched_s, max_age_s, used_s;
	uint64_t refresh_s; /* when it is to be fetched anew */
	char failed_id[STS_ID_MAX + 1]; /* "": none failed */
	uint64_t failed_s;
};

RB_HEAD(sts_cache_tree, sts_cache_entry);
TAILQ_HEAD(sts_cache_list, sts_cache_entry);

struct sts_cache {
	struct sts_cache_tree tree;
	struct sts_cache_list held, failed;
	size_t nheld, nfailed, bytes;
	/* A policy is dropped to make room, or has expired. May be NULL. */
	void (*dropped)(struct sts_cache *cache, const char *domain);
};

void sts_cache_init(struct sts_cache *cache, void (*dropped)(struct sts_cache *, const char *));
/* Frees all without a call. */
void sts_cache_clear(struct sts_cache *cache);

/* The policy of the domain (in lower case) that holds at this time, or NULL. */
const struct sts_cache_entry *sts_cache_find(const struct sts_cache *cache, struct str domain, uint64_t now_s);
/* The same for who goes by it: it counts as used. */
const struct sts_cache_entry *sts_cache_use(struct sts_cache *cache, struct str domain, uint64_t now_s);
/* Instead of the one that was there; the policy is copied. */
const struct sts_cache_entry *sts_cache_store(struct sts_cache *cache, struct str domain, const char *id,
    const struct sts_policy *policy, uint64_t now_s);
/* The policy of this id could not be had. */
void sts_cache_fail(struct sts_cache *cache, struct str domain, const char *id, uint64_t now_s);
/* And so recently that it is not tried again. */
bool sts_cache_has_failed(const struct sts_cache *cache, struct str domain, const char *id, uint64_t now_s);

/*
 * Drops what has expired, and returns one whose refresh is due, or NULL; *next_s: when another is, or expires. A refresh that is
 * begun moves refresh_s on.
 */
struct sts_cache_entry *sts_cache_due(struct sts_cache *cache, uint64_t now_s, uint64_t *next_s);

/* A policy as a file has it, and back: "id:", "fetched:" and "used:" lines, then the policy. False: not a file of ours, or it
 * has expired. */
void sts_cache_entry_format(struct buf *out, const struct sts_cache_entry *entry);
bool sts_cache_entry_parse(struct sts_cache *cache, struct str domain, struct str text, uint64_t now_s);

#endif
