/*
 * What the processes of deliver say to each other, as types of common/base/msg.h messages, written and read here for both
 * sides. Pure.
 *
 *     front                                           parent
 *       | ASK id: address, give me a writer or not  -->  |    looks the account up
 *       | <--             ANSWER id: found, key (+ socket) |
 *
 *     front                                           writer, as the recipient
 *       | LETTER id: sender, recipients, content    -->  |
 *       | <--                 RESULT id: one a recipient |    when it is durable
 *
 * A message that breaks the rules below does not decode.
 */
#ifndef DELIVER_HANDOFF_H
#define DELIVER_HANDOFF_H

#include "common/base/msg.h"

enum handoff_message {
	HANDOFF_ASK = 1,
	HANDOFF_ANSWER,
	HANDOFF_LETTER,
	HANDOFF_RESULT,
};

#define HANDOFF_ADDRESS_MAX 1024
#define HANDOFF_KEY_MAX 4096
#define HANDOFF_RECIPIENTS_MAX 32 /* of a letter; a message with more is several letters */
#define HANDOFF_INLINE_MAX 49152  /* bytes of content that travel in the message itself */

struct handoff_ask {
	struct str address; /* as in RCPT, without <> */
	bool writer;	    /* with a socket to a new writer, if it is found */
};

enum handoff_found {
	HANDOFF_FOUND,
	HANDOFF_UNKNOWN, /* there is no such account */
	HANDOFF_UNTOLD,	 /* authd does not tell now */
	HANDOFF_BUSY,	 /* there are too many writers */
	HANDOFF_FOUNDS,
};

struct handoff_answer {
	enum handoff_found found;
	struct str key; /* stands for the account with all its particulars: addresses with the same key share a writer */
};

struct handoff_letter {
	struct str sender; /* empty: the null sender */
	struct str recipients[HANDOFF_RECIPIENTS_MAX];
	size_t nrecipients; /* 1 and more */
	bool in_file;	    /* the content is in the descriptor that comes along, sealed */
	struct str content; /* else here; in wire form */
	bool verbatim;	    /* BINARYMIME: to be stored byte for byte, with the line ends that it has */
	uint64_t size;
};

enum handoff_status {
	HANDOFF_TROUBLE, /* anything that may go away by itself */
	HANDOFF_DELIVERED,
	HANDOFF_LOOP, /* the recipient's own Delivered-To is in the message */
	HANDOFF_QUOTA,
	HANDOFF_DISK_FULL,
	HANDOFF_STATUSES,
};

/* In the order of the letter's recipients. */
struct handoff_result {
	enum handoff_status status[HANDOFF_RECIPIENTS_MAX];
	size_t n;
};

void handoff_ask_encode(struct buf *b, uint32_t id, const struct handoff_ask *ask);
bool handoff_ask_decode(struct msg *m, struct handoff_ask *ask);
void handoff_answer_encode(struct buf *b, uint32_t id, const struct handoff_answer *answer);
bool handoff_answer_decode(struct msg *m, struct handoff_answer *answer);
/* The buffer fails (buf_ok) when an inline content does not fit. */
void handoff_letter_encode(struct buf *b, uint32_t id, const struct handoff_letter *letter);
bool handoff_letter_decode(struct msg *m, struct handoff_letter *letter);
void handoff_result_encode(struct buf *b, uint32_t id, const struct handoff_result *result);
bool handoff_result_decode(struct msg *m, struct handoff_result *result);

#endif
