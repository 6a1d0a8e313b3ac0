/*
 * The server side of SMTP (RFC 5321) and LMTP (RFC 2033): one core for smtpd's listeners, the submit socket, and
 * deliver's LMTP front. A state machine over bytes: no descriptor, clock or log. Its owner does
 *
 *     smtp_server_init(&s, &facts, &counters, out);          the greeting is in out
 *     for (;;) {
 *             event = smtp_server_step(&s, input, &taken);   replies are appended to out
 *             input = str_skip(input, taken);
 *             switch (event) { ... }
 *     }
 *
 * After an event that is a question (HELLO, SENDER, RECIPIENT, BODY, MESSAGE, AUTHENTICATE, RESPOND, VRFY, ETRN, XCLIENT) it
 * steps again only when the question is answered, be it at once or much later; what the client has pipelined waits in the input meanwhile.
 *
 * The rules of who may send what to whom are the owner's, who is asked; grammar, order, limits and reply formats are
 * here. Commands, extensions and parameters are tables (smtp_server_table.c), from which EHLO, HELP, "503 bad sequence",
 * the counters and the tests' matrix follow.
 */
#ifndef COMMON_SMTP_SERVER_H
#define COMMON_SMTP_SERVER_H

#include "common/smtp/address.h"
#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/smtp/dot.h"
#include "common/base/line.h"
#include "common/base/tree.h"

#define SMTP_COMMAND_LINE_MAX 2048 /* RFC 5321 4.5.3.1.4 says at least 512, extensions add to it */
#define SMTP_AUTH_LINE_MAX (12288 + 2) /* RFC 4954 4 */
#define SMTP_REPLY_TEXT_MAX 400	   /* of one line; RFC 5321 4.5.3.1.5 says 512 with code and CRLF */
#define SMTP_HELO_MAX 255
#define SMTP_USER_MAX 255
#define SMTP_JUNK_MAX 100 /* commands that lead nowhere (NOOP, RSET, VRFY ...) between two messages */
#define SMTP_CHUNKS_MAX 100000 /* of a message */
/* An owner's input buffer must be able to hold this much. */
#define SMTP_INPUT_MIN (SMTP_AUTH_LINE_MAX + 64)

enum smtp_protocol {
	SMTP_ESMTP,
	SMTP_LMTP,
};

/* Facts of the connection. Strings are borrowed for the core's life. */
struct smtp_server_facts {
	enum smtp_protocol protocol;
	struct str hostname; /* of this server */
	struct str banner;   /* behind it in the greeting */
	struct str mechanisms; /* "PLAIN LOGIN"; empty: AUTH is not offered */
	bool tls;	       /* the connection is encrypted */
	bool can_start_tls;    /* STARTTLS is on offer */
	bool must_authenticate; /* no mail before AUTH (RFC 6409 4.3) */
	bool is_trusted;	/* a program of ours: no limit on errors and junk */
	bool stops_at_refusals; /* READ comes after each reply of 400 and up that is the core's own (refusal.code tells), so
				 * that the owner can let the client wait; then step again with what is left */
	bool is_resumed;	/* the first core after STARTTLS: no greeting */
	bool normalise;		/* bare CR and LF in content become CRLF instead of being refused */
	bool asks_hello;	/* HELLO is asked; else every name will do */
	bool asks_unknown;	/* UNKNOWN is asked */
	bool asks_vrfy;		/* VRFY is asked; else nobody is told anything */
	bool offers_etrn;
	bool may_xclient;  /* this client speaks for others: a proxy */
	bool may_xforward; /* and tells of others, for the log */
	bool offers_dsn;
	bool offers_requiretls; /* where the connection is encrypted */
	bool offers_deliverby;
	bool offers_priority;
	uint64_t hold_max_s; /* FUTURERELEASE: for how long a message may be held; 0: not on offer */
	uint64_t size_max;	/* bytes of a message */
	size_t recipients_max;	/* of a message */
	size_t errors_max;	/* refused commands between two messages */
	size_t arena_max;	/* bytes that an envelope may take */
};

