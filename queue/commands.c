#include "queue/commands.h"

#include <errno.h>

#include "common/base/log.h"
#include "queue/control.h"
#include "queue/intake.h"
#include "queue/notice.h"
#include "queue/outcome.h"
#include "queue/report.h"
#include "queue/reroute.h"
#include "queue/route.h"
#include "queue/wake.h"

static enum control_status
status_of(const struct err *err)
{
	return err->errnum == ENOENT ? CONTROL_NO_MESSAGE : CONTROL_FAILED;
}

static enum control_status
moved(struct queue *q, const struct queue_id *id, enum spool_place from, enum spool_place to)
{
	struct err err;

	if (spool_move(&q->spool, id, from, to, &err))
		return CONTROL_DONE;
	if (err.errnum != ENOENT)
		log_error("%s: %s", id->text, err.text);
	return status_of(&err);
}

/* Into active/, whence everything else can be done. Where it was seen saves the search. */
static enum control_status
undefer(struct queue *q, const struct queue_id *id, struct str seen)
{
	struct spool_time time;
	struct err err;
	uint64_t time_s;

	if (spool_time_parse(seen, &time, &time_s) && spool_undefer(&q->spool, id, &time, &err))
		return CONTROL_DONE;
	if (!spool_find_deferred(&q->spool, id, &time))
		return CONTROL_NO_MESSAGE;
	if (spool_undefer(&q->spool, id, &time, &err))
		return CONTROL_DONE;
	log_error("%s: %s", id->text, err.text);
	return status_of(&err);
}

/* What was taken out of deferred/ and could not be put where it was to go is tried: nothing else looks at it there. */
static enum control_status
or_try(struct queue *q, const struct queue_id *id, enum control_status status)
{
	if (status != CONTROL_DONE)
		intake_take(q->intake, id);
	return status;
}

/* Of a newer version, or not yet taken: what is in active/ without being in memory, and not a notification that is being
 * written. */
static bool
lies_in_active(struct queue *q, const struct queue_id *id)
{
	return spool_has_file(&q->spool, id, SPOOL_ACTIVE) && !notice_is_being_written(q->notices, id);
}

static enum control_status
retry(struct queue *q, const struct queue_id *id, struct message *m, const struct control_request *request)
{
	enum control_status status;

	if (m != NULL)
		return CONTROL_NOT_SO;
	if (!intake_has_room(q->intake))
		return CONTROL_BUSY;
	status = undefer(q, id, request->time);
	if (status == CONTROL_DONE) {
		schedule_revive_all(&q->schedule);
		intake_take(q->intake, id);
	}
	return status;
}

/* One that is being tried goes there as soon as nothing is under way for it. */
static enum control_status
hold(struct queue *q, const struct queue_id *id, struct message *m, const struct control_request *request)
{
	enum control_status status;

	if (m != NULL) {
		m->wish = MESSAGE_WISH_HOLD;
		route_withdraw(m);
		outcome_progress(m);
		return CONTROL_DONE;
	}
	status = undefer(q, id, request->time);
	if (status == CONTROL_NO_MESSAGE)
		return moved(q, id, lies_in_active(q, id) ? SPOOL_ACTIVE : SPOOL_INCOMING, SPOOL_HOLD);
	return status == CONTROL_DONE ? or_try(q, id, moved(q, id, SPOOL_ACTIVE, SPOOL_HOLD)) : status;
}

static enum control_status
release(struct queue *q, const struct queue_id *id, struct message *m, const struct control_request *request)
{
	enum control_status status;

	(void)request;
	if (m != NULL)
		return CONTROL_NOT_SO;
	if (!intake_has_room(q->intake))
		return CONTROL_BUSY;
	status = moved(q, id, SPOOL_HOLD, SPOOL_ACTIVE);
	if (status == CONTROL_DONE)
		intake_take(q->intake, id);
	return status;
}

/* Where it was seen; false: there it is not any more. */
static bool
removed_deferred(struct queue *q, const struct queue_id *id, struct str seen)
{
	struct spool_time time;
	struct err err;
	uint64_t time_s;

	return spool_time_parse(seen, &time, &time_s) && spool_remove_deferred(&q->spool, id, &time, &err);
}

static enum control_status
delete (struct queue *q, const struct queue_id *id, struct message *m, const struct control_request *request)
{
	static const enum spool_place places[] = {SPOOL_HOLD, SPOOL_INCOMING, SPOOL_CORRUPT};
	struct err err;

	if (m != NULL) {
		m->wish = MESSAGE_WISH_DELETE;
		route_withdraw(m);
		outcome_progress(m);
		return CONTROL_DONE;
	}
	if (removed_deferred(q, id, request->time))
		return CONTROL_DONE;
	if (undefer(q, id, request->time) == CONTROL_DONE)
		return or_try(q, id, spool_remove(&q->spool, id, SPOOL_ACTIVE, &err) ? CONTROL_DONE : status_of(&err));
	if (lies_in_active(q, id))
		return spool_remove(&q->spool, id, SPOOL_ACTIVE, &err) ? CONTROL_DONE : status_of(&err);
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		if (spool_remove(&q->spool, id, places[i], &err))
			return CONTROL_DONE;
		if (err.errnum != ENOENT) {
			log_error("%s: %s", id->text, err.text);
			return CONTROL_FAILED;
		}
	}
	return CONTROL_NO_MESSAGE;
}

