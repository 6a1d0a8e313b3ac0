#include "queue/sts_cache.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"

static int
entry_compare(struct sts_cache_entry *a, struct sts_cache_entry *b)
{
	return strcmp(a->domain, b->domain);
}

TREE_GENERATE(sts_cache_tree, sts_cache_entry, link, entry_compare)

void
sts_cache_init(struct sts_cache *cache, void (*dropped)(struct sts_cache *, const char *))
{
	*cache = (struct sts_cache){.dropped = dropped};
	RB_INIT(&cache->tree);
	TAILQ_INIT(&cache->held);
	TAILQ_INIT(&cache->failed);
}

/* --- lists ---------------------------------------------------------------------------------------------------------------- */

static size_t
cost(const struct sts_cache_entry *entry)
{
	return sizeof *entry + strlen(entry->domain) + entry->n;
}

static void
list_remove(struct sts_cache *cache, struct sts_cache_entry *entry)
{
	if (entry->text != NULL) {
		TAILQ_REMOVE(&cache->held, entry, age);
		cache->nheld--;
		cache->bytes -= cost(entry);
	} else {
		TAILQ_REMOVE(&cache->failed, entry, age);
		cache->nfailed--;
	}
}

static void
list_add(struct sts_cache *cache, struct sts_cache_entry *entry)
{
	if (entry->text != NULL) {
		TAILQ_INSERT_TAIL(&cache->held, entry, age);
		cache->nheld++;
		cache->bytes += cost(entry);
	} else {
		TAILQ_INSERT_TAIL(&cache->failed, entry, age);
		cache->nfailed++;
	}
}

static void
entry_free(struct sts_cache *cache, struct sts_cache_entry *entry)
{
	list_remove(cache, entry);
	(void)RB_REMOVE(sts_cache_tree, &cache->tree, entry);
	free(entry->domain);
	free(entry->text);
	free(entry);
}

static void
drop(struct sts_cache *cache, struct sts_cache_entry *entry)
{
	if (entry->text != NULL && cache->dropped != NULL)
		cache->dropped(cache, entry->domain);
	entry_free(cache, entry);
}

void
sts_cache_clear(struct sts_cache *cache)
{
	struct sts_cache_entry *entry;

	while ((entry = RB_MIN(sts_cache_tree, &cache->tree)) != NULL)
		entry_free(cache, entry);
}

static struct sts_cache_entry *
lookup(const struct sts_cache *cache, struct str domain)
{
	struct sts_cache_tree tree = cache->tree;
	char *name = str_dup(domain);
	struct sts_cache_entry wanted = {.domain = name}, *entry = RB_FIND(sts_cache_tree, &tree, &wanted);

	free(name);
	return entry;
}

static struct sts_cache_entry *
entry_of(struct sts_cache *cache, struct str domain)
{
	struct sts_cache_entry *entry = lookup(cache, domain);

	if (entry != NULL)
		return entry;
	entry = calloc(1, sizeof *entry);
	if (entry == NULL)
		fatal("out of memory for a policy");
	entry->domain = str_dup(domain);
	(void)RB_INSERT(sts_cache_tree, &cache->tree, entry);
	list_add(cache, entry);
	return entry;
}

static void
make_room(struct sts_cache *cache)
{
	struct sts_cache_entry *entry, *next;

	TAILQ_FOREACH_SAFE(entry, &cache->held, age, next) {
		if (cache->nheld <= STS_CACHE_POLICIES_MAX && cache->bytes <= STS_CACHE_BYTES_MAX)
			break;
		drop(cache, entry);
	}
	TAILQ_FOREACH_SAFE(entry, &cache->failed, age, next) {
		if (cache->nfailed <= STS_CACHE_FAILURES_MAX)
			break;
		drop(cache, entry);
	}
}

/* --- policies ------------------------------------------------------------------------------------------------------------- */

static bool
holds(const struct sts_cache_entry *entry, uint64_t now_s)
{
	return entry->text != NULL && now_s < entry->fetched_s + entry->max_age_s;
}

const struct sts_cache_entry *
sts_cache_find(const struct sts_cache *cache, struct str domain, uint64_t now_s)
{
	const struct sts_cache_entry *entry = lookup(cache, domain);

	return entry != NULL && holds(entry, now_s) ? entry : NULL;
}

const struct sts_cache_entry *
sts_cache_use(struct sts_cache *cache, struct str domain, uint64_t now_s)
{
	struct sts_cache_entry *entry = lookup(cache, domain);

	if (entry == NULL || !holds(entry, now_s))
		return NULL;
	list_remove(cache, entry);
	list_add(cache, entry);
	entry->used_s = now_s;
	return entry;
}

static uint64_t
refresh_after(uint64_t max_age_s)
{
	return max_age_s / 2 < STS_REFRESH_S ? max_age_s / 2 : STS_REFRESH_S;
}

