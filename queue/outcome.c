#include "queue/outcome.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/log.h"
#include "queue/intake.h"
#include "queue/notice.h"
#include "queue/timing.h"

/* Results that do not finish their message are written together after this. */
#define RECORD_MS 500
/* What could not be written is tried again after this: a few first, and when that goes well the others in no time. */
#define STUCK_MS 5000
#define STUCK_TRIES_MIN 10
#define UNSTUCK_MS 100
/* Mail that waits for a part of our own is tried again after this, if not sooner. */
#define SOON_S 30
/* After so many failed notifications a message is put on hold, for the postmaster to look at. */
#define NOTICE_FAILURES_MAX 10

TAILQ_HEAD(message_list, message);

struct outcome {
	struct queue *queue;
	struct message_list unrecorded, stuck;
	struct loop_timer record_timer, stuck_timer;
	size_t stuck_tries; /* at once, the next time */
};

/* ---- recording ------------------------------------------------------------------------------------------------- */

static void move_away(struct message *m);

/* What was recorded already needs only its new place, unless it is to be returned since. */
static void
unstick(struct message *m)
{
	TAILQ_REMOVE(&m->queue->outcome->stuck, m, stuck_link);
	m->is_stuck = false;
	m->ending = m->ending && m->wish != MESSAGE_WISH_BOUNCE;
	if (m->ending)
		move_away(m);
	else
		outcome_progress(m);
}

static void
stuck_expired(struct loop_timer *timer)
{
	struct outcome *outcome = container_of(timer, struct outcome, stuck_timer);
	size_t tries = outcome->stuck_tries;
	struct message *m;

	/* Before the tries: one that is stuck again begins anew. */
	outcome->stuck_tries *= 2;
	while (tries-- > 0 && (m = TAILQ_FIRST(&outcome->stuck)) != NULL)
		unstick(m);
	if (timer->loop == NULL && !TAILQ_EMPTY(&outcome->stuck))
		loop_timer_set(outcome->queue->loop, timer, UNSTUCK_MS, stuck_expired);
}

/* Nothing is lost: it stays in active/ and in memory, and we try again. */
static void
stuck(struct message *m)
{
	struct outcome *outcome = m->queue->outcome;

	m->is_stuck = true;
	TAILQ_INSERT_TAIL(&outcome->stuck, m, stuck_link);
	outcome->stuck_tries = STUCK_TRIES_MIN;
	loop_timer_set(m->queue->loop, &outcome->stuck_timer, STUCK_MS, stuck_expired);
}

static void
recorded(struct commit_entry *entry, bool ok, const struct err *err)
{
	struct message *m = container_of(entry, struct message, commit);

	m->recording = false;
	if (ok) {
		message_settle(m, m->record_fd);
	} else {
		log_error("%s: the results could not be made durable: %s", m->id.text, err->text);
		message_unrecord(m);
	}
	(void)close(m->record_fd);
	m->record_fd = -1;
	if (!ok && m->ending) {
		m->ending = false;
		stuck(m);
	} else if (m->ending) {
		move_away(m);
	} else {
		outcome_progress(m);
	}
}

/* Appends what the file does not know and `more`, and has it made durable: `recorded` follows. */
static bool
record(struct message *m, const struct buf *more)
{
	struct err err;

	if (!message_record(m, more, &m->record_fd, &err)) {
		log_error("%s: %s", m->id.text, err.text);
		return false;
	}
	m->recording = true;
	commit_submit(m->queue->commit, &m->commit, m->record_fd, m->queue->spool.fds[SPOOL_ACTIVE], recorded);
	return true;
}

static void
unrecorded_remove(struct message *m)
{
	if (m->is_unrecorded)
		TAILQ_REMOVE(&m->queue->outcome->unrecorded, m, unrecorded_link);
	m->is_unrecorded = false;
}

static void
record_expired(struct loop_timer *timer)
{
	struct outcome *outcome = container_of(timer, struct outcome, record_timer);
	struct message *m;

	while ((m = TAILQ_FIRST(&outcome->unrecorded)) != NULL) {
		unrecorded_remove(m);
		/* If it cannot be written now, the end of the round tries again. */
		if (!m->recording && envelope_is_unrecorded(&m->envelope))
			(void)record(m, NULL);
	}
}

void
outcome_result(struct message *m)
{
	struct outcome *outcome = m->queue->outcome;

	if (m->is_unrecorded || m->envelope.nrecipients == 1)
		return;
	m->is_unrecorded = true;
	TAILQ_INSERT_TAIL(&outcome->unrecorded, m, unrecorded_link);
	if (outcome->record_timer.loop == NULL)
		loop_timer_set(m->queue->loop, &outcome->record_timer, RECORD_MS, record_expired);
}

