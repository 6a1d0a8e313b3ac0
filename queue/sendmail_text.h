/*
 * What a program gives to sendmail(1) on standard input, as a message in wire form: lines end in CRLF, a line with just
 * a dot ends it unless dots are to be ignored, a leading mbox "From " line is dropped; the header is looked at for
 * recipients and completed. Pure.
 */
#ifndef QUEUE_SENDMAIL_TEXT_H
#define QUEUE_SENDMAIL_TEXT_H

#include "common/smtp/address.h"
#include "common/base/arena.h"
#include "common/base/buf.h"

/* All zero (but for ignore_dots) is the beginning. */
struct sendmail_lines {
	bool ignore_dots;
	bool inside; /* of a line */
	bool cr;     /* the last byte was a CR */
	bool dot;    /* the line so far is a dot, which is not written yet */
	bool ended;
};

/* Appends what the piece stands for; a bare CR ends a line as well. What comes after the end is dropped. */
void sendmail_lines_feed(struct sendmail_lines *lines, struct str piece, struct buf *out);
/* At the end of the input: ends the last line. */
void sendmail_lines_end(struct sendmail_lines *lines, struct buf *out);

/* A line without a colon that is longer is no header field (RFC 5322 2.1.1). */
#define SENDMAIL_FIELD_NAME_MAX 998

/*
 * Where the header of a message in wire form ends: behind its empty line, or before a line that is no field. False: not
 * in what is there; then all of it may belong to the header.
 */
bool sendmail_header_ends(struct str message, size_t *n);

struct sendmail_recipients {
	struct str *list; /* freed by sendmail_recipients_clear; the addresses are the arena's */
	size_t n, cap;
	size_t bad; /* that could not be read as addresses */
	struct str bad_list; /* the last list that had one of these, unfolded; borrowed or the arena's */
};

/* The addresses of a list such as a header field or an argument has; without domain they get this one. Strings live
 * in the arena. False: out of memory. */
bool sendmail_recipients_add(struct sendmail_recipients *r, struct arena *arena, struct str list, struct str domain);
void sendmail_recipients_clear(struct sendmail_recipients *r);

struct sendmail_header_rules {
	bool takes_recipients; /* -t: To, Cc and Bcc, or their Resent- forms, are the recipients; Bcc is removed */
	struct str from;       /* of a missing From field: address without <> */
	struct str full_name;  /* and its name; may be empty */
	struct str domain;
};

/*
 * Appends to out the header that is sent. header: up to and with the empty line, if there is one; what is behind the
 * last field without one belongs to the body and is appended too, after an empty line.
 */
bool sendmail_header(const struct sendmail_header_rules *rules, struct str header, struct arena *arena,
    struct sendmail_recipients *recipients, struct buf *out);

#endif
