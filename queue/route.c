#include "queue/route.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/daemon/daemon.h"
#include "common/base/log.h"
#include "queue/dispatch.h"
#include "queue/outcome.h"
#include "queue/relay.h"
#include "queue/reroute.h"
#include "queue/site.h"
#include "queue/timing.h"

/* Of one message at a time; the others wait until some are answered. */
#define QUESTIONS_MAX 100
#define DESTINATIONS_MAX 20000
#define ALIAS_TIMEOUT_MS 10000
/* A message with more recipients than this is mass mail. */
#define BULK_RECIPIENTS 50
/* Of one message in one turn of the loop, so that a long list stops nobody. */
#define TURN_RECIPIENTS 200
/* While some of a message's domains are slow to be found, the others do not wait for company longer than this. */
#define FLUSH_MS 200

TAILQ_HEAD(message_list, message);

/* Where mail for a domain goes, before its exchangers are known. */
struct way {
	enum job_transport transport;
	struct str next_hop;
	struct str route; /* its name in the configuration, or empty */
};

struct routes {
	struct queue *queue;
	char **relays; /* of each [route] of the configuration, its next hop; NULL: the domain's exchangers */
	struct socketmap_client map;
	char *map_path;
	struct destinations destinations;
	struct loop_timer flush, turn;
	struct message_list going; /* those of which there is more to do in the next turn */
	struct message_list flushing;
	struct site_limits local, remote;
	struct site_limits *special; /* of each [site] of the configuration */
};

/* A recipient about whom somebody is asked. */
struct question {
	struct socketmap_query map;
	struct destination_query destination;
	struct message *message;
	size_t index;
	char *addresses; /* the alias's, while its owner is asked for */
};

static void route_continue(struct message *m);

/* ---- deliveries ------------------------------------------------------------------------------------------------ */

static struct recipient *
recipient_at(struct message *m, size_t index)
{
	return &m->envelope.recipients[index];
}

static struct str
domain_of(struct str address)
{
	return str_skip(address, str_find_last(address, '@') + 1);
}

/* Without a transaction. */
static struct queue_attempt
attempt_of(size_t index, enum queue_state outcome, struct str code, struct str reply)
{
	return (struct queue_attempt){.time_ms = queue_now_ms(), .recipient = index, .outcome = outcome, .code = code,
	    .relay = STR("none"), .reply = reply};
}

static void
refuse(struct message *m, size_t index, enum queue_state outcome, const char *code, const char *reply)
{
	struct queue_attempt attempt = attempt_of(index, outcome, str_from(code), str_from(reply));

	message_attempt(m, index, &attempt, NULL);
}

/* All of its recipients that have no result yet get this one. */
static void
settle(struct delivery *d, enum queue_state outcome, struct str code, struct str reply)
{
	struct message *m = d->message;

	for (size_t i = 0; i < d->nrecipients; i++) {
		struct queue_attempt attempt = attempt_of(d->recipients[i], outcome, code, reply);

		message_attempt(m, d->recipients[i], &attempt, NULL);
	}
	delivery_free(d);
}

void
route_defer(struct delivery *d, struct str code, struct str reply)
{
	if (delivery_is_local(d) && d->nrecipients > 0)
		d->message->again_soon = true;
	settle(d, QUEUE_WAITING, code, reply);
}

void
route_fail(struct delivery *d, struct str code, struct str reply)
{
	settle(d, QUEUE_FAILED, code, reply);
}

void
route_suspend(struct delivery *d)
{
	const struct schedule_site *site = schedule_site_find(&d->message->queue->schedule, d->site);
	char reply[JOB_REPLY_MAX];

	(void)snprintf(reply, sizeof reply, "delivery temporarily suspended: %s",
	    site != NULL && site->last_trouble != NULL ? site->last_trouble : "the site does not answer");
	d->message->again_soon = d->message->again_soon || d->transport == JOB_LMTP;
	for (size_t i = 0; i < d->nrecipients; i++) {
		struct queue_attempt attempt = attempt_of(d->recipients[i], QUEUE_WAITING, STR("4.4.1"), str_from(reply));

		message_suspend(d->message, d->recipients[i], &attempt);
	}
	delivery_free(d);
}

