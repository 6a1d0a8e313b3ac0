/*
 * What we can do, said in the same words wherever it is asked: in greetings, in the reply to a login, in CAPABILITY; and
 * who we are (RFC 2971). Pure.
 */
#ifndef IMAPD_CAPABILITY_H
#define IMAPD_CAPABILITY_H

#include "common/login/login.h"

/* "IMAP4rev1 LITERAL+ ...", without a space or line around it. */
void capability_write_before_login(struct buf *out, const struct login_facts *facts);
void capability_write(struct buf *out);

/* The whole line "* ID (...)". */
void capability_write_id(struct buf *out);

#endif
