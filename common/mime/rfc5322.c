#include "common/mime/rfc5322.h"

#include <string.h>

#include "common/base/base64.h"
#include "common/base/err.h"
#include "common/mime/mutf7.h"

#define ENCODED_WORD_BYTES 42 /* of text: 56 of Base64, so that a word stays below RFC 2047's 75 */

static bool
is_line_end(char c)
{
	return c == '\r' || c == '\n';
}

/* --- splitting ------------------------------------------------------------------------------------------------------ */

/*
 * Finds where the field at the beginning of in ends: behind a line end that no blank follows. after_line: what came
 * before in ends with a line end. False when in does not show it yet.
 */
static bool
find_field_end(struct str in, bool after_line, size_t *end)
{
	size_t i = 0;

	while (i < in.n) {
		if (after_line && !ascii_is_blank(in.p[i])) {
			*end = i;
			return true;
		}
		i += str_find(str_skip(in, i), '\n') + 1;
		after_line = true;
	}
	return false;
}

static struct str
without_line_end(struct str s)
{
	if (s.n > 0 && s.p[s.n - 1] == '\n')
		s.n--;
	if (s.n > 0 && s.p[s.n - 1] == '\r')
		s.n--;
	return s;
}

/* field = 1*ftext [blanks] ":" ...; the blanks are RFC 5322 4.5's. */
static bool
field_parse(struct str raw, struct rfc5322_field *field)
{
	size_t n = 0, colon;

	while (n < raw.n && ascii_is_print(raw.p[n]) && raw.p[n] != ' ' && raw.p[n] != ':')
		n++;
	colon = n;
	while (colon < raw.n && ascii_is_blank(raw.p[colon]))
		colon++;
	if (n == 0 || colon == raw.n || raw.p[colon] != ':')
		return false;
	field->name = str_sub(raw, 0, n);
	field->value = without_line_end(str_skip(raw, colon + 1));
	field->raw = raw;
	return true;
}

void
rfc5322_splitter_init(struct rfc5322_splitter *s, size_t max_bytes)
{
	if (max_bytes > SIZE_MAX - 2)
		max_bytes = SIZE_MAX - 2;
	*s = (struct rfc5322_splitter){.left = max_bytes};
	buf_init(&s->field, max_bytes + 2);
}

void
rfc5322_splitter_clear(struct rfc5322_splitter *s)
{
	buf_clear(&s->field);
}

static enum rfc5322_event
body_begins(struct rfc5322_splitter *s, struct str empty_line, struct str taken, struct rfc5322_field *field)
{
	s->ended = true;
	*field = (struct rfc5322_field){.name = STR_NONE, .value = taken, .raw = empty_line};
	return RFC5322_BODY;
}

/* The bytes from which the header's next line is made are all there: in the input, or already in s->field. */
static enum rfc5322_event
field_complete(struct rfc5322_splitter *s, struct str raw, struct rfc5322_field *field)
{
	s->returned = true;
	if (field_parse(raw, field))
		return RFC5322_FIELD;
	return body_begins(s, STR(""), raw, field);
}

/* Does the header end here, with an empty line? raw: what is there of the line, at most two bytes are looked at. */
static enum parse
empty_line_parse(struct str raw, size_t *n)
{
	if (raw.n > 0 && raw.p[0] == '\n') {
		*n = 1;
		return PARSE_OK;
	}
	if (raw.n == 0 || raw.p[0] != '\r')
		return raw.n == 0 ? PARSE_MORE : PARSE_BAD;
	if (raw.n == 1)
		return PARSE_MORE;
	*n = 2;
	return raw.p[1] == '\n' ? PARSE_OK : PARSE_BAD;
}

static enum rfc5322_event
keep_for_later(struct rfc5322_splitter *s, struct str in, size_t n, size_t *taken)
{
	if (n > s->left)
		return RFC5322_TOO_LARGE;
	s->left -= n;
	buf_add(&s->field, str_sub(in, 0, n));
	*taken = n;
	return buf_ok(&s->field) ? RFC5322_MORE : RFC5322_TOO_LARGE;
}

/* A CR at the beginning of a line was kept, in case a LF follows: the empty line does not count as header. */
static bool
is_half_empty_line(const struct rfc5322_splitter *s)
{
	return s->field.n == 1 && s->field.p[0] == '\r';
}

/* The line begins in this input. */
static enum rfc5322_event
split_fresh(struct rfc5322_splitter *s, struct str in, size_t *taken, struct rfc5322_field *field)
{
	size_t end;

	switch (empty_line_parse(in, &end)) {
	case PARSE_OK:
		*taken = end;
		return body_begins(s, str_sub(in, 0, end), STR(""), field);
	case PARSE_MORE:
		s->left++;
		return keep_for_later(s, in, in.n, taken);
	case PARSE_BAD:
		break;
	}
	if (in.p[0] == '\r')
		return body_begins(s, STR(""), STR(""), field);
	if (!find_field_end(in, false, &end))
		return keep_for_later(s, in, in.n, taken);
	if (!field_parse(str_sub(in, 0, end), field))
		return body_begins(s, STR(""), STR(""), field);
	if (end > s->left)
		return RFC5322_TOO_LARGE;
	s->left -= end;
	*taken = end;
	return RFC5322_FIELD;
}