/* --- replies ---------------------------------------------------------------------------------------------------------- */

/* One reply. SMTP_REPLY_BREAK in text begins a further line of it; anything else that is not printable ASCII, line ends
 * too, leaves as `?`. */
#define SMTP_REPLY_BREAK '\x1e'

struct smtp_reply {
	unsigned code;
	const char *status; /* RFC 3463 "5.1.1", a constant; NULL: none */
	struct str text;
};

#define SMTP_REPLY(code, status, text) (&(const struct smtp_reply){(code), (status), STR(text)})

/* --- what a client says of another (XCLIENT, XFORWARD) ------------------------------------------------------------------ */

enum smtp_attribute {
	SMTP_ATTR_NAME,	   /* host name by reverse DNS, verified */
	SMTP_ATTR_ADDR,	   /* IP address as inet_ntop writes it */
	SMTP_ATTR_PORT,	   /* of the client: decimal */
	SMTP_ATTR_PROTO,   /* SMTP, ESMTP, LMTP */
	SMTP_ATTR_HELO,
	SMTP_ATTR_LOGIN,   /* an authenticated user */
	SMTP_ATTR_DESTADDR, /* of the server that it spoke to */
	SMTP_ATTR_DESTPORT,
	SMTP_ATTR_IDENT,   /* the message's name in that server's log */
	SMTP_ATTR_SOURCE,  /* LOCAL or REMOTE */
	SMTP_ATTRIBUTES,
};

#define SMTP_ATTRIBUTE_MAX 255 /* bytes of a value */

/* Decoded, checked against each one's own syntax; printable ASCII. */
struct smtp_attributes {
	unsigned given; /* bits 1 << enum smtp_attribute */
	struct str value[SMTP_ATTRIBUTES]; /* empty: the client says that it does not know */
};

/* --- the transaction: one object on one arena, dropped by one function ---------------------------------------------------- */

/* RFC 3461 4.1 */
enum smtp_notify {
	SMTP_NOTIFY_NEVER = 1, /* alone */
	SMTP_NOTIFY_SUCCESS = 2,
	SMTP_NOTIFY_FAILURE = 4,
	SMTP_NOTIFY_DELAY = 8,
};

struct smtp_recipient {
	struct smtp_recipient *next;
	struct address address; /* of kind LOCAL, DOMAIN or a literal */
	size_t index;		/* 0 for the first that was accepted */
	RB_ENTRY(smtp_recipient) by_address;
	unsigned notify;	/* bits of enum smtp_notify; 0: not said */
	struct str orcpt;	/* type;address, decoded (common/smtp/orcpt.h); .p NULL: not said */
	/* LMTP: what its reply will be. */
	bool answered;
	struct smtp_reply reply;
};

RB_HEAD(smtp_recipients, smtp_recipient);

enum smtp_body {
	SMTP_BODY_7BIT,
	SMTP_BODY_8BITMIME,
	SMTP_BODY_BINARYMIME, /* RFC 3030 3: any bytes, to be kept as they are */
};

/* RFC 3461 4.3: what of the message a notification holds. */
enum smtp_ret {
	SMTP_RET_UNSAID,
	SMTP_RET_FULL,
	SMTP_RET_HDRS,
};

