#include "queue/wake.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/queue/poke.h"
#include "queue/intake.h"
#include "queue/route.h"

#define TURN_MESSAGES 64
#define AGAIN_MS 60000
/* While the queue has no room for more. */
#define ROOM_MS 100

struct target {
	char *text; /* NULL: free */
	uint64_t heard_ms;
	bool is_wanted; /* by the next walk */
	bool is_looked_for;
};

struct wake {
	struct queue *queue;
	struct target targets[WAKE_TARGETS_MAX];
	struct loop_timer turn;
	bool walking;
	struct spool_scan times, messages;
	size_t found;
};

/* ---- what matches ---------------------------------------------------------------------------------------------- */

static struct str
domain_of(struct str address)
{
	return str_skip(address, str_find_last(address, '@') + 1);
}

static bool
is_below(struct str domain, struct str above)
{
	return domain.n > above.n && domain.p[domain.n - above.n - 1] == '.' && str_ends_nocase(domain, above);
}

/* Exchangers are asked for by what they are called in a site's key, or, when that is not known, by who answered last. */
static struct str
relay_host(const struct recipient *r)
{
	return str_sub(r->relay, 0, str_find(r->relay, '['));
}

bool
wake_matches(const struct recipient *r, struct str site, struct str target)
{
	struct str domain = domain_of(r->address);

	if (r->state != QUEUE_WAITING)
		return false;
	if (target.n > 1 && target.p[0] == '@') {
		target = str_skip(target, 1);
		return str_equal_nocase(domain, target) || is_below(domain, target);
	}
	return str_equal_nocase(domain, target) || str_has_word_nocase(site, target) ||
	    str_equal_nocase(relay_host(r), target);
}

static bool
is_wanted(struct wake *wake, const struct envelope *e)
{
	const struct destinations *destinations = routes_destinations(wake->queue->routes);

	if (e->release_ms > queue_now_ms())
		return false;
	for (size_t i = 0; i < e->nrecipients; i++) {
		const struct recipient *r = &e->recipients[i];
		struct str site = destination_site(destinations, domain_of(r->address));

		for (size_t t = 0; t < WAKE_TARGETS_MAX; t++) {
			if (!wake->targets[t].is_looked_for || !wake_matches(r, site, str_from(wake->targets[t].text)))
				continue;
			schedule_revive(&wake->queue->schedule, site.n > 0 ? site : relay_host(r));
			return true;
		}
	}
	return false;
}

/* ---- the walk -------------------------------------------------------------------------------------------------- */

static bool
looks_wanted(struct wake *wake, const struct queue_id *id)
{
	struct queue *q = wake->queue;
	struct envelope_source source;
	struct envelope e;
	struct err err;
	int fd = spool_open_deferred(&q->spool, id, &wake->messages.time, &err);
	bool wanted;

	if (fd < 0)
		return false;
	envelope_source_init(&source, fd);
	source.skips_content = true;
	envelope_init(&e, MESSAGE_ENVELOPE_MAX_BYTES, MESSAGE_RECIPIENTS_MAX, &q->hash_key);
	wanted = envelope_load(&e, &source, SIZE_MAX - 1, &err) == ENVELOPE_LOADED && is_wanted(wake, &e);
	envelope_clear(&e);
	(void)close(fd);
	return wanted;
}

static void
message_look(struct wake *wake, const char *name)
{
	struct queue *q = wake->queue;
	struct queue_id id;
	struct err err;

	if (!queue_id_parse(&id, str_from(name)) || !looks_wanted(wake, &id))
		return;
	if (spool_undefer(&q->spool, &id, &wake->messages.time, &err)) {
		wake->found++;
		intake_take(q->intake, &id);
	} else if (err.errnum != ENOENT) {
		log_error("%s: %s", id.text, err.text);
	}
}

/* The next message, or directory; false when there is none left. */
static bool
step(struct wake *wake)
{
	struct spool_time time;
	struct err err;
	const char *name = spool_scan_next(&wake->messages);
	uint64_t time_s;

	if (name != NULL) {
		message_look(wake, name);
		return true;
	}
	spool_scan_close(&wake->messages);
	name = spool_scan_next(&wake->times);
	if (name == NULL)
		return false;
	if (spool_time_parse(str_from(name), &time, &time_s) &&
	    !spool_scan_open(&wake->queue->spool, &wake->messages, SPOOL_DEFERRED, &time, &err) && err.errnum != ENOENT)
		log_error("%s", err.text);
	return true;
}

