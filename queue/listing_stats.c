#include "queue/listing_stats.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "common/smtp/address.h"
#include "common/base/json.h"
#include "common/base/loop.h"
#include "common/base/tree.h"
#include "queue/listing_progress.h"
#include "queue/listing_view.h"
#include "queue/listing_walk.h"

#define OUTPUT_MAX_BYTES (64UL * 1024 * 1024)
#define DOMAINS_SHOWN 20

/* Younger than this many seconds, and not than the one before; the last: older. */
static const uint64_t ages_s[LISTING_STATS_AGES] = {300, 900, 3600, 4 * 3600, 12 * 3600, 86400, 3 * 86400, UINT64_MAX};
static const char *const age_names[LISTING_STATS_AGES] = {"5m", "15m", "1h", "4h", "12h", "1d", "3d", "more"};

struct domain {
	RB_ENTRY(domain) link;
	char *name;
	uint64_t recipients;
	uint64_t by_age[LISTING_STATS_AGES];
};

RB_HEAD(domain_tree, domain);

struct place {
	uint64_t messages, recipients, bytes;
	uint64_t oldest_s; /* when it came; 0: there is none */
};

struct stats {
	struct listing_walk walk;
	pthread_mutex_t lock; /* of all counters */
	const struct listing_options *options;
	struct listing_progress progress;
	uint64_t looked_at;
	uint64_t now_s;
	struct place places[SPOOL_PLACES];
	struct domain_tree domains;
	size_t ndomains;
	struct domain others, all;
};

static int
domain_compare(struct domain *a, struct domain *b)
{
	return strcasecmp(a->name, b->name);
}

TREE_GENERATE(domain_tree, domain, link, domain_compare)

/* ---- counting ------------------------------------------------------------------------------------------------------ */

/* NULL when there are too many. */
static struct domain *
domain_add(struct stats *stats, struct str name)
{
	struct domain *domain = stats->ndomains < LISTING_STATS_DOMAINS_MAX ? calloc(1, sizeof *domain) : NULL;

	if (domain == NULL)
		return NULL;
	domain->name = str_dup(name);
	if (RB_INSERT(domain_tree, &stats->domains, domain) != NULL) { /* not after it was looked for */
		free(domain->name);
		free(domain);
		return NULL;
	}
	stats->ndomains++;
	return domain;
}

static struct domain *
domain_find(struct stats *stats, struct str address)
{
	struct str domain = str_skip(address, str_find_last(address, '@') + 1);
	char name[ADDRESS_DOMAIN_MAX + 1];
	struct domain probe = {.name = name}, *found;

	if (!str_copy(name, sizeof name, domain))
		return &stats->others;
	found = RB_FIND(domain_tree, &stats->domains, &probe);
	if (found == NULL)
		found = domain_add(stats, domain);
	return found != NULL ? found : &stats->others;
}

static void
count_recipient(struct domain *domain, size_t age)
{
	domain->recipients++;
	domain->by_age[age]++;
}

static void
count(struct stats *stats, const struct listed *m)
{
	uint64_t arrival_s = queue_id_time_us(&m->id) / 1000000;
	struct place *place = &stats->places[m->place];
	size_t age = 0;

	while (stats->now_s > arrival_s && stats->now_s - arrival_s >= ages_s[age])
		age++;
	place->messages++;
	place->bytes += m->envelope.head.message_size;
	if (place->oldest_s == 0 || arrival_s < place->oldest_s)
		place->oldest_s = arrival_s;
	for (size_t i = 0; i < m->envelope.nrecipients; i++) {
		const struct recipient *r = &m->envelope.recipients[i];

		if (r->state != QUEUE_WAITING)
			continue;
		place->recipients++;
		count_recipient(domain_find(stats, r->address), age);
		count_recipient(&stats->all, age);
	}
}

/* Opening and reading are what takes time; those the threads do side by side. */
static void
visit(struct listing_walk *walk, struct listing_batch *batch, const struct listed *m)
{
	struct stats *stats = container_of(walk, struct stats, walk);

	(void)batch;
	if (!listing_filter_matches(&stats->options->filter, m, stats->now_s))
		return;
	(void)pthread_mutex_lock(&stats->lock);
	count(stats, m);
	(void)pthread_mutex_unlock(&stats->lock);
}

static bool
take(struct listing_walk *walk, struct listing_batch *batch)
{
	struct stats *stats = container_of(walk, struct stats, walk);

	stats->looked_at += batch->looked_at;
	if (listing_progress_is_due(&stats->progress))
		listing_progress_show(&stats->progress, "%llu messages looked at", (unsigned long long)stats->looked_at);
	return true;
}

