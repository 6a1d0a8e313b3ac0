#include "queue/sts_lookup.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/cache_file.h"
#include "common/base/log.h"

#define PREFIX "_mta-sts."
#define HOST_PREFIX "mta-sts."
#define PATH "/.well-known/mta-sts.txt"
#define REFRESH_EVERY_S 60 /* at least so often it is looked whether a refresh is due */
/* In place of an id: DNS did not tell whether there is a record. */
#define DNS_FAILED "-"
#define FILE_MAX (STS_TEXT_MAX + 256)
/* One that is longer can have no record. */
#define DOMAIN_MAX (DNS_NAME_MAX - (sizeof PREFIX - 1))

struct waiter {
	SLIST_ENTRY(waiter) link;
	void *asker;
	uint32_t id;
};

struct sts_lookup {
	RB_ENTRY(sts_lookup) link;
	TAILQ_ENTRY(sts_lookup) place; /* in the line */
	struct sts_lookups *all;
	SLIST_HEAD(, waiter) waiters;
	char domain[DOMAIN_MAX + 1];
	char id[STS_ID_MAX + 1]; /* of the record */
	bool is_refresh;
	struct dns_query query;
};

struct fetch {
	struct http_call call;
	struct sts_lookup *lookup;
};

static int
lookup_compare(struct sts_lookup *a, struct sts_lookup *b)
{
	return strcmp(a->domain, b->domain);
}

TREE_GENERATE(sts_lookup_tree, sts_lookup, link, lookup_compare)

static uint64_t
now_s(void)
{
	return (uint64_t)time(NULL);
}

/* --- answers -------------------------------------------------------------------------------------------------------------- */

static void
answer_make(struct sts_lookups *all, const char *domain, struct policy_answer *answer)
{
	const struct sts_cache_entry *held = sts_cache_use(&all->cache, str_from(domain), now_s());

	*answer = (struct policy_answer){.holds_s = 0};
	if (held == NULL)
		return;
	answer->text = (struct str){held->text, held->n};
	answer->holds_s = held->fetched_s + held->max_age_s - now_s();
}

static void
finish(struct sts_lookup *lookup)
{
	struct sts_lookups *all = lookup->all;
	struct policy_answer answer;
	struct waiter *waiter;

	(void)RB_REMOVE(sts_lookup_tree, &all->tree, lookup);
	all->n--;
	while ((waiter = SLIST_FIRST(&lookup->waiters)) != NULL) {
		SLIST_REMOVE_HEAD(&lookup->waiters, link);
		all->nwaiters--;
		answer_make(all, lookup->domain, &answer);
		all->answered(all, waiter->asker, waiter->id, &answer);
		free(waiter);
	}
	free(lookup);
}

/* --- the cache's files ---------------------------------------------------------------------------------------------------- */

static void
dropped(struct sts_cache *cache, const char *domain)
{
	const struct sts_lookups *all = container_of(cache, struct sts_lookups, cache);

	if (all->directory >= 0)
		cache_file_remove(all->directory, domain);
}

static void
keep(struct sts_lookups *all, const struct sts_cache_entry *entry)
{
	struct buf text;
	struct err err;

	if (all->directory < 0)
		return;
	buf_init(&text, FILE_MAX);
	sts_cache_entry_format(&text, entry);
	if (cache_file_replace(all->directory, entry->domain, buf_str(&text), &err)) {
		all->complained = false;
	} else {
		if (!all->complained)
			log_warning("MTA-STS policies are kept until this process ends: %s", err.text);
		all->complained = true;
	}
	buf_clear(&text);
}

static void
file_found(void *owner, const char *name)
{
	struct sts_lookups *all = owner;
	struct dns_question domain;
	struct buf text;
	struct err err;

	buf_init(&text, FILE_MAX);
	if (!dns_question_set(&domain, str_from(name), DNS_TXT) || strlen(name) > DOMAIN_MAX || strcmp(domain.name, name) != 0 ||
	    !cache_file_read(all->directory, name, &text, &err) ||
	    !sts_cache_entry_parse(&all->cache, str_from(name), buf_str(&text), now_s()))
		cache_file_remove(all->directory, name);
	buf_clear(&text);
}

/* --- the policy over HTTPS ------------------------------------------------------------------------------------------------ */

static void fetch_start(struct sts_lookup *lookup);

static void
fetch_over(struct sts_lookup *lookup)
{
	struct sts_lookups *all = lookup->all;
	struct sts_lookup *next = TAILQ_FIRST(&all->line);

	all->nfetches--;
	finish(lookup);
	if (next == NULL)
		return;
	TAILQ_REMOVE(&all->line, next, place);
	fetch_start(next);
}

