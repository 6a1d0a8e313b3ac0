#include "queue/intake_inner.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "queue/notice.h"
#include "queue/site.h"
#include "queue/timing.h"

/* How often incoming/ is looked at, for notices that were lost; and the clock, whether it has leapt. */
#define SCAN_INTERVAL_MS 5000
/* In memory at a time, over all messages. */
#define RECIPIENTS_LIMIT 200000

/*
 * Retries never fill more than half, so that new mail is not shut out by them; but each of them may make a notification, which
 * fill the other half. So new mail has room for as long as it has not half by itself.
 */
bool
intake_has_room_for_new(const struct queue *q)
{
	size_t limit = q->conf->queue.active_limit, others = q->nretries + q->nnotices;

	return !q->stopping && (q->nmessages < limit || q->nmessages - others < limit / 2) && q->nrecipients < RECIPIENTS_LIMIT;
}

bool
intake_has_room_for_retry(const struct queue *q)
{
	size_t limit = q->conf->queue.active_limit;

	return intake_has_room_for_new(q) && q->nmessages < limit && q->nretries + q->nnotices < limit / 2 &&
	    q->nrecipients < RECIPIENTS_LIMIT / 2;
}

bool
intake_has_room(const struct intake *intake)
{
	return intake_has_room_for_retry(intake->queue);
}

/* ---- directories ----------------------------------------------------------------------------------------------- */

/* What the last queued left; but the directory is read while we work, so what is ours may be met as well. */
static void
take_active(struct intake *intake, const struct queue_id *id)
{
	if (queue_find(intake->queue, id) == NULL && !notice_is_being_written(intake->queue->notices, id))
		intake_take_by(intake, id, &intake_left_over);
}

/* Takes the next file of the directory; false at its end, or when it is of no use to go on. */
static bool
scan_step(struct intake *intake, struct spool_scan *scan)
{
	const char *name = spool_scan_next(scan);
	struct queue_id id;

	if (name == NULL)
		return false;
	/* Nothing else of ours has other names; what the postmaster leaves there is the postmaster's. */
	if (!queue_id_parse(&id, str_from(name)))
		return true;
	if (scan->place == SPOOL_INCOMING)
		return intake_take_incoming(intake, &id, false);
	if (scan->place == SPOOL_DEFERRED)
		return intake_take_deferred(intake, &id, &scan->time);
	take_active(intake, &id);
	return true;
}

static bool
step_active(struct intake *intake)
{
	if (intake->active.dir == NULL || !intake_has_room_for_new(intake->queue))
		return false;
	if (!scan_step(intake, &intake->active))
		spool_scan_close(&intake->active);
	return true;
}

static bool
step_incoming(struct intake *intake)
{
	struct err err;

	if (!intake_has_room_for_new(intake->queue))
		return false;
	if (intake->incoming.dir == NULL) {
		if (!intake->scan_incoming)
			return false;
		intake->scan_incoming = false;
		if (!spool_scan_open(&intake->queue->spool, &intake->incoming, SPOOL_INCOMING, NULL, &err))
			log_error("%s", err.text);
		return intake->incoming.dir != NULL;
	}
	if (!scan_step(intake, &intake->incoming))
		spool_scan_close(&intake->incoming);
	return true;
}

static bool
step_deferred(struct intake *intake)
{
	if (!intake_has_room_for_retry(intake->queue))
		return false;
	if (intake->deferred.dir == NULL)
		return intake_scan_due(intake);
	if (!scan_step(intake, &intake->deferred))
		intake_due_done(intake);
	return true;
}

static bool
step_loading(struct intake *intake)
{
	struct message *m = TAILQ_FIRST(&intake->loading);

	if (m == NULL)
		return false;
	TAILQ_REMOVE(&intake->loading, m, load_link);
	intake_load(intake, m);
	return true;
}

/* ---- when ------------------------------------------------------------------------------------------------------ */

static void clock_expired(struct loop_timer *timer);

