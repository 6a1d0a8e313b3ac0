#include "queue/notice.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/queue/queue_id.h"
#include "queue/intake.h"
#include "queue/notice_message.h"
#include "queue/outcome.h"
#include "queue/timing.h"

/* A bounce process that died tells nothing, its successor that it is there; this is for one that hangs. */
#define NOTICE_TIMEOUT_MS 60000
/* So many are written at a time, each with two descriptors; when a million messages are late at once, the others wait. */
#define UNDER_WAY_MAX 100
/* Larger messages are not returned whole. */
#define RETURN_MAX_BYTES (50 * 1024)

struct notice {
	struct notices *notices;
	LIST_ENTRY(notice) link;	 /* of those under way */
	STAILQ_ENTRY(notice) wait_link; /* or of those that wait for that */
	uint32_t id;
	struct message *message;
	enum dsn_kind kind;
	struct str return_path, to; /* borrowed from the message's envelope, or the configuration */
	size_t nrecipients;
	size_t end;		/* behind the last recipient that is in it */
	struct queue_id own_id;
	int fd;
	int errnum; /* why it could not be written */
	struct commit_entry commit;
	struct loop_timer timer;
	bool committing;
};

struct notices {
	struct queue *queue;
	struct channel channel;
	bool has_channel;
	LIST_HEAD(, notice) list;
	size_t under_way; /* on it */
	STAILQ_HEAD(, notice) waiting;
	uint32_t next_id;
	struct buf packet;
};

/* ---- the end --------------------------------------------------------------------------------------------------- */

static void begin_expired(struct loop_timer *timer);

static void
notice_free(struct notice *n)
{
	struct notices *notices = n->notices;
	struct notice *next = STAILQ_FIRST(&notices->waiting);

	loop_timer_cancel(&n->timer);
	LIST_REMOVE(n, link);
	notices->under_way--;
	if (next != NULL && next->timer.loop == NULL)
		loop_timer_set(notices->queue->loop, &next->timer, 0, begin_expired);
	if (n->fd >= 0)
		(void)close(n->fd);
	free(n);
}

static void
failed(struct notice *n)
{
	struct message *m = n->message;
	enum outcome_notice what = spool_is_at_fault(n->errnum) ? OUTCOME_NOTICE_NOT_NOW : OUTCOME_NOTICE_FAILED;
	struct err err;

	if (n->fd >= 0 && !spool_remove(&m->queue->spool, &n->own_id, SPOOL_ACTIVE, &err))
		log_error("%s", err.text);
	notice_free(n);
	outcome_noticed(m, what);
}

/* From a timer, so that nobody is called back from inside a call. */
static void
failed_expired(struct loop_timer *timer)
{
	struct notice *n = container_of(timer, struct notice, timer);

	log_error("%s: a notification could not be written", n->message->id.text);
	failed(n);
}

bool
notice_is_due(const struct message *m, const struct recipient *r, enum dsn_kind kind)
{
	if (r->told || r->settled != QUEUE_WAITING)
		return false;
	switch (kind) {
	case DSN_FAILED:
	case DSN_POSTMASTER:
		return r->state == QUEUE_FAILED;
	case DSN_DELAYED:
		return r->state == QUEUE_WAITING;
	case DSN_DONE:
		return envelope_wants_success(&m->envelope, r);
	case DSN_KINDS:
		break;
	}
	return false;
}

static bool
is_in(const struct notice *n, const struct recipient *r)
{
	static const struct str words[DSN_KINDS] = {
	    [DSN_FAILED] = {"FAILURE", 7}, [DSN_POSTMASTER] = {"FAILURE", 7}, [DSN_DELAYED] = {"DELAY", 5}};

	return notice_is_due(n->message, r, n->kind) &&
	    str_equal(envelope_return_path(&n->message->envelope, r), n->return_path) &&
	    (words[n->kind].n == 0 || envelope_wants(r, words[n->kind]));
}

static const char *
kind_text(enum dsn_kind kind)
{
	switch (kind) {
	case DSN_FAILED:
		return "sender non-delivery notification";
	case DSN_DELAYED:
		return "sender delay notification";
	case DSN_DONE:
		return "sender delivery status notification";
	case DSN_POSTMASTER:
		return "postmaster non-delivery notification";
	case DSN_KINDS:
		break;
	}
	return "";
}

