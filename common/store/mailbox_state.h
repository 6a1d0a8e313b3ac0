/*
 * What a folder knows besides its messages: the text of its file `merpati-mailbox` (merpati-maildir(5)):
 *
 *     merpati-mailbox 1
 *     next 0000000018 reserved 0000000257 boot 11f0f8a6-5ad2-4b2b-a0c6-1dd0b3d2b1a5
 *     uidvalidity 1764000000
 *     id kq3XhZt0Wm2cYb8R
 *     keyword a $Forwarded
 *     use \Sent
 *     end
 *
 * UIDs below `reserved` may have been given, as the disk knows for certain; the counter `next` is overwritten in place
 * without a sync, and counts only during the boot that it names. The second line is fixed in width and lies within the
 * first sector. Pure.
 */
#ifndef COMMON_MAILBOX_STATE_H
#define COMMON_MAILBOX_STATE_H

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/store/maildir_name.h"

#define MAILBOX_STATE_MAX_BYTES 16384
#define MAILBOX_COUNTER_OFFSET 18 /* of the second line */
#define MAILBOX_COUNTER_BYTES 78  /* of it, with its newline */
#define MAILBOX_ID_LENGTH 16
#define MAILBOX_BOOT_ID_LENGTH 36
#define MAILBOX_KEYWORD_MAX 100 /* bytes of a keyword's name */

/* X(constant, attribute): RFC 6154, RFC 8457. */
#define MAILBOX_USES(X)                     \
	X(MAILBOX_ALL, "\\All")             \
	X(MAILBOX_ARCHIVE, "\\Archive")     \
	X(MAILBOX_DRAFTS, "\\Drafts")       \
	X(MAILBOX_FLAGGED, "\\Flagged")     \
	X(MAILBOX_IMPORTANT, "\\Important") \
	X(MAILBOX_JUNK, "\\Junk")           \
	X(MAILBOX_SENT, "\\Sent")           \
	X(MAILBOX_TRASH, "\\Trash")

enum mailbox_use_bit {
#define X(constant, attribute) constant##_BIT,
	MAILBOX_USES(X)
#undef X
	MAILBOX_USE_COUNT
};

enum mailbox_use {
#define X(constant, attribute) constant = 1 << constant##_BIT,
	MAILBOX_USES(X)
#undef X
};

/* Where the UIDs of messages come from that another server has numbered, while they are being taken over. */
enum mailbox_origin {
	MAILBOX_ORIGIN_NONE,
	MAILBOX_ORIGIN_DOVECOT, /* dovecot-uidlist */
	MAILBOX_ORIGIN_COURIER, /* courierimapuiddb */
	MAILBOX_ORIGIN_MBSYNC,	/* .uidvalidity, and U fields in the names */
};

struct mailbox_state {
	uint32_t uidvalidity;
	uint32_t next;	   /* the next UID to give */
	uint32_t reserved; /* next may grow up to this without a sync */
	char boot[MAILBOX_BOOT_ID_LENGTH + 1];
	char id[MAILBOX_ID_LENGTH + 1]; /* letters and digits; the first four are the TAG */
	char keywords[MAILDIR_KEYWORDS_MAX][MAILBOX_KEYWORD_MAX + 1]; /* empty: the letter is free */
	unsigned uses;			/* of enum mailbox_use */
	enum mailbox_origin taking_over; /* begun and not finished */
};

/*
 * False when any line is not as it must be. A malformed counter line leaves next at 0, and the rest good: its number
 * is then not known, and neither is `reserved`: the caller decides.
 */
bool mailbox_state_parse(struct mailbox_state *state, struct str text);
/* Only the second line; false when it is malformed. */
bool mailbox_counter_parse(struct mailbox_state *state, struct str line);

void mailbox_state_format(struct buf *out, const struct mailbox_state *state);
void mailbox_counter_format(struct buf *out, const struct mailbox_state *state);

/* "\\Sent" in any case to its bit; 0 when unknown. */
unsigned mailbox_use_parse(struct str attribute);
const char *mailbox_use_name(enum mailbox_use_bit bit);
/* An atom of IMAP (no flag with a backslash) of at most MAILBOX_KEYWORD_MAX bytes. */
bool mailbox_keyword_is_good(struct str name);

#endif
