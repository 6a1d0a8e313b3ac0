#include "queue/listing_queued.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/loop.h"
#include "common/base/msg.h"
#include "queue/listing_domains.h"
#include "queue/listing_progress.h"
#include "queue/listing_walk.h"

/* Of domains in one question; what its answer has no room for is asked again. */
#define QUESTION_MAX_BYTES 8192

/* ---- counting ---------------------------------------------------------------------------------------------------------- */

struct count {
	struct listing_walk walk;
	pthread_mutex_t lock; /* of domains */
	struct listing_domains domains;
	struct listing_progress progress;
	uint64_t looked_at;
};

static void
visit(struct listing_walk *walk, struct listing_batch *batch, const struct listed *m)
{
	struct count *count = container_of(walk, struct count, walk);

	(void)batch;
	(void)pthread_mutex_lock(&count->lock);
	(void)listing_domains_count(&count->domains, m);
	(void)pthread_mutex_unlock(&count->lock);
}

static bool
take(struct listing_walk *walk, struct listing_batch *batch)
{
	struct count *count = container_of(walk, struct count, walk);

	count->looked_at += batch->looked_at;
	if (listing_progress_is_due(&count->progress))
		listing_progress_show(&count->progress, "%llu messages looked at", (unsigned long long)count->looked_at);
	return true;
}

static bool
count_all(struct count *count, const struct conf *conf, struct err *err)
{
	bool good;

	if (!listing_open(&count->walk.listing, conf->spool_directory, err))
		return false;
	(void)pthread_mutex_init(&count->lock, NULL);
	listing_progress_init(&count->progress);
	good = listing_walk(&count->walk, err);
	listing_progress_hide(&count->progress);
	(void)pthread_mutex_destroy(&count->lock);
	listing_close(&count->walk.listing);
	return good;
}

/* ---- where they are ---------------------------------------------------------------------------------------------------- */

static bool
add(struct listing_sites *sites, const struct listing_domain *domain, struct str key)
{
	const struct listing_site site = {.site = {.key = key.n > 0 ? key : str_from(domain->name)}, .queued = domain->recipients,
	    .is_unknown = true};

	return listing_sites_put(sites, &site);
}

/* The first of the list, as many as the question and its answer have room for; *n tells how many. */
static bool
ask_some(struct listing_sites *sites, struct control_client *client, struct listing_domain **list, size_t *n, struct err *err)
{
	struct control_request request = {.verb = CONTROL_WHERE};
	struct control_reply reply;
	struct buf domains;
	struct str key;
	bool good;

	buf_init(&domains, QUESTION_MAX_BYTES + 1024);
	for (size_t i = 0; list[i] != NULL && domains.n < QUESTION_MAX_BYTES; i++)
		buf_addf(&domains, "%s%s", i > 0 ? " " : "", list[i]->name);
	request.text = buf_str(&domains);
	good = control_client_ask(client, &request, &reply, err);
	for (*n = 0; good && list[*n] != NULL && control_where_take(&reply.text, &key); (*n)++)
		good = add(sites, list[*n], key) || err_set(err, ERR_TEMP, "out of memory");
	buf_clear(&domains);
	return good && (*n > 0 || err_set(err, ERR_TEMP, "queued gave a senseless answer"));
}

static bool
ask_all(struct listing_sites *sites, struct control_client *client, struct listing_domains *domains, struct err *err)
{
	struct listing_domain **list = listing_domains_sorted(domains);
	bool good = true;
	size_t n;

	if (list == NULL)
		return err_set(err, ERR_TEMP, "out of memory");
	for (size_t i = 0; good && list[i] != NULL; i += n)
		good = ask_some(sites, client, list + i, &n, err);
	if (good && domains->others.recipients > 0)
		good = add(sites, &domains->others, STR(""));
	free(list);
	return good;
}

bool
listing_queued_add(struct listing_sites *sites, const struct listing_options *options, struct control_client *client,
    struct err *err)
{
	struct count count = {.walk = {.visit = visit, .take = take}};
	bool good;

	listing_domains_init(&count.domains, (uint64_t)time(NULL));
	good = count_all(&count, options->conf, err) && ask_all(sites, client, &count.domains, err);
	listing_domains_clear(&count.domains);
	sites->is_counted = good;
	listing_sites_merge(sites);
	return good;
}
