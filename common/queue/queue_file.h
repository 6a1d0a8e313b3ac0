/*
 * The format of a queued message, one file each (merpati-queue(5)):
 *
 *     head       80 bytes: version, offset of the content, offset of its end, message size, recipients, checksum
 *     envelope   a record a line: key, netstring, checksum; recipients begin with a one-byte state
 *     content    in wire form (CRLF, no dot-stuffing), any bytes
 *     closing    what filters changed of the envelope, `pieces` when the message is not simply the content, then `end` with
 *                the content's length and checksum
 *     history    appended by queued: attempts, recipients out of aliases, deferrals
 *
 * Pure: no descriptor, no clock, no log. Writer and reader check every byte: a file that was cut or changed anywhere is
 * told from a good one. Only a recipient's state byte is ever overwritten, and each finished state is backed by a
 * record of the history, so that also a changed state byte shows.
 */
#ifndef COMMON_QUEUE_FILE_H
#define COMMON_QUEUE_FILE_H

#include "common/base/buf.h"
#include "common/base/err.h"

#define QUEUE_FILE_VERSION 3
#define QUEUE_FILE_VERSION_MIN 1 /* that is read: it has fewer keys */
#define QUEUE_HEAD_BYTES 80
/* The longest value of a record, and the longest record with all that belongs to it. */
#define QUEUE_VALUE_MAX 16384
#define QUEUE_RECORD_MAX (QUEUE_VALUE_MAX + 64)
#define QUEUE_RECIPIENTS_MAX 10000000
#define QUEUE_PIECES_MAX 256

/* X(constant, key in the file, where it may stand, what it holds); the order is that of merpati-queue(5). */
#define QUEUE_KEYS(X)                                                                                       \
	X(QUEUE_TIME, "time", IN_ENVELOPE, "arrival: milliseconds since 1970; always the first record")      \
	X(QUEUE_SENDER, "sender", IN_ENVELOPE | IN_CLOSING, "envelope sender without <>; empty: the null sender")         \
	X(QUEUE_CLIENT, "client", IN_ENVELOPE, "who handed it in, as DSNs name it: HELO-NAME [ADDRESS]")     \
	X(QUEUE_LOGIN, "login", IN_ENVELOPE, "authenticated user, or local user of the submit socket")       \
	X(QUEUE_BODY, "body", IN_ENVELOPE | IN_CLOSING, "8BITMIME or BINARYMIME; absent: 7BIT")                           \
	X(QUEUE_SMTPUTF8, "smtputf8", IN_ENVELOPE, "empty; present when the client asked for SMTPUTF8")      \
	X(QUEUE_ABOUT, "about", IN_ENVELOPE, "this is a notification of ours: the queue ID of the message it is about") \
	X(QUEUE_RET, "ret", IN_ENVELOPE | IN_CLOSING, "RFC 3461: FULL or HDRS")                                           \
	X(QUEUE_ENVID, "envid", IN_ENVELOPE | IN_CLOSING, "RFC 3461 ENVID, xtext decoded")                                \
	X(QUEUE_REQUIRETLS, "requiretls", IN_ENVELOPE, "empty; RFC 8689: no next hop without verified TLS")   \
	X(QUEUE_RELEASE, "release", IN_ENVELOPE, "RFC 4865: milliseconds since 1970; no attempt before")      \
	X(QUEUE_DELIVER_BY, "deliver-by", IN_ENVELOPE, "RFC 2852: milliseconds since 1970, R or N, T with trace") \
	X(QUEUE_PRIORITY, "priority", IN_ENVELOPE, "RFC 6710: -9 to 9; absent: 0")                            \
	X(QUEUE_RECIPIENT, "recipient", IN_ANY, "address without <>; a state before the key") \
	X(QUEUE_ORIGINAL, "original", IN_ENVELOPE | IN_HISTORY, "of the recipient before: orig_to, before aliases") \
	X(QUEUE_ORCPT, "orcpt", IN_ANY, "of the recipient before: RFC 3461 ORCPT: type;address, the address decoded") \
	X(QUEUE_NOTIFY, "notify", IN_ANY, "of the recipient before: RFC 3461 NOTIFY")      \
	X(QUEUE_RETURN, "return", IN_HISTORY, "of the recipient before: its own envelope sender (owner-LIST)") \
	X(QUEUE_HOLD, "hold", IN_CLOSING, "a filter wants it put on hold: why")                             \
	X(QUEUE_REMOVED, "removed", IN_CLOSING, "index of a recipient of the envelope to whom it does not go after all") \
	X(QUEUE_PIECES, "pieces", IN_CLOSING, "offset and length of each piece of the message, in order")    \
	X(QUEUE_END, "end", IN_CLOSING, "length and checksum of the content; what follows is history")       \
	X(QUEUE_EXPANDED, "expanded", IN_HISTORY, "index of the recipient, count of the recipients before that it became") \
	X(QUEUE_TLS, "tls", IN_HISTORY, "of the attempt that follows: recipient, policy, protocol and cipher") \
	X(QUEUE_ATTEMPT, "attempt", IN_HISTORY, "time, recipient, outcome, enhanced code, relay, reply")     \
	X(QUEUE_DEFERRED, "deferred", IN_HISTORY, "time, how often by now, time at which it is due again")   \
	X(QUEUE_WARNED, "warned", IN_HISTORY, "time at which the sender was told of the delay")              \
	X(QUEUE_HELD, "held", IN_HISTORY, "time, then by whom: put into hold/")                              \
	X(QUEUE_RELEASED, "released", IN_HISTORY, "time, then by whom: taken out of hold/") \
	X(QUEUE_REROUTED, "rerouted", IN_HISTORY, "time, then the [route NAME] that it takes from then on, or [HOST]:PORT")

