#include "auth/jwk.h"

#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include "auth/base64url.h"
#include "auth/json_reader.h"

#define POINT_BYTES 32 /* a coordinate of P-256, half a signature, a key of Ed25519 */

static const struct str algorithms[] = {
    [JWK_RS256] = STR("RS256"),
    [JWK_ES256] = STR("ES256"),
    [JWK_EDDSA] = STR("EdDSA"),
};

bool
jwk_algorithm_read(struct str name, enum jwk_algorithm *algorithm)
{
	for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++) {
		if (!str_equal(name, algorithms[i]))
			continue;
		*algorithm = (enum jwk_algorithm)i;
		return true;
	}
	return false;
}

/* --- making keys --------------------------------------------------------------------------------------------------- */

/* The bytes that a member encodes. */
static bool
bytes_read(const struct json *key, const char *name, struct buf *out)
{
	struct json value;
	struct buf text;
	bool good;

	buf_init(&text, out->max * 2);
	good = json_member(key, name, &value) && json_text(&value, &text) && base64url_decode(out, buf_str(&text));
	buf_clear(&text);
	return good;
}

static EVP_PKEY *
key_from(const char *type, OSSL_PARAM_BLD *builder)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;

	if (params == NULL || context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
	    EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	OSSL_PARAM_free(params);
	EVP_PKEY_CTX_free(context);
	return key;
}

static EVP_PKEY *
rsa_read(const struct json *json)
{
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	BIGNUM *modulus = NULL, *exponent = NULL;
	EVP_PKEY *key = NULL;
	struct buf n, e;

	buf_init(&n, JWK_RSA_BITS_MAX / 8);
	buf_init(&e, 8);
	if (builder != NULL && bytes_read(json, "n", &n) && bytes_read(json, "e", &e)) {
		modulus = BN_bin2bn((unsigned char *)n.p, (int)n.n, NULL);
		exponent = BN_bin2bn((unsigned char *)e.p, (int)e.n, NULL);
	}
	if (modulus != NULL && exponent != NULL && BN_num_bits(modulus) >= JWK_RSA_BITS_MIN && BN_is_odd(exponent) &&
	    !BN_is_one(exponent) && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
	    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent) == 1)
		key = key_from("RSA", builder);
	BN_free(modulus);
	BN_free(exponent);
	OSSL_PARAM_BLD_free(builder);
	buf_clear(&n);
	buf_clear(&e);
	return key;
}

/* OpenSSL refuses a point that is not on the curve. */
static EVP_PKEY *
p256_read(const struct json *json)
{
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	EVP_PKEY *key = NULL;
	struct buf point;

	buf_init(&point, 1 + 2 * POINT_BYTES);
	buf_addc(&point, 4); /* uncompressed */
	if (builder != NULL && bytes_read(json, "x", &point) && point.n == 1 + POINT_BYTES && bytes_read(json, "y", &point) &&
	    point.n == 1 + 2 * POINT_BYTES &&
	    OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) == 1 &&
	    OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point.p, point.n) == 1)
		key = key_from("EC", builder);
	OSSL_PARAM_BLD_free(builder);
	buf_clear(&point);
	return key;
}

static EVP_PKEY *
ed25519_read(const struct json *json)
{
	EVP_PKEY *key = NULL;
	struct buf x;

	buf_init(&x, POINT_BYTES);
	if (bytes_read(json, "x", &x) && x.n == POINT_BYTES)
		key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (unsigned char *)x.p, x.n);
	buf_clear(&x);
	return key;
}

/* --- the set ------------------------------------------------------------------------------------------------------- */

static bool
member_is(const struct json *json, const char *name, struct str text)
{
	struct json value;

	return json_member(json, name, &value) && json_is_text(&value, text);
}

/* It is not there, or says that. */
static bool
member_allows(const struct json *json, const char *name, struct str text)
{
	struct json value;

	return !json_member(json, name, &value) || json_is_text(&value, text);
}

