/* RSA's block functions have no successor in OpenSSL 3 that takes a block already encoded. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "common/tls/tls_key.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/log.h"
#include "common/tls/tls.h"
#include "common/tls/tls_key_request.h"

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192

#define REFUSALS_LOGGED 20 /* a captured worker shall not fill the disk */

struct tls_keys {
	EVP_PKEY **list;
	size_t n;
	unsigned refusals;
};

/* --- PSS ----------------------------------------------------------------------------------------------------------- */

/* After the mask is off: zeros, a one, the salt (in TLS as long as the digest). */
static bool
is_pss_padding(const unsigned char *block, size_t n, size_t digest_size)
{
	size_t zeros = n - digest_size - 1;

	for (size_t i = 0; i < zeros; i++)
		if (block[i] != 0)
			return false;
	return block[zeros] == 1;
}

/* RFC 8017, 9.1.2, steps 4 to 10: everything but the comparison with a message, which is not known here. */
static bool
is_pss_with(const unsigned char *block, size_t n, int modulus_bits, const EVP_MD *md)
{
	unsigned char padding[TLS_KEY_BYTES_MAX];
	size_t digest_size = (size_t)EVP_MD_get_size(md), padding_size;
	unsigned spare_bits = (unsigned)(8 - (modulus_bits - 1) % 8) % 8;
	unsigned char spare = (unsigned char)(0xff << (8 - spare_bits));

	if ((modulus_bits - 1) % 8 == 0) { /* the encoding is one byte shorter than the modulus */
		if (*block++ != 0)
			return false;
		n--;
	}
	if (n < 2 * digest_size + 2 || block[n - 1] != 0xbc || (block[0] & spare) != 0)
		return false;
	padding_size = n - digest_size - 1;
	if (PKCS1_MGF1(padding, (long)padding_size, block + padding_size, (long)digest_size, md) != 0)
		return false;
	for (size_t i = 0; i < padding_size; i++)
		padding[i] ^= block[i];
	padding[0] &= (unsigned char)~spare;
	return is_pss_padding(padding, padding_size, digest_size);
}

static bool
is_pss(const unsigned char *block, size_t n, int modulus_bits)
{
	return is_pss_with(block, n, modulus_bits, EVP_sha256()) || is_pss_with(block, n, modulus_bits, EVP_sha384()) ||
	    is_pss_with(block, n, modulus_bits, EVP_sha512());
}

/* --- signing ------------------------------------------------------------------------------------------------------- */

/* The digests of TLS 1.2 and later; NULL for others. */
static const EVP_MD *
digest_of(uint32_t nid)
{
	switch (nid) {
	case NID_sha224:
		return EVP_sha224();
	case NID_sha256:
		return EVP_sha256();
	case NID_sha384:
		return EVP_sha384();
	case NID_sha512:
		return EVP_sha512();
	default:
		return NULL;
	}
}

static bool
set_rsa_pkcs1(EVP_PKEY_CTX *context, const struct tls_key_request *request)
{
	const EVP_MD *md = digest_of(request->digest);

	return md != NULL && request->n == (size_t)EVP_MD_get_size(md) &&
	    EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1 &&
	    EVP_PKEY_CTX_set_signature_md(context, md) == 1;
}

static bool
set_rsa_pss(EVP_PKEY_CTX *context, const struct tls_key_request *request, const EVP_PKEY *pkey)
{
	return request->n == (size_t)EVP_PKEY_get_size(pkey) &&
	    is_pss(request->bytes, request->n, EVP_PKEY_get_bits(pkey)) &&
	    EVP_PKEY_CTX_set_rsa_padding(context, RSA_NO_PADDING) == 1;
}

/* May this be signed? If so the context is made ready for it. */
static bool
prepare(EVP_PKEY_CTX *context, const struct tls_key_request *request, const EVP_PKEY *pkey)
{
	int type;

	if (context == NULL || EVP_PKEY_sign_init(context) != 1)
		return false;
	type = EVP_PKEY_get_base_id(pkey);
	switch (request->kind) {
	case TLS_KEY_RSA_PKCS1:
		return type == EVP_PKEY_RSA && set_rsa_pkcs1(context, request);
	case TLS_KEY_RSA_PSS:
		return type == EVP_PKEY_RSA && set_rsa_pss(context, request, pkey);
	case TLS_KEY_EC:
		return type == EVP_PKEY_EC && request->n >= 28 && request->n <= EVP_MAX_MD_SIZE;
	default:
		return false;
	}
}

