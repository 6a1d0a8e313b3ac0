/*
 * POP3 after the login: the TRANSACTION and UPDATE states of RFC 1939, over a list of messages. Pure: it is fed with what
 * the peer says and with the bytes of messages, and says what it needs.
 *
 *     while ((want = pop3_step(p, in, &taken)) == POP3_AGAIN) ...
 *
 * Messages keep their numbers for the whole session. The unique identifier of a message is its UID and the folder's
 * UIDVALIDITY, eight hexadecimal digits each: what Dovecot says unless it was told otherwise, so that a mailbox taken
 * over from there is not downloaded again.
 */
#ifndef POPD_POP3_H
#define POPD_POP3_H

#include "common/base/buf.h"
#include "common/smtp/dot.h"
#include "common/base/line.h"

#define POP3_SLICE_BYTES 32768 /* of a long reply that are written at a time */
#define POP3_OUT_MAX_BYTES (4 * POP3_SLICE_BYTES)
#define POP3_ERRORS_MAX 20 /* in a row; then the session ends */

struct pop3_message {
	uint64_t size; /* as sent: with CRLF */
	uint32_t uid;
	bool deleted;
};

struct pop3_maildrop {
	struct pop3_message *messages;
	size_t n;
	uint32_t uidvalidity;
	struct str mechanisms; /* of SASL: for CAPA */
};

enum pop3_want {
	POP3_AGAIN,  /* call again */
	POP3_INPUT,  /* more input */
	POP3_ROOM,   /* a slice of output: send it, then call again */
	POP3_OPEN,   /* p->current is wanted: open it, then pop3_opened */
	POP3_BODY,   /* bytes of it: pop3_body, in the end pop3_body_end */
	POP3_UPDATE, /* remove the messages marked as deleted, then pop3_updated */
	POP3_CLOSE,  /* send what there is, then close */
};

struct pop3 {
	struct buf *out;
	struct pop3_message *messages;
	size_t n;
	uint32_t uidvalidity;
	struct str mechanisms;

	enum pop3_want want; /* what was asked for and is still to come; else AGAIN */
	size_t current;	     /* index of the message that is sent */

	/* For the log: */
	size_t retrieved, deleted;
	uint64_t retrieved_bytes;

	/* pop3.c's own: */
	struct line_lexer lexer;
	unsigned errors;
	bool listing, listing_uids;
	size_t next; /* message to be listed */
	struct dot_writer writer;
	bool top;	    /* TOP: */
	bool in_header;	    /* no empty line yet */
	bool inside_line;   /* of which there is more than a CR */
	uint64_t lines_left; /* of the body */
	bool finished;	    /* all of the message that is wanted was written */
};

/* Borrows everything; writes the reply to the login. */
void pop3_init(struct pop3 *p, struct buf *out, const struct pop3_maildrop *maildrop);

/* Looks at no more than one command at the beginning of in; *taken bytes of it are used up. */
enum pop3_want pop3_step(struct pop3 *p, struct str in, size_t *taken);

/* Answers to OPEN: here it is / it is gone or cannot be read. */
void pop3_opened(struct pop3 *p);
void pop3_not_opened(struct pop3 *p, bool gone);

/*
 * Bytes of the message's file (LF lines), in pieces of any size; returns how many were taken, fewer when a slice of output
 * is full or no more is wanted (p->finished).
 */
size_t pop3_body(struct pop3 *p, struct str bytes);
/* The whole file was given, or p->finished. */
void pop3_body_end(struct pop3 *p);

/* Answer to UPDATE: were all of them removed? */
void pop3_updated(struct pop3 *p, bool all);

#endif
