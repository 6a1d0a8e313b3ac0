#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/smtp/orcpt.h"
#include "common/smtp/xtext.h"
#include "smtpd/session_filter_inner.h"

#define ARGUMENTS_MAX 8
#define ARGUMENT_BYTES 8192

const struct conf_filter *
filter_conf(const struct filter *f)
{
	return &f->all->session->worker->conf->filters[f->index];
}

/* ---- log --------------------------------------------------------------------------------------------------------------- */

static const char *
place_name(enum filter_stage stage)
{
	switch (stage) {
	case FILTER_CONNECT:
		return "CONNECT";
	case FILTER_HELO:
		return "HELO";
	case FILTER_MAIL:
		return "MAIL";
	case FILTER_RCPT:
	case FILTER_REFUSED_RCPT:
		return "RCPT";
	case FILTER_DATA:
		return "DATA";
	case FILTER_UNKNOWN:
		return "UNKNOWN";
	case FILTER_END:
		return "END-OF-MESSAGE";
	case FILTER_IDLE:
		break;
	}
	return "IDLE";
}

void
filters_log(const struct session_filters *all, const char *what, const char *place, struct str words)
{
	const struct session *s = all->session;
	struct str to = all->stage == FILTER_RCPT ? s->smtp.recipient->address.text : STR_NONE;

	log_as(s->listener->facts->service, "%s: %s: %s from %s: %.*s; from=<%.*s> to=<%.*s> proto=%s helo=<%s>",
	    s->message != NULL ? s->message->intake.id.text : "NOQUEUE", what, place, s->name, STR_FMT(words),
	    STR_FMT(s->smtp.transaction.sender.text), STR_FMT(to), smtp_server_protocol_name(&s->smtp), s->smtp.helo);
}

static void
log_refusal(const struct session_filters *all, const struct smtp_reply *reply)
{
	struct buf b;

	buf_init(&b, SMTP_REPLY_TEXT_MAX + 64);
	buf_addf(&b, "%u %s %.*s", reply->code, reply->status,
	    STR_FMT(str_sub(reply->text, 0, SMTP_REPLY_TEXT_MAX)));
	filters_log(all, "milter-reject", place_name(all->stage), buf_str(&b));
	buf_clear(&b);
}

/* ---- the end of a stage -------------------------------------------------------------------------------------------------- */

static void
message_end(struct session_filters *all, const struct smtp_reply *refusal)
{
	struct session *s = all->session;
	struct filter_message *m = all->message;

	if (refusal != NULL) {
		session_message_refuse(s, refusal);
	} else if (all->discards || (m != NULL && !letter_has_recipients(&m->letter))) {
		filters_log(all, "milter-discard", place_name(FILTER_END), STR("the message is thrown away"));
		session_message_discard(s);
	} else {
		if (m != NULL && m->letter.hold.p != NULL)
			filters_log(all, "milter-hold", place_name(FILTER_END), m->letter.hold);
		session_message_commit(s, m != NULL && (m->letter.changed || m->has_more) ? &m->letter : NULL);
	}
}

/* It says another one, or what it said before is in force again. */
static void
helo_forget(struct session_filters *all)
{
	for (size_t i = 0; i < all->n; i++)
		all->list[i].knows_helo = false;
}

/* What else follows from a stage's end, before the question is answered. */
static void
consequences(struct session_filters *all, const struct smtp_reply *refusal)
{
	struct session *s = all->session;

	switch (all->stage) {
	case FILTER_HELO:
		if (refusal != NULL)
			helo_forget(all);
		break;
	case FILTER_DATA:
		if (refusal != NULL) {
			session_message_drop(s);
			all->refused = refusal->code;
		}
		break;
	case FILTER_UNKNOWN:
		if (refusal == NULL)
			session_log_reject(s, "UNKNOWN", SMTP_REPLY(500, "5.5.2", "Command not recognised"), STR_NONE);
		break;
	case FILTER_IDLE:
	case FILTER_CONNECT:
	case FILTER_MAIL:
	case FILTER_RCPT:
	case FILTER_REFUSED_RCPT:
	case FILTER_END:
		break;
	}
}

