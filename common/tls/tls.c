#include "common/tls/tls_inner.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/str.h"
#include "common/tls/tls_certificate.h"

bool
tls_error(struct err *err, const char *what)
{
	unsigned long code = ERR_get_error();
	const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);

	ERR_clear_error();
	return err_set(err, ERR_TEMP, "%s: %s", what, reason != NULL ? reason : "unknown reason");
}

struct tls_context *
tls_context_new(const struct ssl_method_st *method, bool server, struct err *err)
{
	struct tls_context *context = calloc(1, sizeof *context);

	if (context == NULL || (context->ssl = SSL_CTX_new(method)) == NULL) {
		free(context);
		(void)tls_error(err, "cannot make a TLS context");
		return NULL;
	}
	context->server = server;
	tls_sessions_init(&context->sessions);
	(void)SSL_CTX_set_app_data(context->ssl, context);
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
	tls_tickets_wipe(&context->tickets);
	tls_sessions_clear(&context->sessions);
	free(context);
}

/* --- servers ------------------------------------------------------------------------------------------------------- */

uint64_t
tls_clock_s(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec;
}

static bool
ticket_key_use(const struct tls_ticket_key *key, const unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int enc)
{
	char digest[] = "SHA256";
	OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_construct_end()};

	return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv, enc) == 1 &&
	    EVP_MAC_init(mac, key->mac, sizeof key->mac, parameters) == 1;
}

/* As OpenSSL wants it: -1 trouble, 0 no key for this ticket, 1 go on, 2 go on and give the client a new one. */
static int
ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypt)
{
	struct tls_context *context = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	const struct tls_ticket_key *key;

	if (encrypt) {
		key = tls_tickets_key(&context->tickets, tls_clock_s());
		memcpy(name, key->name, sizeof key->name);
		if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1)
			return -1;
		return ticket_key_use(key, iv, cipher, mac, 1) ? 1 : -1;
	}
	key = tls_tickets_find(&context->tickets, name, tls_clock_s());
	if (key == NULL)
		return 0;
	if (!ticket_key_use(key, iv, cipher, mac, 0))
		return -1;
	return key == &context->tickets.now ? 1 : 2;
}

/* That the name is known is not said here: certificate_choose looks. But only a name that was taken note of is kept with
 * the session. */
static int
name_note(SSL *ssl, int *alert, void *unused)
{
	(void)ssl;
	(void)alert;
	(void)unused;
	return SSL_TLSEXT_ERR_OK;
}

static int
certificate_choose(SSL *ssl, void *argument)
{
	const struct tls_context *context = argument;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	return name == NULL || tls_certificates_use(context->certificates, ssl, name) ? 1 : 0;
}

/* In the mode ASK nothing that is wrong with a certificate ends the handshake; SSL_get_verify_result tells of it. */
static int
client_verify(X509_STORE_CTX *store, void *argument)
{
	const struct tls_context *context = argument;
	int result = X509_verify_cert(store);

	if (result != 1 && X509_STORE_CTX_get_error(store) == X509_V_OK)
		X509_STORE_CTX_set_error(store, X509_V_ERR_UNSPECIFIED);
	return context->client_mode == TLS_CLIENT_ASK || result == 1;
}

static bool
client_certificates(struct tls_context *context, const char *ca, struct err *err)
{
	STACK_OF(X509_NAME) *names;

	if (context->client_mode == TLS_CLIENT_NONE)
		return true;
	SSL_CTX_set_verify(context->ssl,
	    SSL_VERIFY_PEER | (context->client_mode == TLS_CLIENT_REQUIRE ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
	SSL_CTX_set_cert_verify_callback(context->ssl, client_verify, context);
	if (ca == NULL || ca[0] == '\0')
		return true;
	if (SSL_CTX_load_verify_file(context->ssl, ca) != 1 || (names = SSL_load_client_CA_file(ca)) == NULL)
		return tls_error(err, ca);
	SSL_CTX_set_client_CA_list(context->ssl, names);
	return true;
}

static bool
sessions(struct tls_context *context, const struct tls_server_spec *spec, struct err *err)
{
	struct str listener = str_sub(str_from(spec->listener), 0, SSL_MAX_SID_CTX_LENGTH);

	tls_tickets_init(&context->tickets, spec->tickets, str_from(spec->listener), tls_clock_s());
	(void)SSL_CTX_set_session_cache_mode(context->ssl, SSL_SESS_CACHE_OFF); /* tickets only: no memory per client */
	(void)SSL_CTX_set_timeout(context->ssl, TLS_TICKET_PERIOD_S);
	(void)SSL_CTX_set_num_tickets(context->ssl, 1);
	return (SSL_CTX_set_session_id_context(context->ssl, (const unsigned char *)listener.p, (unsigned)listener.n) == 1 &&
		   SSL_CTX_set_tlsext_ticket_key_evp_cb(context->ssl, ticket_key) == 1) ||
	    tls_error(err, "sessions");
}

struct tls_context *
tls_server_new(const struct tls_server_spec *spec, struct err *err)
{
	struct tls_context *context = tls_context_new(TLS_server_method(), true, err);

	if (context == NULL)
		return NULL;
	context->certificates = spec->certificates;
	context->client_mode = spec->client_mode;
	if (!tls_certificates_use_default(spec->certificates, context->ssl, err) || !sessions(context, spec, err) ||
	    !client_certificates(context, spec->client_ca, err))
		goto failed;
	/* The key process decrypts for nobody, so no key exchange by RSA. */
	if (SSL_CTX_set_cipher_list(context->ssl, "DEFAULT:!kRSA") != 1 || SSL_CTX_set_dh_auto(context->ssl, 1) != 1) {
		(void)tls_error(err, "ciphers");
		goto failed;
	}
	(void)SSL_CTX_set_tlsext_servername_callback(context->ssl, name_note);
	SSL_CTX_set_cert_cb(context->ssl, certificate_choose, context);
	return context;
failed:
	tls_free(context);
	return NULL;
}

bool
tls_is_server(const struct tls_context *context)
{
	return context->server;
}

/* --- connections --------------------------------------------------------------------------------------------------- */

struct ssl_st *
tls_server_connection_new(struct tls_context *context, int fd)
{
	SSL *ssl = SSL_new(context->ssl);

	if (ssl == NULL)
		return NULL;
	if (SSL_set_fd(ssl, fd) != 1) {
		SSL_free(ssl);
		return NULL;
	}
	SSL_set_accept_state(ssl);
	return ssl;
}