enum rfc5322_event
rfc5322_split(struct rfc5322_splitter *s, struct str in, size_t *taken, struct rfc5322_field *field)
{
	size_t end;

	*taken = 0;
	if (s->ended)
		return body_begins(s, STR(""), STR(""), field);
	if (s->returned)
		buf_reset(&s->field);
	s->returned = false;
	if (in.n == 0)
		return RFC5322_MORE;
	if (s->field.n == 0)
		return split_fresh(s, in, taken, field);
	if (is_half_empty_line(s)) {
		if (in.p[0] != '\n')
			return body_begins(s, STR(""), buf_str(&s->field), field);
		*taken = 1;
		return body_begins(s, STR("\r\n"), STR(""), field);
	}
	if (!find_field_end(in, s->field.p[s->field.n - 1] == '\n', &end))
		return keep_for_later(s, in, in.n, taken);
	if (keep_for_later(s, in, end, taken) == RFC5322_TOO_LARGE)
		return RFC5322_TOO_LARGE;
	return field_complete(s, buf_str(&s->field), field);
}

enum rfc5322_event
rfc5322_split_end(struct rfc5322_splitter *s, struct rfc5322_field *field)
{
	if (s->returned)
		buf_reset(&s->field);
	s->returned = false;
	if (s->ended || s->field.n == 0)
		return body_begins(s, STR(""), STR(""), field);
	return field_complete(s, buf_str(&s->field), field);
}

bool
rfc5322_next(struct str *header, struct rfc5322_field *field)
{
	size_t end;

	while (header->n > 0) {
		if (empty_line_parse(*header, &end) == PARSE_OK)
			return false;
		if (!find_field_end(*header, false, &end))
			end = header->n;
		if (field_parse(str_sub(*header, 0, end), field)) {
			*header = str_skip(*header, end);
			return true;
		}
		*header = str_skip(*header, end);
	}
	return false;
}

struct str
rfc5322_unfold(struct arena *a, struct str value)
{
	char *text;
	size_t n = 0;

	value = str_trim(value);
	if (str_find(value, '\r') == value.n && str_find(value, '\n') == value.n)
		return value.p == NULL ? STR("") : value;
	text = arena_alloc(a, value.n + 1);
	if (text == NULL)
		return STR_NONE;
	for (size_t i = 0; i < value.n; i++)
		if (!is_line_end(value.p[i]))
			text[n++] = value.p[i];
	return (struct str){text, n};
}

/* --- message-ids ---------------------------------------------------------------------------------------------------- */

bool
rfc5322_message_id_next(struct str *rest, struct str *id)
{
	struct str s = *rest;
	size_t begin = s.n;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '<')
			begin = i;
		else if (is_line_end(s.p[i]))
			begin = s.n;
		if (s.p[i] != '>' || begin == s.n)
			continue;
		*id = str_sub(s, begin, i + 1 - begin);
		*rest = str_skip(s, i + 1);
		return true;
	}
	*rest = str_skip(s, s.n);
	return false;
}

/* --- display names ---------------------------------------------------------------------------------------------------- */

static bool
is_phrase_atom(char c)
{
	return ascii_is_alnum(c) || c == ' ' || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

static void
add_quoted(struct buf *out, struct str name)
{
	buf_addc(out, '"');
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] == '"' || name.p[i] == '\\')
			buf_addc(out, '\\');
		buf_addc(out, ascii_is_print(name.p[i]) ? name.p[i] : ' ');
	}
	buf_addc(out, '"');
}

/* How much of the text goes into one word: never a part of a UTF-8 sequence (RFC 2047 5). */
static size_t
encoded_word_bytes(struct str text)
{
	size_t n = text.n < ENCODED_WORD_BYTES ? text.n : ENCODED_WORD_BYTES;

	while (n < text.n && n > ENCODED_WORD_BYTES - 4 && ((unsigned char)text.p[n] & 0xc0) == 0x80)
		n--;
	return n;
}

static void
add_encoded(struct buf *out, struct str name)
{
	const char *charset = utf8_is_valid(name) ? "UTF-8" : "UNKNOWN-8BIT";

	while (name.n > 0) {
		size_t n = encoded_word_bytes(name);

		buf_addf(out, "=?%s?B?", charset);
		base64_encode(out, str_sub(name, 0, n));
		name = str_skip(name, n);
		buf_adds(out, name.n > 0 ? "?= " : "?=");
	}
}

void
rfc5322_phrase_add(struct buf *out, struct str name)
{
	bool plain = name.n > 0, eight_bit = false;

	name = str_trim(name);
	for (size_t i = 0; i < name.n; i++) {
		eight_bit |= (unsigned char)name.p[i] >= 0x80;
		plain &= is_phrase_atom(name.p[i]);
	}
	if (eight_bit)
		add_encoded(out, name);
	else if (plain && str_search(name, STR("=?")) == name.n)
		buf_add(out, name);
	else
		add_quoted(out, name);
}
