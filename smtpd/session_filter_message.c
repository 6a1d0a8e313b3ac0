/*
 * A message that is shown to filters: its header, read back from the queue file, as fields in memory; its body from the file,
 * piece by piece.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/mime/rfc5322.h"
#include "smtpd/session_filter_inner.h"
#include "smtpd/session_policy.h"

/* Of our own trace field and what else we put above the client's header. */
#define OWN_HEADER_MAX 65536
#define CHANGE_MAX (2 * MILTER_PACKET_MAX + 2) /* what a piece of a new body can become: every byte a line end */
#define CONTENT_AT_ONCE 65536
#define RECIPIENT_BYTES (ADDRESS_TEXT_MAX + ADDRESS_DOMAIN_MAX + 64)

/* ---- reading it in ----------------------------------------------------------------------------------------------------- */

static bool
refused(struct smtp_reply *reply, unsigned code, const char *status, struct str text)
{
	*reply = (struct smtp_reply){code, status, text};
	return false;
}

/* As they stand in the queue file, in its order. */
static bool
recipients_copy(struct session_filters *all)
{
	const struct smtp_transaction *t = &all->session->smtp.transaction;
	struct filter_message *m = all->message;
	char buffer[SESSION_ADDRESS_MAX];
	const struct session_policy *policy = all->session->policy;
	size_t i = 0;

	m->recipients = calloc(t->nrecipients + 1, sizeof *m->recipients);
	if (m->recipients == NULL)
		return false;
	m->nrecipients = t->nrecipients;
	if (policy != NULL && policy->redirect[0] != '\0') {
		m->nrecipients = 1;
		m->recipients[0] = str_from(policy->redirect);
		return true;
	}
	for (const struct smtp_recipient *r = t->recipients; r != NULL && i < t->nrecipients; r = r->next) {
		m->recipients[i] = arena_copy(&m->arena, session_message_address(all->session, &r->address, buffer));
		if (m->recipients[i++].p == NULL)
			return false;
	}
	return true;
}

static bool
header_read(struct intake_message *intake, uint64_t end, struct buf *header, struct err *err)
{
	uint64_t at = intake->writer.content_offset;

	while (at < end) {
		struct str piece = intake_content(intake, at, end - at, err);

		if (piece.p == NULL)
			return false;
		buf_add(header, piece);
		at += piece.n;
	}
	return buf_ok(header) || err_set(err, ERR_LIMIT, "the header is too large");
}

/* Everything in it is a field: that is how it was written. */
static bool
fields_take(struct filter_message *m, const struct session_message *message, struct str header)
{
	uint64_t at = message->intake.writer.content_offset;
	struct str rest = header;
	struct rfc5322_field field;

	while (rfc5322_next(&rest, &field)) {
		uint64_t offset = at + (uint64_t)(field.raw.p - header.p);

		if (!letter_field(&m->letter, field.raw, offset, offset == message->trace_offset))
			return false;
	}
	return true;
}

static bool
letter_read(struct session_filters *all, struct smtp_reply *reply)
{
	struct session_message *message = all->session->message;
	struct queue_writer *w = &message->intake.writer;
	uint64_t end = message->content.body_offset;
	struct buf header;
	struct err err;
	bool ok;

	buf_init(&header, all->message->letter.rules.header_max);
	if (!header_read(&message->intake, end, &header, &err)) {
		log_warning("%s: cannot read it back for the filters: %s", message->intake.id.text, err.text);
		buf_clear(&header);
		return refused(reply, 451, "4.3.0", STR("Local trouble, please try again later"));
	}
	ok = fields_take(all->message, message, buf_str(&header));
	buf_clear(&header);
	letter_body(&all->message->letter, (struct queue_piece){end, 2},
	    (struct queue_piece){end + 2, queue_writer_offset(w) - end - 2});
	return ok || refused(reply, 552, "5.3.4", STR("The header has too many fields"));
}

bool
filter_message_begin(struct session_filters *all, struct smtp_reply *reply)
{
	const struct session *s = all->session;
	const struct conf *conf = s->worker->conf;
	const struct letter_rules rules = {
	    .size_max = conf->message_size_limit_bytes,
	    .header_max = conf->smtpd.header_limit_bytes + OWN_HEADER_MAX,
	    .domain = policy_domain(conf, &(struct address){.kind = ADDRESS_LOCAL}),
	    .is_8bit = s->smtp.transaction.body != SMTP_BODY_7BIT,
	};
	struct filter_message *m = calloc(1, sizeof *m);

	all->message = m;
	if (m == NULL)
		return refused(reply, 452, "4.3.1", STR("Out of memory, please try again later"));
	arena_init(&m->arena, (s->smtp.transaction.nrecipients + 1) * RECIPIENT_BYTES);
	if (!recipients_copy(all) || !letter_init(&m->letter, &rules, m->recipients, m->nrecipients))
		return refused(reply, 452, "4.3.1", STR("Out of memory, please try again later"));
	return letter_read(all, reply);
}

