#include "auth/mech.h"

#include <string.h>

/*
 * What Dovecot's protocol says of each. "private" hides a mechanism from the clients of programs that can tell nothing
 * of the channel (Postfix, Exim): our own tell, and look at "channel-binding".
 */
static const struct {
	struct str name;
	const char *properties;
	bool is_scram, plus;
	enum scram_hash hash;
} mechs[] = {
    [MECH_SCRAM_SHA_256_PLUS] = {STR("SCRAM-SHA-256-PLUS"), "\tmutual-auth\tchannel-binding\tprivate", true, true,
	SCRAM_SHA_256},
    [MECH_SCRAM_SHA_256] = {STR("SCRAM-SHA-256"), "\tmutual-auth", true, false, SCRAM_SHA_256},
    [MECH_SCRAM_SHA_1_PLUS] = {STR("SCRAM-SHA-1-PLUS"), "\tmutual-auth\tchannel-binding\tprivate", true, true,
	SCRAM_SHA_1},
    [MECH_SCRAM_SHA_1] = {STR("SCRAM-SHA-1"), "\tmutual-auth", true, false, SCRAM_SHA_1},
    [MECH_EXTERNAL] = {STR("EXTERNAL"), "\tprivate", false, false, 0},
    [MECH_OAUTHBEARER] = {STR("OAUTHBEARER"), "\tplaintext", false, false, 0}, /* a token is as good as a password */
    [MECH_XOAUTH2] = {STR("XOAUTH2"), "\tplaintext", false, false, 0},
    [MECH_PLAIN] = {STR("PLAIN"), "\tplaintext", false, false, 0},
    [MECH_LOGIN] = {STR("LOGIN"), "\tplaintext", false, false, 0},
};

struct str
mech_name(enum mech_kind kind)
{
	return mechs[kind].name;
}

const char *
mech_properties(enum mech_kind kind)
{
	return mechs[kind].properties;
}

bool
mech_needs_keys(enum mech_kind kind, enum scram_hash *hash)
{
	*hash = mechs[kind].hash;
	return mechs[kind].is_scram;
}

bool
mech_is_oauth(enum mech_kind kind)
{
	return kind == MECH_OAUTHBEARER || kind == MECH_XOAUTH2;
}

bool
mech_begin(struct mech *mech, struct str name)
{
	memset(mech, 0, sizeof *mech);
	for (size_t i = 0; i < MECH_KINDS; i++) {
		if (!str_equal_nocase(name, mechs[i].name))
			continue;
		mech->kind = (enum mech_kind)i;
		if (mechs[i].is_scram)
			mech_scram_init(&mech->scram, mechs[i].hash, mechs[i].plus);
		if (mech_is_oauth(mech->kind))
			mech_oauth_init(&mech->oauth);
		return true;
	}
	return false;
}

static bool
credential_copy(char *dst, size_t size, struct str s)
{
	return s.n > 0 && str_copy(dst, size, s);
}

/* message = [authzid] NUL authcid NUL passwd */
static enum mech_result
plain_feed(struct mech *mech, struct str message)
{
	struct str identity, login, rest = message;

	if (!str_token(&rest, '\0', &identity) || !str_token(&rest, '\0', &login) || rest.p == NULL ||
	    !credential_copy(mech->login, sizeof mech->login, login) ||
	    !credential_copy(mech->password, sizeof mech->password, rest))
		return MECH_MALFORMED;
	return identity.n == 0 || str_equal(identity, login) ? MECH_CREDENTIALS : MECH_OTHER_IDENTITY;
}

/* An initial response is the name; the names of the challenges are what clients expect literally. */
static enum mech_result
login_feed(struct mech *mech, const struct str *response, struct buf *challenge)
{
	if (response == NULL) {
		buf_adds(challenge, "Username:");
		return MECH_CHALLENGE;
	}
	if (mech->asked_password)
		return credential_copy(mech->password, sizeof mech->password, *response) ? MECH_CREDENTIALS
											 : MECH_MALFORMED;
	if (!credential_copy(mech->login, sizeof mech->login, *response))
		return MECH_MALFORMED;
	mech->asked_password = true;
	buf_adds(challenge, "Password:");
	return MECH_CHALLENGE;
}

