#include "queue/listing_orders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/base/json.h"
#include "common/base/loop.h"
#include "queue/control_client.h"
#include "queue/listing_view.h"
#include "queue/reroute.h"

/* On a terminal the progress is shown of what takes longer than a moment. */
#define PROGRESS_AFTER 500
#define PROGRESS_EVERY 100

/* ---- for which messages ------------------------------------------------------------------------------------------ */

/* What a filter means when the command is given; about 40 bytes a message. */
struct target {
	struct queue_id id;
	struct spool_time time;
};

struct targets {
	struct listing listing;
	const struct listing_options *options;
	uint64_t now_s;
	struct target *list;
	size_t n, cap;
	bool no_memory;
};

static bool
visit(struct listing *listing, const struct listed *message)
{
	struct targets *targets = container_of(listing, struct targets, listing);

	if (!listing_filter_matches(&targets->options->filter, message, targets->now_s))
		return true;
	if (targets->n == targets->cap) {
		size_t cap = targets->cap * 2 + 256;
		struct target *list = reallocarray(targets->list, cap, sizeof *list);

		targets->no_memory = list == NULL;
		if (list == NULL)
			return false;
		targets->list = list;
		targets->cap = cap;
	}
	targets->list[targets->n++] = (struct target){.id = message->id, .time = message->time};
	return targets->n != targets->options->limit;
}

static bool
wants(struct listing *listing, const struct queue_id *id)
{
	struct targets *targets = container_of(listing, struct targets, listing);

	return listing_filter_may_match(&targets->options->filter, id, targets->now_s);
}

static bool
find_targets(struct targets *targets, const struct listing_options *options, struct err *err)
{
	bool good;

	*targets = (struct targets){.options = options, .now_s = (uint64_t)time(NULL),
	    .listing = {.visit = visit, .wants = wants, .places = options->filter.places}};
	if (!listing_open(&targets->listing, options->conf->spool_directory, err))
		return false;
	good = listing_walk(&targets->listing, err);
	listing_close(&targets->listing);
	return good && (!targets->no_memory || err_set(err, ERR_TEMP, "out of memory"));
}

/* ---- one after the other ------------------------------------------------------------------------------------------ */

struct order {
	const struct listing_options *options;
	enum control_verb verb;
	const char *done; /* as in "3 messages deleted" */
	struct str text;
	struct control_client client;
	size_t succeeded, failed;
	bool is_counted; /* the result is told as a number */
};

static void
tell(struct order *order, struct str id, const struct control_reply *reply)
{
	static const char *const words[CONTROL_STATUSES] = {"done", "no_message", "not_so", "failed", "busy"};
	struct buf b;

	if (order->options->style.format != LISTING_JSON) {
		if (reply->status != CONTROL_DONE)
			(void)fprintf(stderr, "merpati queue: %.*s: %.*s\n", STR_FMT(id), STR_FMT(reply->text));
		return;
	}
	buf_init(&b, 4096);
	buf_addc(&b, '{');
	json_add_member(&b, "queue_id", id);
	json_add_member(&b, "result", str_from(words[reply->status]));
	buf_adds(&b, "}\n");
	listing_view_put(&b);
	buf_clear(&b);
}

/* False: queued cannot be asked. */
static bool
give(struct order *order, struct str id, struct str time, struct err *err)
{
	struct control_request request = {.verb = order->verb, .id = id, .time = time, .text = order->text};
	struct control_reply reply;

	/* Only for a retry does queued know `all`: its deferred directories become due. */
	if (order->verb == CONTROL_RETRY && str_equal(id, STR("all")))
		request.id = STR("");
	if (!control_client_ask(&order->client, &request, &reply, err))
		return false;
	/* What a filter meant may have left by itself meanwhile. */
	if (order->is_counted && reply.status == CONTROL_NO_MESSAGE)
		return true;
	if (reply.status == CONTROL_DONE)
		order->succeeded++;
	else
		order->failed++;
	tell(order, id, &reply);
	return true;
}

static bool
give_ids(struct order *order, char **ids, struct err *err)
{
	for (; *ids != NULL; ids++)
		if (!give(order, str_from(*ids), STR(""), err))
			return false;
	return true;
}

static void
show_progress(size_t done, size_t all)
{
	if (all < PROGRESS_AFTER || isatty(STDERR_FILENO) == 0)
		return;
	if (done == all)
		(void)fprintf(stderr, "\r\033[K");
	else if (done % PROGRESS_EVERY == 0)
		(void)fprintf(stderr, "\r%zu of %zu", done, all);
}

static bool
give_targets(struct order *order, struct err *err)
{
	struct targets targets;
	bool good = find_targets(&targets, order->options, err);

	for (size_t i = 0; good && i < targets.n; i++) {
		good = give(order, queue_id_str(&targets.list[i].id), str_from(targets.list[i].time.text), err);
		show_progress(i + 1, targets.n);
	}
	free(targets.list);
	return good;
}

/* ---- the commands -------------------------------------------------------------------------------------------------- */

static bool
is_all(char **ids)
{
	return ids[0] != NULL && strcmp(ids[0], "all") == 0 && ids[1] == NULL;
}

static int
carry_out(struct order *order, char **ids)
{
	struct err err;
	bool good = control_client_open(&order->client, order->options->conf, &err) &&
	    (order->is_counted ? give_targets(order, &err) : give_ids(order, ids, &err));

	control_client_close(&order->client);
	if (order->is_counted && order->options->style.format != LISTING_JSON)
		(void)printf("%zu message%s %s\n", order->succeeded, order->succeeded == 1 ? "" : "s", order->done);
	if (!good)
		return listing_view_fail(&err);
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
