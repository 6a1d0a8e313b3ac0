#include "smtpd/session_message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/log.h"
#include "smtpd/envelope.h"
#include "smtpd/session_filter.h"
#include "smtpd/session_policy.h"
#include "smtpd/trace.h"

#define HEAD_MAX 4096
#define ORIGIN_MAX (3 * SMTP_ATTRIBUTE_MAX + 64)
/* What filters add to header and envelope besides the header's limit: letter.h bounds it. */
#define FILTERS_ADD_MAX (4 * 1024 * 1024)

static void
message_free(struct session_message *m)
{
	intake_clear(&m->intake);
	content_clear(&m->content);
	free(m);
}

/* ---- the envelope -------------------------------------------------------------------------------------------------- */

struct str
session_message_address(const struct session *s, const struct address *address, char buffer[SESSION_ADDRESS_MAX])
{
	struct str domain = policy_domain(s->worker->conf, address);
	int n;

	if (address->kind != ADDRESS_LOCAL)
		return address->text;
	n = snprintf(buffer, SESSION_ADDRESS_MAX, "%.*s@%.*s", STR_FMT(address->text), STR_FMT(domain));
	return (struct str){buffer, n < SESSION_ADDRESS_MAX ? (size_t)n : SESSION_ADDRESS_MAX - 1};
}

static void
recipients_write(struct session *s, struct queue_writer *w)
{
	const struct smtp_transaction *t = &s->smtp.transaction;
	char buffer[SESSION_ADDRESS_MAX];
	struct err err;

	if (s->policy != NULL && s->policy->redirect[0] != '\0') {
		queue_writer_recipient(w, str_from(s->policy->redirect));
		return;
	}
	for (const struct smtp_recipient *r = t->recipients; r != NULL; r = r->next) {
		queue_writer_recipient(w, session_message_address(s, &r->address, buffer));
		envelope_rcpt_write(w, r);
		(void)intake_flush(&s->message->intake, &err); /* a failure is kept for the first piece of content */
	}
}

static void
envelope_write(struct session *s, struct queue_writer *w, uint64_t time_ms)
{
	const struct smtp_transaction *t = &s->smtp.transaction;
	char client[SMTP_HELO_MAX + INET6_ADDRSTRLEN + 8], buffer[SESSION_ADDRESS_MAX];
	int n;

	queue_writer_begin(w, time_ms, session_message_address(s, &t->sender, buffer));
	n = s->remote[0] != '\0' ? snprintf(client, sizeof client, "%s [%s]", s->smtp.helo, s->remote)
				 : snprintf(client, sizeof client, "%s", s->worker->conf->hostname);
	queue_writer_record(w, QUEUE_CLIENT, (struct str){client, n < (int)sizeof client ? (size_t)n : sizeof client - 1});
	if (s->smtp.user[0] != '\0')
		queue_writer_record(w, QUEUE_LOGIN, str_from(s->smtp.user));
	else if (s->local_user[0] != '\0')
		queue_writer_record(w, QUEUE_LOGIN, str_from(s->local_user));
	envelope_mail_write(w, t);
	recipients_write(s, w);
}

static void
received_write(struct session *s, struct queue_writer *w)
{
	const struct smtp_transaction *t = &s->smtp.transaction;
	bool tls = stream_is_tls(&s->stream);
	struct trace_facts facts = {
	    .helo = str_from(s->smtp.helo),
	    .client_name = session_client_name(s),
	    .client = str_from(s->remote),
	    .local_user = str_from(s->local_user),
	    .tls_version = tls ? str_from(stream_tls_version(&s->stream)) : STR_NONE,
	    .tls_cipher = tls ? str_from(stream_tls_cipher(&s->stream)) : STR_NONE,
	    .tls_suite = tls ? str_from(stream_tls_suite(&s->stream)) : STR_NONE,
	    .hostname = str_from(s->worker->conf->hostname),
	    .protocol = str_from(smtp_server_protocol_name(&s->smtp)),
	    .id = queue_id_str(&s->message->intake.id),
	    .recipient = t->nrecipients == 1 ? t->recipients->address.text : STR_NONE,
	    .date = str_from(s->message->date),
	};
	struct buf head;

	/* Above our own line, as RFC 7208 9.1 wants Received-SPF. */
	queue_writer_content(w, session_policy_fields(s));
	s->message->trace_offset = queue_writer_offset(w);
	buf_init(&head, HEAD_MAX);
	trace_received_add(&head, &facts);
	queue_writer_content(w, buf_str(&head));
	buf_clear(&head);
}

