#include "common/mime/mutf7.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/* Length of the sequence that s begins with and its code point, or 0. */
static size_t
utf8_take(struct str s, uint32_t *code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned char c;
	size_t n;

	if (s.n == 0)
		return 0;
	c = (unsigned char)s.p[0];
	if (c < 0x80) {
		*code = c;
		return 1;
	}
	n = (c & 0xe0) == 0xc0 ? 2 : (c & 0xf0) == 0xe0 ? 3 : (c & 0xf8) == 0xf0 ? 4 : 0;
	if (n == 0 || s.n < n)
		return 0;
	*code = c & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		c = (unsigned char)s.p[i];
		if ((c & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (c & 0x3f);
	}
	if (*code < least[n] || *code > 0x10ffff || (*code >= 0xd800 && *code <= 0xdfff))
		return 0;
	return n;
}

static void
utf8_add(struct buf *out, uint32_t code)
{
	if (code < 0x80) {
		buf_addc(out, (char)code);
		return;
	}
	if (code < 0x800) {
		buf_addc(out, (char)(0xc0 | code >> 6));
	} else {
		if (code < 0x10000) {
			buf_addc(out, (char)(0xe0 | code >> 12));
		} else {
			buf_addc(out, (char)(0xf0 | code >> 18));
			buf_addc(out, (char)(0x80 | ((code >> 12) & 0x3f)));
		}
		buf_addc(out, (char)(0x80 | ((code >> 6) & 0x3f)));
	}
	buf_addc(out, (char)(0x80 | (code & 0x3f)));
}

bool
utf8_is_valid(struct str s)
{
	uint32_t code;

	while (s.n > 0) {
		size_t n = utf8_take(s, &code);

		if (n == 0)
			return false;
		s = str_skip(s, n);
	}
	return true;
}

/* Bits on their way from UTF-16 to Base64. */
struct shift {
	bool open;
	uint32_t bits;
	unsigned n; /* of them */
};

static void
shift_add(struct buf *out, struct shift *shift, uint32_t unit)
{
	if (!shift->open)
		buf_addc(out, '&');
	shift->open = true;
	shift->bits = shift->bits << 16 | unit;
	for (shift->n += 16; shift->n >= 6; shift->n -= 6)
		buf_addc(out, digits[(shift->bits >> (shift->n - 6)) & 0x3f]);
	shift->bits &= (1u << shift->n) - 1;
}

static void
shift_close(struct buf *out, struct shift *shift)
{
	if (!shift->open)
		return;
	if (shift->n > 0)
		buf_addc(out, digits[(shift->bits << (6 - shift->n)) & 0x3f]);
	buf_addc(out, '-');
	*shift = (struct shift){0};
}

bool
mutf7_encode(struct buf *out, struct str utf8)
{
	struct shift shift = {0};
	uint32_t code;

	while (utf8.n > 0) {
		size_t n = utf8_take(utf8, &code);

		if (n == 0)
			return false;
		utf8 = str_skip(utf8, n);
		if (code >= 0x20 && code <= 0x7e) {
			shift_close(out, &shift);
			buf_addc(out, (char)code);
			if (code == '&')
				buf_addc(out, '-');
		} else if (code < 0x10000) {
			shift_add(out, &shift, code);
		} else {
			shift_add(out, &shift, 0xd800 | (code - 0x10000) >> 10);
			shift_add(out, &shift, 0xdc00 | ((code - 0x10000) & 0x3ff));
		}
	}
	shift_close(out, &shift);
	return buf_ok(out);
}

static int
digit_value(char c)
{
	for (int i = 0; i < 64; i++)
		if (digits[i] == c)
			return i;
	return -1;
}

/* One unit of UTF-16; *high holds a first half that waits for its second (0: none). */
static bool
unit_add(struct buf *out, uint32_t unit, uint32_t *high)
{
	if (*high != 0) {
		if (unit < 0xdc00 || unit > 0xdfff)
			return false;
		utf8_add(out, 0x10000 + ((*high - 0xd800) << 10 | (unit - 0xdc00)));
		*high = 0;
		return true;
	}
	if (unit >= 0xdc00 && unit <= 0xdfff)
		return false;
	if (unit >= 0xd800 && unit <= 0xdbff)
		*high = unit;
	else
		utf8_add(out, unit);
	return true;
}

/* What stands between `&` and `-`. */
static bool
shift_decode(struct buf *out, struct str s)
{
	uint32_t bits = 0, high = 0;
	unsigned n = 0;

	for (size_t i = 0; i < s.n; i++) {
		int value = digit_value(s.p[i]);

		if (value < 0)
			return false;
		bits = bits << 6 | (uint32_t)value;
		n += 6;
		if (n >= 16) {
			n -= 16;
			if (!unit_add(out, bits >> n & 0xffff, &high))
				return false;
			bits &= (1u << n) - 1;
		}
	}
	return high == 0;
}

/* Canonical is what encoding the result gives again: that rules out all other spellings at once. */
static bool
is_canonical(struct str s, struct str decoded)
{
	struct buf again;
	bool same;

	buf_init(&again, s.n + 8);
	same = mutf7_encode(&again, decoded) && str_equal(buf_str(&again), s);
	buf_clear(&again);
	return same;
}

bool
mutf7_decode(struct buf *out, struct str s)
{
	size_t start = out->n;
	struct str rest = s;

	while (rest.n > 0) {
		size_t end;

		if (rest.p[0] != '&') {
			buf_addc(out, rest.p[0]);
			rest = str_skip(rest, 1);
			continue;
		}
		end = str_find(rest, '-');
		if (end == rest.n)
			return false;
		if (end == 1)
			buf_addc(out, '&');
		else if (!shift_decode(out, str_sub(rest, 1, end - 1)))
			return false;
		rest = str_skip(rest, end + 1);
	}
	return buf_ok(out) && is_canonical(s, str_skip(buf_str(out), start));
}