struct smtp_transaction {
	struct arena arena; /* everything below lives there */
	struct address sender;
	enum smtp_body body;
	uint64_t size; /* as declared with SIZE=; 0: not */
	bool smtputf8;
	bool requiretls;
	enum smtp_ret ret;
	struct str envid;    /* decoded; .p NULL: not said */
	int priority;	     /* RFC 6710: -9 to 9 */
	uint64_t release_ms; /* RFC 4865: since 1970; 0: at once */
	/* RFC 2852: */
	uint64_t deliver_by_ms; /* since 1970; 0: not said */
	bool returns_late;	/* when it cannot be delivered by then (R); else its sender is told (N) */
	bool traces_relays;	/* T */
	/* In the order in which they came. Over SMTP each address is there once, however often the client names it; over
	 * LMTP, where each has a reply of its own, as often as it was named. */
	struct smtp_recipient *recipients;
	struct smtp_recipient **last;
	struct smtp_recipients by_address;
	size_t nrecipients;
	uint64_t content_bytes; /* so far, unstuffed */
	size_t chunks;		/* of BDAT */
	const struct smtp_attributes *forwarded; /* XFORWARD before MAIL: where it came from; NULL: not said */
};

/* --- what the owner must do --------------------------------------------------------------------------------------------- */

enum smtp_event {
	SMTP_READ,	   /* read more input; what was not taken must be offered again with it */
	SMTP_HELLO,	   /* question, with facts.asks_hello: may a client call itself s->helo? */
	SMTP_SENDER,	   /* question: may transaction.sender send here? */
	SMTP_RECIPIENT,	   /* question: may s->recipient be a recipient? */
	SMTP_BODY,	   /* question: can the content come? */
	SMTP_CONTENT,	   /* s->content is a piece of it: CRLF lines, or any bytes of BINARYMIME; step again */
	SMTP_MESSAGE,	   /* question: the content is complete; is the message taken (and durable)? */
	SMTP_ABANDONED,	   /* a transaction whose sender was accepted ends without a message; step again */
	SMTP_AUTHENTICATE, /* question: s->mechanism, s->response (see there) */
	SMTP_RESPOND,	   /* question: s->response */
	SMTP_CANCEL,	   /* the client gives its authentication up; step again */
	SMTP_VRFY,	   /* question, with facts.asks_vrfy: is s->recipient a recipient? */
	SMTP_UNKNOWN,	   /* question, with facts.asks_unknown: what is to be said to s->argument, which is no command of ours? */
	SMTP_ETRN,	   /* question: shall the queue for s->argument be run? */
	SMTP_XCLIENT,	   /* question: shall s->attributes replace what is known of the client? See there. */
	SMTP_START_TLS,	   /* send out, shake hands, go on with a new core */
	SMTP_CLOSE,	   /* send out, close */
};

enum smtp_state {
	SMTP_STATE_CONNECTED = 1, /* no HELO yet */
	SMTP_STATE_GREETED = 2,
	SMTP_STATE_MAIL = 4, /* a sender, no recipient */
	SMTP_STATE_RCPT = 8,
	SMTP_STATE_BDAT = 16, /* part of the content is there */
};

#define SMTP_COMMANDS_MAX 24

/* Counts of a session; they outlive STARTTLS, so they are the owner's. */
struct smtp_counters {
	struct {
		unsigned total, accepted;
	} commands[SMTP_COMMANDS_MAX + 1]; /* in the order of the table; the last: unknown verbs */
	size_t errors; /* since the last message */
	size_t junk;
	uint64_t messages;
};

struct smtp_command;

struct smtp_server {
	struct smtp_server_facts facts;
	struct smtp_transaction transaction;
	char helo[SMTP_HELO_MAX + 1]; /* as the client wrote it; empty before */
	bool extended;		      /* EHLO or LHLO, not HELO */
	char user[SMTP_USER_MAX + 1]; /* authenticated; empty: not */
	/* Now, in milliseconds since 1970: the owner's to set before a step where DELIVERBY or FUTURERELEASE are on offer. */
	uint64_t time_ms;

	/* What belongs to the event at hand. Borrowed from the input or the transaction until the next step. */
	struct smtp_recipient *recipient;
	struct str content;
	struct str mechanism;
	bool has_response; /* AUTHENTICATE: with an initial response */
	struct str response; /* Base64 as the client wrote it ("=": an empty initial response) */
	struct str argument; /* ETRN: a domain, or "@domain" with all below it; lives in the transaction */
	const struct smtp_attributes *attributes; /* XCLIENT: lives in the transaction, which ends with the answer */