void
outcome_record_all(struct outcome *outcome)
{
	struct message *m;

	while ((m = TAILQ_FIRST(&outcome->unrecorded)) != NULL) {
		struct err err;
		int fd;

		unrecorded_remove(m);
		if (!envelope_is_unrecorded(&m->envelope))
			continue;
		if (message_record(m, NULL, &fd, &err))
			(void)close(fd);
		else
			log_error("%s: %s", m->id.text, err.text);
	}
}

/* ---- the end: removed ------------------------------------------------------------------------------------------ */

static void
forget(struct message *m)
{
	unrecorded_remove(m);
	queue_forget(m);
}

static void
remove_file(struct message *m)
{
	struct err err;

	if (!spool_remove(&m->queue->spool, &m->id, SPOOL_ACTIVE, &err) && err.errnum != ENOENT) {
		log_error("%s: %s", m->id.text, err.text);
		stuck(m);
		return;
	}
	log_info("%s: removed", m->id.text);
	message_close_removed(m);
	forget(m);
}

/* ---- the end: put off, or on hold ------------------------------------------------------------------------------ */

static bool
move_to_hold(struct message *m, struct err *err)
{
	if (!spool_move(&m->queue->spool, &m->id, SPOOL_ACTIVE, SPOOL_HOLD, err))
		return false;
	if (m->is_untried)
		log_info("%s: hold: %.*s", m->id.text, STR_FMT(m->envelope.hold));
	else
		log_info("%s: hold", m->id.text);
	return true;
}

static bool
move_to_deferred(struct message *m, struct err *err)
{
	struct spool_time time;

	spool_time_round(&time, m->due_ms, queue_now_ms());
	if (!spool_defer(&m->queue->spool, &m->id, &time, err))
		return false;
	if (m->is_untried && m->postponed_ms == 0)
		intake_release(m->queue->intake, &time);
	else
		intake_due(m->queue->intake, &time);
	return true;
}

static void
move_away(struct message *m)
{
	bool hold = m->wish == MESSAGE_WISH_HOLD;
	struct err err;

	if (m->wish == MESSAGE_WISH_DELETE) {
		remove_file(m);
		return;
	}
	if (hold ? move_to_hold(m, &err) : move_to_deferred(m, &err)) {
		forget(m);
		return;
	}
	log_error("%s: %s", m->id.text, err.text);
	stuck(m);
}

static struct conf_queue
conf_of(const struct message *m)
{
	struct conf_queue conf = m->queue->conf->queue;

	if (m->retry != NULL)
		conf.retry_s = *m->retry;
	return conf;
}

static uint64_t
next_try_ms(const struct message *m, uint64_t now_ms)
{
	struct conf_queue conf = conf_of(m);
	uint64_t soon_ms = m->again_soon ? SOON_S * 1000 + arc4random_uniform(SOON_S * 100) : 0;

	return (m->was_tried ? timing_next_ms : timing_suspended_ms)(&m->envelope, &conf, soon_ms, now_ms,
	    arc4random());
}

/* What found no room was not tried, so it does not count; with something that failed it comes no later than the longest that
 * it would have to wait by itself. */
static uint64_t
next_due_ms(const struct message *m, uint64_t now_ms)
{
	const struct conf_queue *conf = &m->queue->conf->queue;
	uint64_t postponed_ms = timing_postponed_ms(&m->envelope, conf, m->postponed_ms, now_ms), next_ms, most_ms;

	if (m->postponed_ms > 0 && !m->has_failed)
		return postponed_ms;
	next_ms = next_try_ms(m, now_ms);
	most_ms = now_ms + timing_again_max_ms(&m->envelope, conf, now_ms);
	return m->postponed_ms > 0 && next_ms > most_ms ? most_ms : next_ms;
}