static const struct site_limits *
limits_of(const struct routes *routes, const struct delivery *d)
{
	if (delivery_is_local(d))
		return &routes->local;
	return d->section != NULL ? &routes->special[d->section - routes->queue->conf->sites] : &routes->remote;
}

void
route_schedule(struct routes *routes, struct delivery *d)
{
	struct queue *q = routes->queue;
	struct message *m = d->message;
	struct schedule_site *site = schedule_site(&q->schedule, d->site, limits_of(routes, d));
	enum schedule_class class = m->is_retry ? SCHEDULE_RETRY
	    : m->envelope.nrecipients > BULK_RECIPIENTS ? SCHEDULE_BULK
							: SCHEDULE_NEW;
	uint64_t flow = siphash(&q->hash_key, m->envelope.sender);

	d->job.priority = m->envelope.priority;
	delivery_close(d);
	if (m->wish != MESSAGE_WISH_NONE) {
		delivery_free(d); /* the postmaster does not want it to be begun */
		return;
	}
	switch (schedule_add(&q->schedule, site, &d->job, class, flow, loop_now_ms(q->loop))) {
	case SCHEDULE_ADDED:
		return;
	case SCHEDULE_DEAD:
		route_suspend(d);
		return;
	case SCHEDULE_FULL:
		message_postpone(m, schedule_again_ms(site, timing_again_max_ms(&m->envelope, &q->conf->queue, m->active_ms),
		    loop_now_ms(q->loop), arc4random()));
		delivery_free(d);
		return;
	}
}

/* What the configuration says of that site; with its list for retries the message is tried again. */
static const struct conf_site *
section_of(struct message *m, size_t index, struct str site)
{
	const struct conf *conf = m->queue->conf;
	const struct conf_site *section = NULL;

	if (conf->nsites > 0)
		section = site_section(conf, site, domain_of(recipient_at(m, index)->address));
	if (section != NULL && section->retry_s.list[0] > 0)
		m->retry = site_retry_shorter(&section->retry_s, m->retry, m->envelope.deferrals);
	return section;
}

static void
deliver_by(struct message *m, size_t index, struct way way, struct str site, struct str security)
{
	struct delivery like = {.transport = way.transport, .next_hop = way.next_hop, .route = way.route, .site = site,
	    .security = security,
	    .return_path = envelope_return_path(&m->envelope, recipient_at(m, index))};
	struct delivery *d;

	if (!delivery_is_local(&like))
		like.section = section_of(m, index, site);
	d = delivery_open(m, &like);
	delivery_add(d, index);
	if (d->nrecipients == DELIVERY_RECIPIENTS_MAX)
		route_schedule(m->queue->routes, d);
}

void
route_withdraw(struct message *m)
{
	struct delivery *d, *next;

	LIST_FOREACH_SAFE(d, &m->deliveries, link, next) {
		if (d->worker != NULL)
			continue;
		schedule_remove(&m->queue->schedule, &d->job);
		delivery_free(d);
	}
}

static void
flush(struct message *m)
{
	struct delivery *d;

	while ((d = delivery_first_open(m)) != NULL)
		route_schedule(m->queue->routes, d);
}

static void
flush_expired(struct loop_timer *timer)
{
	struct routes *routes = container_of(timer, struct routes, flush);
	struct message *m;

	while ((m = TAILQ_FIRST(&routes->flushing)) != NULL) {
		TAILQ_REMOVE(&routes->flushing, m, flush_link);
		m->flush_soon = false;
		flush(m);
	}
	dispatch_pump(routes->queue->dispatch);
}

static void
flush_soon(struct message *m)
{
	struct routes *routes = m->queue->routes;

	if (m->flush_soon || RB_EMPTY(&m->open))
		return;
	m->flush_soon = true;
	TAILQ_INSERT_TAIL(&routes->flushing, m, flush_link);
	if (routes->flush.loop == NULL)
		loop_timer_set(m->queue->loop, &routes->flush, FLUSH_MS, flush_expired);
}

static void
flush_now(struct message *m)
{
	if (m->flush_soon)
		TAILQ_REMOVE(&m->queue->routes->flushing, m, flush_link);
	m->flush_soon = false;
	flush(m);
}