static struct date
date_now(const struct timespec *now)
{
	struct tm tm;
	time_t seconds = now->tv_sec;

	if (localtime_r(&seconds, &tm) == NULL)
		return (struct date){.seconds = now->tv_sec};
	return (struct date){.seconds = now->tv_sec, .zone_minutes = (int)(tm.tm_gmtoff / 60)};
}

/* XFORWARD: the log of the server before this one has the message under another name. */
static void
origin_format(const struct smtp_attributes *a, char *text, size_t size)
{
	struct str name, address, id;

	text[0] = '\0';
	if (a == NULL)
		return;
	name = a->value[SMTP_ATTR_NAME];
	address = a->value[SMTP_ATTR_ADDR];
	id = a->value[SMTP_ATTR_IDENT];
	(void)snprintf(text, size, "%s%.*s, orig_client=%.*s[%.*s]", id.n > 0 ? ", orig_queue_id=" : "", STR_FMT(id),
	    STR_FMT(name.n > 0 ? name : STR("unknown")), STR_FMT(address.n > 0 ? address : STR("unknown")));
}

static void
log_client(const struct session *s)
{
	char origin[ORIGIN_MAX];
	const char *service = s->listener->facts->service, *id = s->message->intake.id.text;

	origin_format(s->smtp.transaction.forwarded, origin, sizeof origin);
	if (s->rules->is_local)
		log_as(service, "%s: client=%s, user=%s%s", id, s->name, s->local_user, origin);
	else if (s->smtp.user[0] != '\0')
		log_as(service, "%s: client=%s, sasl_method=%s, sasl_username=%s%s", id, s->name, s->mechanism, s->smtp.user, origin);
	else
		log_as(service, "%s: client=%s%s", id, s->name, origin);
}

bool
session_message_begin(struct session *s)
{
	const struct conf *conf = s->worker->conf;
	struct session_message *m = calloc(1, sizeof *m);
	struct content_rules rules = {.complete = s->rules->is_submission, .received_max = conf->smtpd.received_limit,
	    .header_max = conf->smtpd.header_limit_bytes};
	struct timespec now;
	uint64_t time_us;

	if (m == NULL || clock_gettime(CLOCK_REALTIME, &now) != 0) {
		free(m);
		return false;
	}
	time_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	m->session = s;
	m->worker = s->worker;
	s->message = m;
	intake_begin(&m->intake, &s->worker->intake, time_us);
	(void)date_format_rfc5322(m->date, date_now(&now));
	(void)snprintf(m->message_id, sizeof m->message_id, "<%s@%s>", m->intake.id.text, conf->hostname);
	rules.date = str_from(m->date);
	rules.message_id = str_from(m->message_id);
	if (s->sender_is_rewritten)
		rules.sender = s->smtp.transaction.sender.text;
	if (s->filters != NULL)
		intake_widen(&m->intake, conf->smtpd.header_limit_bytes + FILTERS_ADD_MAX);
	content_init(&m->content, &rules, &m->intake.writer);
	envelope_write(s, &m->intake.writer, time_us / 1000);
	received_write(s, &m->intake.writer);
	return true;
}

/* ---- the content --------------------------------------------------------------------------------------------------- */

static struct smtp_reply
reply_to_failure(const struct err *err)
{
	if (err->class == ERR_LIMIT)
		return *SMTP_REPLY(552, "5.3.4", "The message does not fit into the queue");
	if (err->errnum == ENOSPC || err->errnum == EDQUOT || err->errnum == EFBIG)
		return *SMTP_REPLY(452, "4.3.1", "Insufficient system storage, please try again later");
	return *SMTP_REPLY(451, "4.3.0", "Local trouble, please try again later");
}

static void
log_refusal(const struct session *s, const struct smtp_reply *reply, const char *why)
{
	log_as(s->listener->facts->service, "%s: reject: DATA from %s: %u %s %.*s; %s; from=<%.*s>",
	    s->message->intake.id.text, s->name, reply->code, reply->status, STR_FMT(reply->text), why,
	    STR_FMT(s->smtp.transaction.sender.text));
}

