#include "common/mime/mime_field.h"

#include <string.h>

/* A cursor over a field's value, which is a private copy: quoted strings are unescaped in their place. */
struct cursor {
	char *p;
	char *end;
};

static bool
is_blank_or_fold(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* RFC 5322 3.2.2; nesting is counted, not recursed into. An unclosed comment reaches to the end. */
static void
skip_comment(struct cursor *c)
{
	unsigned depth = 0;

	for (; c->p < c->end; c->p++) {
		if (*c->p == '\\' && c->end - c->p > 1) {
			c->p++;
		} else if (*c->p == '(') {
			depth++;
		} else if (*c->p == ')' && --depth == 0) {
			c->p++;
			return;
		}
	}
}

static void
skip_cfws(struct cursor *c)
{
	while (c->p < c->end) {
		if (*c->p == '(')
			skip_comment(c);
		else if (is_blank_or_fold(*c->p))
			c->p++;
		else
			return;
	}
}

static bool
take(struct cursor *c, char wanted)
{
	skip_cfws(c);
	if (c->p == c->end || *c->p != wanted)
		return false;
	c->p++;
	return true;
}

/* RFC 2045 5.1, but 8-bit bytes are let through: they are in real mail. */
static bool
is_token(char c)
{
	return (unsigned char)c > 32 && c != 127 && memchr("()<>@,;:\\\"/[]?=", c, 15) == NULL;
}

static struct str
take_token(struct cursor *c)
{
	char *start;

	skip_cfws(c);
	start = c->p;
	while (c->p < c->end && is_token(*c->p))
		c->p++;
	return (struct str){start, (size_t)(c->p - start)};
}

/* After its opening quote; one that is not closed reaches to the end. */
static struct str
take_quoted(struct cursor *c)
{
	char *start = c->p, *to = c->p;

	while (c->p < c->end && *c->p != '"') {
		if (*c->p == '\\' && c->end - c->p > 1)
			c->p++;
		if (*c->p != '\r' && *c->p != '\n')
			*to++ = *c->p;
		c->p++;
	}
	if (c->p < c->end)
		c->p++;
	return (struct str){start, (size_t)(to - start)};
}

/* Up to the next `;` or comment, as `filename=my letter.txt` is meant. */
static struct str
take_unquoted(struct cursor *c)
{
	char *start = c->p;

	while (c->p < c->end && *c->p != ';' && *c->p != '\r' && *c->p != '\n' &&
	    !(*c->p == '(' && c->p > start && is_blank_or_fold(c->p[-1])))
		c->p++;
	return str_trim((struct str){start, (size_t)(c->p - start)});
}

static struct str
take_value(struct cursor *c)
{
	skip_cfws(c);
	if (c->p < c->end && *c->p == '"') {
		c->p++;
		return take_quoted(c);
	}
	return take_unquoted(c);
}

static void
skip_to_semicolon(struct cursor *c)
{
	while (c->p < c->end && *c->p != ';') {
		if (*c->p == '(') {
			skip_comment(c);
		} else if (*c->p == '"') {
			c->p++;
			(void)take_quoted(c);
		} else {
			c->p++;
		}
	}
}

/* *(";" attribute "=" value) */
static struct mime_param *
take_params(struct arena *a, struct cursor *c)
{
	struct mime_param *first = NULL, **end = &first;

	for (unsigned n = 0; n < MIME_PARAMS_MAX; n++) {
		struct mime_param *param;
		struct str name, value;

		skip_to_semicolon(c);
		if (!take(c, ';'))
			break;
		name = take_token(c);
		if (name.n == 0 || !take(c, '='))
			continue;
		value = take_value(c);
		param = arena_alloc(a, sizeof *param);
		if (param == NULL)
			break;
		param->name = name;
		param->value = value;
		*end = param;
		end = &param->next;
	}
	return first;
}

static bool
cursor_init(struct cursor *c, struct arena *a, struct str value)
{
	char *copy = arena_alloc(a, value.n + 1);

	if (copy == NULL)
		return false;
	if (value.n > 0)
		memcpy(copy, value.p, value.n);
	*c = (struct cursor){copy, copy + value.n};
	return true;
}

bool
mime_type_parse(struct arena *a, struct str value, struct mime_type *type)
{
	struct cursor c;

	*type = (struct mime_type){0};
	if (!cursor_init(&c, a, value))
		return false;
	type->type = take_token(&c);
	if (type->type.n == 0 || !take(&c, '/'))
		return false;
	type->subtype = take_token(&c);
	if (type->subtype.n == 0)
		return false;
	type->params = take_params(a, &c);
	return true;
}

bool
mime_disposition_parse(struct arena *a, struct str value, struct mime_disposition *disposition)
{
	struct cursor c;

	*disposition = (struct mime_disposition){0};
	if (!cursor_init(&c, a, value))
		return false;
	disposition->kind = take_token(&c);
	if (disposition->kind.n == 0)
		return false;
	disposition->params = take_params(a, &c);
	return true;
}

struct mime_language *
mime_languages_parse(struct arena *a, struct str value)
{
	struct mime_language *first = NULL, **end = &first;
	struct cursor c;

	if (!cursor_init(&c, a, value))
		return NULL;
	for (unsigned n = 0; n < MIME_LANGUAGES_MAX; n++) {
		struct mime_language *language;
		struct str tag = take_token(&c);

		if (tag.n == 0)
			break;
		language = arena_alloc(a, sizeof *language);
		if (language == NULL)
			break;
		language->tag = tag;
		*end = language;
		end = &language->next;
		if (!take(&c, ','))
			break;
	}
	return first;
}

struct str
mime_token_parse(struct arena *a, struct str value)
{
	struct cursor c;

	if (!cursor_init(&c, a, value))
		return STR_NONE;
	return take_token(&c);
}

struct str
mime_unfold(struct arena *a, struct str value)
{
	struct cursor c;
	char *to;

	value = str_trim(value);
	if (!cursor_init(&c, a, value))
		return STR_NONE;
	to = c.p;
	for (const char *from = c.p; from < c.end; from++)
		if (*from != '\r' && *from != '\n')
			*to++ = *from;
	*to = '\0';
	return (struct str){c.p, (size_t)(to - c.p)};
}

/* ---- RFC 2231 -------------------------------------------------------------------------------------------------- */

/* The piece `name*index` or `name*index*`; index < 0: `name*`. */
static const struct mime_param *
find_piece(const struct mime_param *params, struct str name, int index, bool *encoded)
{
	for (; params != NULL; params = params->next) {
		struct str rest;
		uint64_t number;

		if (params->name.n <= name.n || params->name.p[name.n] != '*' ||
		    !str_starts_nocase(params->name, name))
			continue;
		rest = str_skip(params->name, name.n + 1);
		*encoded = index < 0 || (rest.n > 0 && rest.p[rest.n - 1] == '*');
		if (index < 0 && rest.n == 0)
			return params;
		if (*encoded && rest.n > 0)
			rest.n--;
		if (index >= 0 && str_to_u64(rest, MIME_PARAMS_MAX, &number) && number == (uint64_t)index)
			return params;
	}
	return NULL;
}

/* charset'language'rest; without two quotes all of it is rest. */
static struct str
split_charset(struct str value, struct str *charset)
{
	size_t first = str_find(value, '\'');
	size_t second = str_find(str_skip(value, first + 1), '\'') + first + 1;

	if (second >= value.n)
		return value;
	if (charset != NULL)
		*charset = str_sub(value, 0, first);
	return str_skip(value, second + 1);
}

static char *
append_percent_decoded(char *to, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		int high = s.n - i > 2 ? ascii_hex_value(s.p[i + 1]) : -1;
		int low = s.n - i > 2 ? ascii_hex_value(s.p[i + 2]) : -1;

		if (s.p[i] == '%' && high >= 0 && low >= 0) {
			*to++ = (char)(high * 16 + low);
			i += 2;
		} else {
			*to++ = s.p[i];
		}
	}
	return to;
}