/* ---- questions ------------------------------------------------------------------------------------------------- */

static struct question *
question_new(struct message *m, size_t index)
{
	struct question *question = calloc(1, sizeof *question);

	if (question == NULL)
		fatal("out of memory for a question");
	question->message = m;
	question->index = index;
	m->questions++;
	return question;
}

/* It is answered: on with the message, which may be gone then. */
static void
question_done(struct question *question)
{
	struct message *m = question->message;

	m->questions--;
	free(question->addresses);
	free(question);
	route_continue(m);
}

/* ---- other domains --------------------------------------------------------------------------------------------- */

/* By command all of a message takes another one, as long as the configuration has it; or none, and goes to a host. */
static const struct conf_route *
route_of(const struct message *m, struct str domain)
{
	const struct conf_route *route = NULL;

	if (m->envelope.reroute.n > 0)
		route = relay_named(m->queue->conf, m->envelope.reroute);
	return route != NULL ? route : relay_find(m->queue->conf, domain);
}

static struct way
way_of(struct message *m, size_t index)
{
	const struct routes *routes = m->queue->routes;
	struct str domain = domain_of(recipient_at(m, index)->address);
	const struct conf_route *route;
	const char *relay;

	if (reroute_is_host(m->envelope.reroute))
		return (struct way){JOB_SMTP, m->envelope.reroute, STR("")};
	route = route_of(m, domain);
	if (route == NULL)
		return (struct way){JOB_SMTP, domain, STR("")};
	relay = routes->relays[route - m->queue->conf->routes];
	return (struct way){relay_transport(route), relay != NULL ? str_from(relay) : domain, str_from(route->name)};
}

static void
resolved(struct message *m, size_t index, const struct destination *d)
{
	switch (d->status) {
	case JOB_DELIVERED:
		deliver_by(m, index, way_of(m, index), str_from(d->site), str_from(d->security));
		return;
	case JOB_DEFERRED:
		refuse(m, index, QUEUE_WAITING, d->code, d->reason);
		return;
	case JOB_FAILED:
		refuse(m, index, QUEUE_FAILED, d->code, d->reason);
		return;
	}
}

static void
destination_answered(struct destination_query *query, const struct destination *d)
{
	struct question *question = container_of(query, struct question, destination);

	resolved(question->message, question->index, d);
	question_done(question);
}

static void
route_abroad(struct message *m, size_t index, struct str domain)
{
	struct routes *routes = m->queue->routes;
	struct way way = way_of(m, index);
	struct question *question;
	const struct destination *d;

	if (domain.n > JOB_NEXT_HOP_MAX) {
		refuse(m, index, QUEUE_FAILED, "5.1.2", "the domain is too long");
		return;
	}
	if (way.transport == JOB_LMTP) { /* one server, known by its name */
		deliver_by(m, index, way, way.next_hop, STR_NONE);
		return;
	}
	question = question_new(m, index);
	question->destination.answered = destination_answered;
	d = destination_ask(&routes->destinations, &question->destination, way.next_hop,
	    loop_now_ms(m->queue->loop));
	if (d == NULL)
		return;
	m->questions--;
	free(question);
	resolved(m, index, d);
}

/* ---- our own domains ------------------------------------------------------------------------------------------- */

/* By LMTP to deliver, unless the domain's own route leads to another server. */
static void
route_home(struct message *m, size_t index)
{
	struct str domain = domain_of(recipient_at(m, index)->address);

	if (relay_of_own(m->queue->conf, domain) != NULL)
		route_abroad(m, index, domain);
	else
		deliver_by(m, index, (struct way){JOB_LMTP, STR("lmtp"), STR("")}, STR(ROUTE_LOCAL_SITE), STR_NONE);
}

static void
authd_is_away(struct message *m, size_t index)
{
	m->again_soon = true;
	refuse(m, index, QUEUE_WAITING, "4.3.0", "the aliases cannot be looked up now");
}

