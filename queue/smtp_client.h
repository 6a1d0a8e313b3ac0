/*
 * The client's side of SMTP (RFC 5321) and LMTP (RFC 2033), one connection: greeting, EHLO, STARTTLS, then any number of
 * transactions. Pure: bytes in, bytes out, no descriptor, no clock. What it wants next is asked with smtp_client_need.
 *
 * Commands have a sender's and a receiver's cursor. With PIPELINING the sender runs ahead of the receiver, MAIL, RCPTs
 * and DATA in one group; without, by one. Everything else is the same.
 *
 * The content goes by DATA, or by BDAT (RFC 3030): always what is BINARYMIME, and other content where it saves waiting: for
 * the 354 of a server without PIPELINING, and, to a server that is trusted to know where a chunk ends (our own), for any
 * answer at all: commands and content then leave together.
 *
 * Nothing that it sends holds a bare CR or LF, whatever the addresses and the message hold; but for BINARYMIME, whose
 * length is said in front, so that the other side cannot take it for anything else.
 */
#ifndef QUEUE_SMTP_CLIENT_H
#define QUEUE_SMTP_CLIENT_H

#include <bsd/sys/queue.h>

#include "common/base/arena.h"
#include "common/smtp/dot.h"
#include "queue/smtp_features.h"
#include "queue/smtp_reply.h"

/* How many commands may be unanswered, so that output and the server's patience stay bounded. */
#define SMTP_CLIENT_AHEAD_MAX 100
/* Bytes of output that commands take at most at a time; the body comes on top. */
#define SMTP_CLIENT_OUTPUT_MAX 131072
#define SMTP_CLIENT_WORDS_MAX 1000 /* kept of a reply for a result */
/* What comes before and behind the bytes of a chunk at most. */
#define SMTP_CLIENT_CHUNK_EXTRA_MAX 48
/* Content up to this leaves together with the commands, to a server that is trusted with that. */
#define SMTP_CLIENT_ONE_FLIGHT_MAX 32768

enum smtp_client_need {
	SMTP_NEED_REPLY,       /* read, and smtp_client_feed */
	SMTP_NEED_FINAL_REPLY, /* the same; the one after the message, which may take longer */
	SMTP_NEED_TLS,	       /* start TLS, then smtp_client_secured */
	SMTP_NEED_BODY,	       /* smtp_client_body, to its end smtp_client_body_end; feed what comes meanwhile */
	SMTP_NEED_NOTHING,     /* smtp_client_begin or smtp_client_quit; feed what comes meanwhile */
	SMTP_NEED_CLOSE,       /* it is over; see failure */
};

enum smtp_outcome {
	SMTP_PENDING,
	SMTP_ACCEPTED, /* RCPT was; what becomes of the message is not known yet */
	SMTP_LEFT,     /* the server takes no more recipients with this message: try again in another transaction */
	SMTP_DELIVERED,
	SMTP_DEFERRED,
	SMTP_FAILED,
};

/* Why something went as it did. The strings are static, or in the transaction's arena. */
struct smtp_verdict {
	enum smtp_outcome outcome;
	struct str code;  /* enhanced status code, never empty once settled */
	struct str words; /* the server's, reply code first; or ours */
};

struct smtp_recipient {
	struct str address; /* without <> */
	struct str notify;  /* RFC 3461 4.1 as it is sent; .p NULL: nothing is */
	struct str orcpt;   /* RFC 3461 4.2 as it is sent: type;xtext; .p NULL: nothing is */
	struct smtp_verdict verdict;
	uint64_t tag; /* the caller's own */
	bool skipped; /* settled without having been sent */
	STAILQ_ENTRY(smtp_recipient) link; /* in the client's list of results, once settled */
};

enum {
	SMTP_MAIL_8BIT = 1,
	SMTP_MAIL_UTF8 = 2,	  /* the header has UTF-8: it cannot go without SMTPUTF8 */
	SMTP_MAIL_BINARY = 4,	  /* BINARYMIME; the size is exact */
	SMTP_MAIL_REQUIRETLS = 8, /* RFC 8689 */
	SMTP_MAIL_PRIORITY = 16,  /* RFC 6710: `priority` is said where it can be */
};

/* A transaction: the caller's, until the last recipient is settled and the need is NOTHING or CLOSE. */
struct smtp_mail {
	struct str sender; /* without <>; empty: the null sender */
	uint64_t size;	   /* bytes of the message; 0 when not known */
	unsigned flags;
	int priority;
	/* RFC 2852: 'R' or 'N', or 0 when nothing was asked for; the time that is left. */
	char by_mode;
	bool by_trace;
	int64_t by_s;
	/* RFC 3461 4.3, 4.4, for a server that offers DSN; .p NULL: not sent. The ENVID is not in xtext yet. */
	struct str ret, envid;
	struct str unconvertible; /* why it could not be made into what the server takes; .p NULL: nobody tried */
	struct smtp_recipient *recipients; /* all PENDING */
	size_t nrecipients;
	struct arena *arena; /* for the words of replies; should it be full, they are shortened to the code */
};

