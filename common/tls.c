#include "common/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/str.h"
#include "common/tls_key.h"

#define SESSIONS_MAX 1024 /* remembered by a client context */

struct tls_context {
	SSL_CTX *ssl;
	bool server;
};

bool
tls_error(struct err *err, const char *what)
{
	unsigned long code = ERR_get_error();
	const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);

	ERR_clear_error();
	return err_set(err, ERR_TEMP, "%s: %s", what, reason != NULL ? reason : "unknown reason");
}

static struct tls_context *
context_new(const SSL_METHOD *method, bool server, struct err *err)
{
	struct tls_context *context = calloc(1, sizeof *context);

	if (context == NULL || (context->ssl = SSL_CTX_new(method)) == NULL) {
		free(context);
		(void)tls_error(err, "cannot make a TLS context");
		return NULL;
	}
	context->server = server;
	(void)signal(SIGPIPE, SIG_IGN); /* OpenSSL writes to sockets as to files */
	(void)SSL_CTX_set_min_proto_version(context->ssl, TLS1_2_VERSION);
	(void)SSL_CTX_set_options(context->ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
	    SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
	(void)SSL_CTX_set_mode(context->ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return context;
}

void
tls_free(struct tls_context *context)
{
	if (context == NULL)
		return;
	SSL_CTX_free(context->ssl);
	free(context);
}

/* The key that belongs to the certificate, by way of the signer. */
static bool
use_signer(SSL_CTX *ssl, struct tls_signer *signer, struct err *err)
{
	X509 *certificate = SSL_CTX_get0_certificate(ssl);
	EVP_PKEY *key = certificate == NULL ? NULL : tls_signer_key(signer, X509_get0_pubkey(certificate));
	bool used;

	if (key == NULL)
		return err_set(err, ERR_PERM, "the certificate's key is neither RSA nor EC");
	used = SSL_CTX_use_PrivateKey(ssl, key) == 1;
	EVP_PKEY_free(key);
	return used || tls_error(err, "cannot use the certificate's key");
}

struct tls_context *
tls_server_new(const char *certificate_path, struct tls_signer *signer, const char *listener, struct err *err)
{
	struct tls_context *context = context_new(TLS_server_method(), true, err);
	size_t n = strlen(listener);

	if (context == NULL)
		return NULL;
	if (SSL_CTX_use_certificate_chain_file(context->ssl, certificate_path) != 1) {
		(void)tls_error(err, certificate_path);
		goto failed;
	}
	if (!use_signer(context->ssl, signer, err))
		goto failed;
	if (n > SSL_MAX_SID_CTX_LENGTH)
		n = SSL_MAX_SID_CTX_LENGTH;
	if (SSL_CTX_set_session_id_context(context->ssl, (const unsigned char *)listener, (unsigned)n) != 1) {
		(void)tls_error(err, "session id context");
		goto failed;
	}
	/* The key process decrypts for nobody, so no key exchange by RSA. */
	if (SSL_CTX_set_cipher_list(context->ssl, "DEFAULT:!kRSA") != 1 || SSL_CTX_set_dh_auto(context->ssl, 1) != 1) {
		(void)tls_error(err, "ciphers");
		goto failed;
	}
	(void)SSL_CTX_set_session_cache_mode(context->ssl, SSL_SESS_CACHE_OFF); /* tickets only: no memory per client */
	return context;
failed:
	tls_free(context);
	return NULL;
}

struct tls_context *
tls_client_new(struct err *err)
{
	struct tls_context *context = context_new(TLS_client_method(), false, err);

	if (context == NULL)
		return NULL;
	SSL_CTX_set_verify(context->ssl, SSL_VERIFY_NONE, NULL);
	(void)SSL_CTX_sess_set_cache_size(context->ssl, SESSIONS_MAX);
	return context;
}

struct ssl_st *
tls_connection_new(struct tls_context *context, int fd, const char *server_name)
{
	SSL *ssl = SSL_new(context->ssl);
	char name[TLSEXT_MAXLEN_host_name + 1]; /* OpenSSL's macro wants no constant */

	if (ssl == NULL)
		return NULL;
	if (SSL_set_fd(ssl, fd) != 1 ||
	    (server_name != NULL && !context->server &&
		(!str_copy(name, sizeof name, str_from(server_name)) || SSL_set_tlsext_host_name(ssl, name) != 1))) {
		SSL_free(ssl);
		return NULL;
	}
	if (context->server)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	return ssl;
}
