#include "common/login/sasl.h"

/* What stands behind \001 for each escaped byte. */
static const struct {
	char byte;
	char code;
} escapes[] = {
    {'\0', '0'},
    {'\001', '1'},
    {'\t', 't'},
    {'\r', 'r'},
    {'\n', 'n'},
};

#define ESCAPES (sizeof escapes / sizeof escapes[0])

static void
byte_escape(struct buf *out, char c)
{
	for (size_t i = 0; i < ESCAPES; i++) {
		if (escapes[i].byte != c)
			continue;
		buf_addc(out, '\001');
		buf_addc(out, escapes[i].code);
		return;
	}
	buf_addc(out, c);
}

void
sasl_escape(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		byte_escape(out, s.p[i]);
}

static bool
code_unescape(struct buf *out, char code)
{
	for (size_t i = 0; i < ESCAPES; i++) {
		if (escapes[i].code != code)
			continue;
		buf_addc(out, escapes[i].byte);
		return true;
	}
	return false;
}

bool
sasl_unescape(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '\001')
			buf_addc(out, s.p[i]);
		else if (++i == s.n || !code_unescape(out, s.p[i]))
			return false;
	}
	return buf_ok(out);
}

bool
sasl_mechanism_is_good(struct str name)
{
	if (name.n == 0 || name.n > 20)
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_alnum(name.p[i]) && name.p[i] != '-' && name.p[i] != '_')
			return false;
	return true;
}

void
sasl_parameter(struct str word, struct str *key, struct str *value)
{
	size_t equals = str_find(word, '=');

	*key = str_sub(word, 0, equals);
	*value = str_skip(word, equals + 1);
}
