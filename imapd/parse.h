/*
 * The lexical elements of IMAP (RFC 3501 9), read from a whole command as the reader puts it together. Each function
 * moves the cursor behind what it read, or leaves a reason in `problem` and says false; the first problem stays. What
 * it returns is borrowed from the command, or lives in the arena where something had to be unescaped.
 */
#ifndef IMAPD_PARSE_H
#define IMAPD_PARSE_H

#include "common/base/arena.h"

struct parse_text {
	struct str rest;
	struct arena *arena;
	const char *problem; /* for the BAD reply; NULL as long as all is well */
};

/* Notes the first problem; always false. */
bool parse_fail(struct parse_text *t, const char *problem);

bool parse_at_end(const struct parse_text *t);
bool parse_end(struct parse_text *t);
/* Is c next? Takes nothing. */
bool parse_peek(const struct parse_text *t, char c);
/* Takes c if it is next; else false without a problem. */
bool parse_skip(struct parse_text *t, char c);
bool parse_char(struct parse_text *t, char c);
/* Exactly one. */
bool parse_space(struct parse_text *t);

bool parse_tag(struct parse_text *t, struct str *tag);
bool parse_atom(struct parse_text *t, struct str *atom);
/* Takes the atom if it is next, in any case, and ends there; else false without a problem. */
bool parse_keyword(struct parse_text *t, const char *keyword);
bool parse_string(struct parse_text *t, struct str *s);
bool parse_astring(struct parse_text *t, struct str *s);
/* .p is NULL for NIL. */
bool parse_nstring(struct parse_text *t, struct str *s);
/* An astring that may also hold % and *, for LIST. */
bool parse_list_mailbox(struct parse_text *t, struct str *s);
bool parse_number(struct parse_text *t, uint32_t *n);
bool parse_nz_number(struct parse_text *t, uint32_t *n);

/* Days since 1970-01-01 of `1-Feb-1994`, with or without quotes. */
bool parse_date(struct parse_text *t, int64_t *day);
/* Seconds since 1970 of `"17-Jul-1996 02:44:25 -0700"`. */
bool parse_date_time(struct parse_text *t, int64_t *seconds);

#define PARSE_KEYWORDS_MAX 64 /* in one list of flags */

struct parse_flags {
	unsigned flags; /* enum maildir_flag */
	struct str keywords[PARSE_KEYWORDS_MAX];
	size_t n;
};

/* Keyword names are not looked at closer than an atom. \Recent and unknown flags with a backslash are refused. */
bool parse_flag_list(struct parse_text *t, struct parse_flags *flags);
/* STORE also has them without parentheses. */
bool parse_flags(struct parse_text *t, struct parse_flags *flags);

#endif