static void add_record(struct buf *b, enum queue_key key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void
add_record(struct buf *b, enum queue_key key, const char *format, ...)
{
	char value[80];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(value, sizeof value, format, ap);
	va_end(ap);
	queue_append_record(b, key, (struct str){value, (size_t)n});
}

static bool
has_unsettled(const struct envelope *e)
{
	for (size_t i = 0; i < e->nrecipients; i++)
		if (e->recipients[i].settled != e->recipients[i].state)
			return true;
	return false;
}

/*
 * What was only deferred needs no sync, nor even its record: lost, it costs one try more. A finished recipient must be
 * known to the file before we forget it.
 */
static void
put_off(struct message *m)
{
	struct envelope *e = &m->envelope;
	uint64_t now_ms = queue_now_ms();
	bool must = has_unsettled(e);
	struct buf more;
	struct err err;
	int fd;

	buf_init(&more, 4096);
	if (m->wish == MESSAGE_WISH_HOLD) {
		add_record(&more, QUEUE_HELD, "%llu%s", (unsigned long long)now_ms, m->is_untried ? " filter" : "");
	} else {
		m->due_ms = next_due_ms(m, now_ms);
	}
	if (m->wish != MESSAGE_WISH_HOLD && m->has_news && m->has_failed) {
		add_record(&more, QUEUE_DEFERRED, "%llu %llu %llu", (unsigned long long)now_ms,
		    (unsigned long long)e->deferrals + 1, (unsigned long long)m->due_ms);
	}
	if (m->warned_now)
		add_record(&more, QUEUE_WARNED, "%llu", (unsigned long long)e->warned_ms);
	m->ending = true;
	if (must) {
		m->ending = record(m, &more);
		if (!m->ending)
			stuck(m);
	} else if (more.n == 0 && !m->has_news) {
		move_away(m);
	} else {
		if (message_record(m, &more, &fd, &err))
			(void)close(fd);
		else
			log_error("%s: %s", m->id.text, err.text);
		move_away(m);
	}
	buf_clear(&more);
}

/* ---- notifications --------------------------------------------------------------------------------------------- */

static bool
is_to_postmaster(const struct message *m, const struct recipient *r)
{
	struct str postmaster = str_from(m->queue->conf->postmaster);

	return str_equal_nocase(r->address, postmaster) ||
	    (r->original.p != NULL && str_equal_nocase(r->original, postmaster));
}

/*
 * Who is told that this recipient failed. Mail of the null sender, which is what notifications are, is told to no
 * sender, or two servers would write to each other for ever: the postmaster gets it, unless it is that postmaster's own.
 * Empty: nobody.
 */
static struct str
whom_to_tell(const struct message *m, const struct recipient *r, enum dsn_kind *kind)
{
	struct str to = envelope_return_path(&m->envelope, r);

	*kind = to.n > 0 ? DSN_FAILED : DSN_POSTMASTER;
	if (!envelope_wants(r, STR("FAILURE")))
		return STR_NONE;
	if (to.n > 0)
		return to;
	if (is_to_postmaster(m, r)) {
		log_warning("%s: undeliverable mail to the postmaster is given up", m->id.text);
		return STR_NONE;
	}
	return str_from(m->queue->conf->postmaster);
}

/* Begins a notification of the first failure that needs one; false when none is left. */
static bool
notify_failures(struct message *m)
{
	struct envelope *e = &m->envelope;

	for (size_t i = 0; i < e->nrecipients; i++) {
		struct recipient *r = &e->recipients[i];
		enum dsn_kind kind;
		struct str to;

		if (!notice_is_due(m, r, DSN_FAILED))
			continue;
		to = whom_to_tell(m, r, &kind);
		if (to.n > 0) {
			m->noticing = true;
			notice_send(m->queue->notices, m, kind, envelope_return_path(e, r), to);
			return true;
		}
		r->told = true;
	}
	return false;
}

/* The same of what went well, for whom wants to know. */
static bool
notify_done(struct message *m)
{
	struct envelope *e = &m->envelope;

	for (size_t i = 0; i < e->nrecipients; i++) {
		struct str to = envelope_return_path(e, &e->recipients[i]);

		if (!notice_is_due(m, &e->recipients[i], DSN_DONE))
			continue;
		m->noticing = true;
		notice_send(m->queue->notices, m, DSN_DONE, to, to);
		return true;
	}
	return false;
}

/* The same of those that wait for long: once. */
static bool
notify_delay(struct message *m, uint64_t now_ms)
{
	struct envelope *e = &m->envelope;

	if (now_ms < timing_warn_ms(e, &m->queue->conf->queue))
		return false;
	for (size_t i = 0; i < e->nrecipients; i++) {
		struct recipient *r = &e->recipients[i];
		struct str to = envelope_return_path(e, r);

		if (!notice_is_due(m, r, DSN_DELAYED))
			continue;
		if (to.n > 0 && envelope_wants(r, STR("DELAY"))) {
			m->noticing = true;
			notice_send(m->queue->notices, m, DSN_DELAYED, to, to);
			return true;
		}
		r->told = true;
	}
	e->warned_ms = now_ms;
	m->warned_now = true;
	return false;
}

void
outcome_noticed(struct message *m, enum outcome_notice what)
{
	m->noticing = false;
	if (what == OUTCOME_NOTICE_DURABLE) {
		outcome_progress(m);
		return;
	}
	if (what == OUTCOME_NOTICE_FAILED && ++m->notice_failures >= NOTICE_FAILURES_MAX) {
		log_error("%s: no notification could be written: to be looked at by the postmaster", m->id.text);
		m->wish = MESSAGE_WISH_HOLD;
	}
	stuck(m);
}

/* ---- the end of a round ---------------------------------------------------------------------------------------- */

static void
expire(struct message *m, uint64_t now_ms)
{
	struct envelope *e = &m->envelope;
	bool any = false, is_late = timing_is_late(e, now_ms);

	if (now_ms < timing_end_ms(e, &m->queue->conf->queue))
		return;
	for (size_t i = 0; i < e->nrecipients; i++) {
		struct recipient *r = &e->recipients[i];

		if (r->state != QUEUE_WAITING)
			continue;
		any = true;
		r->state = QUEUE_FAILED;
		r->recorded = r->told = false;
		r->tried_ms = r->tried_ms != 0 ? r->tried_ms : now_ms;
		r->code = is_late ? STR("5.4.7") : STR("4.4.7");
		if (r->reply.p == NULL)
			r->reply = is_late ? STR("the message was not delivered by the time that was asked for")
					   : STR("the message waited too long");
	}
	if (any)
		log_info("%s: from=<%.*s>, status=expired, returned to sender", m->id.text, STR_FMT(e->sender));
}

/* By command: what waits has failed, for the postmaster's reason. */
static void
give_up(struct message *m, uint64_t now_ms)
{
	struct envelope *e = &m->envelope;
	struct str reason = arena_copy(&e->arena, str_from(m->bounce_reason));
	bool any = false;

	for (size_t i = 0; i < e->nrecipients; i++) {
		struct recipient *r = &e->recipients[i];

		if (r->state != QUEUE_WAITING)
			continue;
		any = true;
		r->state = QUEUE_FAILED;
		r->recorded = r->told = false;
		r->tried_ms = now_ms;
		r->code = STR("5.0.0");
		r->relay = STR("none");
		r->security = STR_NONE;
		r->reply = reason.p != NULL ? reason : STR("returned by the postmaster");
	}
	if (any)
		log_info("%s: from=<%.*s>, status=force-expired, returned to sender", m->id.text, STR_FMT(e->sender));
}

/* Until its time comes (RFC 4865), or there is room, it waits as what is deferred does; the file tells all that there is to be
 * known. */
static void
wait_untried(struct message *m)
{
	m->due_ms = m->postponed_ms > 0 ? m->postponed_ms : m->envelope.release_ms;
	m->ending = true;
	move_away(m);
}

static void
end_round(struct message *m)
{
	uint64_t now_ms = queue_now_ms();

	if (m->wish == MESSAGE_WISH_DELETE) {
		remove_file(m);
		return;
	}
	if (m->wish == MESSAGE_WISH_HOLD) {
		put_off(m);
		return;
	}
	if (m->is_untried && m->wish != MESSAGE_WISH_BOUNCE) {
		wait_untried(m);
		return;
	}
	if (m->wish == MESSAGE_WISH_BOUNCE)
		give_up(m, now_ms);
	else
		expire(m, now_ms);
	if (notify_failures(m) || notify_done(m))
		return;
	if (envelope_waiting(&m->envelope) == 0)
		remove_file(m);
	else if (!notify_delay(m, now_ms))
		put_off(m);
}

static bool
round_is_over(const struct message *m)
{
	return m->loaded && (m->routed == m->envelope.nrecipients || m->is_untried) && m->questions == 0 && m->ndeliveries == 0;
}

void
outcome_progress(struct message *m)
{
	if (round_is_over(m) && !m->recording && !m->noticing && !m->ending && !m->is_stuck)
		end_round(m);
}

void
outcome_untried(struct message *m)
{
	m->is_untried = true;
	outcome_progress(m);
}

struct outcome *
outcome_new(struct queue *q)
{
	struct outcome *outcome = calloc(1, sizeof *outcome);

	if (outcome == NULL)
		fatal("out of memory");
	outcome->queue = q;
	TAILQ_INIT(&outcome->unrecorded);
	TAILQ_INIT(&outcome->stuck);
	return outcome;
}

void
outcome_free(struct outcome *outcome)
{
	loop_timer_cancel(&outcome->record_timer);
	loop_timer_cancel(&outcome->stuck_timer);
	free(outcome);
}