/* What is wrong with it; NULL when nothing. */
static const char *
key_read(struct jwk *jwk, const struct json *json)
{
	struct json id;
	struct buf text;
	bool good = true;

	memset(jwk, 0, sizeof *jwk);
	if (member_is(json, "kty", STR("RSA")))
		jwk->algorithm = JWK_RS256;
	else if (member_is(json, "kty", STR("EC")) && member_is(json, "crv", STR("P-256")))
		jwk->algorithm = JWK_ES256;
	else if (member_is(json, "kty", STR("OKP")) && member_is(json, "crv", STR("Ed25519")))
		jwk->algorithm = JWK_EDDSA;
	else
		return "neither RSA nor P-256 nor Ed25519";
	if (!member_allows(json, "use", STR("sig")) || !member_allows(json, "alg", algorithms[jwk->algorithm]))
		return "for another use or algorithm";
	buf_init(&text, JWK_ID_MAX);
	if (json_member(json, "kid", &id))
		good = json_text(&id, &text) && str_copy(jwk->id, sizeof jwk->id, buf_str(&text));
	buf_clear(&text);
	if (!good)
		return "kid is too long, or no text";
	jwk->key = jwk->algorithm == JWK_RS256	 ? rsa_read(json)
		   : jwk->algorithm == JWK_ES256 ? p256_read(json)
						 : ed25519_read(json);
	return jwk->key == NULL ? "malformed, or too short" : NULL;
}

static void
key_add(struct jwk_set *set, const struct json *json, size_t number, struct buf *problems)
{
	const char *why = "one too many";

	if (set->n < JWK_KEYS_MAX)
		why = key_read(&set->list[set->n], json);
	if (why == NULL)
		set->n++;
	else
		buf_addf(problems, "key %zu is left out: %s\n", number, why);
}

bool
jwk_set_read(struct jwk_set *set, struct str text, struct buf *problems)
{
	struct json whole, keys, one;
	size_t number = 0;
	struct str rest;

	memset(set, 0, sizeof *set);
	if (!json_read(&whole, str_trim(text))) {
		buf_adds(problems, "not JSON\n");
		return false;
	}
	if (json_member(&whole, "keys", &keys) && keys.kind == JSON_ARRAY)
		for (rest = keys.text; json_element(&rest, &one);)
			key_add(set, &one, ++number, problems);
	else
		key_add(set, &whole, 1, problems);
	return set->n > 0;
}

void
jwk_set_clear(struct jwk_set *set)
{
	for (size_t i = 0; i < set->n; i++)
		EVP_PKEY_free(set->list[i].key);
	memset(set, 0, sizeof *set);
}

/* --- signatures ---------------------------------------------------------------------------------------------------- */

/* JOSE has both numbers side by side (RFC 7518 3.4), OpenSSL wants them in DER. */
static int
signature_to_der(struct str signature, unsigned char **der)
{
	ECDSA_SIG *pair = ECDSA_SIG_new();
	const unsigned char *p = (const unsigned char *)signature.p;
	BIGNUM *r = BN_bin2bn(p, POINT_BYTES, NULL), *s = BN_bin2bn(p + POINT_BYTES, POINT_BYTES, NULL);
	int n = -1;

	if (pair != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(pair, r, s) == 1) {
		r = s = NULL;
		n = i2d_ECDSA_SIG(pair, der);
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(pair);
	return n;
}

static bool
digest_verify(const struct jwk *jwk, struct str text, const unsigned char *signature, size_t n)
{
	const EVP_MD *method = jwk->algorithm == JWK_EDDSA ? NULL : EVP_sha256();
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool good = context != NULL && EVP_DigestVerifyInit(context, NULL, method, NULL, jwk->key) == 1 &&
		    EVP_DigestVerify(context, signature, n, (const unsigned char *)text.p, text.n) == 1;

	EVP_MD_CTX_free(context);
	return good;
}

bool
jwk_verify(const struct jwk *jwk, struct str text, struct str signature)
{
	unsigned char *der = NULL;
	bool good;
	int n;

	if (jwk->algorithm != JWK_ES256)
		return digest_verify(jwk, text, (const unsigned char *)signature.p, signature.n);
	if (signature.n != 2 * POINT_BYTES)
		return false;
	n = signature_to_der(signature, &der);
	good = n > 0 && digest_verify(jwk, text, der, (size_t)n);
	OPENSSL_free(der);
	return good;
}
