#include "queue/listing_print.h"

#include <stdio.h>

#include "common/base/json.h"
#include "common/base/log.h"
#include "queue/listing_time.h"

/* ---- small parts ----------------------------------------------------------------------------------------------- */

/* Strangers' words on a terminal: nothing that it would obey. */
static void
add_escaped(struct buf *b, struct str s)
{
	char text[4096];

	buf_add(b, (struct str){text, log_escape(text, sizeof text, s)});
}

static const char *
state_word(enum queue_state state)
{
	switch (state) {
	case QUEUE_WAITING:
		return "waiting";
	case QUEUE_DELIVERED:
		return "delivered";
	case QUEUE_FAILED:
		return "failed";
	case QUEUE_EXPANDED_STATE:
		break;
	}
	return "expanded";
}

void
listing_print_cell(struct buf *b, const struct listing_style *style, enum listing_colour colour, int width, struct str text)
{
	static const char *const codes[LISTING_COLOURS] = {"", "1", "2", "31", "32", "33", "34"};
	bool painted = style->colour && colour != LISTING_PLAIN;
	size_t begin;

	if (painted)
		buf_addf(b, "\033[%sm", codes[colour]);
	begin = b->n;
	add_escaped(b, text);
	begin = b->n - begin;
	if (painted)
		buf_adds(b, "\033[0m");
	while (begin++ < (size_t)width)
		buf_addc(b, ' ');
}

static void
in_units(char text[16], uint64_t value, const char *units, const uint64_t *factors)
{
	size_t i = 0;

	while (units[i + 1] != '\0' && value >= 2 * factors[i + 1])
		i++;
	(void)snprintf(text, 16, "%llu%.1s", (unsigned long long)(value / factors[i]), units[i] == ' ' ? "" : units + i);
}

void
listing_print_duration(char text[16], uint64_t seconds)
{
	static const uint64_t factors[] = {1, 60, 3600, 86400};

	in_units(text, seconds, "smhd", factors);
}

void
listing_print_bytes(char text[16], uint64_t bytes)
{
	static const uint64_t factors[] = {1, 1024, 1024 * 1024, 1024ULL * 1024 * 1024};

	in_units(text, bytes, " KMG", factors);
}

static enum listing_colour
colour_of(enum spool_place place)
{
	switch (place) {
	case SPOOL_ACTIVE:
	case SPOOL_INCOMING:
		return LISTING_GREEN;
	case SPOOL_DEFERRED:
		return LISTING_YELLOW;
	case SPOOL_HOLD:
		return LISTING_BLUE;
	case SPOOL_CORRUPT:
	case SPOOL_PLACES:
		break;
	}
	return LISTING_RED;
}

/* ---- a list ---------------------------------------------------------------------------------------------------- */

void
listing_print_head(struct buf *b, const struct listing_style *style)
{
	if (style->format == LISTING_TEXT) {
		listing_print_cell(b, style, LISTING_BOLD, 0, STR("ID                STATE           SIZE  ARRIVED              SENDER"));
		buf_addc(b, '\n');
	}
	if (style->format == LISTING_MAILQ)
		buf_adds(b, "----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------\n");
}

void
listing_print_end(struct buf *b, const struct listing_style *style, uint64_t messages, uint64_t bytes)
{
	enum listing_format format = style->format;

	if (format == LISTING_JSON || format == LISTING_POSTFIX)
		return;
	buf_truncate(b, messages == 0 ? 0 : b->n);
	if (messages == 0)
		buf_adds(b, "Mail queue is empty\n");
	else if (format == LISTING_MAILQ)
		buf_addf(b, "-- %llu Kbytes in %llu Request%s.\n", (unsigned long long)(bytes / 1024),
		    (unsigned long long)messages, messages == 1 ? "" : "s");
	else
		buf_addf(b, "%llu message%s, %llu bytes\n", (unsigned long long)messages, messages == 1 ? "" : "s",
		    (unsigned long long)bytes);
}

