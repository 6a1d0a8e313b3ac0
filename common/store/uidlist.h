/*
 * The UID records of other servers, as far as Merpati takes them over. Pure.
 *
 *     dovecot-uidlist      3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1
 *                          25006 W1394 :1276528487.M364837P9451.kurkku,S=1355
 *     courierimapuiddb     1 1275660208 25022          (also Dovecot's oldest)
 *                          25006 1276528487.M364837P9451.kurkku,S=1355
 *     mbsync's .uidvalidity  UIDVALIDITY, newline, the highest UID given; the UIDs are in the names (,U=)
 *     dovecot-keywords     0 $Forwarded                (0 is the letter a)
 *
 * Lines that make no sense are passed over: that message gets a new UID, the others keep theirs.
 */
#ifndef COMMON_UIDLIST_H
#define COMMON_UIDLIST_H

#include "common/store/mailbox_state.h"

struct uidlist {
	unsigned version; /* 1 or 3 */
	uint32_t uidvalidity;
	uint32_t next; /* as the head says; a line may have a greater UID nevertheless */
	struct str rest;
};

/* Reads the first line. False: not one of these formats, or without a UIDVALIDITY. text is borrowed. */
bool uidlist_open(struct uidlist *list, struct str text);
/* The next message: base is borrowed from the text. False at the end. */
bool uidlist_next(struct uidlist *list, uint32_t *uid, struct str *base);

bool uidlist_parse_mbsync(struct str text, uint32_t *uidvalidity, uint32_t *next);

/* Sets the keywords that text names and that can be ours. */
void uidlist_parse_keywords(struct mailbox_state *state, struct str text);

#endif
