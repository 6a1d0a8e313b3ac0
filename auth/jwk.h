/*
 * A set of public keys (RFC 7517), with which an authority signs tokens. Each key is good for one algorithm only, which
 * follows from its type: RS256 for RSA, ES256 for P-256, EdDSA for Ed25519 (RFC 8725 3.1). Pure but for OpenSSL's memory.
 */
#ifndef AUTH_JWK_H
#define AUTH_JWK_H

#include "common/base/buf.h"
#include "common/base/err.h"

struct evp_pkey_st;

#define JWK_KEYS_MAX 32
#define JWK_ID_MAX 255
#define JWK_RSA_BITS_MIN 2048
#define JWK_RSA_BITS_MAX 8192

enum jwk_algorithm {
	JWK_RS256,
	JWK_ES256,
	JWK_EDDSA,
};

struct jwk {
	enum jwk_algorithm algorithm;
	char id[JWK_ID_MAX + 1]; /* kid; empty: it has none */
	struct evp_pkey_st *key;
};

struct jwk_set {
	struct jwk list[JWK_KEYS_MAX];
	size_t n;
};

/* Reads a key set, or one key. Keys of other types, for other uses or algorithms, and more than JWK_KEYS_MAX, are left out;
 * problems says which, a line each. False when text is no key set at all or not one key is left. */
bool jwk_set_read(struct jwk_set *set, struct str text, struct buf *problems);
void jwk_set_clear(struct jwk_set *set);

/* "RS256" ...; false for every other name. */
bool jwk_algorithm_read(struct str name, enum jwk_algorithm *algorithm);

/* Whether the key has made that signature of text. */
bool jwk_verify(const struct jwk *jwk, struct str text, struct str signature);

#endif
