#include "auth/json_reader.h"

#include "common/mime/mutf7.h"

static bool value_skip(struct str *rest, enum json_kind *kind, unsigned depth);

static void
blanks_skip(struct str *rest)
{
	while (rest->n > 0 && (rest->p[0] == ' ' || rest->p[0] == '\t' || rest->p[0] == '\n' || rest->p[0] == '\r'))
		*rest = str_skip(*rest, 1);
}

static bool
byte_skip(struct str *rest, char c)
{
	if (rest->n == 0 || rest->p[0] != c)
		return false;
	*rest = str_skip(*rest, 1);
	return true;
}

/* Four hexadecimal digits. */
static bool
unit_read(struct str s, uint32_t *unit)
{
	*unit = 0;
	for (size_t i = 0; i < 4; i++) {
		int digit = i < s.n ? ascii_hex_value(s.p[i]) : -1;

		if (digit < 0)
			return false;
		*unit = *unit << 4 | (uint32_t)digit;
	}
	return true;
}

/* What stands behind a backslash: how many bytes of text, and which character. */
static size_t
escape_read(struct str s, uint32_t *c)
{
	static const char codes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
	uint32_t low;

	if (s.n == 0)
		return 0;
	for (size_t i = 0; codes[i] != '\0'; i++) {
		if (s.p[0] != codes[i])
			continue;
		*c = (unsigned char)meanings[i];
		return 1;
	}
	if (s.p[0] != 'u' || !unit_read(str_skip(s, 1), c) || (*c >= 0xdc00 && *c < 0xe000))
		return 0;
	if (*c < 0xd800 || *c > 0xdfff)
		return 5;
	if (!str_starts(str_skip(s, 5), STR("\\u")) || !unit_read(str_skip(s, 7), &low) || low < 0xdc00 || low > 0xdfff)
		return 0;
	*c = 0x10000 + ((*c - 0xd800) << 10) + (low - 0xdc00);
	return 11;
}

static bool
string_skip(struct str *rest)
{
	uint32_t c;

	if (!byte_skip(rest, '"'))
		return false;
	while (rest->n > 0 && rest->p[0] != '"') {
		size_t n = 1;

		if ((unsigned char)rest->p[0] < ' ')
			return false;
		if (rest->p[0] == '\\') {
			n = escape_read(str_skip(*rest, 1), &c);
			if (n == 0)
				return false;
			n++;
		}
		*rest = str_skip(*rest, n);
	}
	return byte_skip(rest, '"');
}

static size_t
digits_skip(struct str *rest)
{
	size_t n = 0;

	while (n < rest->n && ascii_is_digit(rest->p[n]))
		n++;
	*rest = str_skip(*rest, n);
	return n;
}

/* number = [ "-" ] int [ "." digits ] [ ("e" / "E") [sign] digits ]; no zero in front */
static bool
number_skip(struct str *rest)
{
	bool zero;
	size_t n;

	(void)byte_skip(rest, '-');
	zero = rest->n > 0 && rest->p[0] == '0';
	n = digits_skip(rest);
	if (n == 0 || (zero && n > 1) || (byte_skip(rest, '.') && digits_skip(rest) == 0))
		return false;
	if (!byte_skip(rest, 'e') && !byte_skip(rest, 'E'))
		return true;
	if (!byte_skip(rest, '-'))
		(void)byte_skip(rest, '+');
	return digits_skip(rest) > 0;
}

/* Array or object, from behind its first bracket. */
static bool
members_skip(struct str *rest, bool is_object, unsigned depth)
{
	char end = is_object ? '}' : ']';
	enum json_kind kind;

	blanks_skip(rest);
	if (byte_skip(rest, end))
		return true;
	for (;;) {
		if (is_object) {
			blanks_skip(rest);
			if (!string_skip(rest))
				return false;
			blanks_skip(rest);
			if (!byte_skip(rest, ':'))
				return false;
		}
		if (!value_skip(rest, &kind, depth))
			return false;
		if (byte_skip(rest, end))
			return true;
		if (!byte_skip(rest, ','))
			return false;
	}
}

static bool
word_skip(struct str *rest, enum json_kind *kind)
{
	static const struct str words[] = {[JSON_NULL] = STR("null"), [JSON_FALSE] = STR("false"), [JSON_TRUE] = STR("true")};

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (!str_starts(*rest, words[i]))
			continue;
		*kind = (enum json_kind)i;
		*rest = str_skip(*rest, words[i].n);
		return true;
	}
	return false;
}