	/* The last reply of 400 and up that the core itself gave, for the log: .code is 0 when there is none. The owner
	 * sets that. Its text is constant. */
	struct smtp_reply refusal;
	const char *refused_verb;

	/* smtp_server*.c's own: */
	enum smtp_state state;
	unsigned mode;
	enum smtp_event event;		    /* of the command that was just handled; READ: none */
	const struct smtp_command *command; /* under way */
	size_t command_index;
	struct smtp_counters *counters;
	struct buf *out;
	struct line_lexer lexer;
	struct dot_reader dot;
	struct smtp_reply verdict;	   /* on content that is being thrown away; code 0: none */
	struct smtp_recipient *reply_next; /* LMTP: whose reply comes next */
	unsigned best_code;		   /* LMTP: of the replies so far */
	unsigned parameters;		   /* bits of those that the command under way had already */
	bool abandoned;			   /* is still to be told */
	bool verdict_told;		   /* to a chunk before */
	bool chunk_refused;		   /* BDAT out of order: its bytes are passed over */
	bool chunk_last;
	uint64_t chunk_size, chunk_left;
	bool input_left;		   /* behind the command under way */
	unsigned told;			   /* attributes that any XCLIENT gave */
	struct str helo_before;		   /* while HELLO is open: what was in force; in the arena */
	bool extended_before;
};

/* out: where replies are appended; the owner's. counters: zeroed by the owner at the beginning of the session. */
void smtp_server_init(struct smtp_server *s, const struct smtp_server_facts *facts, struct smtp_counters *counters,
    struct buf *out);
/* Frees the transaction; wipes. */
void smtp_server_clear(struct smtp_server *s);

/* Looks at the input from its beginning and takes *taken bytes of it. Never called while a question is open. */
enum smtp_event smtp_server_step(struct smtp_server *s, struct str in, size_t *taken);

/* --- answers ------------------------------------------------------------------------------------------------------------- */

/*
 * In the usual words, which refuse it: to UNKNOWN. Yes, in the usual words: to HELLO, SENDER, RECIPIENT, BODY, VRFY (which still tells nothing), ETRN, XCLIENT.
 *
 * XCLIENT: the owner has put the new client in place of the old, may have changed s->facts accordingly (not .hostname
 * and .banner), and the session begins again with the greeting. An attribute LOGIN makes s->user, or removes it; HELO makes s->helo.
 */
void smtp_server_accept(struct smtp_server *s);
/*
 * Yes (2xx, 3xx) or no (4xx, 5xx) in the owner's words, to any question but the two of authentication. 421 ends the
 * session. To LMTP's MESSAGE it is the answer for all recipients that have none yet. With the answer to MESSAGE the
 * transaction is over and its memory is gone.
 */
void smtp_server_answer(struct smtp_server *s, const struct smtp_reply *reply);
/* To LMTP's MESSAGE, one recipient at a time in any order; the question is answered with the last of them. The text is
 * copied. */
void smtp_server_answer_recipient(struct smtp_server *s, struct smtp_recipient *recipient, const struct smtp_reply *reply);
/* After CONTENT: the rest of the content is thrown away, ABANDONED comes at its end (or with RSET between two chunks), and
 * this is the reply, also to each further chunk. The text is copied. */
void smtp_server_refuse_content(struct smtp_server *s, const struct smtp_reply *reply);

enum smtp_auth {
	SMTP_AUTH_REFUSED,     /* 535 5.7.8 */
	SMTP_AUTH_UNAVAILABLE, /* 454 4.7.0 */
	SMTP_AUTH_MALFORMED,   /* 501 5.5.2: not Base64 */
};

/* To AUTHENTICATE and RESPOND: challenge is Base64, may be empty; RESPOND or CANCEL follows. After the other two
 * answers the exchange is over. */
