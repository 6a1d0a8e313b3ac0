#include "queue/tlsrpt_collect.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#include "common/base/cache_file.h"
#include "common/base/log.h"
#include "queue/tlsrpt_record.h"

#define NAME_MAX_BYTES 48
#define ARENA_MAX 65536

/* Does a domain want reports? */
struct tlsrpt_wish {
	RB_ENTRY(tlsrpt_wish) link;
	TAILQ_ENTRY(tlsrpt_wish) age;
	struct tlsrpt_collector *collector;
	char *domain;
	uint64_t known_ms;
	bool asking, wanted; /* while it is asked it counts as yes */
	struct dns_query query;
};

static int
wish_compare(struct tlsrpt_wish *a, struct tlsrpt_wish *b)
{
	return strcmp(a->domain, b->domain);
}

TREE_GENERATE(tlsrpt_wish_tree, tlsrpt_wish, link, wish_compare)

static uint64_t
now_s(void)
{
	return (uint64_t)time(NULL);
}

/* --- files ---------------------------------------------------------------------------------------------------------------- */

void
tlsrpt_directory_lock(int directory)
{
	while (flock(directory, LOCK_EX) != 0 && errno == EINTR)
		continue;
}

void
tlsrpt_directory_unlock(int directory)
{
	(void)flock(directory, LOCK_UN);
}

/* Adds what is in the file to what is here, and makes that the file. */
static bool
merge(struct tlsrpt_collector *collector, const char *name, struct err *err)
{
	struct buf text;
	bool good;

	buf_init(&text, TLSRPT_FILE_MAX);
	if (cache_file_read(collector->directory, name, &text, err))
		tlsrpt_counts_parse(&collector->counts, buf_str(&text));
	buf_reset(&text);
	tlsrpt_counts_format(&text, &collector->counts);
	good = buf_ok(&text) ? cache_file_replace(collector->directory, name, buf_str(&text), err)
			     : err_set(err, ERR_LIMIT, "%s would be too large", name);
	buf_clear(&text);
	return good;
}

void
tlsrpt_collector_flush(struct tlsrpt_collector *collector)
{
	char name[NAME_MAX_BYTES];
	struct err err = {0};
	bool good;

	if (collector->counts.n == 0)
		return;
	(void)snprintf(name, sizeof name, "%llu-%llu", (unsigned long long)collector->begin_s,
	    (unsigned long long)(collector->begin_s + collector->period_s));
	tlsrpt_directory_lock(collector->directory);
	good = merge(collector, name, &err);
	tlsrpt_directory_unlock(collector->directory);
	if (!good && !collector->complained)
		log_warning("reports on TLS will lack something: %s", err.text);
	collector->complained = !good;
	tlsrpt_counts_clear(&collector->counts);
}

static uint64_t
flush_after_ms(const struct tlsrpt_collector *collector)
{
	uint64_t s = collector->period_s / 4;

	return (s > TLSRPT_FLUSH_S ? TLSRPT_FLUSH_S : s > 0 ? s : 1) * 1000;
}

static void
flush_due(struct loop_timer *timer)
{
	struct tlsrpt_collector *collector = container_of(timer, struct tlsrpt_collector, flush);

	tlsrpt_collector_flush(collector);
	loop_timer_set(collector->loop, &collector->flush, flush_after_ms(collector), flush_due);
}

/* --- who wants reports ---------------------------------------------------------------------------------------------------- */

bool
tlsrpt_question(char name[DNS_NAME_MAX + 1], const char *domain)
{
	return snprintf(name, DNS_NAME_MAX + 1, "_smtp._tls.%s", domain) <= DNS_NAME_MAX;
}

static void
wish_drop(struct tlsrpt_wish *wish)
{
	struct tlsrpt_collector *collector = wish->collector;

	dns_cancel(&wish->query);
	(void)RB_REMOVE(tlsrpt_wish_tree, &collector->wishes, wish);
	TAILQ_REMOVE(&collector->ages, wish, age);
	collector->nwishes--;
	collector->nasked -= wish->asking;
	free(wish->domain);
	free(wish);
}