static void
expand(struct message *m, size_t index, struct str addresses, struct str return_path)
{
	size_t before = m->envelope.nrecipients;
	struct str domain = domain_of(recipient_at(m, index)->address);

	if (!envelope_expand(&m->envelope, index, addresses, domain, return_path)) {
		refuse(m, index, QUEUE_FAILED, "5.4.6", "aliases that lead to aliases too often, or to too many");
		return;
	}
	m->queue->nrecipients += m->envelope.nrecipients - before;
	log_debug("%s: %.*s is %zu recipients", m->id.text, STR_FMT(recipient_at(m, index)->address),
	    m->envelope.nrecipients - before);
}

/* For the mail of a list its owner gets the notifications, if there is one. */
static void
owner_answered(struct socketmap_query *query, enum socketmap_status status, struct str value)
{
	struct question *question = container_of(query, struct question, map);
	struct message *m = question->message;
	struct str address = recipient_at(m, question->index)->address, owner;

	(void)value;
	switch (status) {
	case SOCKETMAP_OK:
		owner = arena_printf(&m->envelope.arena, "owner-%.*s", STR_FMT(address));
		expand(m, question->index, str_from(question->addresses), owner);
		break;
	case SOCKETMAP_NOTFOUND:
	case SOCKETMAP_PERM:
		expand(m, question->index, str_from(question->addresses), STR_NONE);
		break;
	case SOCKETMAP_TEMP:
		authd_is_away(m, question->index);
		break;
	}
	question_done(question);
}

/* False: there is nothing to ask; notifications about the null sender's mail go nowhere. */
static bool
ask_owner(struct question *question, struct str addresses)
{
	struct message *m = question->message;
	struct recipient *r = recipient_at(m, question->index);
	char owner[ENVELOPE_ADDRESS_MAX + 8];
	int n = snprintf(owner, sizeof owner, "owner-%.*s", STR_FMT(r->address));

	if (envelope_return_path(&m->envelope, r).n == 0 || str_starts_nocase(r->address, STR("owner-")))
		return false;
	question->addresses = str_dup(addresses);
	socketmap_ask(&m->queue->routes->map, &question->map, STR("recipient"), (struct str){owner, (size_t)n},
	    owner_answered);
	return true;
}

static void
alias_answered(struct socketmap_query *query, enum socketmap_status status, struct str value)
{
	struct question *question = container_of(query, struct question, map);
	struct message *m = question->message;

	switch (status) {
	case SOCKETMAP_OK:
		if (ask_owner(question, value))
			return;
		expand(m, question->index, value, STR_NONE);
		break;
	case SOCKETMAP_NOTFOUND:
		route_home(m, question->index);
		break;
	case SOCKETMAP_TEMP:
		authd_is_away(m, question->index);
		break;
	case SOCKETMAP_PERM:
		refuse(m, question->index, QUEUE_FAILED, "5.1.3", "that is no address of ours");
		break;
	}
	question_done(question);
}

static void
ask_alias(struct message *m, size_t index)
{
	struct question *question = question_new(m, index);

	socketmap_ask(&m->queue->routes->map, &question->map, STR("alias"), recipient_at(m, index)->address,
	    alias_answered);
}

/* ---- all ------------------------------------------------------------------------------------------------------- */

static void
route_one(struct message *m, size_t index)
{
	struct recipient *r = recipient_at(m, index);
	struct str domain;

	if (r->state != QUEUE_WAITING)
		return;
	if (str_find_last(r->address, '@') == r->address.n) {
		refuse(m, index, QUEUE_FAILED, "5.1.3", "an address without a domain");
		return;
	}
	domain = domain_of(r->address);
	if (conf_domain_find(m->queue->conf, domain) == NULL)
		route_abroad(m, index, domain);
	else if (envelope_is_literal(&m->envelope, index))
		route_home(m, index);
	else
		ask_alias(m, index);
}

static void
turn_expired(struct loop_timer *timer)
{
	struct routes *routes = container_of(timer, struct routes, turn);
	struct message_list list;
	struct message *m;

	TAILQ_INIT(&list);
	TAILQ_CONCAT(&list, &routes->going, route_link);
	while ((m = TAILQ_FIRST(&list)) != NULL) {
		TAILQ_REMOVE(&list, m, route_link);
		m->is_going = false;
		route_continue(m);
	}
}

