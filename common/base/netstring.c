#include "common/base/netstring.h"

void
netstring_add(struct buf *out, struct str value)
{
	buf_addf(out, "%zu:", value.n);
	buf_add(out, value);
	buf_addc(out, ',');
}

/* The length and its colon. *head is what they take. */
static enum parse
length_read(struct str in, size_t max, size_t *length, size_t *head)
{
	size_t i, value = 0;

	for (i = 0; i < in.n && ascii_is_digit(in.p[i]); i++) {
		size_t digit = (size_t)(in.p[i] - '0');

		if ((i > 0 && value == 0) || digit > max || value > (max - digit) / 10)
			return PARSE_BAD;
		value = value * 10 + digit;
	}
	if (i == in.n)
		return PARSE_MORE;
	if (i == 0 || in.p[i] != ':')
		return PARSE_BAD;
	*length = value;
	*head = i + 1;
	return PARSE_OK;
}

enum parse
netstring_take(struct str *rest, size_t max, struct str *value)
{
	size_t length, head;
	enum parse parse = length_read(*rest, max, &length, &head);

	if (parse != PARSE_OK)
		return parse;
	if (rest->n - head <= length)
		return PARSE_MORE;
	if (rest->p[head + length] != ',')
		return PARSE_BAD;
	*value = str_sub(*rest, head, length);
	*rest = str_skip(*rest, head + length + 1);
	return PARSE_OK;
}
