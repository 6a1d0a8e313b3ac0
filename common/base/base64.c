#include "common/base/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
base64_encode(struct buf *out, struct str in)
{
	size_t groups = in.n / 3 + (in.n % 3 != 0);
	char *p;

	if (groups == 0)
		return;
	p = groups > SIZE_MAX / 4 ? NULL : buf_reserve(out, groups * 4);
	if (p == NULL) {
		out->failed = true;
		return;
	}
	for (size_t i = 0; i < in.n; i += 3) {
		size_t left = in.n - i;
		uint32_t bits = (uint32_t)(unsigned char)in.p[i] << 16;

		if (left > 1)
			bits |= (uint32_t)(unsigned char)in.p[i + 1] << 8;
		if (left > 2)
			bits |= (unsigned char)in.p[i + 2];
		*p++ = alphabet[bits >> 18];
		*p++ = alphabet[bits >> 12 & 63];
		*p++ = left > 1 ? alphabet[bits >> 6 & 63] : '=';
		*p++ = left > 2 ? alphabet[bits & 63] : '=';
	}
	buf_commit(out, groups * 4);
}

/* The six bits of a digit, or -1. By comparison rather than a table: no memory access depends on a secret. */
static int
digit_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/* Four digits, of which the last `pad` are "="; false when a digit is none or a bit that encodes nothing is set. */
static bool
group_decode(const char *in, size_t pad, uint32_t *bits)
{
	*bits = 0;
	for (size_t i = 0; i < 4; i++) {
		int value = i < 4 - pad ? digit_value(in[i]) : 0;

		if (value < 0)
			return false;
		*bits = *bits << 6 | (uint32_t)value;
	}
	return pad == 0 || (*bits & (pad == 1 ? 0xffu : 0xffffu)) == 0;
}

static size_t
padding(struct str in)
{
	if (in.n == 0 || in.p[in.n - 1] != '=')
		return 0;
	return in.p[in.n - 2] == '=' ? 2 : 1;
}

bool
base64_is_good(struct str in)
{
	size_t pad;
	uint32_t bits;

	if (in.n % 4 != 0)
		return false;
	pad = padding(in);
	for (size_t i = 0; i < in.n; i += 4)
		if (!group_decode(in.p + i, i + 4 == in.n ? pad : 0, &bits))
			return false;
	return true;
}

bool
base64_decode(struct buf *out, struct str in)
{
	size_t pad, before = out->n;

	if (in.n % 4 != 0)
		return false;
	pad = padding(in);
	for (size_t i = 0; i < in.n; i += 4) {
		size_t group_pad = i + 4 == in.n ? pad : 0;
		uint32_t bits;
		char bytes[3];

		if (!group_decode(in.p + i, group_pad, &bits)) {
			buf_truncate(out, before);
			return false;
		}
		bytes[0] = (char)(bits >> 16);
		bytes[1] = (char)(bits >> 8 & 255);
		bytes[2] = (char)(bits & 255);
		buf_add(out, (struct str){bytes, 3 - group_pad});
	}
	return buf_ok(out);
}