/* One that is being tried is returned after that, if something is left of it. */
static enum control_status
bounce(struct queue *q, const struct queue_id *id, struct message *m, const struct control_request *request)
{
	enum control_status status;

	if (request->text.n == 0 || request->text.n > COMMANDS_REASON_MAX)
		return CONTROL_NOT_SO;
	if (m != NULL) {
		message_bounce(m, request->text);
		route_withdraw(m);
		outcome_progress(m);
		return CONTROL_DONE;
	}
	if (!intake_has_room(q->intake))
		return CONTROL_BUSY;
	status = undefer(q, id, request->time);
	if (status == CONTROL_NO_MESSAGE)
		status = moved(q, id, SPOOL_HOLD, SPOOL_ACTIVE);
	if (status == CONTROL_DONE)
		intake_bounce(q->intake, id, request->text);
	return status;
}

/* Of one that is being tried the recipients are on their way already. */
static enum control_status
reroute(struct queue *q, const struct queue_id *id, struct message *m, const struct control_request *request)
{
	enum control_status status;
	struct err err;

	if (m != NULL || !reroute_is_way(q->conf, request->text))
		return CONTROL_NOT_SO;
	if (!intake_has_room(q->intake))
		return CONTROL_BUSY;
	status = undefer(q, id, request->time);
	if (status == CONTROL_NO_MESSAGE)
		status = moved(q, id, SPOOL_HOLD, SPOOL_ACTIVE);
	if (status != CONTROL_DONE)
		return status;
	if (!reroute_record(q, id, request->text, &err)) {
		log_error("%s: %s", id->text, err.text);
		status = CONTROL_FAILED;
	}
	intake_take(q->intake, id);
	return status;
}

static const struct {
	const char *verb;
	enum control_status (*run)(struct queue *, const struct queue_id *, struct message *, const struct control_request *);
} commands[CONTROL_VERBS] = {
    [CONTROL_RETRY] = {"retry", retry},
    [CONTROL_HOLD] = {"hold", hold},
    [CONTROL_RELEASE] = {"release", release},
    [CONTROL_DELETE] = {"delete", delete},
    [CONTROL_BOUNCE] = {"bounce", bounce},
    [CONTROL_REROUTE] = {"reroute", reroute},
    [CONTROL_WAKE] = {"wake", NULL},
};

static const char *const status_texts[CONTROL_STATUSES] = {
    [CONTROL_DONE] = "done",
    [CONTROL_NO_MESSAGE] = "there is no such message",
    [CONTROL_NOT_SO] = "it is not in a state for that",
    [CONTROL_FAILED] = "failed: see the log",
    [CONTROL_BUSY] = "too much is under way, try again later",
};

static enum control_status
retry_all(struct queue *q)
{
	schedule_revive_all(&q->schedule);
	intake_retry_all(q->intake);
	return CONTROL_DONE;
}

static enum control_status
run(struct queue *q, const struct control_request *request)
{
	struct queue_id id;
	enum control_status status;

	if (request->verb == CONTROL_WAKE)
		return wake_site(q->wake, request->id, false) ? CONTROL_DONE : CONTROL_FAILED;
	if (request->id.n == 0)
		return request->verb == CONTROL_RETRY ? retry_all(q) : CONTROL_NOT_SO;
	if (!queue_id_parse(&id, request->id))
		return CONTROL_NO_MESSAGE;
	status = commands[request->verb].run(q, &id, queue_find(q, &id), request);
	if (status == CONTROL_DONE)
		log_info("%s: %s by command", id.text, commands[request->verb].verb);
	return status;
}

static bool
send_reply(struct channel *channel, uint32_t id, const struct control_reply *reply)
{
	struct buf packet;
	bool good;

	buf_init(&packet, MSG_MAX_BYTES);
	control_reply_encode(&packet, id, reply);
	good = channel_send(channel, &packet, -1);
	buf_clear(&packet);
	return good;
}

bool
commands_received(struct queue *q, struct channel *channel, struct msg *m)
{
	struct control_request request;
	struct control_reply reply = {.status = CONTROL_DONE};
	struct buf text;

	if (m->type != CONTROL_REQUEST || !control_request_decode(m, &request))
		return false;
	buf_init(&text, MSG_MAX_BYTES);
	if (report_answer(q, &request, &text)) {
		reply.text = buf_str(&text);
	} else {
		reply.status = run(q, &request);
		reply.text = str_from(status_texts[reply.status]);
	}
	if (!send_reply(channel, m->id, &reply))
		log_warning("the answer to a command could not be sent");
	buf_clear(&text);
	return true;
}