static char *
append_piece(char *to, struct str value, bool encoded, bool first, struct str *charset)
{
	if (!encoded) {
		if (value.n > 0)
			memcpy(to, value.p, value.n);
		return to + value.n;
	}
	return append_percent_decoded(to, first ? split_charset(value, charset) : value);
}

/* Pieces count from 0 without a gap; no value is longer than all parameters together. */
static struct str
join_pieces(struct arena *a, const struct mime_param *params, struct str name, struct str *charset)
{
	const struct mime_param *piece;
	size_t total = 0;
	char *start, *to;
	bool encoded;

	for (piece = params; piece != NULL; piece = piece->next)
		total += piece->value.n;
	start = to = arena_alloc(a, total + 1);
	if (start == NULL)
		return STR_NONE;
	for (int i = 0; (piece = find_piece(params, name, i, &encoded)) != NULL; i++)
		to = append_piece(to, piece->value, encoded, i == 0, charset);
	return (struct str){start, (size_t)(to - start)};
}

struct str
mime_param_value(struct arena *a, const struct mime_param *params, struct str name, struct str *charset)
{
	const struct mime_param *param;
	bool encoded;
	char *start;

	if (charset != NULL)
		*charset = STR_NONE;
	param = find_piece(params, name, -1, &encoded);
	if (param != NULL) {
		start = arena_alloc(a, param->value.n + 1);
		if (start == NULL)
			return STR_NONE;
		return (struct str){start, (size_t)(append_piece(start, param->value, true, true, charset) - start)};
	}
	if (find_piece(params, name, 0, &encoded) != NULL)
		return join_pieces(a, params, name, charset);
	for (param = params; param != NULL; param = param->next)
		if (str_equal_nocase(param->name, name))
			return param->value;
	return STR_NONE;
}
