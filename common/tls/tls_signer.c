/* Methods of a key's own are deprecated in favour of providers; a provider for two functions is many times the code, and
 * OpenSSL 3 keeps these. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <errno.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "common/base/log.h"
#include "common/tls/tls_key.h"
#include "common/tls/tls_key_request.h"

#define ANSWER_TIMEOUT_MS 5000

struct tls_signer {
	int fd;
	uint32_t number; /* of the last request */
	RSA_METHOD *rsa;
	EC_KEY_METHOD *ec;
};

/* Where a key keeps what it asks for; made with the first signer. */
static int rsa_index = -1, ec_index = -1;

/* Which key of which key process: owned by the OpenSSL key, with which it goes. */
struct reference {
	struct tls_signer *signer;
	uint32_t key;
};

/* --- asking -------------------------------------------------------------------------------------------------------- */

static int64_t
now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Waits until fd is ready for events; false when the deadline is over or the socket broken. */
static bool
wait_until(int fd, short events, int64_t deadline_ms)
{
	for (;;) {
		struct pollfd pollfd = {.fd = fd, .events = events};
		int64_t left = deadline_ms - now_ms();
		int n = poll(&pollfd, 1, left > 0 ? (int)left : 0);

		if (n > 0)
			return (pollfd.revents & events) != 0;
		if (n == 0 || errno != EINTR)
			return false;
	}
}

