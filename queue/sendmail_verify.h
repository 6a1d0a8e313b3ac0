/*
 * sendmail -bv: what would happen to mail for these recipients, as far as smtpd knows without sending any (VRFY, RFC 5321
 * 4.1.1.6). For commands: blocking.
 */
#ifndef QUEUE_SENDMAIL_VERIFY_H
#define QUEUE_SENDMAIL_VERIFY_H

#include "common/base/err.h"
#include "common/base/str.h"

enum sendmail_verdict {
	SENDMAIL_DELIVERABLE,	/* there is such a mailbox or alias here */
	SENDMAIL_UNKNOWABLE,	/* mail is accepted; only sending it shows more */
	SENDMAIL_UNDELIVERABLE,
	SENDMAIL_LATER,		/* smtpd cannot tell now */
};

struct sendmail_verify {
	int fd; /* connected to smtpd's socket for local programs */
	struct str hostname;
	/* Each address in order; words: smtpd's reply, printable, borrowed for the call. */
	void (*tell)(struct sendmail_verify *verify, struct str address, enum sendmail_verdict verdict, struct str words);
};

/* False: the session failed before the end. */
bool sendmail_verify_run(struct sendmail_verify *verify, const struct str *addresses, size_t n, struct err *err);

#endif
