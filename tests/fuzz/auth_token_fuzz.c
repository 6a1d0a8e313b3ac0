/*
 * Tokens, key sets and what a server says of a token: the first byte says which of them the rest is. Whoever is let in has
 * a name, and no key that was made up lets anybody in.
 */
#include <stdlib.h>
#include <string.h>

#include "auth/mech_oauth.h"
#include "auth/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

#define SET \
	"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"," \
	"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}," \
	"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}"

static const struct token_rules rules = {
    .issuer = {"i", 1}, .audience = {"a", 1}, .scope = {"s", 1}, .name = "email"};

static void
run_token(struct str text)
{
	static struct jwk_set set;
	struct token_owner owner;
	struct buf problems;
	struct err err;

	buf_init(&problems, 1000);
	if (set.n == 0 && !jwk_set_read(&set, STR(SET), &problems))
		abort();
	if (token_jwt_read(text, &set, &rules, 1000, &owner, &err))
		abort(); /* nobody has the keys, and what the RFCs signed is for nobody here */
	(void)token_is_jwt(text);
	buf_clear(&problems);
}

static void
run_introspection(struct str text)
{
	struct token_owner owner;
	bool understood;
	struct err err;

	if (token_introspection_read(text, &rules, 1000, &owner, &understood, &err) &&
	    (!understood || owner.name[0] == '\0' || owner.expires_s <= 1000 - TOKEN_LEEWAY_S))
		abort();
}

static void
run_set(struct str text)
{
	struct buf problems;
	struct jwk_set set;

	buf_init(&problems, 1000);
	if (jwk_set_read(&set, text, &problems))
		for (size_t i = 0; i < set.n; i++)
			(void)jwk_verify(&set.list[i], text, str_sub(text, 0, 64));
	jwk_set_clear(&set);
	buf_clear(&problems);
}

static void
run_message(struct str text, bool (*read)(struct mech_oauth *, struct str))
{
	struct mech_oauth oauth;

	mech_oauth_init(&oauth);
	if (read(&oauth, text) && ((oauth.token.n > 0 && !token_is_good(buf_str(&oauth.token))) ||
				      strlen(oauth.claimed) > ACCOUNT_NAME_MAX))
		abort();
	mech_oauth_clear(&oauth);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct str text = {(const char *)bytes, n};

	if (n == 0)
		return 0;
	text = str_skip(text, 1);
	switch (bytes[0]) {
	case 'j':
		run_token(text);
		break;
	case 'i':
		run_introspection(text);
		break;
	case 'k':
		run_set(text);
		break;
	default:
		run_message(text, mech_oauth_bearer_read);
		run_message(text, mech_oauth_xoauth2_read);
	}
	return 0;
}
