#include "common/mime/mime_charset.h"

#include <errno.h>
#include <iconv.h>
#include <string.h>

#define NAME_MAX_BYTES 40
#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* A table stays loaded as long as a converter that uses it is open: these are never closed. */
void
mime_charset_preload(void)
{
	static const char *const names[] = {"ISO-8859-2", "ISO-8859-3", "ISO-8859-4", "ISO-8859-5", "ISO-8859-6",
	    "ISO-8859-7", "ISO-8859-8", "ISO-8859-9", "ISO-8859-10", "ISO-8859-11", "ISO-8859-13", "ISO-8859-14",
	    "ISO-8859-15", "ISO-8859-16", "WINDOWS-1250", "WINDOWS-1251", "WINDOWS-1252", "WINDOWS-1253",
	    "WINDOWS-1254", "WINDOWS-1255", "WINDOWS-1256", "WINDOWS-1257", "KOI8-R", "KOI8-U", "GB18030", "GBK",
	    "GB2312", "BIG5", "EUC-KR", "EUC-JP", "SHIFT_JIS", "ISO-2022-JP", "UTF-16", "TIS-620"};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		(void)iconv_open("UTF-8", names[i]);
}

/* iconv takes more than names: `//TRANSLIT`, paths. */
static bool
is_name(struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_alnum(name.p[i]) && memchr("-_.:+", name.p[i], 5) == NULL)
			return false;
	return name.n > 0 && name.n <= NAME_MAX_BYTES;
}

static bool
is_utf8(struct str name)
{
	return name.n == 0 || str_equal_nocase(name, STR("utf-8")) || str_equal_nocase(name, STR("us-ascii")) ||
	    str_equal_nocase(name, STR("utf8")) || str_equal_nocase(name, STR("ascii"));
}

bool
mime_charset_open(struct mime_charset *c, struct str name)
{
	char terminated[NAME_MAX_BYTES + 1];
	iconv_t cd;

	*c = (struct mime_charset){.kind = MIME_CHARSET_UTF8};
	if (is_utf8(name))
		return true;
	if (str_equal_nocase(name, STR("iso-8859-1")) || str_equal_nocase(name, STR("latin1"))) {
		c->kind = MIME_CHARSET_LATIN1;
		return true;
	}
	if (!is_name(name) || !str_copy(terminated, sizeof terminated, name))
		return false;
	cd = iconv_open("UTF-8", terminated);
	if (cd == (iconv_t)-1)
		return false;
	c->kind = MIME_CHARSET_ICONV;
	c->iconv = cd;
	return true;
}

void
mime_charset_close(struct mime_charset *c)
{
	if (c->kind == MIME_CHARSET_ICONV)
		(void)iconv_close(c->iconv);
	c->kind = MIME_CHARSET_UTF8;
}

static void
convert_latin1(struct str in, struct buf *out)
{
	for (size_t i = 0; i < in.n; i++) {
		unsigned char byte = (unsigned char)in.p[i];

		if (byte < 0x80) {
			buf_addc(out, in.p[i]);
		} else {
			buf_addc(out, (char)(0xc0 | byte >> 6));
			buf_addc(out, (char)(0x80 | (byte & 0x3f)));
		}
	}
}

/* Converts from *in until it ends or what is left is the beginning of a character. */
static void
convert_iconv(struct mime_charset *c, struct str *in, struct buf *out)
{
	char converted[1024];

	while (in->n > 0) {
		char *to = converted, *from = (char *)(uintptr_t)in->p; /* iconv's prototype lacks a const */
		size_t room = sizeof converted, left = in->n;
		size_t result = iconv(c->iconv, &from, &left, &to, &room);
		int error = result == (size_t)-1 ? errno : 0;

		buf_add(out, (struct str){converted, sizeof converted - room});
		*in = str_skip(*in, in->n - left);
		if (error == EINVAL)
			return;
		if (error == EILSEQ) {
			buf_adds(out, REPLACEMENT);
			*in = str_skip(*in, 1);
		}
	}
}

static void
convert_with_held(struct mime_charset *c, struct str in, struct buf *out)
{
	while (c->held_n > 0 && in.n > 0) {
		struct str start;

		c->held[c->held_n++] = in.p[0];
		in = str_skip(in, 1);
		start = (struct str){c->held, c->held_n};
		convert_iconv(c, &start, out);
		if (start.n > sizeof c->held / 2) {
			buf_adds(out, REPLACEMENT);
			start.n = 0;
		}
		if (start.n > 0)
			memmove(c->held, start.p, start.n);
		c->held_n = start.n;
	}
	convert_iconv(c, &in, out);
	if (in.n > 0 && in.n <= sizeof c->held / 2) {
		memcpy(c->held, in.p, in.n);
		c->held_n = in.n;
	}
}

void
mime_charset_convert(struct mime_charset *c, struct str in, struct buf *out)
{
	switch (c->kind) {
	case MIME_CHARSET_UTF8:
		buf_add(out, in);
		return;
	case MIME_CHARSET_LATIN1:
		convert_latin1(in, out);
		return;
	case MIME_CHARSET_ICONV:
		convert_with_held(c, in, out);
		return;
	}
}

void
mime_charset_end(struct mime_charset *c, struct buf *out)
{
	if (c->kind != MIME_CHARSET_ICONV)
		return;
	if (c->held_n > 0)
		buf_adds(out, REPLACEMENT);
	c->held_n = 0;
	(void)iconv(c->iconv, NULL, NULL, NULL, NULL);
}