enum queue_key {
#define X(constant, key, where, document) constant,
	QUEUE_KEYS(X)
#undef X
	QUEUE_KEY_COUNT
};

/* What becomes of a recipient; the byte in the file. A deferred attempt leaves it waiting. */
enum queue_state {
	QUEUE_WAITING = 'w',
	QUEUE_DELIVERED = 'd',
	QUEUE_FAILED = 'f',
	QUEUE_EXPANDED_STATE = 'e',
};

struct queue_piece {
	uint64_t offset;
	uint64_t length;
};

/* ---- writing --------------------------------------------------------------------------------------------------- */

/*
 * Makes the bytes of a new file, in order, into `out`; the driver writes them to the end of the file whenever it likes
 * and says so with queue_writer_wrote. A message that is kept in `out` to its end costs one write:
 *
 *     queue_writer_init(&w, max_bytes);
 *     queue_writer_begin(&w, time_ms, sender);  queue_writer_record(&w, QUEUE_CLIENT, ...) ...
 *     queue_writer_recipient(&w, address);      queue_writer_record(&w, QUEUE_ORCPT, ...) ... for each
 *     queue_writer_content(&w, bytes) ...       whenever w.out.n is large: write queue_writer_output, queue_writer_wrote
 *     queue_writer_content_end(&w);             only for who has records for the closing, which follow
 *     queue_writer_end(&w);                     write the rest
 *     if (queue_writer_head(&w, head))          write head at offset 0 (only when something had been written before)
 *     queue_writer_ok(&w)                       asked once, before what was written is made durable
 *
 * Records come before the content; at least one recipient. An all-zero offset in the head marks an unfinished file
 * until then.
 */
struct queue_writer {
	struct buf out;
	uint64_t written;	 /* bytes of the file that are no longer in out */
	uint64_t content_offset; /* 0 until the content begins */
	uint64_t content_end;	 /* 0 until it ends */
	uint64_t message_size;
	uint64_t recipients;
	uint32_t content_crc;
	bool ended;
	bool failed; /* a value too long, or a call out of order */
};

/* out_max: what `out` may hold; at least QUEUE_RECORD_MAX more than what the driver lets stand. */
void queue_writer_init(struct queue_writer *w, size_t out_max);
/* Frees; may be initialised or reset again. */
void queue_writer_clear(struct queue_writer *w);
/* For the next file; keeps the memory. */
void queue_writer_reset(struct queue_writer *w);

/* sender without <>; empty for the null sender. */
void queue_writer_begin(struct queue_writer *w, uint64_t time_ms, struct str sender);
void queue_writer_record(struct queue_writer *w, enum queue_key key, struct str value);
void queue_writer_recipient(struct queue_writer *w, struct str address);
void queue_writer_content(struct queue_writer *w, struct str bytes);
/* The offset in the file at which the next byte of content will be: for pieces. */
uint64_t queue_writer_offset(const struct queue_writer *w);
/* Behind the content, before the end, once: it is to be put on hold. */
void queue_writer_hold(struct queue_writer *w, struct str reason);
/* From here on records and recipients go into the closing. */
void queue_writer_content_end(struct queue_writer *w);
void queue_writer_end(struct queue_writer *w);
/* Instead of it: the message is these pieces of the file, each within the content. */
void queue_writer_end_pieces(struct queue_writer *w, const struct queue_piece *pieces, size_t n);

/* What is to be written next at the end of the file; borrowed until the next call. */
struct str queue_writer_output(const struct queue_writer *w);
void queue_writer_wrote(struct queue_writer *w, size_t n);
/* After the end: true when head must be written at offset 0. */
bool queue_writer_head(const struct queue_writer *w, char head[QUEUE_HEAD_BYTES]);
/* Nothing failed. */
bool queue_writer_ok(const struct queue_writer *w);

