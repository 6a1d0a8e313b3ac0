/*
 * The flags of STORE and APPEND in the terms of a mailbox: keywords become bits, made where need be.
 */
#ifndef IMAPD_KEYWORDS_H
#define IMAPD_KEYWORDS_H

#include "common/store/mailbox.h"
#include "imapd/parse.h"

struct keyword_set {
	unsigned flags; /* enum maildir_flag */
	uint32_t keywords;
};

/*
 * make: keywords that the folder does not have yet are made; else they are left out, since no message has them. False
 * when one cannot be made: err says why.
 */
bool keywords_resolve(struct mailbox *mailbox, const struct parse_flags *flags, bool make, struct keyword_set *set,
    struct err *err);

#endif