static void
print_text(struct buf *b, const struct listing_style *style, const struct listed *m)
{
	const struct envelope *e = &m->envelope;

	listing_print_cell(b, style, LISTING_BOLD, 18, queue_id_str(&m->id));
	listing_print_cell(b, style, colour_of(m->place), 8, str_from(spool_place_name(m->place)));
	buf_adds(b, "  ");
	buf_add_number(b, 10, e->head.message_size);
	buf_adds(b, "  ");
	listing_time_add(b, queue_id_time_us(&m->id) / 1000000);
	if (m->load == ENVELOPE_NEWER) {
		buf_adds(b, "  (written by a newer Merpati)\n");
		return;
	}
	buf_adds(b, "  <");
	add_escaped(b, e->sender);
	buf_adds(b, ">\n");
	if (m->due_s > 0) {
		buf_adds(b, "    next try ");
		listing_time_add(b, m->due_s);
		buf_addc(b, '\n');
	}
	for (size_t i = 0; i < e->nrecipients; i++) {
		const struct recipient *r = &e->recipients[i];

		if (r->state != QUEUE_WAITING)
			continue;
		buf_adds(b, "    to <");
		add_escaped(b, r->address);
		buf_adds(b, r->reply.n > 0 ? ">: " : ">");
		listing_print_cell(b, style, LISTING_DIM, 0, r->reply);
		buf_addc(b, '\n');
	}
}

/* The reason stands above the recipients that share it, its end in one column. */
static void
mailq_reason(struct buf *b, struct str reason)
{
	char text[4096];
	size_t n = log_escape(text, sizeof text, reason.n > 0 ? reason : STR("reason unavailable"));

	buf_addf(b, "%*s(%s)\n", n < 76 ? (int)(76 - n) : 0, "", text);
}

/* `*` active, `!` on hold. */
static void
print_mailq(struct buf *b, const struct listed *m)
{
	const struct envelope *e = &m->envelope;
	char mark = m->place == SPOOL_ACTIVE ? '*' : m->place == SPOOL_HOLD ? '!' : ' ';
	struct str reason = STR("");

	buf_adds(b, m->id.text);
	buf_addc(b, mark);
	buf_add_number(b, 9, e->head.message_size);
	buf_addc(b, ' ');
	listing_time_add_classic(b, queue_id_time_us(&m->id) / 1000000);
	buf_addc(b, ' ');
	add_escaped(b, e->sender.n > 0 ? e->sender : STR("MAILER-DAEMON"));
	buf_addc(b, '\n');
	for (size_t i = 0; i < e->nrecipients; i++) {
		const struct recipient *r = &e->recipients[i];

		if (r->state != QUEUE_WAITING)
			continue;
		if (!str_equal(reason, r->reply))
			mailq_reason(b, r->reply);
		reason = r->reply;
		buf_addf(b, "%47s", "");
		add_escaped(b, r->address);
		buf_addc(b, '\n');
	}
	buf_addc(b, '\n');
}

static void
json_message(struct buf *b, const struct listed *m)
{
	buf_addc(b, '{');
	json_add_member(b, "queue_name", str_from(spool_place_name(m->place)));
	json_add_member(b, "queue_id", queue_id_str(&m->id));
	json_add_number(b, "arrival_time", queue_id_time_us(&m->id) / 1000000);
	json_add_number(b, "message_size", m->envelope.head.message_size);
	json_add_member(b, "sender", m->envelope.sender);
	if (m->due_s > 0)
		json_add_number(b, "next_try", m->due_s);
	if (m->load != ENVELOPE_LOADED)
		json_add_member(b, "problem", m->load == ENVELOPE_NEWER ? STR("newer") : STR("damaged"));
}

static void
json_recipients(struct buf *b, const struct envelope *e)
{
	json_add_key(b, "recipients");
	buf_addc(b, '[');
	for (size_t i = 0; i < e->nrecipients; i++) {
		const struct recipient *r = &e->recipients[i];

		if (r->state != QUEUE_WAITING)
			continue;
		buf_adds(b, b->p[b->n - 1] == '[' ? "{" : ", {");
		json_add_member(b, "address", r->address);
		if (r->reply.n > 0)
			json_add_member(b, "delay_reason", r->reply);
		buf_addc(b, '}');
	}
	buf_addc(b, ']');
}

static void
print_json(struct buf *b, const struct listed *m)
{
	json_message(b, m);
	json_recipients(b, &m->envelope);
	buf_adds(b, "}\n");
}

/* Just the members that Postfix has, in its order. */
static void
print_postfix(struct buf *b, const struct listed *m)
{
	const struct envelope *e = &m->envelope;

	buf_addc(b, '{');
	json_add_member(b, "queue_name", str_from(spool_place_name(m->place)));
	json_add_member(b, "queue_id", queue_id_str(&m->id));
	json_add_number(b, "arrival_time", queue_id_time_us(&m->id) / 1000000);
	json_add_number(b, "message_size", e->head.message_size);
	json_add_key(b, "forced_expire");
	buf_adds(b, "false");
	json_add_member(b, "sender", e->sender.n > 0 ? e->sender : STR("MAILER-DAEMON"));
	json_recipients(b, e);
	buf_adds(b, "}\n");
}

