/*
 * From any character set to UTF-8, in pieces of any size. UTF-8 and US-ASCII are passed through unchecked, ISO-8859-1
 * needs no table; the others are iconv's, whose tables are files: whoever gives up the file system opens what it needs
 * before, or finds them unknown.
 */
#ifndef COMMON_MIME_CHARSET_H
#define COMMON_MIME_CHARSET_H

#include "common/base/buf.h"

struct mime_charset {
	enum {
		MIME_CHARSET_UTF8,
		MIME_CHARSET_LATIN1,
		MIME_CHARSET_ICONV,
	} kind;
	void *iconv;
	char held[16]; /* the beginning of a character whose end is yet to come */
	size_t held_n;
};

/* Loads the tables of the character sets that mail is written in, to stay: for processes that cannot open files later. */
void mime_charset_preload(void);

/* An empty name is US-ASCII. False when it is not known (and what was opened is UTF-8, so that it may be used). */
bool mime_charset_open(struct mime_charset *c, struct str name);
void mime_charset_close(struct mime_charset *c);
/* What cannot be converted becomes U+FFFD. */
void mime_charset_convert(struct mime_charset *c, struct str in, struct buf *out);
/* At the end of the text: what is still held is a broken character. Ready for a new text then. */
void mime_charset_end(struct mime_charset *c, struct buf *out);

#endif