/* The response is the name that the client wants to act as, or nothing. */
static enum mech_result
external_feed(struct mech *mech, const struct mech_facts *facts, struct str response)
{
	struct str name = str_from(facts->certificate);

	if (name.n == 0 || str_find(response, '\0') < response.n)
		return MECH_MALFORMED;
	(void)str_copy(mech->login, sizeof mech->login, name);
	return response.n == 0 || str_equal_nocase(response, name) ? MECH_IDENTITY : MECH_OTHER_IDENTITY;
}

/* Whatever the client answers to the refusal (RFC 7628 3.2.3: one byte; others: nothing), it is one. */
static enum mech_result
oauth_feed(struct mech *mech, struct str message)
{
	struct mech_oauth *oauth = &mech->oauth;

	if (mech->refused)
		return MECH_REFUSED;
	if (mech->kind == MECH_OAUTHBEARER ? !mech_oauth_bearer_read(oauth, message)
					   : !mech_oauth_xoauth2_read(oauth, message))
		return MECH_MALFORMED;
	(void)str_copy(mech->login, sizeof mech->login, str_from(oauth->claimed));
	return MECH_TOKEN;
}

void
mech_refuse(struct mech *mech, const struct mech_oauth_hints *hints, struct buf *challenge)
{
	mech->refused = true;
	if (mech->kind == MECH_OAUTHBEARER)
		mech_oauth_bearer_refuse(challenge, hints);
	else
		mech_oauth_xoauth2_refuse(challenge, hints);
}

static enum mech_result
scram_result(enum mech_scram_result result, enum mech_result good)
{
	switch (result) {
	case MECH_SCRAM_GOOD:
		return good;
	case MECH_SCRAM_MALFORMED:
		return MECH_MALFORMED;
	case MECH_SCRAM_OTHER_IDENTITY:
		return MECH_OTHER_IDENTITY;
	case MECH_SCRAM_UNBOUND:
		return MECH_UNBOUND;
	}
	return MECH_MALFORMED;
}

static enum mech_result
scram_feed(struct mech *mech, const struct mech_facts *facts, struct str message)
{
	struct mech_scram *scram = &mech->scram;
	enum mech_result result;

	switch (scram->step) {
	case MECH_SCRAM_FIRST:
		result = scram_result(mech_scram_first(scram, facts, message), MECH_SALT);
		(void)str_copy(mech->login, sizeof mech->login, str_from(scram->login));
		return result;
	case MECH_SCRAM_FINAL:
		return scram_result(mech_scram_final(scram, message), MECH_PROOF);
	case MECH_SCRAM_OVER:
		return message.n == 0 ? MECH_CONFIRMED : MECH_MALFORMED;
	case MECH_SCRAM_SALT:
	case MECH_SCRAM_PROOF:
		break; /* it is not the client's turn */
	}
	return MECH_MALFORMED;
}

enum mech_result
mech_feed(struct mech *mech, const struct mech_facts *facts, const struct str *response, struct buf *challenge)
{
	switch (mech->kind) {
	case MECH_LOGIN:
		return login_feed(mech, response, challenge);
	case MECH_PLAIN:
		return response == NULL ? MECH_CHALLENGE : plain_feed(mech, *response);
	case MECH_EXTERNAL:
		return response == NULL ? MECH_CHALLENGE : external_feed(mech, facts, *response);
	case MECH_OAUTHBEARER:
	case MECH_XOAUTH2:
		return response == NULL ? MECH_CHALLENGE : oauth_feed(mech, *response);
	case MECH_SCRAM_SHA_256_PLUS:
	case MECH_SCRAM_SHA_256:
	case MECH_SCRAM_SHA_1_PLUS:
	case MECH_SCRAM_SHA_1:
		return response == NULL ? MECH_CHALLENGE : scram_feed(mech, facts, *response);
	}
	return MECH_MALFORMED;
}

void
mech_clear(struct mech *mech)
{
	mech_scram_clear(&mech->scram);
	mech_oauth_clear(&mech->oauth);
	explicit_bzero(mech, sizeof *mech);
}