/* A record of the history, for whoever appends to a finished file. */
void queue_append_record(struct buf *b, enum queue_key key, struct str value);
void queue_append_recipient(struct buf *b, struct str address);

/* ---- reading --------------------------------------------------------------------------------------------------- */

struct queue_head {
	unsigned version;
	bool complete; /* false: unfinished, the other fields are 0 */
	uint64_t content_offset;
	uint64_t content_end;
	uint64_t message_size;
	uint64_t recipients;
};

/*
 * Of the first QUEUE_HEAD_BYTES; MORE when there are fewer (and what is there could be a head). BAD: damaged, the version
 * being 0; or, with its version, a sound head of a version that is not read. The head has one form in all versions.
 */
enum parse queue_head_parse(struct str bytes, struct queue_head *head);

struct queue_record {
	enum queue_key key;
	enum queue_state state; /* of a recipient */
	uint64_t offset;	/* of the record (and so of the state byte) in the file */
	struct str value;	/* borrowed from the input */
};

enum queue_read {
	QUEUE_READ_RECORD,  /* *record is filled; END is reported as a record too */
	QUEUE_READ_MORE,    /* feed on from `offset`; at the end of the file: call queue_reader_finish */
	QUEUE_READ_UNFINISHED, /* the head says that its writer is not done */
	QUEUE_READ_BAD,	    /* damaged; it stays so */
};

/* Reads one file from its first byte on; allocates nothing. */
struct queue_reader {
	struct queue_head head;
	uint64_t offset; /* of the next byte that is wanted */
	uint64_t seen_recipients;
	uint64_t good_end; /* end of the last record of the history that counts */
	uint64_t provisional; /* recipients in the history that no `expanded` has confirmed yet */
	uint32_t content_crc;
	uint32_t seen; /* bit per key: what may come once only */
	unsigned phase;
	bool content_skipped;
	bool inside_line;    /* of a cut-off tail: up to the next newline nothing counts */
	const char *problem; /* after BAD: for the log */
};

void queue_reader_init(struct queue_reader *r);
/*
 * input: the bytes of the file from r->offset on, as many as there are at hand; what was used is cut off its front.
 * MORE with something left in input means that a record is cut: come again with these bytes and further ones (at most
 * QUEUE_RECORD_MAX are needed to go on).
 */
enum queue_read queue_reader_next(struct queue_reader *r, struct str *input, struct queue_record *record);
/* True while the content is next: then it may be left out, and the input goes on at the new r->offset. */
bool queue_reader_at_content(const struct queue_reader *r);
void queue_reader_skip_content(struct queue_reader *r);
/*
 * At the end of the file; rest: what the last call left. OK: a whole file, of which the first *good_end bytes count:
 * what lies behind is an append that a crash cut short, to be cut off before anything is appended. BAD: damaged.
 */
enum parse queue_reader_finish(struct queue_reader *r, struct str rest, uint64_t *good_end);

/* ---- values of records ----------------------------------------------------------------------------------------- */

struct queue_attempt {
	uint64_t time_ms;
	uint64_t recipient; /* index, from 0, in the order of the file */
	enum queue_state outcome; /* WAITING: deferred */
	struct str code;    /* "4.4.1" */
	struct str relay;   /* "mx1.dua.test[127.0.0.3]:25" or "none"; no blanks */
	struct str reply;   /* the other side's words, or ours; any bytes */
	/* Of the record `tls` before it: the policy, and behind a blank protocol and cipher when there was TLS; empty: not
	 * known, or not by SMTP. Not of queue_attempt_format and _parse. */
	struct str security;
};

void queue_attempt_format(struct buf *b, const struct queue_attempt *attempt);
bool queue_attempt_parse(struct str value, struct queue_attempt *attempt);
/* The value of the record `tls`. */
void queue_tls_format(struct buf *b, uint64_t recipient, struct str security);
bool queue_tls_parse(struct str value, uint64_t *recipient, struct str *security);

/* The next decimal number of a value, numbers being separated by one space. */
bool queue_value_number(struct str *value, uint64_t *number);

/* RFC 2852. The mode: 'R' to return, 'N' to notify. */
struct queue_deliver_by {
	uint64_t time_ms; /* since 1970; 0: not asked for */
	char mode;
	bool trace;
};

void queue_deliver_by_format(struct buf *b, const struct queue_deliver_by *by);
bool queue_deliver_by_parse(struct str value, struct queue_deliver_by *by);
/* RFC 6710; false when it is none of -9 to 9. */
bool queue_priority_parse(struct str value, int *priority);
/* The pieces of a `pieces` value; false when there are none, too many (max) or one lies outside the content. */
bool queue_pieces_parse(struct str value, const struct queue_head *head, struct queue_piece *pieces, size_t max,
    size_t *n);

/* The key as it stands in the file. */
struct str queue_key_name(enum queue_key key);

#endif
