#include "common/login/saslprep.h"

/* Ranges of code points, sorted (RFC 3454 C.1.2, B.1, C.2). */
struct range {
	uint32_t first, last;
};

static const struct range spaces[] = {{0xa0, 0xa0}, {0x1680, 0x1680}, {0x2000, 0x200a}, {0x202f, 0x202f},
    {0x205f, 0x205f}, {0x3000, 0x3000}};
static const struct range nothings[] = {{0xad, 0xad}, {0x34f, 0x34f}, {0x1806, 0x1806}, {0x180b, 0x180d},
    {0x200b, 0x200d}, {0x2060, 0x2060}, {0xfe00, 0xfe0f}, {0xfeff, 0xfeff}};
static const struct range banned[] = {{0, 0x1f}, {0x7f, 0x9f}, {0x6dd, 0x6dd}, {0x70f, 0x70f}, {0x180e, 0x180e},
    {0x200e, 0x200f}, {0x2028, 0x202e}, {0x2061, 0x2064}, {0x206a, 0x206f}, {0xe000, 0xf8ff}, {0xfff9, 0xffff},
    {0xe0001, 0xe007f}, {0xf0000, 0x10ffff}};

#define IS_IN(ranges, c) is_in(ranges, sizeof(ranges) / sizeof((ranges)[0]), c)

static bool
is_in(const struct range *ranges, size_t n, uint32_t c)
{
	for (size_t i = 0; i < n && ranges[i].first <= c; i++)
		if (c <= ranges[i].last)
			return true;
	return false;
}

/* How many bytes follow this first one; 4 or more: it is none. */
static unsigned
bytes_behind(unsigned char c)
{
	return c < 0x80 ? 0 : c < 0xc2 ? 4 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : c < 0xf5 ? 3 : 4;
}

/* Takes one code point off; false when there is no well-formed one (RFC 3629 4). */
static bool
code_point(struct str *rest, uint32_t *c)
{
	static const uint32_t smallest[] = {0, 0x80, 0x800, 0x10000};
	unsigned char first = (unsigned char)rest->p[0];
	unsigned more = bytes_behind(first);

	if (more > 3 || rest->n <= more)
		return false;
	*c = more == 0 ? first : first & (0x3fU >> more);
	for (unsigned i = 1; i <= more; i++) {
		if (((unsigned char)rest->p[i] & 0xc0) != 0x80)
			return false;
		*c = *c << 6 | ((unsigned char)rest->p[i] & 0x3f);
	}
	*rest = str_skip(*rest, more + 1);
	return *c >= smallest[more] && *c <= 0x10ffff && (*c < 0xd800 || *c > 0xdfff);
}

bool
saslprep(struct buf *out, struct str s)
{
	size_t before = out->n;
	struct str rest = s;
	uint32_t c;

	if (buf_reserve(out, s.n) == NULL) /* at once: the mappings never lengthen, and no copy of a secret is left behind */
		return false;
	while (rest.n > 0) {
		const char *p = rest.p;

		if (!code_point(&rest, &c) || IS_IN(banned, c))
			return false;
		if (IS_IN(spaces, c))
			buf_addc(out, ' ');
		else if (!IS_IN(nothings, c))
			buf_add(out, (struct str){p, (size_t)(rest.p - p)});
	}
	return buf_ok(out) && out->n > before;
}
