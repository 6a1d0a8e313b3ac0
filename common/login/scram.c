#include "common/login/scram.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "common/login/saslprep.h"
#include "common/base/base64.h"

static const EVP_MD *
method(enum scram_hash hash)
{
	return hash == SCRAM_SHA_1 ? EVP_sha1() : EVP_sha256();
}

size_t
scram_digest_bytes(enum scram_hash hash)
{
	return hash == SCRAM_SHA_1 ? 20 : 32;
}

/* --- text ---------------------------------------------------------------------------------------------------------- */

/* Decodes the next word; false when it has not min to max bytes. */
static bool
bytes_read(struct str *rest, unsigned char *dst, size_t min, size_t max, size_t *n)
{
	struct str word;
	struct buf bytes;
	bool good;

	buf_init(&bytes, max);
	good = str_token(rest, ',', &word) && base64_decode(&bytes, word) && bytes.n >= min;
	if (good && bytes.n > 0)
		memcpy(dst, bytes.p, bytes.n);
	*n = good ? bytes.n : 0;
	buf_clear_secret(&bytes);
	return good;
}

bool
scram_keys_parse(struct scram_keys *keys, enum scram_hash hash, struct str text)
{
	size_t digest = scram_digest_bytes(hash), n;
	struct str rest = text, word;
	uint64_t iterations;

	memset(keys, 0, sizeof *keys);
	if (text.n > SCRAM_KEYS_TEXT_MAX || !str_token(&rest, ',', &word) ||
	    !str_to_u64(word, SCRAM_ITERATIONS_MAX, &iterations) || iterations == 0)
		return false;
	keys->hash = hash;
	keys->iterations = (unsigned)iterations;
	return bytes_read(&rest, keys->salt, 1, SCRAM_SALT_MAX, &keys->salt_bytes) &&
	       bytes_read(&rest, keys->stored, digest, digest, &n) && bytes_read(&rest, keys->server, digest, digest, &n) &&
	       rest.p == NULL;
}

static void
bytes_add(struct buf *out, const unsigned char *bytes, size_t n)
{
	base64_encode(out, (struct str){(const char *)bytes, n});
}

void
scram_keys_format(struct buf *out, const struct scram_keys *keys)
{
	size_t digest = scram_digest_bytes(keys->hash);

	buf_addf(out, "%u,", keys->iterations);
	bytes_add(out, keys->salt, keys->salt_bytes);
	buf_addc(out, ',');
	bytes_add(out, keys->stored, digest);
	buf_addc(out, ',');
	bytes_add(out, keys->server, digest);
}

/* --- keys ---------------------------------------------------------------------------------------------------------- */

static bool
keyed_digest(enum scram_hash hash, const unsigned char *key, struct str text, unsigned char out[SCRAM_DIGEST_MAX])
{
	unsigned n = 0;

	return HMAC(method(hash), key, (int)scram_digest_bytes(hash), (const unsigned char *)text.p, text.n, out, &n) != NULL;
}

static bool
digest_again(enum scram_hash hash, const unsigned char *key, unsigned char out[SCRAM_DIGEST_MAX])
{
	return EVP_Digest(key, scram_digest_bytes(hash), out, NULL, method(hash), NULL) == 1;
}

/* RFC 5802 3: SaltedPassword, ClientKey, ServerKey. */
bool
scram_client_keys_make(struct scram_client_keys *keys, enum scram_hash hash, struct str password, struct str salt,
    unsigned iterations)
{
	unsigned char salted[SCRAM_DIGEST_MAX];
	struct buf prepared;
	bool good;

	buf_init(&prepared, SASLPREP_MAX);
	good = saslprep(&prepared, password) &&
	       PKCS5_PBKDF2_HMAC(prepared.p, (int)prepared.n, (const unsigned char *)salt.p, (int)salt.n, (int)iterations,
	           method(hash), (int)scram_digest_bytes(hash), salted) == 1 &&
	       keyed_digest(hash, salted, STR("Client Key"), keys->client) &&
	       keyed_digest(hash, salted, STR("Server Key"), keys->server);
	explicit_bzero(salted, sizeof salted);
	buf_clear_secret(&prepared);
	return good;
}

/* The stored key is the client key's digest. */
bool
scram_keys_make(struct scram_keys *keys, struct str password)
{
	struct str salt = {(const char *)keys->salt, keys->salt_bytes};
	struct scram_client_keys made;
	bool good = scram_client_keys_make(&made, keys->hash, password, salt, keys->iterations) &&
		    digest_again(keys->hash, made.client, keys->stored);

	if (good)
		memcpy(keys->server, made.server, sizeof keys->server);
	explicit_bzero(&made, sizeof made);
	return good;
}

/* The proof is the client key, hidden by a signature with its digest. */
bool
scram_client_prove(const struct scram_client_keys *keys, enum scram_hash hash, struct str messages,
    unsigned char proof[SCRAM_DIGEST_MAX], unsigned char signature[SCRAM_DIGEST_MAX])
{
	unsigned char stored[SCRAM_DIGEST_MAX];
	bool good = digest_again(hash, keys->client, stored) && keyed_digest(hash, stored, messages, proof);

	for (size_t i = 0; good && i < scram_digest_bytes(hash); i++)
		proof[i] ^= keys->client[i];
	explicit_bzero(stored, sizeof stored);
	return good && keyed_digest(hash, keys->server, messages, signature);
}

bool
scram_keys_match(const struct scram_keys *keys, struct str password)
{
	struct scram_keys made = *keys;
	bool same = scram_keys_make(&made, password) &&
		    CRYPTO_memcmp(made.stored, keys->stored, scram_digest_bytes(keys->hash)) == 0;

	explicit_bzero(&made, sizeof made);
	return same;
}

/* The proof is the client key, hidden by the client's signature; its digest must be the stored key. */
bool
scram_keys_verify(const struct scram_keys *keys, struct str messages, struct str proof,
    unsigned char signature[SCRAM_DIGEST_MAX])
{
	unsigned char client[SCRAM_DIGEST_MAX] = {0}, digest[SCRAM_DIGEST_MAX] = {0};
	size_t n = scram_digest_bytes(keys->hash);
	bool same;

	if (proof.n != n || !keyed_digest(keys->hash, keys->stored, messages, client))
		return false;
	for (size_t i = 0; i < n; i++)
		client[i] ^= (unsigned char)proof.p[i];
	same = digest_again(keys->hash, client, digest) && CRYPTO_memcmp(digest, keys->stored, n) == 0;
	explicit_bzero(client, sizeof client);
	return keyed_digest(keys->hash, keys->server, messages, signature) && same;
}