/* With the blanks on both sides of it. */
static bool
value_skip(struct str *rest, enum json_kind *kind, unsigned depth)
{
	bool good;

	blanks_skip(rest);
	if (rest->n == 0 || depth == JSON_DEPTH_MAX)
		return false;
	if (rest->p[0] == '{' || rest->p[0] == '[') {
		*kind = rest->p[0] == '{' ? JSON_OBJECT : JSON_ARRAY;
		*rest = str_skip(*rest, 1);
		good = members_skip(rest, *kind == JSON_OBJECT, depth + 1);
	} else if (rest->p[0] == '"') {
		*kind = JSON_STRING;
		good = string_skip(rest);
	} else if (rest->p[0] == '-' || ascii_is_digit(rest->p[0])) {
		*kind = JSON_NUMBER;
		good = number_skip(rest);
	} else
		good = word_skip(rest, kind);
	blanks_skip(rest);
	return good;
}

/* The next value, of a text that was checked; false when there is none. */
static bool
value_take(struct str *rest, struct json *value)
{
	struct str before;

	blanks_skip(rest);
	before = *rest;
	if (!value_skip(rest, &value->kind, 0))
		return false;
	value->text = str_trim(str_sub(before, 0, before.n - rest->n));
	return true;
}

bool
json_read(struct json *value, struct str text)
{
	struct str rest = text;

	return utf8_is_valid(text) && value_take(&rest, value) && rest.n == 0;
}

/* How many there are; value gets the last. */
static unsigned
members_find(const struct json *object, const char *key, struct json *value)
{
	struct str rest = str_sub(object->text, 1, object->text.n - 1);
	struct json name, one;
	unsigned found = 0;

	if (object->kind != JSON_OBJECT)
		return 0;
	while (value_take(&rest, &name) && byte_skip(&rest, ':') && value_take(&rest, &one)) {
		if (json_is_text(&name, str_from(key))) {
			*value = one;
			found++;
		}
		if (!byte_skip(&rest, ','))
			break;
	}
	return found;
}

bool
json_member(const struct json *object, const char *key, struct json *value)
{
	return members_find(object, key, value) == 1;
}

bool
json_is_repeated(const struct json *object, const char *key)
{
	struct json value;

	return members_find(object, key, &value) > 1;
}

bool
json_element(struct str *rest, struct json *value)
{
	if (rest->n == 0 || (!byte_skip(rest, '[') && !byte_skip(rest, ',')))
		return false;
	return value_take(rest, value);
}

static void
character_add(struct buf *out, uint32_t c)
{
	if (c >= 0x10000)
		buf_addc(out, (char)(0xf0 | c >> 18));
	if (c >= 0x800)
		buf_addc(out, (char)(c >= 0x10000 ? 0x80 | (c >> 12 & 0x3f) : 0xe0 | c >> 12));
	if (c >= 0x80)
		buf_addc(out, (char)(c >= 0x800 ? 0x80 | (c >> 6 & 0x3f) : 0xc0 | c >> 6));
	buf_addc(out, (char)(c >= 0x80 ? 0x80 | (c & 0x3f) : c));
}

bool
json_text(const struct json *value, struct buf *out)
{
	struct str s = str_sub(value->text, 1, value->text.n - 2);
	uint32_t c = 0;

	if (value->kind != JSON_STRING)
		return false;
	while (s.n > 0) {
		size_t n = 1;

		if (s.p[0] != '\\')
			buf_addc(out, s.p[0]);
		else {
			n += escape_read(str_skip(s, 1), &c);
			if (c == 0)
				return false;
			character_add(out, c);
		}
		s = str_skip(s, n);
	}
	return buf_ok(out);
}

bool
json_is_text(const struct json *value, struct str text)
{
	struct buf clear;
	bool same;

	buf_init(&clear, text.n);
	same = json_text(value, &clear) && str_equal(buf_str(&clear), text);
	buf_clear(&clear);
	return same;
}

bool
json_number(const struct json *value, uint64_t *number)
{
	struct str s = value->text;

	return value->kind == JSON_NUMBER && str_find(s, 'e') == s.n && str_find(s, 'E') == s.n &&
	       str_to_u64(str_sub(s, 0, str_find(s, '.')), UINT64_MAX, number);
}
