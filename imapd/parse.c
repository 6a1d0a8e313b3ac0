#include "imapd/parse.h"

#include <string.h>

#include "common/base/date.h"
#include "common/store/maildir_name.h"

bool
parse_fail(struct parse_text *t, const char *problem)
{
	if (t->problem == NULL)
		t->problem = problem;
	return false;
}

bool
parse_at_end(const struct parse_text *t)
{
	return t->rest.n == 0;
}

bool
parse_end(struct parse_text *t)
{
	return parse_at_end(t) || parse_fail(t, "Too many arguments");
}

bool
parse_peek(const struct parse_text *t, char c)
{
	return t->rest.n > 0 && t->rest.p[0] == c;
}

bool
parse_skip(struct parse_text *t, char c)
{
	if (!parse_peek(t, c))
		return false;
	t->rest = str_skip(t->rest, 1);
	return true;
}

bool
parse_char(struct parse_text *t, char c)
{
	return parse_skip(t, c) || parse_fail(t, "Syntax error");
}

bool
parse_space(struct parse_text *t)
{
	return parse_skip(t, ' ') || parse_fail(t, parse_at_end(t) ? "Missing argument" : "Syntax error");
}

/* ---- atoms ----------------------------------------------------------------------------------------------------- */

enum atom_class {
	TAG_CHAR = 1,
	ATOM_CHAR = 2,
	ASTRING_CHAR = 4,
	LIST_CHAR = 8,
};

static unsigned
atom_classes(char c)
{
	if ((unsigned char)c <= 32 || (unsigned char)c >= 127 || memchr("(){\"\\", c, 5) != NULL)
		return 0;
	if (c == '%' || c == '*')
		return LIST_CHAR;
	if (c == ']')
		return TAG_CHAR | ASTRING_CHAR | LIST_CHAR;
	if (c == '+')
		return ATOM_CHAR | ASTRING_CHAR | LIST_CHAR;
	return TAG_CHAR | ATOM_CHAR | ASTRING_CHAR | LIST_CHAR;
}

static bool
take_class(struct parse_text *t, enum atom_class class, struct str *out, const char *problem)
{
	size_t n = 0;

	while (n < t->rest.n && (atom_classes(t->rest.p[n]) & class) != 0)
		n++;
	if (n == 0)
		return parse_fail(t, problem);
	*out = str_sub(t->rest, 0, n);
	t->rest = str_skip(t->rest, n);
	return true;
}

bool
parse_tag(struct parse_text *t, struct str *tag)
{
	return take_class(t, TAG_CHAR, tag, "No tag");
}

bool
parse_atom(struct parse_text *t, struct str *atom)
{
	return take_class(t, ATOM_CHAR, atom, "An atom is missing");
}

bool
parse_keyword(struct parse_text *t, const char *keyword)
{
	struct str wanted = str_from(keyword);

	if (!str_starts_nocase(t->rest, wanted) ||
	    (t->rest.n > wanted.n && (atom_classes(t->rest.p[wanted.n]) & ATOM_CHAR) != 0))
		return false;
	t->rest = str_skip(t->rest, wanted.n);
	return true;
}

/* ---- strings --------------------------------------------------------------------------------------------------- */

static bool
unescape(struct parse_text *t, struct str quoted, struct str *out)
{
	char *to = arena_alloc(t->arena, quoted.n + 1);
	size_t n = 0;

	if (to == NULL)
		return parse_fail(t, "Command too long");
	for (size_t i = 0; i < quoted.n; i++) {
		if (quoted.p[i] == '\\' && ++i < quoted.n && quoted.p[i] != '"' && quoted.p[i] != '\\')
			return parse_fail(t, "Only \\ and \" may be escaped");
		to[n++] = quoted.p[i];
	}
	*out = (struct str){to, n};
	return true;
}

/* After the opening quote. Bytes above 127 are let through: clients send them in passwords and searches. */
static bool
parse_quoted(struct parse_text *t, struct str *s)
{
	bool escaped = false;
	size_t n = 0;

	while (n < t->rest.n && t->rest.p[n] != '"') {
		if (t->rest.p[n] == '\r' || t->rest.p[n] == '\n' || t->rest.p[n] == '\0')
			return parse_fail(t, "Unprintable character in a quoted string");
		if (t->rest.p[n] == '\\') {
			escaped = true;
			n++;
		}
		n++;
	}
	if (n >= t->rest.n)
		return parse_fail(t, "A quoted string has no end");
	*s = str_sub(t->rest, 0, n);
	t->rest = str_skip(t->rest, n + 1);
	return !escaped || unescape(t, *s, s);
}

/* After the opening brace: the reader has put CRLF and the announced bytes behind it. */
static bool
parse_literal(struct parse_text *t, struct str *s)
{
	size_t close = str_find(t->rest, '}');
	struct str digits = str_sub(t->rest, 0, close);
	uint64_t n;

	if (digits.n > 0 && digits.p[digits.n - 1] == '+')
		digits.n--;
	if (!str_to_u64(digits, UINT32_MAX, &n) || !str_starts(str_skip(t->rest, close), STR("}\r\n")))
		return parse_fail(t, "Invalid literal");
	t->rest = str_skip(t->rest, close + 3);
	if (n > t->rest.n)
		return parse_fail(t, "Invalid literal");
	*s = str_sub(t->rest, 0, (size_t)n);
	t->rest = str_skip(t->rest, (size_t)n);
	return str_find(*s, '\0') == s->n || parse_fail(t, "NUL in a literal");
}