void smtp_server_challenge(struct smtp_server *s, struct str challenge);
void smtp_server_authenticated(struct smtp_server *s, struct str user);
void smtp_server_auth_failed(struct smtp_server *s, enum smtp_auth why);

/* At any time, a question being open or not: this reply, then CLOSE (time-out, shutdown, too many clients). */
void smtp_server_goodbye(struct smtp_server *s, const struct smtp_reply *reply);

/* Is a question open? */
bool smtp_server_is_waiting(const struct smtp_server *s);
/* Is content under way, or has part of it come, that is thrown away? */
bool smtp_server_is_refusing(const struct smtp_server *s);
/* For the with clause of Received (RFC 3848, 6531 4.3): SMTP, ESMTP, ESMTPS, ESMTPSA, LMTP, UTF8SMTPS ... */
const char *smtp_server_protocol_name(const struct smtp_server *s);
/* Where the session stands, in the words of Postfix's log: "CONNECT", "EHLO", "DATA", "END-OF-MESSAGE", "UNKNOWN" ... */
const char *smtp_server_place(const struct smtp_server *s);
/* Appends " ehlo=1 mail=1 rcpt=0/1 ... commands=4/5" (accepted/all where they differ). */
void smtp_server_counters_add(struct buf *b, const struct smtp_counters *counters);

/* --- the table, for tests and documents ---------------------------------------------------------------------------------- */

struct smtp_command {
	struct str verb;
	unsigned protocols; /* bits 1 << enum smtp_protocol */
	unsigned states;    /* legal in: bits of enum smtp_state */
	unsigned flags;	    /* enum smtp_command_flag */
	unsigned extension; /* must be on offer: enum smtp_extension; 0: none needed */
	void (*handler)(struct smtp_server *s, struct str argument);
	const char *reference;
};

enum smtp_command_flag {
	SMTP_NO_ARGUMENT = 1,
	SMTP_HAS_ARGUMENT = 2,
	SMTP_AFTER_AUTH = 4, /* refused before authentication where that is required */
	SMTP_IS_JUNK = 8,    /* leads nowhere: counted */
	SMTP_LONG_LINE = 16, /* SMTP_AUTH_LINE_MAX */
	SMTP_HAS_CHUNK = 32, /* so many bytes follow, even if it is refused */
};

enum smtp_extension {
	SMTP_EXT_NONE,
	SMTP_EXT_PIPELINING,
	SMTP_EXT_SIZE,
	SMTP_EXT_8BITMIME,
	SMTP_EXT_ENHANCEDSTATUSCODES,
	SMTP_EXT_STARTTLS,
	SMTP_EXT_AUTH,
	SMTP_EXT_CHUNKING,
	SMTP_EXT_BINARYMIME,
	SMTP_EXT_SMTPUTF8,
	SMTP_EXT_DSN,
	SMTP_EXT_REQUIRETLS,
	SMTP_EXT_LIMITS,
	SMTP_EXT_MT_PRIORITY,
	SMTP_EXT_DELIVERBY,
	SMTP_EXT_FUTURERELEASE,
	SMTP_EXT_ETRN,
	SMTP_EXT_XCLIENT,
	SMTP_EXT_XFORWARD,
	SMTP_EXTENSIONS,
};

const struct smtp_command *smtp_server_commands(size_t *n);

/* A parameter of MAIL or RCPT. */
struct smtp_parameter {
	struct str keyword;
	struct str verb;    /* of which command */
	unsigned extension; /* must be on offer: enum smtp_extension */
	bool has_value;
	/* False: the refusal was written. */
	bool (*handler)(struct smtp_server *s, struct str value);
	const char *reference;
};

const struct smtp_parameter *smtp_server_parameters(size_t *n);
/* Is the extension on offer on this connection now? */
bool smtp_server_offers(const struct smtp_server *s, enum smtp_extension extension);

#endif