static size_t
sign(const struct tls_keys *keys, const struct tls_key_request *request, unsigned char *signature)
{
	EVP_PKEY *pkey = request->key < keys->n ? keys->list[request->key] : NULL;
	EVP_PKEY_CTX *context = pkey != NULL ? EVP_PKEY_CTX_new(pkey, NULL) : NULL;
	size_t n = TLS_KEY_BYTES_MAX;

	if (!prepare(context, request, pkey) || EVP_PKEY_sign(context, signature, &n, request->bytes, request->n) != 1)
		n = 0;
	EVP_PKEY_CTX_free(context);
	ERR_clear_error();
	return n;
}

bool
tls_keys_answer(struct tls_keys *keys, int fd)
{
	struct tls_key_request request = {.n = 0};
	struct tls_key_answer answer = {.n = 0};
	ssize_t n = recv(fd, &request, sizeof request, MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		return false;
	if (n < 0)
		return true;
	answer.number = request.number;
	if ((size_t)n >= TLS_KEY_REQUEST_SIZE(0) && (size_t)n == TLS_KEY_REQUEST_SIZE((size_t)request.n))
		answer.n = (uint32_t)sign(keys, &request, answer.bytes);
	if (answer.n == 0 && keys->refusals < REFUSALS_LOGGED)
		log_warning("refused to sign: key %u, kind %u, digest %u, %zd bytes%s", request.key, request.kind, request.digest, n,
		    ++keys->refusals == REFUSALS_LOGGED ? "; further refusals are not logged" : "");
	/* One who asks without taking the answers loses them: nobody is waited for here. */
	(void)send(fd, &answer, TLS_KEY_ANSWER_SIZE(answer.n), MSG_DONTWAIT | MSG_NOSIGNAL);
	return true;
}

/* --- loading ------------------------------------------------------------------------------------------------------- */

/* A key under a passphrase is of no use to a daemon: nobody is there to ask. */
static int
no_passphrase(char *passphrase, int size, int writing, void *unused)
{
	(void)passphrase;
	(void)size;
	(void)writing;
	(void)unused;
	return -1;
}

static bool
key_is_usable(const EVP_PKEY *pkey, const char *path, struct err *err)
{
	int bits = EVP_PKEY_get_bits(pkey);

	switch (EVP_PKEY_get_base_id(pkey)) {
	case EVP_PKEY_EC:
		return true;
	case EVP_PKEY_RSA:
		if (bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX)
			return true;
		return err_set(err, ERR_PERM, "%s: an RSA key of %d bits; %d to %d are supported", path, bits, RSA_BITS_MIN,
		    RSA_BITS_MAX);
	default:
		return err_set(err, ERR_PERM, "%s: neither an RSA nor an EC key", path);
	}
}

static EVP_PKEY *
key_load(const char *path, struct err *err)
{
	FILE *file = fopen(path, "re");
	EVP_PKEY *pkey;

	if (file == NULL) {
		(void)err_sys(err, "%s", path);
		return NULL;
	}
	pkey = PEM_read_PrivateKey(file, NULL, no_passphrase, NULL);
	(void)fclose(file);
	if (pkey == NULL) {
		(void)tls_error(err, path);
	} else if (!key_is_usable(pkey, path, err)) {
		EVP_PKEY_free(pkey);
		pkey = NULL;
	}
	return pkey;
}

struct tls_keys *
tls_keys_load(const char *const *paths, size_t n, struct err *err)
{
	struct tls_keys *keys = calloc(1, sizeof *keys);

	if (keys == NULL || (keys->list = calloc(n, sizeof(EVP_PKEY *))) == NULL)
		fatal("out of memory for %zu TLS keys", n);
	for (; keys->n < n; keys->n++) {
		keys->list[keys->n] = key_load(paths[keys->n], err);
		if (keys->list[keys->n] == NULL) {
			tls_keys_free(keys);
			return NULL;
		}
	}
	return keys;
}

void
tls_keys_free(struct tls_keys *keys)
{
	if (keys == NULL)
		return;
	for (size_t i = 0; i < keys->n; i++)
		EVP_PKEY_free(keys->list[i]);
	free(keys->list);
	free(keys);
}