static void
answer(struct session_filters *all, const struct smtp_reply *refusal)
{
	struct session *s = all->session;

	if (all->stage == FILTER_END)
		message_end(all, refusal);
	else if (refusal != NULL)
		smtp_server_answer(&s->smtp, refusal);
	else
		smtp_server_accept(&s->smtp);
	if (all->stage == FILTER_UNKNOWN)
		s->smtp.refusal.code = 0; /* it is in the log */
}

/* Refused words may be the filter's: they live until the question is answered. */
void
filters_end(struct session_filters *all, const struct smtp_reply *refusal)
{
	struct session *s = all->session;
	enum filter_stage stage = all->stage;
	bool inside = all->inside;

	if (refusal != NULL)
		log_refusal(all, refusal);
	if (stage == FILTER_CONNECT) {
		all->stage = FILTER_IDLE;
		all->connected(s, refusal);
		return;
	}
	consequences(all, refusal);
	answer(all, stage == FILTER_REFUSED_RCPT ? &all->refusal : refusal);
	all->stage = FILTER_IDLE;
	if (stage == FILTER_END || (stage == FILTER_MAIL && refusal != NULL))
		session_filter_abandoned(s);
	if (!inside)
		session_go_on(s);
}

/* ---- a filter that is down ----------------------------------------------------------------------------------------------- */

/* Before MAIL there is nothing yet that could be harmed, and at MAIL the filter may be back. */
static enum filter_step
missing(struct filter *f)
{
	struct session_filters *all = f->all;
	enum conf_on_failure on_failure = filter_conf(f)->on_failure;
	bool too_early = all->stage == FILTER_CONNECT || all->stage == FILTER_HELO || all->stage == FILTER_UNKNOWN ||
	    all->stage == FILTER_REFUSED_RCPT;

	if (too_early || on_failure == CONF_FAILURE_ACCEPT)
		return STEP_NEXT;
	filters_end(all, on_failure == CONF_FAILURE_DEFER
	        ? SMTP_REPLY(451, "4.7.1", "A filter is unavailable, please try again later")
	        : SMTP_REPLY(550, "5.7.1", "A filter is unavailable"));
	return STEP_OVER;
}

static void
down(struct filter *f, const char *why)
{
	const struct session *s = f->all->session;

	log_as(s->listener->facts->service, "warning: filter %s: %s: %s", filter_conf(f)->name, s->name, why);
	f->state = FILTER_DOWN;
	f->knows_client = f->knows_helo = f->knows_mail = false;
	if (f->all->message != NULL && f == &f->all->list[f->all->at])
		filter_message_rewind(f->all->message);
}

enum filter_step
filter_failed(struct filter *f, const char *why)
{
	milter_client_release(&f->user);
	down(f, why);
	return missing(f);
}

/* ---- what a filter is told ----------------------------------------------------------------------------------------------- */

/* A question was put: the answer is awaited. */
static bool
sent(struct filter *f, enum filter_stage about, bool asked)
{
	f->saying = about;
	if (asked)
		milter_client_send(f->user.client);
	return asked;
}

static bool
tell_client(struct filter *f)
{
	const struct session *s = f->all->session;
	struct str host = session_client_name(s);
	char literal[INET6_ADDRSTRLEN + 3];
	struct milter_peer peer = {.name = host, .family = AF_UNSPEC, .port = s->remote_port};

	f->knows_client = true;
	if (s->remote[0] == '\0') {
		peer.name = STR("localhost");
	} else {
		peer.address = str_from(s->remote);
		peer.family = str_find(peer.address, ':') < peer.address.n ? AF_INET6 : AF_INET;
		if (host.n == 0) {
			(void)snprintf(literal, sizeof literal, "[%s]", s->remote);
			peer.name = str_from(literal);
		}
	}
	return sent(f, FILTER_CONNECT,
	    milter_connect(&f->user.client->milter, &f->user.client->stream.out, &f->all->macros, &peer));
}

/* After STARTTLS there is none until the client says it again. */
static bool
tell_helo(struct filter *f)
{
	const struct session *s = f->all->session;

	if (s->smtp.helo[0] == '\0')
		return false;
	f->knows_helo = true;
	return sent(f, FILTER_HELO,
	    milter_helo(&f->user.client->milter, &f->user.client->stream.out, &f->all->macros, str_from(s->smtp.helo)));
}