static int
more_recipients(const void *a, const void *b)
{
	const struct domain *x = *(struct domain *const *)a, *y = *(struct domain *const *)b;

	if (x->recipients != y->recipients)
		return x->recipients > y->recipients ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* Those with the most recipients first; the caller frees. */
static struct domain **
domains_sorted(struct stats *stats)
{
	struct domain **list = calloc(stats->ndomains + 1, sizeof(struct domain *)), *domain;
	size_t n = 0;

	if (list == NULL)
		return NULL;
	RB_FOREACH(domain, domain_tree, &stats->domains)
		list[n++] = domain;
	qsort(list, n, sizeof(struct domain *), more_recipients);
	return list;
}

/* ---- printing ------------------------------------------------------------------------------------------------------ */

static void
print_places(struct buf *b, const struct stats *stats)
{
	const struct listing_style *style = &stats->options->style;
	char size[16], oldest[16];

	listing_print_cell(b, style, LISTING_BOLD, 0, STR("STATE     MESSAGES  RECIPIENTS    SIZE  OLDEST"));
	buf_addc(b, '\n');
	for (unsigned i = 0; i < SPOOL_PLACES; i++) {
		const struct place *p = &stats->places[i];

		listing_print_bytes(size, p->bytes);
		listing_print_duration(oldest, p->oldest_s > 0 && stats->now_s > p->oldest_s ? stats->now_s - p->oldest_s : 0);
		buf_addf(b, "%-8s %9llu %11llu %7s %7s\n", spool_place_name((enum spool_place)i), (unsigned long long)p->messages,
		    (unsigned long long)p->recipients, size, p->messages > 0 ? oldest : "-");
	}
}

static void
print_domain(struct buf *b, const struct domain *domain)
{
	buf_addf(b, "%9llu", (unsigned long long)domain->recipients);
	for (size_t i = 0; i < LISTING_STATS_AGES; i++)
		buf_addf(b, " %7llu", (unsigned long long)domain->by_age[i]);
	buf_adds(b, "  ");
	listing_print_cell(b, &(struct listing_style){.colour = false}, LISTING_PLAIN, 0, str_from(domain->name));
	buf_addc(b, '\n');
}

static void
print_domains(struct buf *b, struct stats *stats, struct domain **list)
{
	const struct listing_style *style = &stats->options->style;
	uint64_t limit = stats->options->limit > 0 ? stats->options->limit : DOMAINS_SHOWN;
	struct buf head;

	buf_init(&head, 1024);
	buf_adds(&head, "RECIPIENTS");
	for (size_t i = 0; i < LISTING_STATS_AGES; i++)
		buf_addf(&head, "%*s%s", (int)(i == 0 ? 7 : 8) - (int)strlen(age_names[i]), "", age_names[i]);
	buf_adds(&head, "  DOMAIN (by age: less than)");
	buf_addc(b, '\n');
	listing_print_cell(b, style, LISTING_BOLD, 0, buf_str(&head));
	buf_clear(&head);
	buf_addc(b, '\n');
	print_domain(b, &stats->all);
	for (size_t i = 0; list[i] != NULL && i < limit; i++)
		print_domain(b, list[i]);
	if (stats->others.recipients > 0)
		print_domain(b, &stats->others);
}

static void
json_domain(struct buf *b, const struct domain *domain)
{
	buf_addc(b, '{');
	json_add_member(b, "domain", str_from(domain->name));
	json_add_number(b, "recipients", domain->recipients);
	json_add_key(b, "younger_than");
	buf_addc(b, '{');
	for (size_t i = 0; i < LISTING_STATS_AGES; i++)
		json_add_number(b, age_names[i], domain->by_age[i]);
	buf_adds(b, "}}");
}

static void
print_json(struct buf *b, struct stats *stats, struct domain **list)
{
	buf_addc(b, '{');
	json_add_key(b, "states");
	buf_addc(b, '{');
	for (unsigned i = 0; i < SPOOL_PLACES; i++) {
		const struct place *p = &stats->places[i];

		json_add_key(b, spool_place_name((enum spool_place)i));
		buf_addc(b, '{');
		json_add_number(b, "messages", p->messages);
		json_add_number(b, "recipients", p->recipients);
		json_add_number(b, "bytes", p->bytes);
		if (p->oldest_s > 0)
			json_add_number(b, "oldest", p->oldest_s);
		buf_addc(b, '}');
	}
	buf_addc(b, '}');
	json_add_key(b, "domains");
	buf_addc(b, '[');
	for (size_t i = 0; list[i] != NULL && (stats->options->limit == 0 || i < stats->options->limit); i++) {
		if (i > 0)
			buf_adds(b, ", ");
		json_domain(b, list[i]);
	}
	buf_adds(b, "]}\n");
}

/* ---- the command --------------------------------------------------------------------------------------------------- */

static void
print(struct stats *stats)
{
	struct domain **list = domains_sorted(stats);
	struct buf b;

	if (list == NULL)
		return;
	buf_init(&b, OUTPUT_MAX_BYTES);
	if (stats->options->style.format == LISTING_JSON) {
		print_json(&b, stats, list);
	} else {
		print_places(&b, stats);
		print_domains(&b, stats, list);
	}
	listing_view_put(&b);
	buf_clear(&b);
	free(list);
}

static void
clear(struct stats *stats)
{
	struct domain *domain;

	while ((domain = RB_MIN(domain_tree, &stats->domains)) != NULL) {
		(void)RB_REMOVE(domain_tree, &stats->domains, domain);
		free(domain->name);
		free(domain);
	}
	(void)pthread_mutex_destroy(&stats->lock);
	listing_close(&stats->walk.listing);
}

int
listing_stats(const struct listing_options *options, char **ids)
{
	static char all[] = "all", others[] = "others";
	struct stats stats = {.options = options, .now_s = (uint64_t)time(NULL),
	    .walk = {.visit = visit, .take = take, .places = options->filter.places},
	    .all = {.name = all}, .others = {.name = others}};
	struct err err;
	int status = EX_OK;

	(void)ids;
	if (!listing_open(&stats.walk.listing, options->conf->spool_directory, &err))
		return listing_view_fail(&err);
	(void)pthread_mutex_init(&stats.lock, NULL);
	listing_progress_init(&stats.progress);
	if (!listing_walk(&stats.walk, &err))
		status = listing_view_fail(&err);
	listing_progress_hide(&stats.progress);
	print(&stats);
	clear(&stats);
	return status;
}
