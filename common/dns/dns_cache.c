#include "common/dns/dns_cache.h"

#include <bsd/sys/queue.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/tree.h"

struct entry {
	RB_ENTRY(entry) tree;
	TAILQ_ENTRY(entry) recent;
	struct dns_question question;
	uint64_t expires_ms;
	size_t bytes;		  /* of this whole block */
	struct dns_answer answer; /* its records and strings lie behind, in the same block */
	struct dns_record records[];
};

RB_HEAD(entry_tree, entry);
TAILQ_HEAD(entry_list, entry);

struct dns_cache {
	size_t max_bytes;
	size_t bytes;
	struct entry_tree tree;
	struct entry_list recent; /* most recently used first */
};

static int
entry_compare(struct entry *a, struct entry *b)
{
	if (a->question.type != b->question.type)
		return a->question.type < b->question.type ? -1 : 1;
	return strcmp(a->question.name, b->question.name);
}

TREE_GENERATE(entry_tree, entry, tree, entry_compare)

struct dns_cache *
dns_cache_new(size_t max_bytes)
{
	struct dns_cache *cache = calloc(1, sizeof *cache);

	if (cache == NULL)
		fatal("out of memory for the DNS cache");
	cache->max_bytes = max_bytes;
	RB_INIT(&cache->tree);
	TAILQ_INIT(&cache->recent);
	return cache;
}

static void
entry_drop(struct dns_cache *cache, struct entry *e)
{
	(void)RB_REMOVE(entry_tree, &cache->tree, e);
	TAILQ_REMOVE(&cache->recent, e, recent);
	cache->bytes -= e->bytes;
	free(e);
}

void
dns_cache_free(struct dns_cache *cache)
{
	struct entry *e;

	while ((e = TAILQ_FIRST(&cache->recent)) != NULL)
		entry_drop(cache, e);
	free(cache);
}

static struct entry *
entry_find(struct dns_cache *cache, const struct dns_question *question)
{
	struct entry wanted = {.question = *question};

	return RB_FIND(entry_tree, &cache->tree, &wanted);
}

bool
dns_cache_find(struct dns_cache *cache, const struct dns_question *question, uint64_t now_ms, struct dns_answer *answer)
{
	struct entry *e = entry_find(cache, question);

	if (e == NULL)
		return false;
	if (e->expires_ms <= now_ms) {
		entry_drop(cache, e);
		return false;
	}
	TAILQ_REMOVE(&cache->recent, e, recent);
	TAILQ_INSERT_HEAD(&cache->recent, e, recent);
	*answer = e->answer;
	answer->ttl_s = (uint32_t)((e->expires_ms - now_ms + 999) / 1000);
	return true;
}

static size_t
entry_bytes(const struct dns_answer *answer)
{
	size_t n = sizeof(struct entry) + answer->n * sizeof *answer->records + answer->name.n;

	for (size_t i = 0; i < answer->n; i++)
		n += answer->records[i].text.n;
	return n;
}

static struct str
text_copy(char **at, struct str s)
{
	struct str copy = {*at, s.n};

	if (s.n > 0)
		memcpy(*at, s.p, s.n);
	*at += s.n;
	return copy;
}

static struct entry *
entry_new(const struct dns_question *question, const struct dns_answer *answer)
{
	size_t bytes = entry_bytes(answer);
	struct entry *e = malloc(bytes);
	char *at;

	if (e == NULL)
		return NULL;
	*e = (struct entry){.question = *question, .bytes = bytes, .answer = *answer};
	at = (char *)(e->records + answer->n);
	for (size_t i = 0; i < answer->n; i++) {
		e->records[i] = answer->records[i];
		e->records[i].text = text_copy(&at, answer->records[i].text);
	}
	e->answer.records = e->records;
	e->answer.name = text_copy(&at, answer->name);
	e->answer.reason = STR_NONE;
	return e;
}

static uint32_t
bounded_ttl_s(const struct dns_answer *answer)
{
	uint32_t max_s = 0;

	switch (answer->status) {
	case DNS_FOUND:
		max_s = DNS_CACHE_TTL_MAX_S;
		break;
	case DNS_NODATA:
	case DNS_NXDOMAIN:
		max_s = DNS_CACHE_NEGATIVE_TTL_MAX_S;
		break;
	case DNS_TEMP:
	case DNS_BAD_NAME:
		break;
	}
	return answer->ttl_s < max_s ? answer->ttl_s : max_s;
}

void
dns_cache_store(struct dns_cache *cache, const struct dns_question *question, uint64_t now_ms,
    const struct dns_answer *answer)
{
	uint32_t ttl_s = bounded_ttl_s(answer);
	struct entry *e = entry_find(cache, question);

	if (e != NULL)
		entry_drop(cache, e);
	if (ttl_s == 0 || entry_bytes(answer) > cache->max_bytes)
		return;
	e = entry_new(question, answer);
	if (e == NULL)
		return;
	e->expires_ms = now_ms + (uint64_t)ttl_s * 1000;
	while (e->bytes > cache->max_bytes - cache->bytes)
		entry_drop(cache, TAILQ_LAST(&cache->recent, entry_list));
	(void)RB_INSERT(entry_tree, &cache->tree, e);
	TAILQ_INSERT_HEAD(&cache->recent, e, recent);
	cache->bytes += e->bytes;
}
