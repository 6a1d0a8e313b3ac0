#include "queue/sendmail_text.h"

#include <stdlib.h>

#include "common/base/err.h"
#include "common/mime/rfc5322.h"

/* ---- lines ----------------------------------------------------------------------------------------------------- */

static void
line_end(struct sendmail_lines *lines, struct buf *out)
{
	if (lines->dot && !lines->ignore_dots) {
		lines->ended = true;
		return;
	}
	if (lines->dot)
		buf_addc(out, '.');
	buf_adds(out, "\r\n");
	lines->inside = lines->dot = false;
}

static void
line_byte(struct sendmail_lines *lines, char c, struct buf *out)
{
	if (!lines->inside && c == '.') {
		lines->inside = lines->dot = true;
		return;
	}
	if (lines->dot)
		buf_addc(out, '.');
	lines->inside = true;
	lines->dot = false;
	buf_addc(out, c);
}

void
sendmail_lines_feed(struct sendmail_lines *lines, struct str piece, struct buf *out)
{
	for (size_t i = 0; i < piece.n && !lines->ended; i++) {
		char c = piece.p[i];
		bool after_cr = lines->cr;

		lines->cr = c == '\r';
		if (c == '\n' && after_cr)
			continue;
		if (c == '\r' || c == '\n')
			line_end(lines, out);
		else
			line_byte(lines, c, out);
	}
}

void
sendmail_lines_end(struct sendmail_lines *lines, struct buf *out)
{
	if (!lines->ended && lines->inside)
		line_end(lines, out);
	lines->ended = true;
}

/* ---- recipients ------------------------------------------------------------------------------------------------ */

static bool
recipient_add(struct sendmail_recipients *r, struct str address)
{
	if (r->n == r->cap) {
		size_t cap = r->cap == 0 ? 16 : r->cap * 2;
		struct str *list = reallocarray(r->list, cap, sizeof *list);

		if (list == NULL)
			return false;
		r->list = list;
		r->cap = cap;
	}
	r->list[r->n++] = address;
	return true;
}

bool
sendmail_recipients_add(struct sendmail_recipients *r, struct arena *arena, struct str list, struct str domain)
{
	size_t bad = 0;

	for (struct rfc5322_address *a = rfc5322_addresses_parse(arena, list, &bad); a != NULL; a = a->next) {
		struct address address;

		if (a->kind != RFC5322_MAILBOX)
			continue;
		if (!address_make(arena, a->local, a->domain.p != NULL ? a->domain : domain, ADDRESS_MAY_BE_UTF8, &address))
			bad++;
		else if (!recipient_add(r, address.text))
			return false;
	}
	r->bad += bad;
	if (bad > 0)
		r->bad_list = rfc5322_unfold(arena, list);
	return !arena->failed;
}

void
sendmail_recipients_clear(struct sendmail_recipients *r)
{
	free(r->list);
	*r = (struct sendmail_recipients){.list = NULL};
}

/* ---- header ---------------------------------------------------------------------------------------------------- */

static bool
is_name_byte(char c)
{
	return ascii_is_print(c) && c != ' ' && c != ':';
}

/* field = 1*ftext [blanks] ":" ... */
static enum parse
field_begins(struct str line)
{
	size_t n = 0, colon;

	while (n < line.n && n <= SENDMAIL_FIELD_NAME_MAX && is_name_byte(line.p[n]))
		n++;
	colon = n;
	while (colon < line.n && ascii_is_blank(line.p[colon]))
		colon++;
	if (n > SENDMAIL_FIELD_NAME_MAX || (n == 0 && line.n > 0))
		return PARSE_BAD;
	if (colon == line.n)
		return PARSE_MORE;
	return line.p[colon] == ':' ? PARSE_OK : PARSE_BAD;
}