void
filter_message_clear(struct session_filters *all)
{
	struct filter_message *m = all->message;

	if (m == NULL)
		return;
	filter_message_rewind(m);
	letter_clear(&m->letter);
	arena_clear(&m->arena);
	free(m->recipients);
	free(m);
	all->message = NULL;
}

void
filter_message_rewind(struct filter_message *m)
{
	if (m->has_draft)
		letter_clear(&m->draft);
	m->has_draft = false;
	m->place = PLACE_FIELDS;
	m->field = 0;
	m->shown = 0;
}

/* ---- showing it ------------------------------------------------------------------------------------------------------------ */

enum show {
	SHOW_MORE,
	SHOW_ASKED, /* there is an answer to be awaited */
	SHOW_BROKEN,
};

static enum show
shown(bool asked)
{
	return asked ? SHOW_ASKED : SHOW_MORE;
}

static enum show
show_field(struct filter *f, struct filter_message *m)
{
	struct milter_client *c = f->user.client;
	struct str name, value;

	if (milter_wants_header(&c->milter) && letter_next(&m->letter, &m->field, &name, &value))
		return shown(milter_header(&c->milter, &c->stream.out, name, value));
	m->place = PLACE_END_OF_HEADER;
	return SHOW_MORE;
}

static enum show
show_body(struct filter *f, struct filter_message *m)
{
	struct milter_client *c = f->user.client;
	uint64_t left = m->letter.body.length - m->shown;
	struct str chunk;
	struct err err;

	if (left == 0 || !milter_wants_body(&c->milter)) {
		m->place = PLACE_END;
		return SHOW_MORE;
	}
	chunk = intake_content(&f->all->session->message->intake, m->letter.body.offset + m->shown,
	    left < c->milter.chunk_max ? left : c->milter.chunk_max, &err);
	if (chunk.p == NULL) {
		log_warning("%s: cannot read it back for the filters: %s", f->all->session->message->intake.id.text, err.text);
		return SHOW_BROKEN;
	}
	m->shown += chunk.n;
	return shown(milter_body(&c->milter, &c->stream.out, chunk));
}

static enum show
show_some(struct filter *f, struct filter_message *m)
{
	struct milter_client *c = f->user.client;

	switch (m->place) {
	case PLACE_FIELDS:
		return show_field(f, m);
	case PLACE_END_OF_HEADER:
		m->place = PLACE_BODY;
		return shown(milter_end_of_header(&c->milter, &c->stream.out, &f->all->macros));
	case PLACE_BODY:
		return show_body(f, m);
	case PLACE_END:
		m->place = PLACE_OVER;
		return shown(milter_end(&c->milter, &c->stream.out, &f->all->macros));
	case PLACE_OVER:
		break;
	}
	return SHOW_ASKED;
}

enum filter_step
filter_message_show(struct filter *f)
{
	f->saying = FILTER_END;
	while (milter_client_has_room(f->user.client))
		switch (show_some(f, f->all->message)) {
		case SHOW_MORE:
			break;
		case SHOW_ASKED:
			milter_client_send(f->user.client);
			return STEP_WAIT;
		case SHOW_BROKEN:
			return filter_failed(f, "the message cannot be shown to it");
		}
	return STEP_WAIT;
}

/* ---- changing it -------------------------------------------------------------------------------------------------------------- */

static bool
content_add(struct filter *f, struct str bytes, const char **problem)
{
	struct intake_message *intake = &f->all->session->message->intake;
	struct err err;

	for (; bytes.n > 0; bytes = str_skip(bytes, CONTENT_AT_ONCE)) {
		f->all->message->has_more = true;
		queue_writer_content(&intake->writer, str_sub(bytes, 0, CONTENT_AT_ONCE));
		if (!intake_flush(intake, &err)) {
			*problem = "the queue does not take its changes";
			return false;
		}
	}
	return true;
}

static bool
body_change(struct filter *f, struct letter *draft, const struct milter_change *change, const char **problem)
{
	uint64_t offset = queue_writer_offset(&f->all->session->message->intake.writer);
	struct buf out;
	bool ok;

	buf_init(&out, CHANGE_MAX);
	ok = letter_body_replace(draft, change->value, offset, &out, problem) && content_add(f, buf_str(&out), problem);
	buf_clear(&out);
	return ok;
}

bool
filter_message_change(struct filter *f, const char **problem)
{
	const struct milter_change *change = &f->user.client->milter.change;
	struct filter_message *m = f->all->message;

	if (!m->has_draft && !letter_copy(&m->draft, &m->letter)) {
		*problem = "memory is out";
		return false;
	}
	m->has_draft = true;
	if (change->kind == MILTER_BODY_REPLACE)
		return body_change(f, &m->draft, change, problem);
	return letter_change(&m->draft, change, problem);
}

bool
filter_message_keep(struct filter *f, const char **problem)
{
	struct filter_message *m = f->all->message;
	struct buf out;
	bool ok;

	if (!m->has_draft)
		return true;
	buf_init(&out, 2);
	letter_body_end(&m->draft, &out);
	ok = content_add(f, buf_str(&out), problem);
	buf_clear(&out);
	if (!ok)
		return false;
	letter_clear(&m->letter);
	m->letter = m->draft;
	m->has_draft = false;
	return true;
}
