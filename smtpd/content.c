#include "smtpd/content.h"

void
content_init(struct content *c, const struct content_rules *rules, struct queue_writer *writer)
{
	*c = (struct content){.rules = *rules, .writer = writer};
	rfc5322_splitter_init(&c->splitter, rules->header_max);
}

void
content_clear(struct content *c)
{
	rfc5322_splitter_clear(&c->splitter);
}

static void
message_id_note(struct content *c, struct str value)
{
	struct str rest = value, id;

	c->has_message_id = true;
	if (!rfc5322_message_id_next(&rest, &id))
		id = str_trim(value);
	(void)str_copy(c->message_id, sizeof c->message_id, str_sub(id, 0, CONTENT_MESSAGE_ID_MAX));
}

/* What a user's program may have left in the header, and nobody else is to see (or to believe). */
static bool
is_private(struct str name)
{
	return str_equal_nocase(name, STR("Bcc")) || str_equal_nocase(name, STR("Resent-Bcc")) ||
	    str_equal_nocase(name, STR("Return-Path"));
}

static void
field_take(struct content *c, const struct rfc5322_field *field)
{
	if (str_equal_nocase(field->name, STR("Received")) && ++c->received > c->rules.received_max)
		c->verdict = CONTENT_LOOP;
	if (str_equal_nocase(field->name, STR("Date")))
		c->has_date = true;
	if (str_equal_nocase(field->name, STR("Message-ID")))
		message_id_note(c, field->value);
	if (c->rules.complete && is_private(field->name))
		return;
	if (c->rules.sender.n > 0 && str_equal_nocase(field->name, STR("Sender")))
		return;
	queue_writer_content(c->writer, field->raw);
}

static void
field_add(struct content *c, struct str name, struct str value)
{
	queue_writer_content(c->writer, name);
	queue_writer_content(c->writer, value);
	queue_writer_content(c->writer, STR("\r\n"));
}

static void
header_over(struct content *c, const struct rfc5322_field *field)
{
	c->in_body = true;
	if (c->rules.complete && !c->has_date)
		field_add(c, STR("Date: "), c->rules.date);
	if (c->rules.complete && !c->has_message_id) {
		field_add(c, STR("Message-ID: "), c->rules.message_id);
		message_id_note(c, c->rules.message_id);
	}
	if (c->rules.sender.n > 0)
		field_add(c, STR("Sender: "), c->rules.sender);
	c->body_offset = queue_writer_offset(c->writer);
	/* A body that begins without an empty line gets one, or its first line would become a field of ours. */
	queue_writer_content(c->writer, field->raw.n > 0 ? field->raw : STR("\r\n"));
	queue_writer_content(c->writer, field->value);
}

/* True when there may be more in the same input. */
static bool
event_take(struct content *c, enum rfc5322_event event, const struct rfc5322_field *field)
{
	switch (event) {
	case RFC5322_MORE:
		return false;
	case RFC5322_FIELD:
		field_take(c, field);
		return true;
	case RFC5322_BODY:
		header_over(c, field);
		return false;
	case RFC5322_TOO_LARGE:
		c->verdict = CONTENT_HEADER_TOO_LARGE;
		return false;
	}
	return false;
}

void
content_feed(struct content *c, struct str piece)
{
	bool more = true;

	while (!c->in_body && more && c->verdict == CONTENT_FINE) {
		struct rfc5322_field field;
		size_t taken;
		enum rfc5322_event event = rfc5322_split(&c->splitter, piece, &taken, &field);

		more = event_take(c, event, &field);
		piece = str_skip(piece, taken);
	}
	if (c->in_body && c->verdict == CONTENT_FINE)
		queue_writer_content(c->writer, piece);
}

void
content_end(struct content *c)
{
	while (!c->in_body && c->verdict == CONTENT_FINE) {
		struct rfc5322_field field;

		(void)event_take(c, rfc5322_split_end(&c->splitter, &field), &field);
	}
}
