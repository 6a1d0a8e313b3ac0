/*
 * What DNS has answered, kept for as long as it holds, negative answers too. Bounded in bytes: the least recently used
 * goes first. Pure but for its memory; looked up by comparison, so that no choice of names makes it slow.
 */
#ifndef COMMON_DNS_CACHE_H
#define COMMON_DNS_CACHE_H

#include "common/dns/dns_message.h"

/* However long a server says that its answer holds. An answer that holds for 0 s is not kept. */
#define DNS_CACHE_TTL_MAX_S 86400
#define DNS_CACHE_NEGATIVE_TTL_MAX_S 3600

struct dns_cache;

/* Fatal when memory is out. */
struct dns_cache *dns_cache_new(size_t max_bytes);
void dns_cache_free(struct dns_cache *cache);

/* Fills *answer, with the rest of its time as ttl_s; what it points to lives until the next store. */
bool dns_cache_find(struct dns_cache *cache, const struct dns_question *question, uint64_t now_ms,
    struct dns_answer *answer);
/* Copies it, in place of an older one. FOUND, NODATA and NXDOMAIN are kept; others, and what does not fit, are not. */
void dns_cache_store(struct dns_cache *cache, const struct dns_question *question, uint64_t now_ms,
    const struct dns_answer *answer);

#endif