/* The answer with our number; one to an older request that was given up is thrown away. */
static bool
receive(const struct tls_signer *signer, struct tls_key_answer *answer, int64_t deadline_ms)
{
	while (wait_until(signer->fd, POLLIN, deadline_ms)) {
		ssize_t n = recv(signer->fd, answer, sizeof *answer, MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return false;
		if ((size_t)n < TLS_KEY_ANSWER_SIZE(0) || (size_t)n != TLS_KEY_ANSWER_SIZE((size_t)answer->n))
			return false;
		if (answer->number == signer->number)
			return answer->n > 0;
	}
	return false;
}

/* The length of the signature in *answer, or 0. */
static size_t
ask(const struct reference *reference, enum tls_key_kind kind, int digest, const unsigned char *bytes, int n,
    struct tls_key_answer *answer)
{
	struct tls_signer *signer = reference->signer;
	struct tls_key_request request = {.key = reference->key, .kind = kind, .digest = (uint32_t)digest, .n = (uint32_t)n};
	int64_t deadline_ms = now_ms() + ANSWER_TIMEOUT_MS;

	if (n < 0 || n > TLS_KEY_BYTES_MAX)
		return 0;
	request.number = ++signer->number;
	memcpy(request.bytes, bytes, (size_t)n);
	if (!wait_until(signer->fd, POLLOUT, deadline_ms) ||
	    send(signer->fd, &request, TLS_KEY_REQUEST_SIZE((size_t)n), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ||
	    !receive(signer, answer, deadline_ms)) {
		log_warning("the key process did not sign");
		return 0;
	}
	return answer->n;
}

/* --- what OpenSSL calls -------------------------------------------------------------------------------------------- */

/* PKCS #1 version 1.5, TLS 1.2. */
static int
rsa_sign(int digest, const unsigned char *bytes, unsigned n, unsigned char *signature, unsigned *size, const RSA *rsa)
{
	struct tls_key_answer answer = {.n = 0};

	if (n > EVP_MAX_MD_SIZE ||
	    ask(RSA_get_ex_data(rsa, rsa_index), TLS_KEY_RSA_PKCS1, digest, bytes, (int)n, &answer) != (size_t)RSA_size(rsa))
		return 0;
	memcpy(signature, answer.bytes, answer.n);
	*size = answer.n;
	return 1;
}

/* PSS: OpenSSL has encoded the block, only the private operation is left. */
static int
rsa_private_encrypt(int n, const unsigned char *from, unsigned char *to, RSA *rsa, int padding)
{
	struct tls_key_answer answer = {.n = 0};

	if (padding != RSA_NO_PADDING ||
	    ask(RSA_get_ex_data(rsa, rsa_index), TLS_KEY_RSA_PSS, 0, from, n, &answer) != (size_t)RSA_size(rsa))
		return -1;
	memcpy(to, answer.bytes, answer.n);
	return (int)answer.n;
}

/* There is no key exchange by RSA: its recorded sessions could be decrypted later. */
static int
rsa_private_decrypt(int n, const unsigned char *from, unsigned char *to, RSA *rsa, int padding)
{
	(void)n;
	(void)from;
	(void)to;
	(void)rsa;
	(void)padding;
	return -1;
}

static int
ec_sign(int type, const unsigned char *digest, int n, unsigned char *signature, unsigned *size, const BIGNUM *kinv,
    const BIGNUM *r, EC_KEY *ec)
{
	struct tls_key_answer answer;
	size_t got;

	(void)type;
	(void)kinv;
	(void)r;
	got = ask(EC_KEY_get_ex_data(ec, ec_index), TLS_KEY_EC, 0, digest, n, &answer);
	if (got == 0 || got > (size_t)ECDSA_size(ec))
		return 0;
	memcpy(signature, answer.bytes, got);
	*size = (unsigned)got;
	return 1;
}

/* --- signers and keys ---------------------------------------------------------------------------------------------- */

static RSA_METHOD *
rsa_method_new(void)
{
	RSA_METHOD *method = RSA_meth_dup(RSA_PKCS1_OpenSSL());

	if (method == NULL || RSA_meth_set1_name(method, "merpati key process") != 1)
		fatal("out of memory for a TLS key");
	(void)RSA_meth_set_sign(method, rsa_sign);
	(void)RSA_meth_set_priv_enc(method, rsa_private_encrypt);
	(void)RSA_meth_set_priv_dec(method, rsa_private_decrypt);
	return method;
}

static EC_KEY_METHOD *
ec_method_new(void)
{
	EC_KEY_METHOD *method = EC_KEY_METHOD_new(EC_KEY_OpenSSL());

	if (method == NULL)
		fatal("out of memory for a TLS key");
	EC_KEY_METHOD_set_sign(method, ec_sign, NULL, NULL);
	return method;
}

static void
reference_free(void *parent, void *reference, CRYPTO_EX_DATA *ex_data, int index, long number, void *argument)
{
	(void)parent;
	(void)ex_data;
	(void)index;
	(void)number;
	(void)argument;
	free(reference);
}

static struct reference *
reference_new(struct tls_signer *signer, uint32_t key)
{
	struct reference *reference = calloc(1, sizeof *reference);

	if (reference == NULL)
		fatal("out of memory for a TLS key");
	*reference = (struct reference){signer, key};
	return reference;
}

struct tls_signer *
tls_signer_new(int fd)
{
	struct tls_signer *signer = calloc(1, sizeof *signer);

	if (rsa_index < 0)
		rsa_index = RSA_get_ex_new_index(0, NULL, NULL, NULL, reference_free);
	if (ec_index < 0)
		ec_index = EC_KEY_get_ex_new_index(0, NULL, NULL, NULL, reference_free);
	if (signer == NULL || rsa_index < 0 || ec_index < 0)
		fatal("out of memory for a TLS key");
	signer->fd = fd;
	signer->rsa = rsa_method_new();
	signer->ec = ec_method_new();
	return signer;
}

void
tls_signer_free(struct tls_signer *signer)
{
	if (signer == NULL)
		return;
	RSA_meth_free(signer->rsa);
	EC_KEY_METHOD_free(signer->ec);
	free(signer);
}

static EVP_PKEY *
rsa_key(struct tls_signer *signer, uint32_t number, EVP_PKEY *public_key)
{
	RSA *shared = EVP_PKEY_get1_RSA(public_key), *rsa = shared != NULL ? RSAPublicKey_dup(shared) : NULL;
	EVP_PKEY *key = EVP_PKEY_new();

	RSA_free(shared);
	if (rsa == NULL || key == NULL || RSA_set_method(rsa, signer->rsa) != 1 ||
	    RSA_set_ex_data(rsa, rsa_index, reference_new(signer, number)) != 1 || EVP_PKEY_assign_RSA(key, rsa) != 1) {
		RSA_free(rsa);
		EVP_PKEY_free(key);
		return NULL;
	}
	return key;
}

static EVP_PKEY *
ec_key(struct tls_signer *signer, uint32_t number, EVP_PKEY *public_key)
{
	EC_KEY *shared = EVP_PKEY_get1_EC_KEY(public_key), *ec = shared != NULL ? EC_KEY_dup(shared) : NULL;
	EVP_PKEY *key = EVP_PKEY_new();

	EC_KEY_free(shared);
	if (ec == NULL || key == NULL || EC_KEY_set_method(ec, signer->ec) != 1 ||
	    EC_KEY_set_ex_data(ec, ec_index, reference_new(signer, number)) != 1 || EVP_PKEY_assign_EC_KEY(key, ec) != 1) {
		EC_KEY_free(ec);
		EVP_PKEY_free(key);
		return NULL;
	}
	return key;
}

struct evp_pkey_st *
tls_signer_key(struct tls_signer *signer, uint32_t number, struct evp_pkey_st *public_key)
{
	EVP_PKEY *key = NULL;

	switch (EVP_PKEY_get_base_id(public_key)) {
	case EVP_PKEY_RSA:
		key = rsa_key(signer, number, public_key);
		break;
	case EVP_PKEY_EC:
		key = ec_key(signer, number, public_key);
		break;
	default:
		break;
	}
	ERR_clear_error();
	return key;
}
