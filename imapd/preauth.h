/*
 * IMAP before login (RFC 3501 6.1, 6.2; RFC 4959; RFC 2971): the pure protocol that login workers speak.
 */
#ifndef IMAPD_PREAUTH_H
#define IMAPD_PREAUTH_H

#include "common/login/login.h"

extern const struct login_protocol preauth_protocol;

#endif
