#include "queue/listing_orders.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "common/base/json.h"
#include "common/base/loop.h"
#include "queue/control_client.h"
#include "queue/listing_progress.h"
#include "queue/listing_view.h"
#include "queue/listing_walk.h"
#include "queue/queue.h"
#include "queue/reroute.h"

/* As a shell says it of who was ended by SIGINT. */
#define EXIT_INTERRUPTED 130

/* ---- one after the other ------------------------------------------------------------------------------------------ */

struct order {
	struct listing_walk walk; /* for those that a filter means */
	const struct listing_options *options;
	enum control_verb verb;
	const char *done; /* as in "3 messages deleted" */
	struct str text;
	struct control_client client;
	uint64_t begun_ms;
	uint64_t looked_at, succeeded, failed, given;
	bool is_counted; /* the result is told as a number */
	struct listing_progress progress;
	bool good;
	struct err err; /* why queued cannot be asked */
	/* Of a handful: those for which there was no room yet. */
	size_t busy[LISTING_HANDFUL], nbusy;
	const struct control_request *requests;
};

/* ^C: what was asked for is answered, and no more is. */
static volatile sig_atomic_t interrupted;

static void
interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

static void
tell(struct order *order, struct str id, const struct control_reply *reply)
{
	static const char *const words[CONTROL_STATUSES] = {"done", "no_message", "not_so", "failed", "busy"};
	struct buf b;

	if (order->options->style.format != LISTING_JSON) {
		if (reply->status == CONTROL_DONE)
			return;
		listing_progress_hide(&order->progress);
		(void)fprintf(stderr, "merpati queue: %.*s: %.*s\n", STR_FMT(id), STR_FMT(reply->text));
		return;
	}
	listing_progress_hide(&order->progress);
	buf_init(&b, 4096);
	buf_addc(&b, '{');
	json_add_member(&b, "queue_id", id);
	json_add_member(&b, "result", str_from(words[reply->status]));
	buf_adds(&b, "}\n");
	listing_view_put(&b);
	buf_clear(&b);
}

static void
answered(struct order *order, struct str id, const struct control_reply *reply)
{
	/* What a filter meant may have left by itself meanwhile. */
	if (order->is_counted && reply->status == CONTROL_NO_MESSAGE)
		return;
	if (reply->status == CONTROL_DONE)
		order->succeeded++;
	else
		order->failed++;
	tell(order, id, reply);
}

/* ---- by ID --------------------------------------------------------------------------------------------------------- */

static bool
give(struct order *order, const struct control_request *request, struct str id)
{
	struct control_reply reply;

	order->good = control_client_ask(&order->client, request, &reply, &order->err);
	if (order->good)
		answered(order, id, &reply);
	return order->good;
}

static void
give_ids(struct order *order, char **ids)
{
	for (; *ids != NULL; ids++) {
		struct str id = str_from(*ids);
		struct control_request request = {.verb = order->verb, .id = id, .text = order->text};

		/* Only for a retry does queued know `all`: its deferred directories become due. */
		if (order->verb == CONTROL_RETRY && str_equal(id, STR("all")))
			request.id = STR("");
		if (!give(order, &request, id))
			return;
	}
}

/* ---- by filter ----------------------------------------------------------------------------------------------------- */

struct target {
	struct queue_id id;
	struct spool_time time;
};

static bool
wants(struct listing_walk *walk, const struct queue_id *id)
{
	const struct order *order = container_of(walk, struct order, walk);

	return listing_filter_may_match(&order->options->filter, id, order->begun_ms / 1000);
}

/*
 * A filter means what it matches when the command is given. The walk may come across a message that has been tried since,
 * perhaps because of the command, or that came since, perhaps because of it: those are left alone.
 */
