#include "queue/destination.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"

static int
domain_compare(struct destination *a, struct destination *b)
{
	return strcmp(a->domain, b->domain);
}

static int
id_compare(struct destination *a, struct destination *b)
{
	return a->id < b->id ? -1 : a->id > b->id;
}

TREE_GENERATE(destination_domains, destination, by_domain, domain_compare)
TREE_GENERATE(destination_ids, destination, by_id, id_compare)

void
destinations_init(struct destinations *ds, size_t max, bool (*send)(struct destinations *, uint32_t, struct str))
{
	*ds = (struct destinations){.max = max, .next_id = 1, .send = send};
	RB_INIT(&ds->domains);
	RB_INIT(&ds->ids);
	TAILQ_INIT(&ds->ages);
}

static void
destination_free(struct destinations *ds, struct destination *d)
{
	(void)RB_REMOVE(destination_domains, &ds->domains, d);
	if (d->is_answered) {
		TAILQ_REMOVE(&ds->ages, d, age_link);
		ds->nanswered--;
	} else {
		(void)RB_REMOVE(destination_ids, &ds->ids, d);
	}
	free(d->domain);
	free(d->site);
	free(d->security);
	free(d->code);
	free(d->reason);
	free(d);
}

void
destinations_clear(struct destinations *ds)
{
	struct destination *d;

	while ((d = RB_ROOT(&ds->domains)) != NULL)
		destination_free(ds, d);
}

static struct destination *
destination_new(struct destinations *ds, char *domain)
{
	struct destination *d = calloc(1, sizeof *d);

	if (d == NULL)
		fatal("out of memory for a destination");
	d->domain = domain;
	d->id = ds->next_id++;
	TAILQ_INIT(&d->queries);
	(void)RB_INSERT(destination_domains, &ds->domains, d);
	(void)RB_INSERT(destination_ids, &ds->ids, d);
	return d;
}

static char *
lower_dup(struct str s)
{
	char *copy = str_dup(s);

	for (char *p = copy; *p != '\0'; p++)
		*p = ascii_lower(*p);
	return copy;
}

const struct destination *
destination_ask(struct destinations *ds, struct destination_query *query, struct str domain, uint64_t now_ms)
{
	struct destination probe = {.domain = lower_dup(domain)};
	struct destination *d = RB_FIND(destination_domains, &ds->domains, &probe);

	if (d != NULL && d->is_answered && (d->is_told || d->expires_ms > now_ms)) {
		free(probe.domain);
		return d;
	}
	if (d != NULL && d->is_answered) {
		destination_free(ds, d);
		d = NULL;
	}
	if (d != NULL) {
		free(probe.domain);
	} else {
		d = destination_new(ds, probe.domain);
		(void)ds->send(ds, d->id, str_from(d->domain));
	}
	TAILQ_INSERT_TAIL(&d->queries, query, link);
	return NULL;
}

struct str
destination_site(const struct destinations *ds, struct str domain)
{
	struct destination probe = {.domain = lower_dup(domain)};
	struct destination_domains domains = ds->domains; /* the tree's macros know no const */
	const struct destination *d = RB_FIND(destination_domains, &domains, &probe);

	free(probe.domain);
	return d != NULL && d->is_answered && d->site != NULL ? str_from(d->site) : STR("");
}

static void
forget_oldest(struct destinations *ds, const struct destination *but)
{
	while (ds->nanswered > ds->max) {
		struct destination *oldest = TAILQ_FIRST(&ds->ages);

		if (oldest == but)
			return;
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): freeing takes it off the list; the analyzer loses count there */
		destination_free(ds, oldest);
	}
}

void
destination_answer(struct destinations *ds, uint32_t id, const struct job_site *site, uint64_t now_ms)
{
	struct destination probe = {.id = id}, *d = RB_FIND(destination_ids, &ds->ids, &probe);
	struct destination_queries queries;
	struct destination_query *query;

	if (d == NULL)
		return;
	(void)RB_REMOVE(destination_ids, &ds->ids, d);
	d->is_answered = true;
	d->expires_ms = now_ms + site->ttl_s * 1000;
	d->status = site->status;
	d->site = str_dup(site->key);
	d->security = str_dup(site->security);
	d->code = str_dup(site->code);
	d->reason = str_dup(site->reason);
	TAILQ_INSERT_TAIL(&ds->ages, d, age_link);
	ds->nanswered++;
	forget_oldest(ds, d);
	/* Those who are told may ask anew: even an answer that holds for no time is theirs, and must not go meanwhile. */
	d->is_told = true;
	TAILQ_INIT(&queries);
	TAILQ_CONCAT(&queries, &d->queries, link);
	while ((query = TAILQ_FIRST(&queries)) != NULL) {
		TAILQ_REMOVE(&queries, query, link);
		query->answered(query, d);
	}
	d->is_told = false;
}

void
destinations_ask_all(struct destinations *ds)
{
	struct destination *d;

	RB_FOREACH(d, destination_ids, &ds->ids)
		if (!ds->send(ds, d->id, str_from(d->domain)))
			return;
}