static void
walk_begin(struct wake *wake)
{
	struct err err;

	wake->walking = spool_scan_open(&wake->queue->spool, &wake->times, SPOOL_DEFERRED, NULL, &err);
	if (!wake->walking)
		log_error("%s", err.text);
	wake->found = 0;
	for (size_t i = 0; i < WAKE_TARGETS_MAX; i++) {
		struct target *target = &wake->targets[i];

		target->is_looked_for = target->is_wanted;
		target->is_wanted = false;
		/* What came new in the meantime will find it alive as well. */
		if (target->is_looked_for)
			schedule_revive(&wake->queue->schedule, str_from(target->text));
	}
}

static bool
walk_end(struct wake *wake)
{
	bool again = false;

	for (size_t i = 0; i < WAKE_TARGETS_MAX; i++) {
		struct target *target = &wake->targets[i];

		if (target->is_looked_for)
			log_info("wake %s: done", target->text);
		target->is_looked_for = false;
		again = again || target->is_wanted;
	}
	log_debug("woken: %zu messages", wake->found);
	spool_scan_close(&wake->times);
	wake->walking = false;
	return again;
}

static void
turn(struct loop_timer *timer)
{
	struct wake *wake = container_of(timer, struct wake, turn);
	bool more = true;

	if (!intake_has_room(wake->queue->intake)) {
		loop_timer_set(wake->queue->loop, timer, ROOM_MS, turn);
		return;
	}
	if (!wake->walking)
		walk_begin(wake);
	for (int i = 0; more && i < TURN_MESSAGES && intake_has_room(wake->queue->intake); i++)
		more = step(wake);
	if (!more)
		more = walk_end(wake);
	if (more)
		loop_timer_set(wake->queue->loop, timer, 0, turn);
}

/* ---- asking ---------------------------------------------------------------------------------------------------- */

static bool
is_sound(struct str target)
{
	for (size_t i = 0; i < target.n; i++)
		if (!ascii_is_print(target.p[i]) || target.p[i] == ' ')
			return false;
	return target.n > 0 && target.n <= POKE_TARGET_MAX;
}

/* Its own place, or that of the one which was heard longest ago and is done. */
static struct target *
target_place(struct wake *wake, struct str text)
{
	struct target *oldest = NULL;

	for (size_t i = 0; i < WAKE_TARGETS_MAX; i++) {
		struct target *target = &wake->targets[i];

		if (target->text != NULL && str_equal_nocase(str_from(target->text), text))
			return target;
		if (!target->is_wanted && !target->is_looked_for && (oldest == NULL || target->heard_ms < oldest->heard_ms))
			oldest = target;
	}
	return oldest;
}

bool
wake_site(struct wake *wake, struct str text, bool is_strangers)
{
	uint64_t now_ms = loop_now_ms(wake->queue->loop);
	struct target *target = is_sound(text) ? target_place(wake, text) : NULL;
	bool is_known;

	if (target == NULL)
		return false;
	is_known = target->text != NULL && str_equal_nocase(str_from(target->text), text);
	if (is_known && (target->is_wanted || (is_strangers && now_ms < target->heard_ms + AGAIN_MS)))
		return true;
	if (!is_known) {
		/* A stranger cannot have the memory of the last minute forgotten by naming many. */
		if (is_strangers && target->text != NULL && now_ms < target->heard_ms + AGAIN_MS)
			return false;
		free(target->text);
		target->text = str_dup(text);
	}
	target->heard_ms = now_ms;
	target->is_wanted = true;
	if (wake->turn.loop == NULL)
		loop_timer_set(wake->queue->loop, &wake->turn, 0, turn);
	return true;
}

struct wake *
wake_new(struct queue *q)
{
	struct wake *wake = calloc(1, sizeof *wake);

	if (wake == NULL)
		fatal("out of memory");
	wake->queue = q;
	return wake;
}

void
wake_free(struct wake *wake)
{
	loop_timer_cancel(&wake->turn);
	spool_scan_close(&wake->messages);
	spool_scan_close(&wake->times);
	for (size_t i = 0; i < WAKE_TARGETS_MAX; i++)
		free(wake->targets[i].text);
	free(wake);
}