bool
sendmail_header_ends(struct str message, size_t *n)
{
	struct str rest = message;
	bool inside = false; /* of a field: a line may continue it */

	*n = message.n;
	if (str_starts(rest, STR("From ")))
		rest = str_skip(rest, str_find(rest, '\n') + 1);
	while (rest.n > 0) {
		enum parse begins = inside && ascii_is_blank(rest.p[0]) ? PARSE_OK : field_begins(rest);

		if (str_starts(rest, STR("\r\n"))) {
			*n = message.n - rest.n + 2;
			return true;
		}
		if (begins == PARSE_MORE || rest.p[0] == '\r')
			return false;
		if (begins == PARSE_BAD) {
			*n = message.n - rest.n;
			return true;
		}
		inside = true;
		rest = str_skip(rest, str_find(rest, '\n') + 1);
	}
	return false;
}

static bool
is_resent(struct str header)
{
	struct rfc5322_field field;

	while (rfc5322_next(&header, &field))
		if (str_starts_nocase(field.name, STR("Resent-")))
			return true;
	return false;
}

/* To, Cc, Bcc, or with Resent- in front if the message is resent. */
static bool
names_recipients(struct str name, bool resent)
{
	struct str prefix = STR("Resent-");

	if (resent != str_starts_nocase(name, prefix))
		return false;
	name = resent ? str_skip(name, prefix.n) : name;
	return str_equal_nocase(name, STR("To")) || str_equal_nocase(name, STR("Cc")) ||
	    str_equal_nocase(name, STR("Bcc"));
}

static void
from_add(const struct sendmail_header_rules *rules, struct buf *out)
{
	buf_adds(out, "From: ");
	if (rules->full_name.n > 0) {
		rfc5322_phrase_add(out, rules->full_name);
		buf_addc(out, ' ');
	}
	buf_addf(out, "<%.*s>\r\n", STR_FMT(rules->from));
}

struct reading {
	const struct sendmail_header_rules *rules;
	struct arena *arena;
	struct sendmail_recipients *recipients;
	struct buf *out;
	bool resent, has_from, good, ended;
};

static void
field_take(struct reading *r, const struct rfc5322_field *field)
{
	r->has_from = r->has_from || str_equal_nocase(field->name, STR("From"));
	if (r->rules->takes_recipients && names_recipients(field->name, r->resent))
		r->good = sendmail_recipients_add(r->recipients, r->arena, field->value, r->rules->domain);
	if (!r->rules->takes_recipients || !str_ends_nocase(field->name, STR("Bcc")))
		buf_add(r->out, field->raw);
}

/* raw: the empty line; value: what had been taken for a part of the header. */
static void
header_end(struct reading *r, const struct rfc5322_field *field)
{
	if (!r->has_from)
		from_add(r->rules, r->out);
	buf_add(r->out, field->raw.n > 0 ? field->raw : STR("\r\n"));
	buf_add(r->out, field->value);
	r->ended = true;
}

static void
event_take(struct reading *r, enum rfc5322_event event, const struct rfc5322_field *field)
{
	switch (event) {
	case RFC5322_FIELD:
		field_take(r, field);
		break;
	case RFC5322_BODY:
		header_end(r, field);
		break;
	case RFC5322_TOO_LARGE:
		r->good = false;
		break;
	case RFC5322_MORE:
		break;
	}
}

bool
sendmail_header(const struct sendmail_header_rules *rules, struct str header, struct arena *arena,
    struct sendmail_recipients *recipients, struct buf *out)
{
	struct reading r = {.rules = rules, .arena = arena, .recipients = recipients, .out = out, .good = true};
	struct rfc5322_splitter splitter;
	struct rfc5322_field field;
	enum rfc5322_event event = RFC5322_FIELD;

	if (str_starts(header, STR("From ")))
		header = str_skip(header, str_find(header, '\n') + 1);
	r.resent = is_resent(header);
	rfc5322_splitter_init(&splitter, out->max);
	while (r.good && !r.ended && event != RFC5322_MORE) {
		size_t taken;

		event = rfc5322_split(&splitter, header, &taken, &field);
		header = str_skip(header, taken);
		event_take(&r, event, &field);
	}
	while (r.good && !r.ended)
		event_take(&r, rfc5322_split_end(&splitter, &field), &field);
	buf_add(out, header);
	rfc5322_splitter_clear(&splitter);
	return r.good && buf_ok(out);
}
