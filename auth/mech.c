#include "auth/mech.h"

#include <string.h>

static const struct str names[] = {
    [MECH_PLAIN] = STR("PLAIN"),
    [MECH_LOGIN] = STR("LOGIN"),
};

struct str
mech_name(enum mech_kind kind)
{
	return names[kind];
}

bool
mech_begin(struct mech *mech, struct str name)
{
	memset(mech, 0, sizeof *mech);
	for (size_t i = 0; i < MECH_KINDS; i++) {
		if (!str_equal_nocase(name, names[i]))
			continue;
		mech->kind = (enum mech_kind)i;
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
login_feed(struct mech *mech, const struct str *response, struct str *challenge)
{
	if (response == NULL) {
		*challenge = STR("Username:");
		return MECH_CHALLENGE;
	}
	if (mech->asked_password)
		return credential_copy(mech->password, sizeof mech->password, *response) ? MECH_CREDENTIALS
											 : MECH_MALFORMED;
	if (!credential_copy(mech->login, sizeof mech->login, *response))
		return MECH_MALFORMED;
	mech->asked_password = true;
	*challenge = STR("Password:");
	return MECH_CHALLENGE;
}

enum mech_result
mech_feed(struct mech *mech, const struct str *response, struct str *challenge)
{
	*challenge = STR("");
	if (mech->kind == MECH_LOGIN)
		return login_feed(mech, response, challenge);
	return response == NULL ? MECH_CHALLENGE : plain_feed(mech, *response);
}

void
mech_clear(struct mech *mech)
{
	explicit_bzero(mech, sizeof *mech);
}