static bool
content_is_refused(struct session *s, struct smtp_reply *reply)
{
	struct session_message *m = s->message;
	struct err err;

	switch (m->content.verdict) {
	case CONTENT_FINE:
		break;
	case CONTENT_LOOP:
		*reply = *SMTP_REPLY(554, "5.4.6", "Too many hops: the message seems to be in a loop");
		log_refusal(s, reply, "too many Received fields");
		return true;
	case CONTENT_HEADER_TOO_LARGE:
		*reply = *SMTP_REPLY(552, "5.3.4", "The header is too large");
		log_refusal(s, reply, "header_limit");
		return true;
	}
	if (intake_flush(&m->intake, &err))
		return false;
	*reply = reply_to_failure(&err);
	log_refusal(s, reply, err.text);
	return true;
}

void
session_message_feed(struct session *s, struct str piece)
{
	struct smtp_reply reply;

	if (s->message == NULL) /* refused already; the rest of it is thrown away */
		return;
	content_feed(&s->message->content, piece);
	if (!content_is_refused(s, &reply))
		return;
	session_message_drop(s);
	smtp_server_refuse_content(&s->smtp, &reply);
}

static void
reply_accepted(struct session *s, const struct session_message *m)
{
	char text[64];
	int n = snprintf(text, sizeof text, "Ok: queued as %s", m->intake.id.text);
	const struct smtp_reply reply = {.code = 250, .status = "2.0.0", .text = {text, (size_t)n}};

	smtp_server_answer(&s->smtp, &reply);
}

static void
finished(struct intake_message *intake, bool ok, const struct err *err)
{
	struct session_message *m = container_of(intake, struct session_message, intake);
	struct session *s = m->session;
	struct worker *worker = m->worker;

	if (s == NULL) {
		message_free(m);
		worker->ncommits--;
		worker_session_over(worker);
		return;
	}
	if (ok) {
		reply_accepted(s, m);
	} else {
		struct smtp_reply reply = reply_to_failure(err);

		log_refusal(s, &reply, err->text);
		smtp_server_answer(&s->smtp, &reply);
	}
	s->message = NULL;
	message_free(m);
	session_policy_clear(s);
	session_go_on(s);
}

void
session_message_commit(struct session *s, struct letter *letter)
{
	struct queue_writer *w = &s->message->intake.writer;

	if (s->policy != NULL && s->policy->hold) {
		if (letter == NULL)
			queue_writer_hold(w, STR("a policy server wants it"));
		else if (letter->hold.p == NULL)
			letter->hold = STR("a policy server wants it");
	}
	if (letter != NULL)
		letter_write(letter, w);
	intake_finish(&s->message->intake, finished);
}

/* The policy has nothing against it. */
static void
filter_or_commit(struct session *s)
{
	if (s->policy != NULL && s->policy->discard) { /* its sender is not to know */
		session_message_discard(s);
		session_filter_abandoned(s);
	} else if (!session_filter_message(s)) {
		session_message_commit(s, NULL);
	}
}

static void
policy_over(struct session *s, const struct smtp_reply *refusal)
{
	if (refusal != NULL) {
		log_refusal(s, refusal, "policy server");
		session_message_refuse(s, refusal);
		session_filter_abandoned(s);
	} else {
		filter_or_commit(s);
	}
	session_go_on(s);
}

void
session_message_end(struct session *s)
{
	struct smtp_reply reply;

	if (s->message == NULL)
		return;
	content_end(&s->message->content);
	if (content_is_refused(s, &reply)) {
		session_message_refuse(s, &reply);
		session_filter_abandoned(s);
		return;
	}
	/* Before the queue gets to know it, so that the log's lines stand in their order; and both at once. */
	log_client(s);
	log_as(s->listener->facts->service, "%s: message-id=%s", s->message->intake.id.text,
	    s->message->content.message_id[0] != '\0' ? s->message->content.message_id : "<>");
	if (!session_policy_end(s, policy_over))
		filter_or_commit(s);
}

void
session_message_discard(struct session *s)
{
	reply_accepted(s, s->message);
	session_message_drop(s);
}

void
session_message_refuse(struct session *s, const struct smtp_reply *reply)
{
	session_message_drop(s);
	smtp_server_answer(&s->smtp, reply);
}

void
session_message_drop(struct session *s)
{
	struct session_message *m = s->message;

	if (m == NULL)
		return;
	s->message = NULL;
	if (m->intake.done != NULL) { /* on its way to the disk: it is the queue's if it gets there */
		m->session = NULL;
		m->worker->ncommits++;
		return;
	}
	message_free(m);
}