static void
durable(struct commit_entry *entry, bool ok, const struct err *err)
{
	struct notice *n = container_of(entry, struct notice, commit);
	struct message *m = n->message;
	struct queue *q = m->queue;
	struct queue_id own_id = n->own_id;

	if (!ok) {
		log_error("%s: %s", n->own_id.text, err->text);
		n->errnum = err->errnum;
		failed(n);
		return;
	}
	for (size_t i = 0; i < n->end; i++)
		if (is_in(n, &m->envelope.recipients[i]))
			m->envelope.recipients[i].told = true;
	log_info("%s: %s: %s", m->id.text, kind_text(n->kind), n->own_id.text);
	notice_free(n);
	intake_take(q->intake, &own_id);
	outcome_noticed(m, OUTCOME_NOTICE_DURABLE);
}

/* ---- sending --------------------------------------------------------------------------------------------------- */

static bool
send_packet(struct notices *notices, int fd)
{
	return notices->has_channel && channel_send(&notices->channel, &notices->packet, fd);
}

static struct str
or_empty(struct str s)
{
	return s.p != NULL ? s : STR("");
}

static enum dsn_action
action_of(const struct recipient *r)
{
	if (r->state == QUEUE_EXPANDED_STATE)
		return DSN_ACTION_EXPANDED;
	return envelope_is_relayed(r) ? DSN_ACTION_RELAYED : DSN_ACTION_DELIVERED;
}

/* RFC 3464 2.3: what was not tried, an alias, has no code of its own. */
static struct str
code_of(const struct recipient *r)
{
	return r->code.p != NULL ? r->code : STR("2.0.0");
}

static bool
send_recipients(struct notice *n)
{
	struct notices *notices = n->notices;
	const struct envelope *e = &n->message->envelope;

	for (n->end = 0; n->end < e->nrecipients && n->nrecipients < NOTICE_RECIPIENTS_MAX; n->end++) {
		const struct recipient *r = &e->recipients[n->end];
		struct dsn_recipient told = {.action = action_of(r), .address = r->address, .original = or_empty(r->original),
		    .orcpt = or_empty(r->orcpt), .code = code_of(r), .relay = or_empty(r->relay),
		    .reply = or_empty(r->reply), .tried_ms = r->tried_ms};

		if (!is_in(n, r))
			continue;
		notice_recipient_encode(&notices->packet, n->id, &told);
		if (!send_packet(notices, -1))
			return false;
		n->nrecipients++;
	}
	return true;
}

static bool
is_utf8(const struct notice *n, struct str to)
{
	const struct envelope *e = &n->message->envelope;
	bool ascii = str_is_ascii(to) && str_is_ascii(e->sender);

	for (size_t i = 0; ascii && i < e->nrecipients; i++)
		ascii = !is_in(n, &e->recipients[i]) ||
		    (str_is_ascii(e->recipients[i].address) && str_is_ascii(e->recipients[i].original));
	return !ascii;
}

/* RFC 3461 4.3: only what failed is returned, whole unless its sender says otherwise; nor what could not go by DATA. */
static bool
returns_whole(const struct notice *n)
{
	const struct envelope *e = &n->message->envelope;

	return n->kind == DSN_FAILED && e->head.message_size <= RETURN_MAX_BYTES && !e->is_binary &&
	    !str_equal_nocase(e->ret, STR("HDRS"));
}

static bool
send_all(struct notice *n)
{
	struct notices *notices = n->notices;
	struct message *m = n->message;
	const struct envelope *e = &m->envelope;
	const struct conf *conf = m->queue->conf;
	struct dsn dsn = {.kind = n->kind,
	    .hostname = str_from(conf->hostname),
	    .queue_id = queue_id_str(&m->id),
	    .own_id = queue_id_str(&n->own_id),
	    .to = n->to,
	    .sender = e->sender,
	    .client = or_empty(e->client),
	    .envid = or_empty(e->envid),
	    .has_envid = e->has_envid,
	    .arrived_ms = e->time_ms,
	    .now_ms = queue_now_ms(),
	    .until_ms = timing_end_ms(e, &conf->queue),
	    .language = (enum dsn_language)conf->queue.notice_language,
	    .is_utf8 = is_utf8(n, n->to),
	    .is_8bit = e->is_8bit || e->is_smtputf8,
	    .header_is_utf8 = e->is_smtputf8,
	    .returns_whole = returns_whole(n),
	    .requires_tls = e->requires_tls,
	    .priority = e->priority};
	struct err err;

	notice_begin_encode(&notices->packet, n->id, &dsn);
	if (!send_packet(notices, n->fd) || !send_recipients(n))
		return false;
	notice_end_encode(&notices->packet, n->id, e->pieces, e->npieces);
	if (!message_open(m, &err)) {
		log_error("%s: %s", m->id.text, err.text);
		return false;
	}
	return send_packet(notices, m->fd);
}