/* What was counted meanwhile was for nothing. */
static void
counted_drop(struct tlsrpt_collector *collector, char *domain)
{
	struct tlsrpt_domain *counted = tlsrpt_counts_find(&collector->counts, domain);

	if (counted != NULL)
		tlsrpt_counts_remove(&collector->counts, counted);
}

static void
answered(struct dns_query *query, const struct dns_answer *answer)
{
	struct tlsrpt_wish *wish = container_of(query, struct tlsrpt_wish, query);
	struct tlsrpt_place places[TLSRPT_PLACES_MAX];
	struct str texts[DNS_RECORDS_MAX];
	struct arena arena;

	wish->asking = false;
	wish->collector->nasked--;
	if (answer->status == DNS_TEMP) {
		wish_drop(wish); /* to be asked again; until then it may have wanted them */
		return;
	}
	arena_init(&arena, ARENA_MAX);
	for (size_t i = 0; i < answer->n; i++)
		texts[i] = answer->records[i].text;
	wish->wanted = answer->status == DNS_FOUND && tlsrpt_record_find(texts, answer->n, &arena, places) > 0;
	arena_clear(&arena);
	if (!wish->wanted)
		counted_drop(wish->collector, wish->domain);
}

static void
wish_ask(struct tlsrpt_wish *wish, const char *name)
{
	struct tlsrpt_collector *collector = wish->collector;

	wish->known_ms = loop_now_ms(collector->loop);
	wish->asking = wish->wanted = true;
	collector->nasked++;
	dns_ask(collector->dns, &wish->query, str_from(name), DNS_TXT, answered);
}

static struct tlsrpt_wish *
wish_new(struct tlsrpt_collector *collector, const char *domain)
{
	struct tlsrpt_wish *wish;
	char name[DNS_NAME_MAX + 1];

	if (collector->nasked >= TLSRPT_ASKED_MAX || !tlsrpt_question(name, domain))
		return NULL;
	if (collector->nwishes >= TLSRPT_WISHES_MAX)
		wish_drop(TAILQ_FIRST(&collector->ages));
	wish = calloc(1, sizeof *wish);
	if (wish == NULL)
		fatal("out of memory for what is to be reported");
	wish->collector = collector;
	wish->domain = str_dup(str_from(domain));
	(void)RB_INSERT(tlsrpt_wish_tree, &collector->wishes, wish);
	TAILQ_INSERT_TAIL(&collector->ages, wish, age);
	collector->nwishes++;
	wish_ask(wish, name);
	return wish;
}

static bool
is_wanted(struct tlsrpt_collector *collector, struct str domain)
{
	struct dns_question name;
	char question[DNS_NAME_MAX + 1];
	struct tlsrpt_wish wanted = {.domain = name.name}, *wish;

	if (!dns_question_set(&name, domain, DNS_TXT))
		return false;
	wish = RB_FIND(tlsrpt_wish_tree, &collector->wishes, &wanted);
	if (wish == NULL)
		wish = wish_new(collector, name.name);
	else if (!wish->asking && collector->nasked < TLSRPT_ASKED_MAX &&
	    loop_now_ms(collector->loop) - wish->known_ms > TLSRPT_WISH_MS && tlsrpt_question(question, name.name))
		wish_ask(wish, question);
	return wish != NULL && wish->wanted;
}

/* --- counting ------------------------------------------------------------------------------------------------------------- */

void
tlsrpt_collector_tell(struct tlsrpt_collector *collector, const struct tlsrpt_outcome *outcome)
{
	uint64_t begin_s = now_s() / collector->period_s * collector->period_s;

	if (begin_s != collector->begin_s)
		tlsrpt_collector_flush(collector);
	collector->begin_s = begin_s;
	if (is_wanted(collector, outcome->domain))
		tlsrpt_counts_add(&collector->counts, outcome, 1);
}

void
tlsrpt_collector_start(struct tlsrpt_collector *collector)
{
	tlsrpt_counts_init(&collector->counts);
	RB_INIT(&collector->wishes);
	TAILQ_INIT(&collector->ages);
	loop_timer_set(collector->loop, &collector->flush, flush_after_ms(collector), flush_due);
}
