/*
 * The SASL mechanisms, server side: PLAIN (RFC 4616), LOGIN (draft-murchison-sasl-login, obsolete, but what many
 * clients speak), SCRAM (auth/mech_scram.h), EXTERNAL (RFC 4422 A), OAUTHBEARER and
 * XOAUTH2 (auth/mech_oauth.h). Pure: bytes in; out comes a challenge, or a question to whoever holds the
 * accounts.
 */
#ifndef AUTH_MECH_H
#define AUTH_MECH_H

#include "auth/mech_oauth.h"
#include "auth/mech_scram.h"
#include "auth/password.h"

/* In the order in which they are offered. */
enum mech_kind {
	MECH_SCRAM_SHA_256_PLUS,
	MECH_SCRAM_SHA_256,
	MECH_SCRAM_SHA_1_PLUS,
	MECH_SCRAM_SHA_1,
	MECH_EXTERNAL,
	MECH_OAUTHBEARER,
	MECH_XOAUTH2,
	MECH_PLAIN,
	MECH_LOGIN,
};

#define MECH_KINDS (MECH_LOGIN + 1)

struct mech {
	enum mech_kind kind;
	bool asked_password; /* LOGIN: the name is there */
	char login[ACCOUNT_NAME_MAX + 1];
	char password[PASSWORD_MAX + 1];
	struct mech_scram scram;
	struct mech_oauth oauth;
	bool refused; /* OAUTHBEARER, XOAUTH2: the client was told why, and is to answer that */
};

enum mech_result {
	MECH_CHALLENGE,	  /* send the challenge, then feed the answer */
	MECH_CREDENTIALS, /* login and password are there, both not empty: are they right? */
	MECH_SALT,	  /* login is there: mech_scram_salt with its salt is next, then send and feed as for CHALLENGE */
	MECH_PROOF,	  /* scram.proof and scram.messages are there: is it login's? Then mech_scram_signature, send, feed */
	MECH_IDENTITY,	  /* login is who the client is, by its certificate: may that account log in? */
	MECH_TOKEN,	  /* oauth.token is there, if it is not empty: whose is it? oauth.claimed must be the same */
	MECH_REFUSED,	  /* the client knows that its token was refused */
	MECH_CONFIRMED,	  /* the client has seen the server's proof: all is well */
	MECH_MALFORMED,
	MECH_OTHER_IDENTITY, /* wants to act as somebody else: nobody may */
	MECH_UNBOUND,	     /* the client does not mean this channel, or was deceived about it */
};

/* As it is offered: "PLAIN". */
struct str mech_name(enum mech_kind kind);
/* The words behind its name in Dovecot's protocol, each after a tab. */
const char *mech_properties(enum mech_kind kind);
/* Takes a token. */
bool mech_is_oauth(enum mech_kind kind);
/* MECH_TOKEN was refused: appends what the client is told, to be sent as a challenge; feed then says REFUSED. */
void mech_refuse(struct mech *mech, const struct mech_oauth_hints *hints, struct buf *challenge);
/* Which keys an account must have for it; false: none. */
bool mech_needs_keys(enum mech_kind kind, enum scram_hash *hash);

/* Any case; false when there is none of that name. */
bool mech_begin(struct mech *mech, struct str name);
/* response: what the client sent, decoded; NULL at the beginning, if it sent none. CHALLENGE: what to send was appended
 * to challenge. */
enum mech_result mech_feed(struct mech *mech, const struct mech_facts *facts, const struct str *response,
    struct buf *challenge);
/* Wipes the password, and frees. Harmless on a zeroed one. */
void mech_clear(struct mech *mech);

#endif