/* RFC 8461 3.3, 10.2: the postmaster is told when a policy that matters cannot be renewed. */
static void
failed(struct sts_lookup *lookup, enum tlsrpt_result result, const char *why)
{
	struct sts_lookups *all = lookup->all;
	struct str domain = str_from(lookup->domain);

	if (sts_cache_find(&all->cache, domain, now_s()) != NULL)
		log_warning("MTA-STS policy of %s cannot be renewed, the old one holds: %s", lookup->domain, why);
	else
		log_info("MTA-STS policy of %s cannot be had: %s", lookup->domain, why);
	sts_cache_fail(&all->cache, domain, lookup->id, now_s());
	if (all->failed != NULL)
		all->failed(all, domain, result, why);
	fetch_over(lookup);
}

static void
policy_received(struct sts_lookup *lookup, struct str text)
{
	struct sts_lookups *all = lookup->all;
	const struct sts_cache_entry *entry;
	struct sts_policy policy;
	const char *why;

	if (!sts_policy_parse(text, &policy, &why)) {
		failed(lookup, TLSRPT_STS_POLICY_INVALID, why);
		return;
	}
	entry = sts_cache_store(&all->cache, str_from(lookup->domain), lookup->id, &policy, now_s());
	log_info("MTA-STS policy of %s: %s, %zu exchangers, for %llu s, id %s", lookup->domain, sts_mode_word(policy.mode),
	    policy.nmx, (unsigned long long)policy.max_age_s, lookup->id);
	keep(all, entry);
	fetch_over(lookup);
}

/* NULL when the response is a policy as RFC 8461 3.3 wants it sent; a redirect is none. A body that ends where the connection
 * does could have been cut by whoever can cut that. */
static const char *
unfit(const struct http_response *response, char status[32])
{
	if (response->status != 200) {
		(void)snprintf(status, 32, "status %u", response->status);
		return status;
	}
	if (strcmp(response->type, "text/plain") != 0)
		return "it is not text/plain";
	return response->until_end ? "its length is not told" : NULL;
}

static void
fetched(struct http_call *call, const struct http_response *response, const char *why)
{
	struct fetch *fetch = container_of(call, struct fetch, call);
	struct sts_lookup *lookup = fetch->lookup;
	enum tlsrpt_result result = call->untrusted ? TLSRPT_STS_WEBPKI_INVALID : TLSRPT_STS_POLICY_FETCH_ERROR;
	char status[32];

	free(fetch);
	if (response != NULL)
		why = unfit(response, status);
	if (why == NULL)
		policy_received(lookup, buf_str(&response->body));
	else
		failed(lookup, result, why);
}

static void
fetch_start(struct sts_lookup *lookup)
{
	struct sts_lookups *all = lookup->all;
	struct http_url url = {.tls = true, .port = all->port, .target = STR(PATH)};
	struct fetch *fetch = calloc(1, sizeof *fetch);

	if (fetch == NULL)
		fatal("out of memory for a policy");
	all->nfetches++;
	fetch->lookup = lookup;
	http_call_init(&fetch->call);
	(void)snprintf(url.host, sizeof url.host, "%s%s", HOST_PREFIX, lookup->domain);
	http_get(&fetch->call.request, &url, "text/plain");
	http_call_start(&fetch->call, &all->http, &url, STS_FETCH_MS, fetched);
}

static void
fetch_in_turn(struct sts_lookup *lookup)
{
	struct sts_lookups *all = lookup->all;

	if (all->nfetches < STS_FETCHES_MAX)
		fetch_start(lookup);
	else
		TAILQ_INSERT_TAIL(&all->line, lookup, place);
}

/* --- the record in DNS ---------------------------------------------------------------------------------------------------- */

static bool
record_find(const struct dns_answer *answer, char id[STS_ID_MAX + 1])
{
	struct str texts[DNS_RECORDS_MAX];

	for (size_t i = 0; i < answer->n; i++)
		texts[i] = answer->records[i].text;
	return answer->status == DNS_FOUND && sts_record_find(texts, answer->n, id);
}

/*
 * The policy that is held is as good as new while the record has its id; and it goes on when there is no record any more, or DNS
 * does not tell (RFC 8461 5.1). A refresh asks the server whatever DNS says.
 */
static bool
must_fetch(struct sts_lookup *lookup, bool has_record)
{
	struct sts_lookups *all = lookup->all;
	struct str domain = str_from(lookup->domain);
	const struct sts_cache_entry *held = sts_cache_find(&all->cache, domain, now_s());

	if (lookup->is_refresh && held != NULL) {
		if (!has_record)
			(void)str_copy(lookup->id, sizeof lookup->id, str_from(held->id));
		return true;
	}
	return has_record && (held == NULL || strcmp(held->id, lookup->id) != 0) &&
	    !sts_cache_has_failed(&all->cache, domain, lookup->id, now_s());
}

