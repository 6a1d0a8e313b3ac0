#include "common/mime/mime_decode.h"

#include <string.h>

enum mime_encoding
mime_encoding_find(struct str name)
{
	if (str_equal_nocase(name, STR("base64")))
		return MIME_BASE64;
	if (str_equal_nocase(name, STR("quoted-printable")))
		return MIME_QUOTED_PRINTABLE;
	return MIME_IDENTITY;
}

void
mime_decoder_init(struct mime_decoder *d, enum mime_encoding encoding)
{
	*d = (struct mime_decoder){.encoding = encoding};
}

/* ---- Base64 ---------------------------------------------------------------------------------------------------- */

static int
base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (ascii_is_digit(c))
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Writes the whole bytes of the quantum that is held. */
static char *
base64_flush(struct mime_decoder *d, char *to)
{
	unsigned bytes = d->held_n == 0 ? 0 : d->held_n - 1;
	uint32_t bits = d->bits << (6 * (4 - d->held_n));

	for (unsigned i = 0; i < bytes; i++)
		*to++ = (char)(bits >> (16 - 8 * i) & 0xff);
	d->held_n = 0;
	d->bits = 0;
	return to;
}

static size_t
decode_base64(struct mime_decoder *d, struct str in, char *out)
{
	char *to = out;

	for (size_t i = 0; i < in.n; i++) {
		int value = base64_value(in.p[i]);

		if (value >= 0) {
			d->bits = d->bits << 6 | (uint32_t)value;
			d->held_n++;
		}
		if (d->held_n == 4 || in.p[i] == '=')
			to = base64_flush(d, to);
	}
	return (size_t)(to - out);
}

/* ---- quoted-printable ------------------------------------------------------------------------------------------ */

static char *
put_held(struct mime_decoder *d, char *to)
{
	memcpy(to, d->held, d->held_n);
	to += d->held_n;
	d->held_n = 0;
	return to;
}

/*
 * c follows an equals sign, and perhaps one more byte, in held. `=` and a line end is a soft break; a CR is only held
 * where an LF may follow.
 */
static char *
decode_escaped(struct mime_decoder *d, char c, char *to)
{
	int high, low;

	if (d->held_n == 1) {
		if (c == '\n')
			d->held_n = 0;
		else if (c == '\r' || ascii_hex_value(c) >= 0)
			d->held[d->held_n++] = c;
		else {
			to = put_held(d, to);
			*to++ = c;
		}
		return to;
	}
	high = ascii_hex_value(d->held[1]);
	low = ascii_hex_value(c);
	if (d->held[1] == '\r' && c == '\n') {
		d->held_n = 0;
	} else if (high >= 0 && low >= 0) {
		d->held_n = 0;
		*to++ = (char)(high * 16 + low);
	} else {
		to = put_held(d, to);
		*to++ = c;
	}
	return to;
}

static size_t
decode_quoted_printable(struct mime_decoder *d, struct str in, char *out)
{
	char *to = out;

	for (size_t i = 0; i < in.n; i++) {
		if (d->held_n > 0)
			to = decode_escaped(d, in.p[i], to);
		else if (in.p[i] == '=')
			d->held[d->held_n++] = '=';
		else
			*to++ = in.p[i];
	}
	return (size_t)(to - out);
}

/* ---- all ------------------------------------------------------------------------------------------------------- */

size_t
mime_decode(struct mime_decoder *d, struct str in, char *out)
{
	switch (d->encoding) {
	case MIME_BASE64:
		return decode_base64(d, in, out);
	case MIME_QUOTED_PRINTABLE:
		return decode_quoted_printable(d, in, out);
	case MIME_IDENTITY:
		break;
	}
	if (in.n > 0)
		memcpy(out, in.p, in.n);
	return in.n;
}

size_t
mime_decode_end(struct mime_decoder *d, char *out)
{
	switch (d->encoding) {
	case MIME_BASE64:
		return (size_t)(base64_flush(d, out) - out);
	case MIME_QUOTED_PRINTABLE:
		return (size_t)(put_held(d, out) - out);
	case MIME_IDENTITY:
		break;
	}
	return 0;
}