void
listing_print(struct buf *b, const struct listing_style *style, const struct listed *message)
{
	switch (style->format) {
	case LISTING_TEXT:
		print_text(b, style, message);
		return;
	case LISTING_JSON:
		print_json(b, message);
		return;
	case LISTING_MAILQ:
		print_mailq(b, message);
		return;
	case LISTING_POSTFIX:
		print_postfix(b, message);
		return;
	}
}

/* ---- one of them ----------------------------------------------------------------------------------------------- */

static void
text_line(struct buf *b, const char *name, struct str value)
{
	buf_addf(b, "%-10s ", name);
	add_escaped(b, value);
	buf_addc(b, '\n');
}

/* What its sender, or a filter, asked for. */
static void
wishes_text(struct buf *b, const struct envelope *e)
{
	if (e->hold.p != NULL)
		text_line(b, "hold", e->hold);
	if (e->reroute.n > 0)
		text_line(b, "goes by", e->reroute);
	if (e->release_ms > 0) {
		buf_adds(b, "release    ");
		listing_time_add(b, e->release_ms / 1000);
		buf_addc(b, '\n');
	}
	if (e->by.mode != 0) {
		buf_adds(b, "deliver by ");
		listing_time_add(b, e->by.time_ms / 1000);
		buf_adds(b, e->by.mode == 'R' ? ", else return\n" : ", else tell\n");
	}
	if (e->has_priority)
		buf_addf(b, "priority   %d\n", e->priority);
	if (e->requires_tls)
		text_line(b, "needs", STR("REQUIRETLS"));
	if (e->is_smtputf8)
		text_line(b, "needs", STR("SMTPUTF8"));
	if (e->is_binary)
		text_line(b, "needs", STR("BINARYMIME"));
}

static void
wishes_json(struct buf *b, const struct envelope *e)
{
	if (e->hold.p != NULL)
		json_add_member(b, "hold_reason", e->hold);
	if (e->reroute.n > 0)
		json_add_member(b, "reroute", e->reroute);
	if (e->release_ms > 0)
		json_add_number(b, "release_time", e->release_ms / 1000);
	if (e->by.mode != 0) {
		json_add_number(b, "deliver_by", e->by.time_ms / 1000);
		json_add_member(b, "deliver_by_mode", (struct str){&e->by.mode, 1});
	}
	if (e->has_priority) {
		json_add_key(b, "priority");
		buf_addf(b, "%d", e->priority);
	}
	json_add_key(b, "needs");
	buf_addf(b, "[%s%s%s", e->requires_tls ? "\"REQUIRETLS\", " : "", e->is_smtputf8 ? "\"SMTPUTF8\", " : "",
	    e->is_binary ? "\"BINARYMIME\", " : "");
	if (b->p[b->n - 1] == ' ')
		buf_truncate(b, b->n - 2);
	buf_addc(b, ']');
}

static void
whole_text(struct buf *b, const struct listed *m, const struct buf *history)
{
	const struct envelope *e = &m->envelope;

	text_line(b, "id", queue_id_str(&m->id));
	text_line(b, "state", str_from(spool_place_name(m->place)));
	if (m->load == ENVELOPE_DAMAGED)
		text_line(b, "problem", STR("the file is damaged"));
	if (m->load == ENVELOPE_NEWER) {
		text_line(b, "problem", STR("the file was written by a newer Merpati, which alone can read it"));
		return;
	}
	buf_adds(b, "arrived    ");
	listing_time_add(b, e->time_ms / 1000);
	buf_addc(b, '\n');
	if (m->due_s > 0) {
		buf_adds(b, "next try   ");
		listing_time_add(b, m->due_s);
		buf_addc(b, '\n');
	}
	buf_addf(b, "size       %llu\n", (unsigned long long)e->head.message_size);
	text_line(b, "sender", e->sender);
	if (e->client.n > 0)
		text_line(b, "client", e->client);
	if (e->login.n > 0)
		text_line(b, "login", e->login);
	if (e->about.n > 0)
		text_line(b, "about", e->about);
	wishes_text(b, e);
	for (size_t i = 0; i < e->nrecipients; i++) {
		const struct recipient *r = &e->recipients[i];

		buf_addf(b, "recipient  %zu %-9s ", i, state_word(r->state));
		add_escaped(b, r->address);
		if (r->original.n > 0) {
			buf_adds(b, " (was ");
			add_escaped(b, r->original);
			buf_addc(b, ')');
		}
		buf_addc(b, '\n');
	}
	buf_add(b, buf_str(history));
}

