#include "common/base/json.h"

#include "common/mime/mutf7.h"

void
json_add_string(struct buf *b, struct str s)
{
	bool is_utf8 = utf8_is_valid(s);

	buf_addc(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '"' || c == '\\')
			buf_addf(b, "\\%c", c);
		else if (c < ' ' || c == 127)
			buf_addf(b, "\\u%04x", (unsigned)c);
		else if (c > 127 && !is_utf8)
			buf_adds(b, "\\ufffd");
		else
			buf_addc(b, (char)c);
	}
	buf_addc(b, '"');
}

void
json_add_key(struct buf *b, const char *key)
{
	char last = b->n > 0 ? b->p[b->n - 1] : '{';

	if (last != '{' && last != '[')
		buf_adds(b, ", ");
	json_add_string(b, str_from(key));
	buf_adds(b, ": ");
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
	buf_addf(b, "%llu", (unsigned long long)value);
}