static void
record_answered(struct dns_query *query, const struct dns_answer *answer)
{
	struct sts_lookup *lookup = container_of(query, struct sts_lookup, query);

	/* Servers that do not answer such questions at all would hold up mail again and again. */
	if (answer->status == DNS_TEMP)
		sts_cache_fail(&lookup->all->cache, str_from(lookup->domain), DNS_FAILED, now_s());
	if (must_fetch(lookup, record_find(answer, lookup->id)))
		fetch_in_turn(lookup);
	else
		finish(lookup);
}

static struct sts_lookup *
lookup_new(struct sts_lookups *all, const char *domain)
{
	struct sts_lookup *lookup = calloc(1, sizeof *lookup);
	char name[sizeof PREFIX + DOMAIN_MAX];

	if (lookup == NULL)
		fatal("out of memory for a policy");
	lookup->all = all;
	(void)str_copy(lookup->domain, sizeof lookup->domain, str_from(domain));
	(void)RB_INSERT(sts_lookup_tree, &all->tree, lookup);
	all->n++;
	(void)snprintf(name, sizeof name, "%s%s", PREFIX, domain);
	dns_ask(all->http.dns, &lookup->query, str_from(name), DNS_TXT, record_answered);
	return lookup;
}

static struct sts_lookup *
lookup_of(struct sts_lookups *all, const char *domain)
{
	struct sts_lookup wanted, *lookup;

	(void)str_copy(wanted.domain, sizeof wanted.domain, str_from(domain));
	lookup = RB_FIND(sts_lookup_tree, &all->tree, &wanted);
	return lookup != NULL || all->n >= STS_LOOKUPS_MAX ? lookup : lookup_new(all, domain);
}

void
sts_lookups_ask(struct sts_lookups *all, struct str domain, void *asker, uint32_t id)
{
	struct sts_lookup *lookup = NULL;
	struct waiter *waiter = NULL;
	struct policy_answer answer = {.holds_s = 0};
	struct dns_question name;
	bool good = dns_question_set(&name, domain, DNS_TXT) && strlen(name.name) <= DOMAIN_MAX;

	if (good && all->nwaiters < STS_WAITERS_MAX &&
	    !sts_cache_has_failed(&all->cache, str_from(name.name), DNS_FAILED, now_s()))
		lookup = lookup_of(all, name.name);
	if (lookup != NULL)
		waiter = calloc(1, sizeof *waiter);
	if (waiter == NULL) {
		if (good)
			answer_make(all, name.name, &answer);
		all->answered(all, asker, id, &answer);
		return;
	}
	*waiter = (struct waiter){.asker = asker, .id = id};
	SLIST_INSERT_HEAD(&lookup->waiters, waiter, link);
	all->nwaiters++;
}

/* --- refreshing ----------------------------------------------------------------------------------------------------------- */

static void refresh_due(struct loop_timer *timer);

static void
refresh_later(struct sts_lookups *all, uint64_t next_s)
{
	uint64_t now = now_s(), after_s = next_s > now ? next_s - now : 1;

	if (after_s > REFRESH_EVERY_S)
		after_s = REFRESH_EVERY_S;
	loop_timer_set(all->http.loop, &all->refresh, after_s * 1000, refresh_due);
}

/* Not more at a time than can be fetched at once: those whose mail waits are not to stand in line behind them. */
static void
refresh_due(struct loop_timer *timer)
{
	struct sts_lookups *all = container_of(timer, struct sts_lookups, refresh);
	struct sts_cache_entry *entry;
	struct sts_lookup *lookup;
	uint64_t next_s = 0;

	for (size_t i = all->nfetches; i < STS_FETCHES_MAX / 2; i++) {
		entry = sts_cache_due(&all->cache, now_s(), &next_s);
		if (entry == NULL)
			break;
		entry->refresh_s = now_s() + STS_FAILURE_S;
		lookup = lookup_of(all, entry->domain);
		if (lookup != NULL)
			lookup->is_refresh = true;
	}
	refresh_later(all, next_s);
}

void
sts_lookups_start(struct sts_lookups *all)
{
	struct err err;

	RB_INIT(&all->tree);
	TAILQ_INIT(&all->line);
	sts_cache_init(&all->cache, dropped);
	if (all->directory >= 0 && !cache_file_list(all->directory, file_found, all, &err))
		log_warning("MTA-STS policies that were kept: %s", err.text);
	refresh_later(all, 0);
}