/* What it has missed: because it was not there, or because another filter's answer was being awaited. */
static bool
catch_up(struct filter *f)
{
	if (!f->knows_client && tell_client(f))
		return true;
	return f->all->stage != FILTER_CONNECT && !f->knows_helo && tell_helo(f);
}

static size_t
arguments_split(const struct buf *b, struct str *arguments)
{
	struct str rest = buf_str(b);
	size_t n = 0;

	while (n < ARGUMENTS_MAX && str_token(&rest, '\n', &arguments[n]))
		n++;
	return n;
}

/* The path, then the parameters as they were understood. */
static size_t
mail_arguments(const struct session *s, struct buf *b, struct str *arguments)
{
	const struct smtp_transaction *t = &s->smtp.transaction;

	buf_addf(b, "<%.*s>", STR_FMT(t->sender.text));
	if (t->size > 0)
		buf_addf(b, "\nSIZE=%llu", (unsigned long long)t->size);
	if (t->body == SMTP_BODY_8BITMIME)
		buf_adds(b, "\nBODY=8BITMIME");
	else if (t->body == SMTP_BODY_BINARYMIME)
		buf_adds(b, "\nBODY=BINARYMIME");
	if (t->smtputf8)
		buf_adds(b, "\nSMTPUTF8");
	if (t->ret != SMTP_RET_UNSAID)
		buf_adds(b, t->ret == SMTP_RET_FULL ? "\nRET=FULL" : "\nRET=HDRS");
	if (t->envid.p != NULL) {
		buf_adds(b, "\nENVID=");
		xtext_encode(b, t->envid);
	}
	return arguments_split(b, arguments);
}

/* As above. */
static size_t
rcpt_arguments(const struct smtp_recipient *r, struct buf *b, struct str *arguments)
{
	static const struct {
		unsigned bit;
		const char *word;
	} words[] = {{SMTP_NOTIFY_NEVER, "NEVER"}, {SMTP_NOTIFY_SUCCESS, "SUCCESS"}, {SMTP_NOTIFY_FAILURE, "FAILURE"},
	    {SMTP_NOTIFY_DELAY, "DELAY"}};
	const char *between = "\nNOTIFY=";

	buf_addf(b, "<%.*s>", STR_FMT(r->address.text));
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (r->notify & words[i].bit) {
			buf_addf(b, "%s%s", between, words[i].word);
			between = ",";
		}
	if (r->orcpt.p != NULL) {
		buf_adds(b, "\nORCPT=");
		(void)orcpt_add_parameter(b, r->orcpt);
	}
	return arguments_split(b, arguments);
}

static bool
tell_mail(struct filter *f)
{
	struct milter_client *c = f->user.client;
	struct str arguments[ARGUMENTS_MAX];
	struct buf b;
	bool asked;

	buf_init(&b, ARGUMENT_BYTES);
	f->knows_mail = true;
	asked = milter_mail(&c->milter, &c->stream.out, &f->all->macros, arguments,
	    mail_arguments(f->all->session, &b, arguments));
	buf_clear(&b);
	return sent(f, FILTER_MAIL, asked);
}

static bool
tell_rcpt(struct filter *f)
{
	struct milter_client *c = f->user.client;
	struct str arguments[ARGUMENTS_MAX];
	struct buf b;
	bool asked;

	buf_init(&b, ARGUMENT_BYTES);
	asked = milter_rcpt(&c->milter, &c->stream.out, &f->all->macros, arguments,
	    rcpt_arguments(f->all->session->smtp.recipient, &b, arguments));
	buf_clear(&b);
	return sent(f, FILTER_RCPT, asked);
}

/* True: an answer is awaited. */
static bool
tell(struct filter *f)
{
	struct milter_client *c = f->user.client;
	struct milter_macros *macros = &f->all->macros;

	switch (f->all->stage) {
	case FILTER_MAIL:
		return tell_mail(f);
	case FILTER_RCPT:
		return tell_rcpt(f);
	case FILTER_REFUSED_RCPT:
		return milter_wants_refused(&c->milter) && tell_rcpt(f);
	case FILTER_DATA:
		return sent(f, FILTER_DATA, milter_data(&c->milter, &c->stream.out, macros));
	case FILTER_UNKNOWN:
		return sent(f, FILTER_UNKNOWN, milter_unknown(&c->milter, &c->stream.out, macros, f->all->session->smtp.argument));
	case FILTER_IDLE:
	case FILTER_CONNECT:
	case FILTER_HELO:
	case FILTER_END:
		break;
	}
	return false;
}

