#include "queue/intake_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "queue/outcome.h"
#include "queue/queue_log.h"
#include "queue/route.h"
#include "queue/timing.h"

/* What had to stay in active/ is not forgotten until the next start. */
static void
read_active_again(struct intake *intake)
{
	if (intake->active_again_ms == 0)
		intake->active_again_ms = loop_now_ms(intake->queue->loop) + INTAKE_UNREADABLE_MS;
}

/* The sandbox lets no link, FIFO or device be made, and that is what a rename does: there is nothing in them to be kept. */
void
intake_to_corrupt(struct intake *intake, const struct queue_id *id, enum spool_place from, const char *why)
{
	const struct spool *spool = &intake->queue->spool;
	struct err err, ignored;

	if (spool_move(spool, id, from, SPOOL_CORRUPT, &err)) {
		log_error("%s: damaged (%s): moved to corrupt", id->text, why);
		return;
	}
	if (err.errnum == EACCES && spool_is_special(spool, id, from) && spool_remove(spool, id, from, &ignored)) {
		log_error("%s: a link, a FIFO or a device in %s was removed", id->text, spool_place_name(from));
		return;
	}
	log_error("%s: damaged (%s): %s", id->text, why, err.text);
	if (from == SPOOL_ACTIVE)
		read_active_again(intake);
}

bool
intake_is_no_file(const struct err *err)
{
	return err->errnum == ELOOP || err->errnum == ENXIO || err->errnum == ENODEV;
}

/* Not the file's fault, as far as we know. */
static void
put_off(struct intake *intake, const struct queue_id *id)
{
	uint64_t now_ms = queue_now_ms();
	struct spool_time time;
	struct err err;

	spool_time_round(&time, now_ms + INTAKE_UNREADABLE_MS, now_ms);
	if (spool_defer(&intake->queue->spool, id, &time, &err)) {
		intake_due(intake, &time);
		return;
	}
	log_error("%s: %s", id->text, err.text);
	read_active_again(intake);
}

/* A filter wanted it on hold and it was not yet; or it is not to be tried before its time. */
static bool
is_not_for_now(struct message *m)
{
	if (m->wish == MESSAGE_WISH_NONE && m->envelope.hold.p != NULL && m->envelope.held_ms == 0)
		m->wish = MESSAGE_WISH_HOLD;
	return m->wish != MESSAGE_WISH_NONE || m->envelope.release_ms > queue_now_ms();
}

/* What a command wants is never too much. */
static bool
is_too_much(struct message *m)
{
	struct queue *q = m->queue;

	if (m->is_ordered)
		return false;
	m->share = share_enter(&q->shares, siphash(&q->hash_key, m->envelope.sender));
	if (!share_is_over(m->share, queue_share(q)))
		return false;
	message_postpone(m, share_again_ms(m->share, timing_again_max_ms(&m->envelope, &q->conf->queue, m->active_ms),
	    loop_now_ms(q->loop), arc4random()));
	return true;
}

static void
loaded(struct message *m)
{
	struct queue *q = m->queue;

	m->active_ms = queue_now_ms();
	m->is_retry = m->envelope.deferrals > 0;
	m->was_deferred = m->was_deferred || m->is_retry;
	q->nrecipients += m->envelope.nrecipients;
	q->nretries += m->was_deferred;
	m->is_notice = !m->was_deferred && m->envelope.about.n > 0;
	q->nnotices += m->is_notice;
	queue_log_active(m->id.text, &m->envelope);
	if (q->nopen > MESSAGE_OPEN_MAX)
		message_close(m);
	if (is_not_for_now(m) || is_too_much(m))
		outcome_untried(m);
	else
		route_message(q->routes, m);
}

void
intake_load(struct intake *intake, struct message *m)
{
	struct err err;
	enum envelope_load result = message_load(m, INTAKE_TURN_BYTES, &err);

	switch (result) {
	case ENVELOPE_MORE:
		TAILQ_INSERT_TAIL(&intake->loading, m, load_link);
		intake_wake(intake);
		return;
	case ENVELOPE_LOADED:
		loaded(m);
		return;
	case ENVELOPE_UNFINISHED:
		/* In active/ only we write, and whoever wrote this died. Anywhere else only what is whole is taken. */
		if (!m->is_left)
			intake_to_corrupt(intake, &m->id, SPOOL_ACTIVE, "it is unfinished");
		else if (spool_remove(&m->queue->spool, &m->id, SPOOL_ACTIVE, &err))
			log_info("%s: an unfinished file was removed", m->id.text);
		else
			log_error("%s: %s", m->id.text, err.text);
		break;
	case ENVELOPE_DAMAGED:
		intake_to_corrupt(intake, &m->id, SPOOL_ACTIVE, err.text);
		break;
	case ENVELOPE_NEWER:
		log_error("%s: %s: left in active until that is started again", m->id.text, err.text);
		break;
	case ENVELOPE_UNREADABLE:
		log_error("%s: %s", m->id.text, err.text);
		put_off(intake, &m->id);
		break;
	}
	queue_forget(m);
}

const struct intake_order intake_new_mail = {.is_none = true}, intake_due_mail = {.is_none = true, .was_deferred = true},
		   intake_left_over = {.is_none = true, .is_left = true};

/* The message of an open file in active/. */
void
intake_begin(struct intake *intake, const struct queue_id *id, int fd, const struct intake_order *order)
{
	struct message *m = message_new(intake->queue, id);

	if (order->bounce.n > 0)
		message_bounce(m, order->bounce);
	m->is_ordered = !order->is_none;
	m->was_deferred = order->was_deferred;
	m->fd = fd;
	m->is_left = order->is_left;
	intake->queue->nopen += fd >= 0;
	if (!queue_insert(intake->queue, m)) {
		log_warning("%s: is in the queue already", id->text);
		message_free(m);
		return;
	}
	intake_load(intake, m);
}

void
intake_take_by(struct intake *intake, const struct queue_id *id, const struct intake_order *order)
{
	struct err err;
	int fd = spool_open_file(&intake->queue->spool, SPOOL_ACTIVE, id, O_RDONLY, &err);

	if (fd >= 0) {
		intake_begin(intake, id, fd, order);
		return;
	}
	if (intake_is_no_file(&err)) {
		intake_to_corrupt(intake, id, SPOOL_ACTIVE, "it is no file");
		return;
	}
	if (err.errnum != ENOENT || !order->is_left)
		log_error("%s: %s", id->text, err.text);
	if (err.errnum != ENOENT)
		put_off(intake, id);
}

void
intake_take(struct intake *intake, const struct queue_id *id)
{
	intake_take_by(intake, id, &(const struct intake_order){.is_none = false});
}

void
intake_bounce(struct intake *intake, const struct queue_id *id, struct str reason)
{
	intake_take_by(intake, id, &(const struct intake_order){.bounce = reason});
}