static bool
is_later(const struct order *order, const struct listed *m)
{
	uint64_t arrival_ms = queue_id_time_us(&m->id) / 1000;

	if (arrival_ms >= order->begun_ms && arrival_ms <= queue_now_ms())
		return true;
	for (size_t i = 0; i < m->envelope.nrecipients; i++)
		if (m->envelope.recipients[i].tried_ms >= order->begun_ms && m->envelope.recipients[i].tried_ms <= queue_now_ms())
			return true;
	return false;
}

static void
visit(struct listing_walk *walk, struct listing_batch *batch, const struct listed *m)
{
	const struct order *order = container_of(walk, struct order, walk);
	const struct target target = {.id = m->id, .time = m->time};

	if (!listing_filter_matches(&order->options->filter, m, order->begun_ms / 1000) || is_later(order, m))
		return;
	buf_add(&batch->out, (struct str){(const char *)&target, sizeof target});
	listing_batch_add(batch, m);
}

static void
replied(struct control_client *client, size_t index, const struct control_reply *reply)
{
	struct order *order = container_of(client, struct order, client);

	if (reply->status == CONTROL_BUSY)
		order->busy[order->nbusy++] = index;
	else
		answered(order, order->requests[index].id, reply);
}

static void
give_targets(struct order *order, const struct target *targets, size_t n)
{
	struct control_request requests[LISTING_HANDFUL];

	for (size_t i = 0; i < n; i++)
		requests[i] = (struct control_request){.verb = order->verb, .id = queue_id_str(&targets[i].id),
		    .time = str_from(targets[i].time.text), .text = order->text};
	order->requests = requests;
	order->nbusy = 0;
	order->good = control_client_ask_many(&order->client, requests, n, replied, &order->err);
	for (size_t i = 0; order->good && i < order->nbusy && interrupted == 0; i++)
		(void)give(order, &requests[order->busy[i]], requests[order->busy[i]].id);
	order->given += n;
}

static bool
take(struct listing_walk *walk, struct listing_batch *batch)
{
	struct order *order = container_of(walk, struct order, walk);
	uint64_t limit = order->options->limit > 0 ? order->options->limit : UINT64_MAX;
	struct target targets[LISTING_HANDFUL];
	size_t n = batch->n < limit - order->given ? batch->n : (size_t)(limit - order->given);

	if (n > 0 && interrupted == 0) {
		memcpy(targets, batch->out.p, n * sizeof targets[0]);
		give_targets(order, targets, n);
	}
	order->looked_at += batch->looked_at;
	if (listing_progress_is_due(&order->progress))
		listing_progress_show(&order->progress, "%llu messages looked at, %llu %s", (unsigned long long)order->looked_at,
		    (unsigned long long)order->succeeded, order->done);
	return order->good && order->given < limit && interrupted == 0;
}

static void
give_filtered(struct order *order)
{
	struct sigaction action = {.sa_handler = interrupt, .sa_flags = SA_RESTART | (int)SA_RESETHAND}, before;

	order->walk = (struct listing_walk){.wants = wants, .visit = visit, .take = take,
	    .places = order->options->filter.places};
	/* Else it would come across those that it has put there. */
	if (order->verb == CONTROL_HOLD && order->walk.places == 0)
		order->walk.places = ((1U << SPOOL_PLACES) - 1) & ~(1U << SPOOL_HOLD);
	order->good = listing_open(&order->walk.listing, order->options->conf->spool_directory, &order->err);
	if (!order->good)
		return;
	listing_progress_init(&order->progress);
	(void)sigaction(SIGINT, &action, &before);
	if (!listing_walk(&order->walk, &order->err))
		order->good = false;
	(void)sigaction(SIGINT, &before, NULL);
	listing_progress_hide(&order->progress);
	listing_close(&order->walk.listing);
}

/* ---- the commands -------------------------------------------------------------------------------------------------- */

static bool
is_all(char **ids)
{
	return ids[0] != NULL && strcmp(ids[0], "all") == 0 && ids[1] == NULL;
}