static bool
create(struct notice *n)
{
	struct err err;

	do {
		queue_id_make(&n->own_id, queue_now_ms() * 1000 + arc4random_uniform(1000), arc4random());
		n->fd = spool_create_file(&n->notices->queue->spool, &n->own_id, &err);
	} while (n->fd < 0 && err.errnum == EEXIST);
	if (n->fd >= 0)
		return true;
	log_error("%s", err.text);
	n->errnum = err.errnum;
	return false;
}

static void
begin(struct notice *n)
{
	struct notices *notices = n->notices;

	LIST_INSERT_HEAD(&notices->list, n, link);
	notices->under_way++;
	loop_timer_set(notices->queue->loop, &n->timer, create(n) && send_all(n) ? NOTICE_TIMEOUT_MS : 0, failed_expired);
}

/* The first of those that wait, when there is room: several may have made it since. */
static void
begin_expired(struct loop_timer *timer)
{
	struct notices *notices = container_of(timer, struct notice, timer)->notices;
	struct notice *n;

	while (notices->under_way < UNDER_WAY_MAX && (n = STAILQ_FIRST(&notices->waiting)) != NULL) {
		STAILQ_REMOVE_HEAD(&notices->waiting, wait_link);
		loop_timer_cancel(&n->timer);
		begin(n);
	}
}

void
notice_send(struct notices *notices, struct message *m, enum dsn_kind kind, struct str return_path, struct str to)
{
	struct notice *n = calloc(1, sizeof *n);

	if (n == NULL)
		fatal("out of memory for a notification");
	*n = (struct notice){.notices = notices, .id = notices->next_id++, .message = m, .kind = kind,
	    .return_path = return_path, .to = to, .fd = -1};
	if (notices->under_way < UNDER_WAY_MAX)
		begin(n);
	else
		STAILQ_INSERT_TAIL(&notices->waiting, n, wait_link);
}

bool
notice_is_being_written(const struct notices *notices, const struct queue_id *id)
{
	const struct notice *n;

	LIST_FOREACH(n, &notices->list, link)
		if (str_equal(queue_id_str(&n->own_id), queue_id_str(id)))
			return true;
	return false;
}

/* ---- the bounce process ---------------------------------------------------------------------------------------- */

/* What its predecessor had is begun anew. If it reads something of that still, it writes into a file without a name. */
static void
orphans_fail(struct notices *notices)
{
	struct notice *n, *next;

	LIST_FOREACH_SAFE(n, &notices->list, link, next)
		if (!n->committing)
			loop_timer_set(notices->queue->loop, &n->timer, 0, failed_expired);
}

static void
received(struct channel *channel, struct msg *m)
{
	struct notices *notices = container_of(channel, struct notices, channel);
	struct notice *n;
	int errnum;

	if (m->type == NOTICE_HELLO) {
		orphans_fail(notices);
		return;
	}
	LIST_FOREACH(n, &notices->list, link)
		if (n->id == m->id && !n->committing)
			break;
	/* An answer that comes after we gave up waiting. */
	if (n == NULL || m->type != NOTICE_DONE || !notice_done_decode(m, &errnum))
		return;
	loop_timer_cancel(&n->timer);
	if (errnum != 0) {
		log_error("%s: a notification could not be written: %s", n->message->id.text, strerror(errnum));
		n->errnum = errnum;
		failed(n);
		return;
	}
	n->committing = true;
	commit_submit(notices->queue->commit, &n->commit, n->fd, notices->queue->spool.fds[SPOOL_ACTIVE], durable);
}

/* The socket pair outlives the bounce process, so this is the end of the daemon. */
static void
closed(struct channel *channel)
{
	container_of(channel, struct notices, channel)->has_channel = false;
}

struct notices *
notices_new(struct queue *q, int bounce_fd)
{
	struct notices *notices = calloc(1, sizeof *notices);

	if (notices == NULL)
		fatal("out of memory");
	notices->queue = q;
	notices->next_id = arc4random();
	LIST_INIT(&notices->list);
	STAILQ_INIT(&notices->waiting);
	buf_init(&notices->packet, MSG_MAX_BYTES);
	notices->has_channel = bounce_fd >= 0;
	if (notices->has_channel)
		channel_open(&notices->channel, q->loop, bounce_fd, received, closed);
	return notices;
}

void
notices_free(struct notices *notices)
{
	struct notice *n, *next;

	while ((n = STAILQ_FIRST(&notices->waiting)) != NULL) {
		STAILQ_REMOVE_HEAD(&notices->waiting, wait_link);
		loop_timer_cancel(&n->timer);
		free(n);
	}
	LIST_FOREACH_SAFE(n, &notices->list, link, next)
		notice_free(n);
	if (notices->has_channel)
		channel_close(&notices->channel);
	buf_clear(&notices->packet);
	free(notices);
}