void
intake_clock_set(struct intake *intake)
{
	uint64_t now_ms = queue_now_ms(), loop_ms = loop_now_ms(intake->queue->loop);
	uint64_t after_ms = intake->next_scan_ms > loop_ms ? intake->next_scan_ms - loop_ms : 1;
	uint64_t next_ms = intake_next_due_ms(intake);

	if (next_ms > now_ms && next_ms - now_ms < after_ms)
		after_ms = next_ms - now_ms;
	else if (next_ms <= now_ms && intake_has_room_for_retry(intake->queue))
		after_ms = 1;
	loop_timer_set(intake->queue->loop, &intake->clock, after_ms, clock_expired);
}

static void
turn_expired(struct loop_timer *timer)
{
	struct intake *intake = container_of(timer, struct intake, turn);
	bool more = true;

	intake_look_at_clock(intake);
	for (int i = 0; more && i < INTAKE_TURN_MESSAGES && !intake->queue->stopping; i++) {
		/* No short cuts: each has its turn. */
		more = step_loading(intake);
		more = step_active(intake) || more;
		more = step_incoming(intake) || more;
		more = step_deferred(intake) || more;
	}
	if (more && !intake->queue->stopping)
		intake_wake(intake);
	else
		intake_clock_set(intake);
}

void
intake_wake(struct intake *intake)
{
	if (intake->turn.loop == NULL)
		loop_timer_set(intake->queue->loop, &intake->turn, 0, turn_expired);
}

static void
scan_active_again(struct intake *intake)
{
	struct err err;

	intake->active_again_ms = 0;
	if (intake->active.dir == NULL && !spool_scan_open(&intake->queue->spool, &intake->active, SPOOL_ACTIVE, NULL, &err))
		log_error("%s", err.text);
}

static void
clock_expired(struct loop_timer *timer)
{
	struct intake *intake = container_of(timer, struct intake, clock);
	uint64_t now_ms = loop_now_ms(intake->queue->loop);

	if (now_ms >= intake->next_scan_ms) {
		intake->scan_incoming = true;
		intake->next_scan_ms = now_ms + SCAN_INTERVAL_MS;
	}
	if (intake->active_again_ms != 0 && now_ms >= intake->active_again_ms)
		scan_active_again(intake);
	intake_wake(intake);
}

void
intake_room(struct intake *intake)
{
	if (intake->active.dir != NULL || intake->incoming.dir != NULL || intake->scan_incoming ||
	    intake->deferred.dir != NULL || intake_is_due(intake))
		intake_wake(intake);
}

void
intake_retry_all(struct intake *intake)
{
	intake->retry_all = true;
	intake_wake(intake);
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

struct intake *
intake_new(struct queue *q, int poke_fd)
{
	struct intake *intake = calloc(1, sizeof *intake);
	struct err err;

	if (intake == NULL)
		fatal("out of memory");
	intake->queue = q;
	RB_INIT(&intake->due);
	RB_INIT(&intake->releases);
	TAILQ_INIT(&intake->loading);
	/* With the widest jitter and the rounding. */
	intake->longest_retry_s = site_retry_longest_s(q->conf);
	if (intake->longest_retry_s < TIMING_AGAIN_MAX_S)
		intake->longest_retry_s = TIMING_AGAIN_MAX_S;
	intake->longest_retry_s += intake->longest_retry_s * 3 / 5 + 120;
	intake_list_deferred(intake);
	if (!spool_scan_open(&q->spool, &intake->active, SPOOL_ACTIVE, NULL, &err))
		fatal("%s", err.text);
	intake->scan_incoming = true;
	if (poke_fd >= 0)
		loop_io_add(q->loop, &intake->poke, poke_fd, LOOP_READ, intake_poke_ready);
	intake_wake(intake);
	return intake;
}

void
intake_free(struct intake *intake)
{
	loop_io_remove(&intake->poke);
	loop_timer_cancel(&intake->turn);
	loop_timer_cancel(&intake->clock);
	spool_scan_close(&intake->active);
	spool_scan_close(&intake->incoming);
	spool_scan_close(&intake->deferred);
	intake_due_clear(intake);
	free(intake);
}
