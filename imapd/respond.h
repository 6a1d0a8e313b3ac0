/*
 * What responses are made of (RFC 3501 9). Everything is appended to a buf, whose maximum bounds it. Pure.
 */
#ifndef IMAPD_RESPOND_H
#define IMAPD_RESPOND_H

#include "common/base/buf.h"
#include "common/base/date.h"

/* Quoted where that is possible, else a literal. NULs, which no IMAP string can hold, are left out. */
void respond_string(struct buf *out, struct str s);
/* NIL when s.p is NULL. */
void respond_nstring(struct buf *out, struct str s);
/* An atom where that is possible. */
void respond_astring(struct buf *out, struct str s);
/* A folder's name (UTF-8) as a mailbox: modified UTF-7. */
void respond_mailbox(struct buf *out, struct str utf8);

/* Names of flags and keywords with a space between; name(i) is the keyword of bit i, or NULL. */
struct respond_flags {
	unsigned flags; /* enum maildir_flag */
	bool recent;
	uint32_t keywords;
	const char *(*name)(const void *context, unsigned i);
	const void *context;
};

void respond_flags(struct buf *out, const struct respond_flags *flags);
/* "17-Jul-1996 02:44:25 -0700", quotes included. */
void respond_date_time(struct buf *out, struct date date);

#endif