static void
route_later(struct message *m)
{
	struct routes *routes = m->queue->routes;

	if (m->is_going)
		return;
	m->is_going = true;
	TAILQ_INSERT_TAIL(&routes->going, m, route_link);
	if (routes->turn.loop == NULL)
		loop_timer_set(m->queue->loop, &routes->turn, 0, turn_expired);
}

static void
route_continue(struct message *m)
{
	struct routes *routes = m->queue->routes;

	/* Aliases make it grow while we go. */
	for (int i = 0; i < TURN_RECIPIENTS && m->routed < m->envelope.nrecipients && m->questions < QUESTIONS_MAX; i++)
		route_one(m, m->routed++);
	if (m->routed < m->envelope.nrecipients && m->questions < QUESTIONS_MAX) {
		route_later(m);
	} else if (m->questions > 0) {
		flush_soon(m);
	} else {
		flush_now(m);
		outcome_progress(m);
	}
	dispatch_pump(routes->queue->dispatch);
}

void
route_message(struct routes *routes, struct message *m)
{
	(void)routes;
	route_continue(m);
}

static bool
resolve_send(struct destinations *destinations, uint32_t id, struct str domain)
{
	struct routes *routes = container_of(destinations, struct routes, destinations);

	return dispatch_resolve(routes->queue->dispatch, id, domain);
}

struct str
route_site(const struct routes *routes, struct str domain)
{
	const struct conf *conf = routes->queue->conf;
	const struct conf_route *route = relay_find(conf, domain);
	const char *relay = route != NULL ? routes->relays[route - conf->routes] : NULL;

	if (conf_domain_find(conf, domain) != NULL)
		return STR(ROUTE_LOCAL_SITE);
	return destination_site(&routes->destinations, relay != NULL ? str_from(relay) : domain);
}

struct destinations *
routes_destinations(struct routes *routes)
{
	return &routes->destinations;
}

/* One whose relay makes no sense was complained of by `merpati check`; its mail is not to go elsewhere: it fails. */
static void
relays_make(struct routes *routes, const struct conf *conf)
{
	struct buf b;

	routes->relays = calloc(conf->nroutes + 1, sizeof *routes->relays);
	if (routes->relays == NULL)
		fatal("out of memory");
	buf_init(&b, 2 * JOB_NEXT_HOP_MAX);
	for (size_t i = 0; i < conf->nroutes; i++) {
		buf_reset(&b);
		if (relay_next_hop(&conf->routes[i], &b))
			routes->relays[i] = str_dup(buf_str(&b));
		else if (conf->routes[i].relay[0] != '\0')
			routes->relays[i] = str_dup(STR("[malformed relay]"));
	}
	buf_clear(&b);
}

static void
specials_make(struct routes *routes, const struct conf *conf)
{
	routes->special = calloc(conf->nsites + 1, sizeof *routes->special);
	if (routes->special == NULL)
		fatal("out of memory");
	for (size_t i = 0; i < conf->nsites; i++)
		site_limits_special(&routes->special[i], &conf->queue, &conf->sites[i]);
}

struct routes *
routes_new(struct queue *q)
{
	struct routes *routes = calloc(1, sizeof *routes);

	if (routes == NULL)
		fatal("out of memory");
	routes->queue = q;
	TAILQ_INIT(&routes->flushing);
	TAILQ_INIT(&routes->going);
	site_limits_local(&routes->local, &q->conf->queue);
	site_limits_usual(&routes->remote, &q->conf->queue);
	specials_make(routes, q->conf);
	relays_make(routes, q->conf);
	routes->map_path = str_dup(str_from(daemon_socket_path(q->conf, "map")));
	socketmap_client_init(&routes->map, q->loop, routes->map_path, ALIAS_TIMEOUT_MS);
	destinations_init(&routes->destinations, DESTINATIONS_MAX, resolve_send);
	return routes;
}

void
routes_free(struct routes *routes)
{
	loop_timer_cancel(&routes->flush);
	loop_timer_cancel(&routes->turn);
	socketmap_client_clear(&routes->map);
	destinations_clear(&routes->destinations);
	for (size_t i = 0; i < routes->queue->conf->nroutes; i++)
		free(routes->relays[i]);
	free(routes->relays);
	free(routes->special);
	free(routes->map_path);
	free(routes);
}
