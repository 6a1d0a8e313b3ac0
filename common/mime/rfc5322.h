/*
 * Header fields (RFC 5322): splitting a message into its fields as it comes, and the structured fields that more than one
 * program reads. Any bytes are a message; lines may end in CRLF or LF, since both are met (wire, Maildir, sendmail's
 * input). Encoded words stay as they are.
 */
#ifndef COMMON_RFC5322_H
#define COMMON_RFC5322_H

#include "common/base/arena.h"
#include "common/base/buf.h"

/* --- splitting ------------------------------------------------------------------------------------------------------ */

struct rfc5322_field {
	struct str name;  /* without the colon and blanks before it */
	struct str value; /* behind the colon, with its folding, without the last line end */
	struct str raw;	  /* all of it with the last line end */
};

enum rfc5322_event {
	RFC5322_MORE,	  /* all bytes are used up */
	RFC5322_FIELD,	  /* *field is filled; borrowed until the next call */
	RFC5322_BODY,	  /* the header is over; field->raw is the empty line behind it, or empty when there was none. Then
			   * field->value is what was taken and belongs to the body, before all that was not taken */
	RFC5322_TOO_LARGE, /* the header is larger than the limit; the splitter is of no use any more */
};

struct rfc5322_splitter {
	struct buf field; /* what came of a field whose end is not there yet */
	size_t left;	  /* bytes that the header may still have */
	bool returned;	  /* `field` was handed out */
	bool ended;
};

/* max_bytes: of the whole header. Allocates only when a field comes in pieces. */
void rfc5322_splitter_init(struct rfc5322_splitter *s, size_t max_bytes);
void rfc5322_splitter_clear(struct rfc5322_splitter *s);
/*
 * Takes *taken bytes off the beginning of in. A line in the header that is neither a field nor the continuation of one
 * ends the header and belongs to the body.
 */
enum rfc5322_event rfc5322_split(struct rfc5322_splitter *s, struct str in, size_t *taken, struct rfc5322_field *field);
/* At the end of the message: FIELD for the last one, if it was not ended, then BODY. */
enum rfc5322_event rfc5322_split_end(struct rfc5322_splitter *s, struct rfc5322_field *field);

/* For a header that is in memory: takes the next field off *header; false at its end (*header then begins with the
 * empty line, or is empty). Lines that are no field are passed over. */
bool rfc5322_next(struct str *header, struct rfc5322_field *field);

/* The value without folding (RFC 5322 2.2.3) and outer blanks; .p is NULL when the arena is full. Borrowed where
 * nothing had to be changed. */
struct str rfc5322_unfold(struct arena *a, struct str value);

/* --- address lists -------------------------------------------------------------------------------------------------- */

#define RFC5322_ADDRESSES_MAX 100000

enum rfc5322_kind {
	RFC5322_MAILBOX,
	RFC5322_GROUP,	   /* its name is `name`; its members follow, up to */
	RFC5322_GROUP_END,
};

struct rfc5322_address {
	struct rfc5322_address *next;
	enum rfc5322_kind kind;
	struct str name;   /* display name without quotes (or the comment behind the address); .p NULL: none */
	struct str route;  /* obsolete source route: "@a,@b"; .p NULL: none */
	struct str local;  /* without quotes */
	struct str domain; /* as written, without comments; .p NULL: there was no @ */
};

/*
 * From, To, Cc, Bcc, Sender, Reply-To: groups, comments, folding, the obsolete forms, empty list members. What cannot
 * be read as an address is passed over up to the next comma, so one broken member costs only itself; *bad (may be NULL)
 * counts those. NULL for an empty list; when the arena gets full the list is cut (a->failed).
 */
struct rfc5322_address *rfc5322_addresses_parse(struct arena *a, struct str value, size_t *bad);

/* Appends a display name so that any text is safe: as it is, quoted, or as encoded words (RFC 2047) if it has bytes
 * above 127. Control characters become blanks. */
void rfc5322_phrase_add(struct buf *out, struct str name);

/* --- message-ids ---------------------------------------------------------------------------------------------------- */

/* The next `<...>` of Message-ID, References, In-Reply-To, with its brackets; borrowed. False when there is none. */
bool rfc5322_message_id_next(struct str *rest, struct str *id);

#endif