bool
parse_string(struct parse_text *t, struct str *s)
{
	if (parse_skip(t, '"'))
		return parse_quoted(t, s);
	if (parse_skip(t, '{'))
		return parse_literal(t, s);
	return parse_fail(t, "A string is missing");
}

static bool
parse_string_or(struct parse_text *t, enum atom_class class, struct str *s)
{
	if (parse_peek(t, '"') || parse_peek(t, '{'))
		return parse_string(t, s);
	return take_class(t, class, s, "A string is missing");
}

bool
parse_astring(struct parse_text *t, struct str *s)
{
	return parse_string_or(t, ASTRING_CHAR, s);
}

bool
parse_list_mailbox(struct parse_text *t, struct str *s)
{
	return parse_string_or(t, LIST_CHAR, s);
}

bool
parse_nstring(struct parse_text *t, struct str *s)
{
	if (parse_keyword(t, "NIL")) {
		*s = STR_NONE;
		return true;
	}
	return parse_string(t, s);
}

/* ---- numbers and dates ----------------------------------------------------------------------------------------- */

static bool
take_digits(struct parse_text *t, size_t min, size_t max, uint64_t limit, uint64_t *n)
{
	size_t digits = 0;

	while (digits < t->rest.n && ascii_is_digit(t->rest.p[digits]))
		digits++;
	if (digits < min || digits > max || !str_to_u64(str_sub(t->rest, 0, digits), limit, n))
		return parse_fail(t, "Invalid number");
	t->rest = str_skip(t->rest, digits);
	return true;
}

bool
parse_number(struct parse_text *t, uint32_t *n)
{
	uint64_t value;

	if (!take_digits(t, 1, 20, UINT32_MAX, &value))
		return false;
	*n = (uint32_t)value;
	return true;
}

bool
parse_nz_number(struct parse_text *t, uint32_t *n)
{
	return parse_number(t, n) && (*n > 0 || parse_fail(t, "0 is no valid number here"));
}

static bool
take_month(struct parse_text *t, unsigned *month)
{
	int number = date_month_parse(str_sub(t->rest, 0, 3));

	if (number == 0)
		return parse_fail(t, "Invalid date");
	t->rest = str_skip(t->rest, 3);
	*month = (unsigned)number;
	return true;
}

static unsigned
days_of_month(uint64_t year, unsigned month)
{
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month == 2 ? (leap ? 29 : 28) : month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

/* day "-" month "-" 4DIGIT */
static bool
take_date(struct parse_text *t, int64_t *days)
{
	uint64_t day, year;
	unsigned month;

	if (!take_digits(t, 1, 2, 31, &day) || !parse_char(t, '-') || !take_month(t, &month) ||
	    !parse_char(t, '-') || !take_digits(t, 4, 4, 9999, &year))
		return false;
	if (day == 0 || day > days_of_month(year, month) || year == 0)
		return parse_fail(t, "Invalid date");
	*days = date_days((int)year, (int)month, (int)day);
	return true;
}

bool
parse_date(struct parse_text *t, int64_t *day)
{
	bool quoted = parse_skip(t, '"');

	return take_date(t, day) && (!quoted || parse_char(t, '"'));
}

bool
parse_date_time(struct parse_text *t, int64_t *seconds)
{
	struct date date;
	size_t end;

	if (!parse_char(t, '"'))
		return false;
	end = str_find(t->rest, '"');
	if (end == t->rest.n || !date_parse_imap(str_sub(t->rest, 0, end), &date))
		return parse_fail(t, "Invalid date");
	t->rest = str_skip(t->rest, end + 1);
	*seconds = date.seconds;
	return true;
}

/* ---- flags ----------------------------------------------------------------------------------------------------- */

static bool
add_system_flag(struct parse_text *t, struct parse_flags *flags, struct str name)
{
	static const struct {
		struct str name;
		enum maildir_flag flag;
	} known[] = {
	    {STR("Answered"), MAILDIR_REPLIED},
	    {STR("Flagged"), MAILDIR_FLAGGED},
	    {STR("Deleted"), MAILDIR_TRASHED},
	    {STR("Seen"), MAILDIR_SEEN},
	    {STR("Draft"), MAILDIR_DRAFT},
	};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		if (str_equal_nocase(name, known[i].name)) {
			flags->flags |= (unsigned)known[i].flag;
			return true;
		}
	}
	return parse_fail(t, "No such flag");
}

static bool
add_flag(struct parse_text *t, struct parse_flags *flags)
{
	bool system = parse_skip(t, '\\');
	struct str name = STR_NONE;

	if (!parse_atom(t, &name))
		return false;
	if (system)
		return add_system_flag(t, flags, name);
	if (flags->n == PARSE_KEYWORDS_MAX)
		return parse_fail(t, "Too many flags");
	flags->keywords[flags->n++] = name;
	return true;
}

static bool
add_flags(struct parse_text *t, struct parse_flags *flags)
{
	do {
		if (!add_flag(t, flags))
			return false;
	} while (parse_skip(t, ' '));
	return true;
}

bool
parse_flag_list(struct parse_text *t, struct parse_flags *flags)
{
	*flags = (struct parse_flags){0};
	if (!parse_char(t, '('))
		return false;
	return parse_skip(t, ')') || (add_flags(t, flags) && parse_char(t, ')'));
}

bool
parse_flags(struct parse_text *t, struct parse_flags *flags)
{
	if (parse_peek(t, '('))
		return parse_flag_list(t, flags);
	*flags = (struct parse_flags){0};
	return add_flags(t, flags);
}