static struct sts_cache_entry *
store(struct sts_cache *cache, struct str domain, const char *id, const struct sts_policy *policy, uint64_t now_s)
{
	struct sts_cache_entry *entry = entry_of(cache, domain);
	struct buf text;

	buf_init(&text, STS_TEXT_MAX);
	sts_policy_format(&text, policy);
	if (!holds(entry, now_s))
		entry->used_s = now_s; /* else a refresh would count as use */
	list_remove(cache, entry);
	free(entry->text);
	entry->text = str_dup(buf_str(&text));
	entry->n = text.n;
	buf_clear(&text);
	(void)str_copy(entry->id, sizeof entry->id, str_from(id));
	entry->failed_id[0] = '\0';
	entry->max_age_s = policy->max_age_s;
	entry->fetched_s = now_s;
	entry->refresh_s = now_s + refresh_after(policy->max_age_s);
	list_add(cache, entry);
	make_room(cache);
	return entry;
}

const struct sts_cache_entry *
sts_cache_store(struct sts_cache *cache, struct str domain, const char *id, const struct sts_policy *policy, uint64_t now_s)
{
	return store(cache, domain, id, policy, now_s);
}

void
sts_cache_fail(struct sts_cache *cache, struct str domain, const char *id, uint64_t now_s)
{
	struct sts_cache_entry *entry = entry_of(cache, domain);

	(void)str_copy(entry->failed_id, sizeof entry->failed_id, str_from(id));
	entry->failed_s = now_s;
	if (entry->text == NULL) {
		list_remove(cache, entry);
		list_add(cache, entry);
	}
	make_room(cache);
}

bool
sts_cache_has_failed(const struct sts_cache *cache, struct str domain, const char *id, uint64_t now_s)
{
	const struct sts_cache_entry *entry = lookup(cache, domain);

	return entry != NULL && id[0] != '\0' && strcmp(entry->failed_id, id) == 0 && now_s - entry->failed_s < STS_FAILURE_S;
}

/* --- time ----------------------------------------------------------------------------------------------------------------- */

static bool
wants_refresh(const struct sts_cache_entry *entry, uint64_t now_s)
{
	return now_s < entry->used_s + STS_UNUSED_S;
}

static uint64_t
earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* When something is to be done about it. */
static uint64_t
next_of(const struct sts_cache_entry *entry, uint64_t now_s)
{
	uint64_t expires_s = entry->fetched_s + entry->max_age_s;

	return wants_refresh(entry, now_s) ? earlier(entry->refresh_s, expires_s) : expires_s;
}

struct sts_cache_entry *
sts_cache_due(struct sts_cache *cache, uint64_t now_s, uint64_t *next_s)
{
	struct sts_cache_entry *entry, *next, *due = NULL;

	*next_s = UINT64_MAX;
	TAILQ_FOREACH_SAFE(entry, &cache->held, age, next) {
		if (!holds(entry, now_s)) {
			drop(cache, entry);
			continue;
		}
		if (due == NULL && entry->refresh_s <= now_s && wants_refresh(entry, now_s))
			due = entry;
		else
			*next_s = earlier(*next_s, next_of(entry, now_s));
	}
	return due;
}

/* --- files ---------------------------------------------------------------------------------------------------------------- */

void
sts_cache_entry_format(struct buf *out, const struct sts_cache_entry *entry)
{
	buf_addf(out, "id: %s\nfetched: %llu\nused: %llu\n%s", entry->id, (unsigned long long)entry->fetched_s,
	    (unsigned long long)entry->used_s, entry->text);
}

static bool
line_take(struct str *text, struct str key, struct str *value)
{
	struct str line;

	if (!str_token(text, '\n', &line) || !str_starts(line, key))
		return false;
	*value = str_skip(line, key.n);
	return true;
}

static bool
time_take(struct str *text, struct str key, uint64_t now_s, uint64_t *value)
{
	struct str digits;

	/* What lies in the future was written before the clock was set back. */
	if (!line_take(text, key, &digits) || !str_to_u64(digits, UINT64_MAX / 2, value))
		return false;
	if (*value > now_s)
		*value = now_s;
	return true;
}

bool
sts_cache_entry_parse(struct sts_cache *cache, struct str domain, struct str text, uint64_t now_s)
{
	struct sts_cache_entry *entry;
	struct sts_policy policy;
	char id[STS_ID_MAX + 1];
	uint64_t fetched_s, used_s;
	const char *why;
	struct str value;

	if (!line_take(&text, STR("id: "), &value) || !str_copy(id, sizeof id, value) ||
	    !time_take(&text, STR("fetched: "), now_s, &fetched_s) || !time_take(&text, STR("used: "), now_s, &used_s) ||
	    !sts_policy_parse(text, &policy, &why) || now_s >= fetched_s + policy.max_age_s)
		return false;
	entry = store(cache, domain, id, &policy, fetched_s);
	entry->used_s = used_s;
	return true;
}