static void
json_recipient(struct buf *b, const struct recipient *r)
{
	buf_addc(b, '{');
	json_add_member(b, "address", r->address);
	if (r->original.n > 0)
		json_add_member(b, "original", r->original);
	json_add_member(b, "state", str_from(state_word(r->state)));
	if (r->code.n > 0)
		json_add_member(b, "status", r->code);
	if (r->relay.n > 0)
		json_add_member(b, "relay", r->relay);
	if (r->reply.n > 0)
		json_add_member(b, "reply", r->reply);
	buf_addc(b, '}');
}

static void
whole_json(struct buf *b, const struct listed *m, const struct buf *history)
{
	const struct envelope *e = &m->envelope;

	json_message(b, m);
	if (e->client.n > 0)
		json_add_member(b, "client", e->client);
	if (e->login.n > 0)
		json_add_member(b, "login", e->login);
	if (e->about.n > 0)
		json_add_member(b, "about", e->about);
	json_add_number(b, "deferrals", e->deferrals);
	wishes_json(b, e);
	json_add_key(b, "recipients");
	buf_addc(b, '[');
	for (size_t i = 0; i < e->nrecipients; i++) {
		if (i > 0)
			buf_adds(b, ", ");
		json_recipient(b, &e->recipients[i]);
	}
	buf_addc(b, ']');
	json_add_key(b, "attempts");
	buf_addc(b, '[');
	buf_add(b, buf_str(history));
	buf_adds(b, "]}\n");
}

void
listing_print_whole(struct buf *b, enum listing_format format, const struct listed *message,
    const struct buf *history)
{
	if (format == LISTING_JSON)
		whole_json(b, message, history);
	else
		whole_text(b, message, history);
}

/* "dane TLSv1.3 with X": the policy, and how it was encrypted. */
static void
security_json(struct buf *b, struct str security)
{
	struct str tls = security, policy;

	if (!str_word(&tls, &policy))
		return;
	json_add_member(b, "policy", policy);
	tls = str_trim(tls);
	if (tls.n > 0)
		json_add_member(b, "tls", tls);
}

static void
attempt_json(struct buf *b, const struct queue_attempt *a)
{
	buf_adds(b, b->n == 0 ? "{" : ", {");
	json_add_number(b, "time", a->time_ms / 1000);
	json_add_number(b, "recipient", a->recipient);
	json_add_member(b, "outcome", a->outcome == QUEUE_WAITING ? STR("deferred") : str_from(state_word(a->outcome)));
	json_add_member(b, "status", a->code);
	json_add_member(b, "relay", a->relay);
	security_json(b, a->security);
	json_add_member(b, "reply", a->reply);
	buf_addc(b, '}');
}

/* In brackets behind the relay: "(policy dane, TLSv1.3 with X)". */
static void
security_add(struct buf *b, struct str security)
{
	struct str tls = security, policy;

	if (!str_word(&tls, &policy))
		return;
	tls = str_trim(tls);
	buf_adds(b, " (policy ");
	add_escaped(b, policy);
	buf_adds(b, ", ");
	add_escaped(b, tls.n > 0 ? tls : STR("no TLS"));
	buf_addc(b, ')');
}

static void
attempt_text(struct buf *b, const struct queue_attempt *a)
{
	buf_adds(b, "attempt    ");
	listing_time_add(b, a->time_ms / 1000);
	buf_addc(b, ' ');
	buf_addf(b, "recipient %llu %s ", (unsigned long long)a->recipient,
	    a->outcome == QUEUE_WAITING ? "deferred" : state_word(a->outcome));
	add_escaped(b, a->relay);
	security_add(b, a->security);
	buf_addf(b, " %.*s ", STR_FMT(a->code));
	add_escaped(b, a->reply);
	buf_addc(b, '\n');
}

void
listing_print_record(struct buf *b, struct buf *security, enum listing_format format,
    const struct queue_record *record)
{
	struct queue_attempt attempt;
	struct str text;
	uint64_t index;

	if (record->key == QUEUE_TLS && queue_tls_parse(record->value, &index, &text)) {
		buf_reset(security);
		buf_add(security, text);
	}
	if (record->key != QUEUE_ATTEMPT || !queue_attempt_parse(record->value, &attempt))
		return;
	attempt.security = buf_str(security);
	if (format == LISTING_JSON)
		attempt_json(b, &attempt);
	else
		attempt_text(b, &attempt);
	buf_reset(security);
}
