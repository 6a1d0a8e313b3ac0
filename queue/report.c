#include "queue/report.h"

#include <stdio.h>

#include "queue/control_report.h"
#include "queue/dispatch.h"
#include "queue/route.h"

/* Of what one packet holds this remains for its head. */
#define TEXT_MAX_BYTES (MSG_MAX_BYTES - 1024)

static void
add_state(struct queue *q, struct buf *text)
{
	struct control_state state = {.messages = q->nmessages, .recipients = q->nrecipients, .retries = q->nretries,
	    .deliveries = dispatch_running(q->dispatch)};

	control_state_add(text, &state);
}

/* What the next that waits at a site waits for; empty: nothing waits. */
static struct str
limit_of(const struct queue *q, const struct schedule_site *site, char *text, size_t size)
{
	uint64_t now_ms = loop_now_ms(q->loop), start_ms = site->next_start_us / 1000;
	const char *more = site->again.next_us > now_ms * 1000 ? "; more of its mail waits on the disk for room" : "";

	text[0] = '\0';
	switch (schedule_site_waits_for(&q->schedule, site)) {
	case SCHEDULE_WAITS_NOT:
		break;
	case SCHEDULE_WAITS_RATE:
		(void)snprintf(text, size, "its rate of %u in %g s, in %g s%s", site->limits.rate,
		    (double)site->limits.rate_ms / 1000, start_ms > now_ms ? (double)(start_ms - now_ms) / 1000 : 0, more);
		break;
	case SCHEDULE_WAITS_WINDOW:
		(void)snprintf(text, size, "its window of %u%s", (unsigned)site->health.window, more);
		break;
	case SCHEDULE_WAITS_WORKERS:
		(void)snprintf(text, size, "the workers, who have all the %u connections that they may%s",
		    q->schedule.limits.running, more);
		break;
	case SCHEDULE_WAITS_TURN:
		(void)snprintf(text, size, "its turn%s", more);
		break;
	}
	return str_from(text);
}

static void
add_site(const struct queue *q, const struct schedule_site *s, struct buf *text)
{
	const struct site_health *h = &s->health;
	char limit[160];
	const struct control_site site = {.key = str_from(s->key), .running = s->running, .waiting = s->waiting,
	    .window = (uint64_t)h->window, .failing = h->trouble > 0, .probing = h->probing,
	    .dead_until_ms = h->dead_until_ms > 0 ? queue_wall_ms(q, h->dead_until_ms) : 0, .trouble = str_from(s->last_trouble),
	    .good_ms = s->record.good_ms, .failed_ms = s->record.failed_ms, .policy = str_from(s->record.policy),
	    .limit = limit_of(q, s, limit, sizeof limit)};

	control_site_add(text, &site);
}

static void
add_sites(struct queue *q, struct str after, struct buf *text)
{
	const struct schedule_site *site = schedule_site_after(&q->schedule, after);

	while (site != NULL && text->n + CONTROL_SITE_MAX_BYTES < TEXT_MAX_BYTES) {
		add_site(q, site, text);
		site = schedule_site_after(&q->schedule, str_from(site->key));
	}
}

static bool
is_running(const struct message *m)
{
	const struct delivery *d;

	LIST_FOREACH(d, &m->deliveries, link)
		if (d->worker != NULL)
			return true;
	return false;
}

static struct str
doing(const struct message *m)
{
	if (m == NULL)
		return STR("");
	if (m->is_stuck)
		return STR("waits because something could not be written: see the log");
	if (!m->loaded)
		return STR("is being read");
	if (m->noticing)
		return STR("waits until a notification about it is written");
	if (m->recording)
		return STR("waits until its results are written");
	if (is_running(m))
		return STR("is being delivered");
	if (m->questions > 0)
		return STR("waits for the answer to where its recipients are");
	return m->ndeliveries > 0 ? STR("waits for its turn at its site") : STR("is between two steps");
}

/* Of a message in memory the sites of its deliveries are known; of another those of its domains, perhaps. */
static void
add_why(struct queue *q, const struct control_request *request, struct buf *text)
{
	struct queue_id id;
	const struct message *m = queue_id_parse(&id, request->id) ? queue_find(q, &id) : NULL;
	struct control_why why = {.doing = doing(m)};
	struct str domains = request->text, domain, last = STR("");

	control_why_add(text, &why);
	for (int i = 0; i < CONTROL_WHY_DOMAINS_MAX && str_word(&domains, &domain); i++) {
		struct str key = route_site(q->routes, domain);
		const struct schedule_site *site;

		site = key.n > 0 ? schedule_site_find(&q->schedule, key) : NULL;
		if (site == NULL || str_equal(last, str_from(site->key)))
			continue;
		add_site(q, site, text);
		last = str_from(site->key);
	}
}

static void
add_where(struct queue *q, struct str domains, struct buf *text)
{
	struct str domain;

	while (text->n + CONTROL_WHERE_MAX_BYTES < TEXT_MAX_BYTES && str_word(&domains, &domain))
		control_where_add(text, route_site(q->routes, domain));
}

bool
report_answer(struct queue *q, const struct control_request *request, struct buf *text)
{
	switch (request->verb) {
	case CONTROL_STATE:
		add_state(q, text);
		return true;
	case CONTROL_SITES:
		add_sites(q, request->id, text);
		return true;
	case CONTROL_WHY:
		add_why(q, request, text);
		return true;
	case CONTROL_WHERE:
		add_where(q, request->text, text);
		return true;
	case CONTROL_RETRY:
	case CONTROL_HOLD:
	case CONTROL_RELEASE:
	case CONTROL_DELETE:
	case CONTROL_WAKE:
	case CONTROL_BOUNCE:
	case CONTROL_REROUTE:
	case CONTROL_VERBS:
		break;
	}
	return false;
}