enum smtp_client_state {
	SMTP_GREETING,
	SMTP_EHLO,
	SMTP_HELO,
	SMTP_STARTTLS,
	SMTP_HANDSHAKE,
	SMTP_AUTH,
	SMTP_READY,
	SMTP_COMMANDS,
	SMTP_BODY,
	SMTP_FINAL,
	SMTP_OVER,
};

struct smtp_client {
	enum smtp_client_state state;
	bool lmtp;
	bool want_tls; /* use STARTTLS when it is offered */
	/* The driver's, before anything is fed: no transaction, and no password, without TLS; or without `verified`. */
	bool must_tls, must_verify;
	/* The driver's too: to log in with, and only under TLS; NULL or without a user: not at all. Outlives the client. And
	 * for that 16 random bytes as text, and, once TLS is there, what binds the login to it. */
	struct sasl_credentials *credentials;
	char nonce[33];
	bool has_binding;
	struct sasl_binding binding;
	struct sasl_login login; /* while the state is AUTH */
	bool tls;
	bool verified; /* its certificate is that of the host that was wanted */
	bool one_flight; /* the driver's: this server is trusted to know where a chunk ends */
	struct str hostname; /* borrowed */
	struct buf *out;
	struct smtp_features features;
	struct smtp_reply reply;

	/* Once the state is OVER: how the session failed, if it did before it was READY, or in the middle. */
	struct smtp_verdict failure;
	bool said_421; /* the server closes */
	bool may_quit;	/* it failed, but in good order */
	bool unfit;	/* it failed by a rule of ours: the server is in order, but not what we want */
	struct arena arena; /* of the failure's words */

	/* The transaction. Steps: 0 RSET, 1 MAIL, 2.. RCPT, then DATA. */
	struct smtp_mail *mail;
	size_t sent;	  /* the sender's cursor: the next step to be sent */
	size_t received;  /* the receiver's: the next step to be answered */
	size_t ahead;	  /* commands sent and not answered */
	size_t accepted;  /* recipients */
	size_t settled;	  /* recipients whose verdict is final */
	STAILQ_HEAD(smtp_results, smtp_recipient) results; /* settled and not yet told */
	size_t final;	  /* LMTP: recipients before this one have their final reply */
	bool mail_refused;
	struct smtp_verdict mail_verdict; /* then */
	bool needs_reset; /* the server may still have a transaction open */
	bool answered;	  /* some reply came since smtp_client_begin */
	struct dot_writer dot;
	bool by_chunks;	    /* BDAT */
	bool one_flight_now; /* without waiting for what MAIL and RCPT are answered */
	uint64_t body_left; /* of the size, when by chunks */
	size_t chunks;	    /* sent, and not answered, but for the last */
	uint64_t mails;	    /* transactions begun in this session */
};

/* out: where output is appended, by the driver's call only; must hold SMTP_CLIENT_OUTPUT_MAX more than what the driver
 * leaves unsent while it feeds. hostname is borrowed. */
void smtp_client_init(struct smtp_client *client, struct buf *out, struct str hostname, bool lmtp, bool want_tls);
void smtp_client_clear(struct smtp_client *client);

enum smtp_client_need smtp_client_need(const struct smtp_client *client);
/* Takes whole replies and parts of them off *input. What is left once the need is TLS must not be there: feed again to
 * have the session ended. */
void smtp_client_feed(struct smtp_client *client, struct str *input);
/* The handshake is done: EHLO again, all that was offered in plain being forgotten. verified: see struct smtp_client. */
void smtp_client_secured(struct smtp_client *client, bool verified);
/* The server takes no further transaction in this session (RFC 9422 MAILMAX). */
bool smtp_client_is_spent(const struct smtp_client *client);

/* It can promise what REQUIRETLS wants (RFC 8689 4.2.1): the keyword, under TLS with the certificate of its host. */
bool smtp_client_keeps_tls(const struct smtp_client *client);

/*
 * Begins a transaction; only when the need is NOTHING. It may be over at once (too large for this server, 8 bits that
 * it does not take): then there are results and the need is still NOTHING.
 */
void smtp_client_begin(struct smtp_client *client, struct smtp_mail *mail);
/* The next of the message's bytes, as they are in the queue file; fills at most `room` bytes of `out` (at least
 * DOT_WRITE_ROOM_MIN), besides SMTP_CLIENT_CHUNK_EXTRA_MAX, and returns how many of them it took. */
size_t smtp_client_body(struct smtp_client *client, struct str bytes, size_t room);
/* No more: the end of data. */
void smtp_client_body_end(struct smtp_client *client);
/* The next recipient whose verdict has become final; each is told once. NULL: none at present. */
struct smtp_recipient *smtp_client_result(struct smtp_client *client);

/* Appends QUIT where that makes sense; the need is CLOSE. */
void smtp_client_quit(struct smtp_client *client);
/* The connection is lost, timed out, or the message cannot be read: what is not settled is deferred with this. The need
 * is CLOSE. code and words: static or in the mail's arena. */
void smtp_client_abandon(struct smtp_client *client, struct str code, struct str words);

/* What it was doing, for "lost connection while ...". */
const char *smtp_client_stage(const struct smtp_client *client);

#endif