/* ---- turn by turn ---------------------------------------------------------------------------------------------------------- */

static bool
is_about_message(enum filter_stage stage)
{
	return stage == FILTER_MAIL || stage == FILTER_RCPT || stage == FILTER_REFUSED_RCPT || stage == FILTER_DATA ||
	    stage == FILTER_END;
}

static enum filter_step
open_filter(struct filter *f)
{
	f->was_tried = true;
	f->state = FILTER_OPENING;
	milter_client_open(&f->all->session->worker->milters, f->index, &f->user);
	return STEP_WAIT;
}

/* Is it of use now? NEXT: yes, as far as there is any. */
static enum filter_step
ready(struct filter *f)
{
	switch (f->state) {
	case FILTER_UP:
		return STEP_NEXT;
	case FILTER_OPENING:
		return STEP_WAIT;
	case FILTER_DOWN:
		if (f->all->stage != FILTER_MAIL || f->was_tried)
			return STEP_NEXT;
		break;
	case FILTER_AWAY:
		break;
	}
	return open_filter(f);
}

static enum filter_step
step(struct filter *f)
{
	struct session_filters *all = f->all;
	enum filter_step result;

	if (f->is_past || (is_about_message(all->stage) && (f->is_through || all->discards)))
		return STEP_NEXT;
	result = ready(f);
	if (result != STEP_NEXT)
		return result;
	/* Before it was there, the message had begun without it. */
	if (f->state != FILTER_UP || (is_about_message(all->stage) && all->stage != FILTER_MAIL && !f->knows_mail))
		return missing(f);
	if (catch_up(f))
		return STEP_WAIT;
	if (all->stage == FILTER_END)
		return filter_message_show(f);
	if (all->told)
		return STEP_NEXT;
	all->told = true;
	return tell(f) ? STEP_WAIT : STEP_NEXT;
}

static void
run(struct session_filters *all)
{
	while (all->at < all->n) {
		enum filter_step result = step(&all->list[all->at]);

		if (result != STEP_NEXT)
			return;
		all->at++;
		all->told = false;
		if (all->message != NULL)
			filter_message_rewind(all->message);
	}
	filters_end(all, NULL);
}

static void
begin(struct session_filters *all, enum filter_stage stage)
{
	all->stage = stage;
	all->at = 0;
	all->told = false;
	if (stage == FILTER_CONNECT) { /* whoever is told then may go on at once, and begin anew with other filters */
		run(all);
		return;
	}
	all->inside = true;
	run(all);
	all->inside = false;
}

/* ---- what a filter answers --------------------------------------------------------------------------------------------------- */

static enum filter_step
refuse(struct filter *f, const struct smtp_reply *reply)
{
	/* With a message that it refuses as a whole it is through; a recipient is only a recipient, and a HELO may be followed by
	 * another. */
	if (f->saying == FILTER_MAIL || f->saying == FILTER_DATA || f->saying == FILTER_END)
		f->is_through = true;
	filters_end(f->all, reply);
	return STEP_OVER;
}

static enum filter_step
refuse_in_words(struct filter *f)
{
	struct milter_words *words = &f->user.client->milter.words;
	char status[ENHANCED_STATUS_MAX + 1];
	struct smtp_reply reply = {.code = words->code, .status = status, .text = buf_str(&words->text)};

	memcpy(status, words->status, sizeof status);
	for (size_t i = 0; i < words->text.n; i++)
		if (words->text.p[i] == '\n')
			words->text.p[i] = SMTP_REPLY_BREAK;
	return refuse(f, &reply);
}

