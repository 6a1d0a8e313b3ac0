#include "queue/orcpt.h"

#include "common/xtext.h"

/* Length of the well-formed UTF-8 character at the beginning of s, and which; 0 when there is none (RFC 3629 4). */
static size_t
character(struct str s, unsigned long *code)
{
	static const struct {
		unsigned char mask, lead;
		unsigned long least;
	} forms[] = {{0x80, 0, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
	unsigned char first = s.n > 0 ? (unsigned char)s.p[0] : 0xff;

	for (size_t n = 1; n <= 4 && n <= s.n; n++) {
		if ((first & forms[n - 1].mask) != forms[n - 1].lead)
			continue;
		*code = first & (unsigned char)~forms[n - 1].mask;
		for (size_t i = 1; i < n; i++) {
			if (((unsigned char)s.p[i] & 0xc0) != 0x80)
				return 0;
			*code = *code << 6 | ((unsigned char)s.p[i] & 0x3f);
		}
		return *code < forms[n - 1].least || *code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000) ? 0 : n;
	}
	return 0;
}

/* QCHAR of RFC 6533 3. */
static bool
stands_for_itself(unsigned long code)
{
	return code > 32 && code < 127 && code != '+' && code != '=' && code != '\\';
}

static void
add_utf8(struct buf *b, struct str address)
{
	while (address.n > 0) {
		unsigned long code;
		size_t n = character(address, &code);

		if (n == 0) {
			code = 0xfffd;
			n = 1;
		}
		if (stands_for_itself(code))
			buf_addc(b, (char)code);
		else
			buf_addf(b, "\\x{%lX}", code);
		address = str_skip(address, n);
	}
}

static bool
is_utf8_type(struct str type)
{
	return str_equal_nocase(type, STR("utf-8"));
}

bool
orcpt_add_parameter(struct buf *b, struct str orcpt)
{
	size_t n = str_find(orcpt, ';');
	struct str type = str_sub(orcpt, 0, n), address = str_skip(orcpt, n + 1);

	if (n == 0 || n == orcpt.n || address.n == 0)
		return false;
	for (size_t i = 0; i < type.n; i++)
		if (!ascii_is_alnum(type.p[i]) && type.p[i] != '-')
			return false;
	buf_add(b, str_sub(orcpt, 0, n + 1));
	if (is_utf8_type(type))
		add_utf8(b, address);
	else
		xtext_encode(b, address);
	return true;
}

void
orcpt_add_field(struct buf *b, struct str orcpt, bool utf8)
{
	size_t n = str_find(orcpt, ';');

	buf_add(b, str_sub(orcpt, 0, n + 1));
	if (is_utf8_type(str_sub(orcpt, 0, n)) && !utf8)
		add_utf8(b, str_skip(orcpt, n + 1));
	else
		buf_add(b, str_skip(orcpt, n + 1));
}
