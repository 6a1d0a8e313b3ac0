/*
 * Delivery status notifications (RFC 3464; RFC 6533 where an address is not ASCII): a multipart/report of a text that people understand, the same for programs,
 * and the message it is about or its header. Pure: text into a buf. No line is longer than 76 bytes unless it is one
 * word, and nothing in it can be taken for another field or part, whatever the other side said.
 */
#ifndef QUEUE_DSN_H
#define QUEUE_DSN_H

#include "common/base/buf.h"

enum dsn_kind {
	DSN_FAILED,	/* to the sender */
	DSN_DELAYED,	/* to the sender: still trying */
	DSN_DONE,	/* to the sender, who asked for that: delivered, relayed or expanded */
	DSN_POSTMASTER, /* to the postmaster: a message from the null sender has failed */
	DSN_KINDS,
};

/* What became of a recipient; of the kinds but DONE it follows from the kind. */
enum dsn_action {
	DSN_ACTION_DELIVERED,
	DSN_ACTION_RELAYED,  /* to a server that will not tell */
	DSN_ACTION_EXPANDED, /* an alias of several */
	DSN_ACTIONS,
};

enum dsn_language {
	DSN_ENGLISH,
	DSN_INDONESIAN,
	DSN_LANGUAGES,
};

struct dsn {
	enum dsn_kind kind;
	enum dsn_language language;
	struct str hostname; /* ours */
	struct str queue_id; /* of the message it is about */
	struct str own_id;   /* of the notification: makes Message-ID and the boundary */
	struct str to;	     /* without <> */
	struct str sender;   /* of the message, for the postmaster; empty: null */
	struct str client;   /* "HELO-NAME [ADDRESS]"; empty: not known */
	struct str envid;    /* RFC 3461, decoded */
	bool has_envid;
	uint64_t arrived_ms;
	uint64_t now_ms;
	uint64_t until_ms;  /* DELAYED: until when it is tried */
	bool is_utf8;	    /* one of the addresses is not ASCII (RFC 6533) */
	bool is_8bit;	    /* the message that is returned, or its header, may have 8-bit characters */
	bool header_is_utf8; /* the message came with SMTPUTF8, so that its header may be RFC 6532's */
	bool returns_whole; /* the message follows; otherwise its header */
	/* Of the message, and so of the notification (RFC 8689 5, RFC 6710 6). */
	bool requires_tls;
	int priority; /* 0: none */
};

struct dsn_recipient {
	enum dsn_action action; /* of DONE */
	struct str address;
	struct str original; /* before aliases; empty: the same */
	struct str orcpt;    /* RFC 3461 ORCPT, "rfc822;address", decoded; empty: none */
	struct str code;     /* "5.1.1" */
	struct str relay;    /* "mx1.dua.test[127.0.0.3]:25"; "none" when nobody was asked */
	struct str reply;
	uint64_t tried_ms;
};

/* The notification itself needs BODY=8BITMIME. */
bool dsn_is_8bit(const struct dsn *dsn);
/*
 * All up to where the message (or its header) is to follow; dsn_end goes behind that, which must end in CRLF.
 */
void dsn_begin(struct buf *b, const struct dsn *dsn, const struct dsn_recipient *recipients, size_t n);
void dsn_end(struct buf *b, const struct dsn *dsn);

#endif
