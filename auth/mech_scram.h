/*
 * The messages of SCRAM, server side (RFC 5802 7), with channel binding and without. What needs the account's keys is
 * asked of whoever has them: first the salt, then whether the proof is right. So the process that reads a stranger's
 * messages never holds a key, and the one that holds keys reads no message. Pure: the nonce is given.
 */
#ifndef AUTH_MECH_SCRAM_H
#define AUTH_MECH_SCRAM_H

#include "auth/mech_facts.h"
#include "common/login/scram.h"
#include "common/login/scram_message.h"

#define SCRAM_NONCE_MAX 256 /* bytes of a client's */

enum mech_scram_step {
	MECH_SCRAM_FIRST, /* the client's first message is next */
	MECH_SCRAM_SALT,  /* mech_scram_salt is next */
	MECH_SCRAM_FINAL, /* the client's final message */
	MECH_SCRAM_PROOF, /* mech_scram_signature */
	MECH_SCRAM_OVER,  /* the client has the server's signature */
};

struct mech_scram {
	enum scram_hash hash;
	bool plus;
	enum mech_scram_step step;
	struct buf binding;  /* what `c=` must repeat: the first message's header, and the channel's binding */
	struct buf messages; /* AuthMessage, as far as it is known */
	struct str nonce;    /* the client's, then both, in messages */
	char login[ACCOUNT_NAME_MAX + 1];
	unsigned char proof[SCRAM_DIGEST_MAX];
};

enum mech_scram_result {
	MECH_SCRAM_GOOD,
	MECH_SCRAM_MALFORMED,
	MECH_SCRAM_OTHER_IDENTITY, /* wants to act as somebody else */
	MECH_SCRAM_UNBOUND,	   /* not the binding of this channel, or somebody hid from the client that it could bind */
};

void mech_scram_init(struct mech_scram *scram, enum scram_hash hash, bool plus);
void mech_scram_clear(struct mech_scram *scram);

/* GOOD: login says whose salt is wanted. */
enum mech_scram_result mech_scram_first(struct mech_scram *scram, const struct mech_facts *facts, struct str message);
/* parameters: `iterations,salt` (Base64). nonce: printable without comma, fresh and unpredictable. Appends the server's
 * first message; false when it does not fit. */
bool mech_scram_salt(struct mech_scram *scram, struct str parameters, struct str nonce, struct buf *out);
/* GOOD: whether proof fits messages is the question. */
enum mech_scram_result mech_scram_final(struct mech_scram *scram, struct str message);
/* It does: appends the server's final message. */
void mech_scram_signature(struct mech_scram *scram, struct str signature, struct buf *out);

#endif
