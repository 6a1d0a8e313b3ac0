/*
 * The SASL mechanisms, server side: PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login, obsolete, but what
 * many clients speak). Pure: bytes in, challenge or credentials out.
 */
#ifndef AUTH_MECH_H
#define AUTH_MECH_H

#include "auth/password.h"
#include "common/account.h"
#include "common/buf.h"

enum mech_kind {
	MECH_PLAIN,
	MECH_LOGIN,
};

#define MECH_KINDS (MECH_LOGIN + 1)

struct mech {
	enum mech_kind kind;
	bool asked_password; /* LOGIN: the name is there */
	char login[ACCOUNT_NAME_MAX + 1];
	char password[PASSWORD_MAX + 1];
};

enum mech_result {
	MECH_CHALLENGE, /* send the challenge, then feed the answer */
	MECH_CREDENTIALS, /* login and password are there, both not empty */
	MECH_MALFORMED,
	MECH_OTHER_IDENTITY, /* wants to act as somebody else: nobody may */
};

/* As it is offered: "PLAIN". */
struct str mech_name(enum mech_kind kind);
/* Any case; false when there is none of that name. */
bool mech_begin(struct mech *mech, struct str name);
/* response: what the client sent, decoded; NULL at the beginning, if it sent none. challenge is a constant. */
enum mech_result mech_feed(struct mech *mech, const struct str *response, struct str *challenge);
/* Wipes the password. */
void mech_clear(struct mech *mech);

#endif