static enum filter_step
accepted(struct filter *f)
{
	const char *problem;

	if (f->saying == FILTER_CONNECT || f->saying == FILTER_HELO)
		f->is_past = true;
	else if (f->saying != FILTER_UNKNOWN)
		f->is_through = true;
	if (f->all->stage == FILTER_END && !filter_message_keep(f, &problem))
		return filter_failed(f, problem);
	return STEP_NEXT;
}

static enum filter_step
continued(struct filter *f)
{
	const char *problem;

	if (f->all->stage != FILTER_END || f->all->message->place != PLACE_OVER)
		return STEP_WAIT; /* for what it is to be told next */
	f->is_through = true;
	return filter_message_keep(f, &problem) ? STEP_NEXT : filter_failed(f, problem);
}

/* NEXT: it has no more to say to this stage. WAIT: it goes on with the same filter. */
static enum filter_step
verdict_take(struct filter *f)
{
	/* What it says of a recipient who is refused in any case changes nothing. */
	if (f->all->stage == FILTER_REFUSED_RCPT && f->saying == FILTER_RCPT)
		return STEP_NEXT;
	switch (f->user.client->milter.verdict) {
	case MILTER_CONTINUES:
	case MILTER_SKIPS:
		return continued(f);
	case MILTER_ACCEPTS:
		return accepted(f);
	case MILTER_REJECTS:
		return refuse(f, f->saying == FILTER_CONNECT ? SMTP_REPLY(554, "5.7.1", "Access denied")
							     : SMTP_REPLY(550, "5.7.1", "Command rejected"));
	case MILTER_DEFERS:
		return refuse(f, SMTP_REPLY(451, "4.7.1", "Service unavailable, please try again later"));
	case MILTER_REPLIES:
		return refuse_in_words(f);
	case MILTER_DISCARDS:
		f->is_through = f->all->discards = true;
		return STEP_NEXT;
	case MILTER_DISCONNECTS:
		return refuse(f, SMTP_REPLY(421, "4.7.0", "Service unavailable, closing the connection"));
	}
	return STEP_WAIT;
}

/* ---- events of the filters ----------------------------------------------------------------------------------------------------- */

static bool
is_awaited(const struct filter *f)
{
	return f->all->stage != FILTER_IDLE && f == &f->all->list[f->all->at];
}

static void
on_ready(struct milter_user *user)
{
	struct filter *f = container_of(user, struct filter, user);

	f->state = FILTER_UP;
	run(f->all);
}

static void
on_verdict(struct milter_user *user)
{
	struct filter *f = container_of(user, struct filter, user);

	if (is_awaited(f) && verdict_take(f) != STEP_OVER)
		run(f->all);
}

static void
on_changed(struct milter_user *user)
{
	struct filter *f = container_of(user, struct filter, user);
	const char *problem;

	if (is_awaited(f) && !filter_message_change(f, &problem) && filter_failed(f, problem) != STEP_OVER)
		run(f->all);
}

static void
on_drained(struct milter_user *user)
{
	struct filter *f = container_of(user, struct filter, user);

	if (is_awaited(f) && f->user.client->milter.asked == 0)
		run(f->all);
}

static void
on_failed(struct milter_user *user, const char *why)
{
	struct filter *f = container_of(user, struct filter, user);

	down(f, why);
	if (is_awaited(f) && missing(f) != STEP_OVER)
		run(f->all);
}

static const struct milter_user_events filter_events = {
    .ready = on_ready,
    .verdict = on_verdict,
    .changed = on_changed,
    .drained = on_drained,
    .failed = on_failed,
};

/* ---- stages ------------------------------------------------------------------------------------------------------------------- */

static bool
looks_at(const struct conf_filter *filter, const struct session *s)
{
	return filter->kind == CONF_FILTER_MILTER && (filter->listeners & LISTENER_BIT(s->listener->listener->kind)) != 0;
}

struct session_filters *
session_filters_new(struct session *s)
{
	const struct conf *conf = s->worker->conf;
	struct session_filters *all;
	size_t n = 0;

	for (size_t i = 0; i < conf->nfilters; i++)
		n += looks_at(&conf->filters[i], s);
	if (n == 0)
		return NULL;
	all = calloc(1, sizeof *all + n * sizeof all->list[0]);
	if (all == NULL)
		fatal("out of memory for a session's filters");
	all->session = s;
	all->macros.value = filter_macro;
	for (size_t i = 0; i < conf->nfilters; i++)
		if (looks_at(&conf->filters[i], s))
			all->list[all->n++] = (struct filter){.all = all, .index = i, .user = {.events = &filter_events}};
	return all;
}

