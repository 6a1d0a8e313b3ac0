/*
 * The mail server's side of the milter protocol, version 6: one conversation with one filter. A state machine over bytes:
 * no descriptor, clock or log. Its owner does
 *
 *     milter_init(&m);
 *     milter_negotiate(&m, out);                 send out, then feed until READY
 *     if (milter_helo(&m, out, &macros, name))   send out, then feed until VERDICT
 *     ...
 *
 * A stage function appends to out what the filter is to be told (nothing, when it said that it does not want to know) and
 * returns true when an answer must be awaited before anything else is said. The order of the stages is the owner's:
 *
 *     connect  helo  { mail  rcpt ...  data  { header ... }  end_of_header  { body ... }  end | abort }  quit
 *
 * A filter's changes come between milter_end and its verdict; they are checked for form and for what was agreed on,
 * not for what they say: that is letter.h's.
 */
#ifndef SMTPD_MILTER_H
#define SMTPD_MILTER_H

#include <sys/socket.h>

#include "smtpd/milter_message.h"

/* Stages with macros, as filters number them when they say which they want (SMFIM_*). */
enum milter_macro_stage {
	MILTER_AT_CONNECT,
	MILTER_AT_HELO,
	MILTER_AT_MAIL,
	MILTER_AT_RCPT,
	MILTER_AT_DATA,
	MILTER_AT_END,
	MILTER_AT_END_OF_HEADER,
};
#define MILTER_MACRO_STAGES (MILTER_AT_END_OF_HEADER + 1)
/* Bytes of names that a filter may ask for, a stage. */
#define MILTER_WANTED_MAX 2048

/* What macros stand for: the owner embeds this. */
struct milter_macros {
	/* name: "j", "{daemon_name}". Borrowed until the next call; empty: there is no such macro now. */
	struct str (*value)(const struct milter_macros *macros, struct str name);
};

enum milter_verdict_kind {
	MILTER_CONTINUES,
	MILTER_ACCEPTS,	    /* and wants to hear no more of this message (at connect and HELO: of this session) */
	MILTER_REJECTS,
	MILTER_DEFERS,
	MILTER_DISCARDS,    /* the client is told that all is well */
	MILTER_REPLIES,	    /* refuses in words of its own: milter.words */
	MILTER_SKIPS,	    /* goes on, but needs no more of the body */
	MILTER_DISCONNECTS, /* the session is to end with 421 */
};

enum milter_change_kind {
	MILTER_FIELD_ADD,	 /* at the end of the header */
	MILTER_FIELD_INSERT,	 /* at position `index` of the header, from 0 */
	MILTER_FIELD_CHANGE,	 /* the index-th field of that name, from 1; an empty value: it goes */
	MILTER_BODY_REPLACE,	 /* `value` is a piece of the new body */
	MILTER_RECIPIENT_ADD,	 /* `name` is the address, perhaps in <>; `value`: parameters of RCPT */
	MILTER_RECIPIENT_REMOVE,
	MILTER_SENDER_CHANGE,	 /* `value`: parameters of MAIL */
	MILTER_HOLD,		 /* `value` says why */
};

struct milter_change {
	enum milter_change_kind kind;
	uint32_t index;
	struct str name;
	struct str value;
	bool has_space; /* of a field: the value begins behind the colon, with the blank that belongs there */
};

enum milter_event {
	MILTER_MORE,	 /* all bytes are used, as far as they can be */
	MILTER_READY,	 /* what was agreed on is in version, actions, options */
	MILTER_VERDICT,	 /* on what was said last */
	MILTER_CHANGED,	 /* milter.change; the verdict is still to come */
	MILTER_PROGRESS, /* the filter needs more time */
	MILTER_BAD,	 /* no milter, or one that says what makes no sense; milter.problem */
};

struct milter {
	uint32_t version, actions, options;
	size_t chunk_max; /* bytes of one milter_body */

	/* What belongs to the event at hand, borrowed from the input until the next call. */
	enum milter_verdict_kind verdict;
	struct milter_words words;
	struct milter_change change;
	const char *problem; /* a constant, for the log */

	/* milter.c's own: */
	enum milter_command asked; /* what it is to answer; 0: nothing */
	bool skips;		   /* no more of this body */
	unsigned chooses;	   /* bits of the stages for which it said what macros it wants */
	struct buf wanted[MILTER_MACRO_STAGES];
};

/* What a filter is told of a client. */
struct milter_peer {
	struct str name;    /* of the host; "[192.0.2.1]" or "unknown" when there is none */
	int family;	    /* AF_INET, AF_INET6; anything else: unknown, a program of this host */
	struct str address; /* as text */
	uint16_t port;
};

void milter_init(struct milter *m);
void milter_clear(struct milter *m);

/* Takes what it can off the beginning of *in. After BAD it is of no use any more. */
enum milter_event milter_feed(struct milter *m, struct str *in);

/* The beginning: what we offer. READY follows. */
void milter_negotiate(struct milter *m, struct buf *out);

bool milter_connect(struct milter *m, struct buf *out, const struct milter_macros *macros, const struct milter_peer *peer);
bool milter_helo(struct milter *m, struct buf *out, const struct milter_macros *macros, struct str name);
/* arguments: the path with its <>, then each parameter as the client wrote it. */
bool milter_mail(struct milter *m, struct buf *out, const struct milter_macros *macros, const struct str *arguments, size_t n);
bool milter_rcpt(struct milter *m, struct buf *out, const struct milter_macros *macros, const struct str *arguments, size_t n);
/* May it be told of a recipient that we refuse? With macros that say so: {rcpt_mailer} is "error". */
bool milter_wants_refused(const struct milter *m);
bool milter_data(struct milter *m, struct buf *out, const struct milter_macros *macros);
/* A command that this server does not have, without its line end. */
bool milter_unknown(struct milter *m, struct buf *out, const struct milter_macros *macros, struct str line);
/* A field; value: all that stands behind the colon, without the last line end. */
bool milter_header(struct milter *m, struct buf *out, struct str name, struct str value);
bool milter_end_of_header(struct milter *m, struct buf *out, const struct milter_macros *macros);
/* At most chunk_max bytes, with CRLF as on the wire. */
bool milter_body(struct milter *m, struct buf *out, struct str chunk);
/* Does it want any (more) of the body? */
bool milter_wants_body(const struct milter *m);
bool milter_wants_header(const struct milter *m);
/* The message is complete; changes and a verdict follow. */
bool milter_end(struct milter *m, struct buf *out, const struct milter_macros *macros);
/* No message after all. Nothing is answered. */
void milter_abort(struct milter *m, struct buf *out);
/* The session is over, and with it the connection. */
void milter_quit(struct milter *m, struct buf *out);

#endif
