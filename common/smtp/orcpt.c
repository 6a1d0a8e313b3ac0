#include "common/smtp/orcpt.h"

#include "common/mime/mutf7.h"
#include "common/smtp/xtext.h"

#define HEX_DIGITS_MAX 6 /* of a code point */
#define CODE_POINT_MAX 0x10ffff

static bool
is_type(struct str type)
{
	for (size_t i = 0; i < type.n; i++)
		if (!ascii_is_alnum(type.p[i]) && type.p[i] != '-')
			return false;
	return type.n > 0;
}

static bool
is_utf8_type(struct str type)
{
	return str_equal_nocase(type, STR("utf-8"));
}

static bool
is_non_ascii(char c)
{
	return (unsigned char)c >= 0x80;
}

/* QCHAR of RFC 6533 3. */
static bool
is_qchar(char c)
{
	return c > ' ' && c < 127 && c != '+' && c != '=' && c != '\\';
}

static void
add_code_point(struct buf *out, uint32_t c)
{
	if (c < 0x80) {
		buf_addc(out, (char)c);
	} else if (c < 0x800) {
		buf_addc(out, (char)(0xc0 | c >> 6));
		buf_addc(out, (char)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		buf_addc(out, (char)(0xe0 | c >> 12));
		buf_addc(out, (char)(0x80 | (c >> 6 & 0x3f)));
		buf_addc(out, (char)(0x80 | (c & 0x3f)));
	} else {
		buf_addc(out, (char)(0xf0 | c >> 18));
		buf_addc(out, (char)(0x80 | (c >> 12 & 0x3f)));
		buf_addc(out, (char)(0x80 | (c >> 6 & 0x3f)));
		buf_addc(out, (char)(0x80 | (c & 0x3f)));
	}
}

/* EmbeddedUnicodeChar = "\x{" HEXPOINT "}", off the beginning of *rest. Surrogates are found by the check at the end. */
static bool
take_embedded(struct str *rest, struct buf *out)
{
	uint32_t c = 0;
	size_t n = 0;

	if (!str_starts(*rest, STR("\\x{")))
		return false;
	*rest = str_skip(*rest, 3);
	for (; n < rest->n && n < HEX_DIGITS_MAX && ascii_hex_value(rest->p[n]) >= 0; n++)
		c = c << 4 | (uint32_t)ascii_hex_value(rest->p[n]);
	if (n == 0 || n == rest->n || rest->p[n] != '}' || c > CODE_POINT_MAX)
		return false;
	*rest = str_skip(*rest, n + 1);
	add_code_point(out, c);
	return true;
}

static bool
decode_utf8(struct buf *out, struct str address)
{
	while (address.n > 0) {
		if (address.p[0] == '\\') {
			if (!take_embedded(&address, out))
				return false;
			continue;
		}
		if (!is_qchar(address.p[0]) && !is_non_ascii(address.p[0]))
			return false;
		buf_addc(out, address.p[0]);
		address = str_skip(address, 1);
	}
	return true;
}

static bool
is_clean(struct str decoded, bool utf8)
{
	for (size_t i = 0; i < decoded.n; i++)
		if (!ascii_is_print(decoded.p[i]) && !(utf8 && is_non_ascii(decoded.p[i])))
			return false;
	return !utf8 || utf8_is_valid(decoded);
}

bool
orcpt_decode(struct buf *out, struct str value)
{
	size_t begin = out->n, semicolon = str_find(value, ';');
	struct str type = str_sub(value, 0, semicolon), address = str_skip(value, semicolon + 1);
	bool utf8 = is_utf8_type(type);

	if (semicolon == value.n || !is_type(type) || address.n == 0 || value.n > ORCPT_MAX)
		return false;
	buf_add(out, str_sub(value, 0, semicolon + 1));
	if (utf8 ? !decode_utf8(out, address) : !xtext_decode(out, address))
		return false;
	return buf_ok(out) && is_clean(str_skip(buf_str(out), begin), utf8);
}

/* --- writing ------------------------------------------------------------------------------------------------------------- */

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
		if (code < 0x80 && is_qchar((char)code))
			buf_addc(b, (char)code);
		else
			buf_addf(b, "\\x{%lX}", code);
		address = str_skip(address, n);
	}
}

bool
orcpt_add_parameter(struct buf *b, struct str orcpt)
{
	size_t n = str_find(orcpt, ';');
	struct str type = str_sub(orcpt, 0, n), address = str_skip(orcpt, n + 1);

	if (!is_type(type) || n == orcpt.n || address.n == 0)
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