static void
abort_message(struct filter *f)
{
	if (f->state == FILTER_UP && f->knows_mail && !f->is_through && f->user.client->milter.asked == 0)
		milter_abort(&f->user.client->milter, &f->user.client->stream.out);
	f->knows_mail = f->is_through = false;
}

static void
filter_leave(struct filter *f)
{
	milter_client_release(&f->user);
	f->state = FILTER_DOWN;
	f->knows_client = f->knows_helo = f->knows_mail = false;
}

void
session_filters_free(struct session_filters *all)
{
	if (all == NULL)
		return;
	for (size_t i = 0; i < all->n; i++) {
		abort_message(&all->list[i]);
		milter_client_release(&all->list[i].user);
	}
	filter_message_clear(all);
	free(all);
}

void
session_filter_cancel(struct session *s)
{
	struct session_filters *all = s->filters;

	if (all == NULL || all->stage == FILTER_IDLE)
		return;
	all->stage = FILTER_IDLE;
	if (all->at < all->n)
		filter_leave(&all->list[all->at]);
}

void
session_filter_abandoned(struct session *s)
{
	struct session_filters *all = s->filters;

	if (all == NULL || all->stage != FILTER_IDLE)
		return;
	for (size_t i = 0; i < all->n; i++)
		abort_message(&all->list[i]);
	all->discards = false;
	all->refused = 0;
	filter_message_clear(all);
}

bool
session_filter_connect(struct session *s, void (*done)(struct session *s, const struct smtp_reply *refusal))
{
	if (s->filters == NULL)
		return false;
	s->filters->connected = done;
	begin(s->filters, FILTER_CONNECT);
	return true;
}

void
session_filter_hello(struct session *s)
{
	struct session_filters *all = s->filters;

	if (all == NULL) {
		smtp_server_accept(&s->smtp);
		return;
	}
	helo_forget(all);
	begin(all, FILTER_HELO);
}

/* Those that were down may be back. */
void
session_filter_sender(struct session *s)
{
	struct session_filters *all = s->filters;

	if (all == NULL) {
		smtp_server_accept(&s->smtp);
		return;
	}
	for (size_t i = 0; i < all->n; i++)
		all->list[i].was_tried = false;
	begin(all, FILTER_MAIL);
}

static void
pass(struct session *s, enum filter_stage stage)
{
	if (s->filters == NULL)
		smtp_server_accept(&s->smtp);
	else
		begin(s->filters, stage);
}

void
session_filter_recipient(struct session *s)
{
	pass(s, FILTER_RCPT);
}

void
session_filter_unknown(struct session *s)
{
	pass(s, FILTER_UNKNOWN);
}

void
session_filter_body(struct session *s)
{
	if (s->filters == NULL || s->filters->refused == 0) {
		pass(s, FILTER_DATA);
		return;
	}
	session_message_drop(s);
	smtp_server_answer(&s->smtp, s->filters->refused < 500 ? SMTP_REPLY(451, "4.7.1", "Please try again later")
	                                                       : SMTP_REPLY(550, "5.7.1", "Command rejected"));
}

void
session_filter_recipient_refused(struct session *s, const struct smtp_reply *reply)
{
	struct session_filters *all = s->filters;

	if (all == NULL) {
		smtp_server_answer(&s->smtp, reply);
		return;
	}
	all->refusal = *reply;
	(void)str_copy(all->refusal_text, sizeof all->refusal_text, str_sub(reply->text, 0, SMTP_REPLY_TEXT_MAX));
	all->refusal.text = str_from(all->refusal_text);
	begin(all, FILTER_REFUSED_RCPT);
}

bool
session_filter_message(struct session *s)
{
	struct session_filters *all = s->filters;
	struct smtp_reply reply;

	if (all == NULL)
		return false;
	if (!filter_message_begin(all, &reply)) {
		session_message_refuse(s, &reply);
		session_filter_abandoned(s);
		return true;
	}
	begin(all, FILTER_END);
	return true;
}
