#include "queue/listing_stats.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "common/base/json.h"
#include "common/base/loop.h"
#include "queue/listing_domains.h"
#include "queue/listing_progress.h"
#include "queue/listing_view.h"
#include "queue/listing_walk.h"

#define OUTPUT_MAX_BYTES (64UL * 1024 * 1024)
#define DOMAINS_SHOWN 20

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
	struct place places[SPOOL_PLACES];
	struct listing_domains domains;
};

/* ---- counting ------------------------------------------------------------------------------------------------------ */

static void
count(struct stats *stats, const struct listed *m)
{
	uint64_t arrival_s = queue_id_time_us(&m->id) / 1000000;
	struct place *place = &stats->places[m->place];

	place->messages++;
	place->bytes += m->envelope.head.message_size;
	if (place->oldest_s == 0 || arrival_s < place->oldest_s)
		place->oldest_s = arrival_s;
	place->recipients += listing_domains_count(&stats->domains, m);
}

/* Opening and reading are what takes time; those the threads do side by side. */
static void
visit(struct listing_walk *walk, struct listing_batch *batch, const struct listed *m)
{
	struct stats *stats = container_of(walk, struct stats, walk);

	(void)batch;
	if (!listing_filter_matches(&stats->options->filter, m, stats->domains.now_s))
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
		listing_print_duration(oldest, p->oldest_s > 0 && stats->domains.now_s > p->oldest_s ? stats->domains.now_s - p->oldest_s : 0);
		buf_addf(b, "%-8s %9llu %11llu %7s %7s\n", spool_place_name((enum spool_place)i), (unsigned long long)p->messages,
		    (unsigned long long)p->recipients, size, p->messages > 0 ? oldest : "-");
	}
}

static void
print_domain(struct buf *b, const struct listing_domain *domain)
{
	buf_addf(b, "%9llu", (unsigned long long)domain->recipients);
	for (size_t i = 0; i < LISTING_AGES; i++)
		buf_addf(b, " %7llu", (unsigned long long)domain->by_age[i]);
	buf_adds(b, "  ");
	listing_print_cell(b, &(struct listing_style){.colour = false}, LISTING_PLAIN, 0, str_from(domain->name));
	buf_addc(b, '\n');
}

static void
print_domains(struct buf *b, struct stats *stats, struct listing_domain **list)
{
	const struct listing_style *style = &stats->options->style;
	uint64_t limit = stats->options->limit > 0 ? stats->options->limit : DOMAINS_SHOWN;
	struct buf head;

	buf_init(&head, 1024);
	buf_adds(&head, "RECIPIENTS");
	for (size_t i = 0; i < LISTING_AGES; i++)
		buf_addf(&head, "%*s%s", (int)(i == 0 ? 7 : 8) - (int)strlen(listing_domains_age(i)), "", listing_domains_age(i));
	buf_adds(&head, "  DOMAIN (by age: less than)");
	buf_addc(b, '\n');
	listing_print_cell(b, style, LISTING_BOLD, 0, buf_str(&head));
	buf_clear(&head);
	buf_addc(b, '\n');
	print_domain(b, &stats->domains.all);
	for (size_t i = 0; list[i] != NULL && i < limit; i++)
		print_domain(b, list[i]);
	if (stats->domains.others.recipients > 0)
		print_domain(b, &stats->domains.others);
}

static void
json_domain(struct buf *b, const struct listing_domain *domain)
{
	buf_addc(b, '{');
	json_add_member(b, "domain", str_from(domain->name));
	json_add_number(b, "recipients", domain->recipients);
	json_add_key(b, "younger_than");
	buf_addc(b, '{');
	for (size_t i = 0; i < LISTING_AGES; i++)
		json_add_number(b, listing_domains_age(i), domain->by_age[i]);
	buf_adds(b, "}}");
}

static void
print_json(struct buf *b, struct stats *stats, struct listing_domain **list)
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
	struct listing_domain **list = listing_domains_sorted(&stats->domains);
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
	listing_domains_clear(&stats->domains);
	(void)pthread_mutex_destroy(&stats->lock);
	listing_close(&stats->walk.listing);
}

int
listing_stats(const struct listing_options *options, char **ids)
{
	struct stats stats = {.options = options, .walk = {.visit = visit, .take = take, .places = options->filter.places}};
	struct err err;
	int status = EX_OK;

	(void)ids;
	if (!listing_open(&stats.walk.listing, options->conf->spool_directory, &err))
		return listing_view_fail(&err);
	(void)pthread_mutex_init(&stats.lock, NULL);
	listing_domains_init(&stats.domains, (uint64_t)time(NULL));
	listing_progress_init(&stats.progress);
	if (!listing_walk(&stats.walk, &err))
		status = listing_view_fail(&err);
	listing_progress_hide(&stats.progress);
	print(&stats);
	clear(&stats);
	return status;
}