/* How many it was for is told also when it was not for all. */
static void
tell_number(const struct order *order)
{
	if (order->options->style.format == LISTING_JSON)
		return;
	(void)printf("%llu message%s %s%s\n", (unsigned long long)order->succeeded, order->succeeded == 1 ? "" : "s", order->done,
	    interrupted != 0 ? "; interrupted, the others are as they were" : "");
}

static int
carry_out(struct order *order, char **ids)
{
	order->begun_ms = queue_now_ms();
	order->good = control_client_open(&order->client, order->options->conf, &order->err);
	if (order->good && order->is_counted)
		give_filtered(order);
	else if (order->good)
		give_ids(order, ids);
	control_client_close(&order->client);
	if (order->is_counted)
		tell_number(order);
	if (!order->good)
		return listing_view_fail(&order->err);
	if (interrupted != 0)
		return EXIT_INTERRUPTED;
	return order->failed > 0 ? EX_DATAERR : EX_OK;
}

/* Either IDs, or a filter, or `all`, which is the filter that means everything. */
static int
run(const struct listing_options *options, enum control_verb verb, const char *done, char **ids)
{
	bool filtered = !listing_filter_is_empty(&options->filter);
	struct order order = {.options = options, .verb = verb, .done = done};

	order.text = str_from(verb == CONTROL_BOUNCE ? options->reason : verb == CONTROL_REROUTE ? options->to : NULL);

	if (filtered ? ids[0] != NULL && !is_all(ids) : ids[0] == NULL) {
		(void)fprintf(stderr, "merpati queue: for which messages? IDs, or conditions such as --site, or \"all\"\n");
		return EX_USAGE;
	}
	order.is_counted = filtered || (is_all(ids) && (verb != CONTROL_RETRY || options->dry_run));
	if (!options->dry_run)
		return carry_out(&order, ids);
	return order.is_counted ? listing_view_list(options, ids) : listing_view_show(options, ids);
}

static bool
is_just_a_site(const struct listing_filter *filter)
{
	struct listing_filter rest = *filter;

	rest.site = STR_NONE;
	return filter->site.p != NULL && listing_filter_is_empty(&rest);
}

int
listing_orders_retry(const struct listing_options *options, char **ids)
{
	struct order order = {.options = options, .verb = CONTROL_WAKE};
	char *site[] = {NULL, NULL};
	int status;

	if (!is_just_a_site(&options->filter) || options->dry_run || ids[0] != NULL)
		return run(options, CONTROL_RETRY, "to be tried", ids);
	/* queued knows better what waits for a site, and that it is to be probed. */
	site[0] = str_dup(options->filter.site);
	status = carry_out(&order, site);
	free(site[0]);
	return status;
}

int
listing_orders_hold(const struct listing_options *options, char **ids)
{
	return run(options, CONTROL_HOLD, "put on hold", ids);
}

int
listing_orders_release(const struct listing_options *options, char **ids)
{
	struct listing_options held = *options;

	if (held.filter.places == 0 && (is_all(ids) || !listing_filter_is_empty(&held.filter)))
		held.filter.places = 1U << SPOOL_HOLD;
	return run(&held, CONTROL_RELEASE, "released", ids);
}

int
listing_orders_delete(const struct listing_options *options, char **ids)
{
	return run(options, CONTROL_DELETE, "deleted", ids);
}

int
listing_orders_bounce(const struct listing_options *options, char **ids)
{
	if (options->reason == NULL) {
		(void)fprintf(stderr, "merpati queue: why? The sender is told: --reason TEXT\n");
		return EX_USAGE;
	}
	return run(options, CONTROL_BOUNCE, "returned to their senders", ids);
}

int
listing_orders_reroute(const struct listing_options *options, char **ids)
{
	if (options->to == NULL || !reroute_is_way(options->conf, str_from(options->to))) {
		(void)fprintf(stderr, "merpati queue: where to? --to NAME, of a section [route NAME] of the configuration, or a host: "
		    "--to [mx1.example.org]:25\n");
		return EX_USAGE;
	}
	return run(options, CONTROL_REROUTE, "to be tried that way", ids);
}
