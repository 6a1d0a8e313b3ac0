#include "common/base/json.h"

#include "common/mime/mutf7.h"

static bool
is_plain(char c)
{
	return ascii_is_print(c) && c != '"' && c != '\\';
}

static void
add_special(struct buf *b, unsigned char c, bool is_utf8)
{
	if (c == '"' || c == '\\')
		buf_addf(b, "\\%c", c);
	else if (c < ' ' || c == 127)
		buf_addf(b, "\\u%04x", (unsigned)c);
	else if (!is_utf8)
		buf_adds(b, "\\ufffd");
	else
		buf_addc(b, (char)c);
}

void
json_add_string(struct buf *b, struct str s)
{
	bool is_known = false, is_utf8 = false;

	buf_addc(b, '"');
	while (s.n > 0) {
		size_t n = 0;

		while (n < s.n && is_plain(s.p[n]))
			n++;
		buf_add(b, str_sub(s, 0, n));
		if (n == s.n)
			break;
		/* What went before is ASCII, so that the rest tells. */
		if (!is_known)
			is_utf8 = utf8_is_valid(s);
		is_known = true;
		add_special(b, (unsigned char)s.p[n], is_utf8);
		s = str_skip(s, n + 1);
	}
	buf_addc(b, '"');
}

void
json_add_key(struct buf *b, const char *key)
{
	char last = b->n > 0 ? b->p[b->n - 1] : '{';

	if (last != '{' && last != '[')
		buf_adds(b, ", ");
	buf_addc(b, '"');
	buf_adds(b, key);
	buf_adds(b, "\": ");
}

void
json_add_member(struct buf *b, const char *key, struct str value)
{
	json_add_key(b, key);
	json_add_string(b, value);
}

void
json_add_number(struct buf *b, const char *key, uint64_t value)
{
	json_add_key(b, key);
	buf_add_number(b, 0, value);
}
