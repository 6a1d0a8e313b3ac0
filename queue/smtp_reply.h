/*
 * Replies of an SMTP or LMTP server (RFC 5321 4.2). Strict in what makes a reply: lines of three digits and a blank,
 * hyphen or nothing more; tolerant of what is met in the field: a bare LF at the end of a line, codes that differ between
 * the lines (the last counts), no text, very long text (cut). Pure.
 */
#ifndef QUEUE_SMTP_REPLY_H
#define QUEUE_SMTP_REPLY_H

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/err.h"

#define SMTP_REPLY_TEXT_MAX 8192   /* bytes kept of one reply */
#define SMTP_REPLY_BYTES_MAX 65536 /* after which a reply without end is BAD */

struct smtp_reply {
	unsigned code;	 /* 200 to 599, of the last line */
	struct buf text; /* the lines with their codes, LF between; control characters are '?' */
	size_t bytes;
	size_t line_bytes; /* of the present line, CR included */
	char separator;	   /* behind the code: ' ', '-' or 0 */
	bool cr;	   /* the last byte was CR */
	bool ended;	   /* the next byte begins a new reply */
};

void smtp_reply_init(struct smtp_reply *reply);
void smtp_reply_clear(struct smtp_reply *reply);

/*
 * Takes bytes off *input up to the end of a reply. OK: one is complete, code and text hold until the next call. MORE:
 * all input is used. BAD: this is no SMTP, and is not to be
 * asked again.
 */
enum parse smtp_reply_take(struct smtp_reply *reply, struct str *input);

/* Has a part of a reply come, but not all of it? */
bool smtp_reply_is_begun(const struct smtp_reply *reply);
/* The lines joined by blanks, in the arena, at most max bytes. */
struct str smtp_reply_words(const struct smtp_reply *reply, struct arena *arena, size_t max);
/* The enhanced status code (RFC 3463) of the first line that has one of the reply's own class; empty if none has.
 * Borrowed until the next take. */
struct str smtp_reply_enhanced(const struct smtp_reply *reply);

#endif
