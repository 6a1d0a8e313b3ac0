/*
 * What a bearer token (RFC 6750) must say to let somebody in, whether it says so itself under a signature (a JWT, RFC 7519)
 * or its server says it (RFC 7662). Pure; the time is given.
 */
#ifndef AUTH_TOKEN_H
#define AUTH_TOKEN_H

#include "auth/json_reader.h"
#include "auth/jwk.h"
#include "common/login/account.h"

#define TOKEN_MAX 9216 /* bytes; what SASL can carry */
#define TOKEN_LEEWAY_S 30 /* by which clocks may differ */

struct token_rules {
	struct str issuer;   /* iss; empty: any */
	struct str audience; /* one of aud; empty: any */
	struct str scope;    /* a word of scope; empty: none is needed */
	const char *name;    /* the claim that names the account */
};

struct token_owner {
	char name[ACCOUNT_NAME_MAX + 1];
	uint64_t expires_s; /* seconds since 1970; UINT64_MAX: it does not say */
};

/* b64token of RFC 6750 2.1, at most TOKEN_MAX bytes. */
bool token_is_good(struct str token);
/* Three words of Base64 between dots: a JWT, or it claims to be. */
bool token_is_jwt(struct str token);

/* False when it lets nobody in; err says why, for the log. */
bool token_jwt_read(struct str token, const struct jwk_set *keys, const struct token_rules *rules, uint64_t now_s,
    struct token_owner *owner, struct err *err);
/* The same of an introspection response (its body). *understood: it is one, whatever it says. */
bool token_introspection_read(struct str body, const struct token_rules *rules, uint64_t now_s,
    struct token_owner *owner, bool *understood, struct err *err);

#endif
