#include "common/tls/tls_client.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/tls/tls_inner.h"

#define USAGE_TA 2
#define USAGE_EE 3
#define SELECTOR_CERTIFICATE 0
#define SELECTOR_KEY 1
#define MATCHING_FULL 0
#define MATCHING_SHA256 1
#define MATCHING_SHA512 2

/* What is remembered of a connection, beside OpenSSL's own. */
struct expectation {
	char *server_name;
	char *session_key; /* NULL: its sessions are not kept */
	bool by_dane;
	bool keeps_unproven;
	bool resumed_proven; /* of the session that is offered */
	uint64_t resumed_since_s;
};

static int expectation_index = -1;

static void
expectation_free(void *parent, void *expectation, CRYPTO_EX_DATA *ex_data, int index, long number, void *argument)
{
	struct expectation *e = expectation;

	(void)parent;
	(void)ex_data;
	(void)index;
	(void)number;
	(void)argument;
	if (e == NULL)
		return;
	free(e->server_name);
	free(e->session_key);
	free(e);
}

static struct expectation *
expectation_of(const SSL *ssl)
{
	return expectation_index < 0 ? NULL : SSL_get_ex_data(ssl, expectation_index);
}

/* --- contexts ------------------------------------------------------------------------------------------------------ */

/* Called in the handshake, or, by TLS 1.3, behind it and any number of times. */
static int
session_new(SSL *ssl, SSL_SESSION *session)
{
	struct tls_context *context = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	const struct expectation *e = expectation_of(ssl);
	bool proven = tls_client_is_proven(ssl);

	/* Proof by another name is not for everybody who expects this server. */
	if (e != NULL && e->session_key != NULL && SSL_SESSION_is_resumable(session) && (proven || e->keeps_unproven) &&
	    !tls_client_is_by_other_name(ssl))
		tls_sessions_put(&context->sessions, e->session_key, session, proven,
		    SSL_session_reused(ssl) ? e->resumed_since_s : tls_clock_s());
	return 0; /* it is not kept as it is */
}

struct tls_context *
tls_client_new(struct err *err)
{
	struct tls_context *context = tls_context_new(TLS_client_method(), false, err);

	if (context == NULL)
		return NULL;
	if (expectation_index < 0)
		expectation_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, expectation_free);
	if (expectation_index < 0 || SSL_CTX_dane_enable(context->ssl) != 1) {
		(void)tls_error(err, "DANE");
		tls_free(context);
		return NULL;
	}
	SSL_CTX_set_verify(context->ssl, SSL_VERIFY_NONE, NULL);
	(void)SSL_CTX_set_session_cache_mode(context->ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(context->ssl, session_new);
	return context;
}

bool
tls_client_trust(struct tls_context *context, const char *authorities_path, struct err *err)
{
	return SSL_CTX_load_verify_file(context->ssl, authorities_path) == 1 || tls_error(err, authorities_path);
}

/* --- TLSA records -------------------------------------------------------------------------------------------------- */

/* The whole thing, rather than a digest: it must be one, to its end. */
static bool
is_whole(uint8_t selector, struct str association)
{
	const unsigned char *p = (const unsigned char *)association.p, *end = p + association.n;
	X509 *certificate = NULL;
	EVP_PKEY *key = NULL;
	bool good;

	if (selector == SELECTOR_CERTIFICATE)
		certificate = d2i_X509(NULL, &p, (long)association.n);
	else
		key = d2i_PUBKEY(NULL, &p, (long)association.n);
	good = (key != NULL || (certificate != NULL && X509_get0_pubkey(certificate) != NULL)) && p == end;
	X509_free(certificate);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return good;
}

bool
tls_dane_is_usable(const struct tls_dane_record *record)
{
	if (record->usage != USAGE_TA && record->usage != USAGE_EE)
		return false;
	if (record->selector != SELECTOR_CERTIFICATE && record->selector != SELECTOR_KEY)
		return false;
	switch (record->matching) {
	case MATCHING_FULL:
		return is_whole(record->selector, record->association);
	case MATCHING_SHA256:
		return record->association.n == 32;
	case MATCHING_SHA512:
		return record->association.n == 64;
	default:
		return false;
	}
}

static bool
dane_set(SSL *ssl, const struct tls_expected *expected)
{
	if (SSL_dane_enable(ssl, expected->server_name) != 1)
		return false;
	(void)SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	for (size_t i = 0; i < TLS_OTHER_NAMES_MAX; i++)
		if (expected->other_names[i] != NULL && SSL_add1_host(ssl, expected->other_names[i]) != 1)
			return false;
	for (size_t i = 0; i < expected->ndane; i++) {
		const struct tls_dane_record *record = &expected->dane[i];

		if (SSL_dane_tlsa_add(ssl, record->usage, record->selector, record->matching,
			(const unsigned char *)record->association.p, record->association.n) != 1)
			return false;
	}
	return true;
}

/* --- connections --------------------------------------------------------------------------------------------------- */

/* SNI, and the name that the certificate must have to be verified. */
static bool
server_name_set(SSL *ssl, const char *server_name)
{
	char name[TLSEXT_MAXLEN_host_name + 1]; /* OpenSSL's macro wants no constant */

	if (!str_copy(name, sizeof name, str_from(server_name)) || SSL_set_tlsext_host_name(ssl, name) != 1)
		return false;
	return SSL_set1_host(ssl, name) == 1;
}

static void
session_offer(struct tls_context *context, SSL *ssl, struct expectation *e)
{
	SSL_SESSION *session;

	if (e->session_key == NULL)
		return;
	session = tls_sessions_take(&context->sessions, e->session_key, &e->resumed_proven, &e->resumed_since_s,
	    tls_clock_s());
	if (session == NULL)
		return;
	(void)SSL_set_session(ssl, session);
	SSL_SESSION_free(session);
}

static bool
expectation_set(struct tls_context *context, SSL *ssl, const struct tls_expected *expected)
{
	struct expectation *e = calloc(1, sizeof *e);

	if (e == NULL)
		fatal("out of memory for a TLS connection");
	e->by_dane = expected->ndane > 0;
	e->keeps_unproven = expected->keeps_unproven;
	if (expected->server_name != NULL)
		e->server_name = str_dup(str_from(expected->server_name));
	if (expected->session_key != NULL)
		e->session_key = str_dup(str_from(expected->session_key));
	if (SSL_set_ex_data(ssl, expectation_index, e) != 1) {
		free(e->server_name);
		free(e->session_key);
		free(e);
		return false;
	}
	session_offer(context, ssl, e);
	return true;
}

struct ssl_st *
tls_client_connection_new(struct tls_context *context, int fd, const struct tls_expected *expected)
{
	SSL *ssl = SSL_new(context->ssl);

	if (ssl == NULL)
		return NULL;
	SSL_set_connect_state(ssl);
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (SSL_set_fd(ssl, fd) != 1 || (expected->ndane > 0 && !dane_set(ssl, expected)) ||
	    (expected->ndane == 0 && expected->server_name != NULL && !server_name_set(ssl, expected->server_name)) ||
	    !expectation_set(context, ssl, expected)) {
		SSL_free(ssl);
		ERR_clear_error();
		return NULL;
	}
	return ssl;
}

/* --- proof --------------------------------------------------------------------------------------------------------- */

bool
tls_client_is_proven(struct ssl_st *ssl)
{
	const struct expectation *e = expectation_of(ssl);

	/* Of a resumed session OpenSSL tells the result, but not of what. */
	if (e != NULL && SSL_session_reused(ssl) == 1)
		return e->resumed_proven;
	if (SSL_get0_peer_certificate(ssl) == NULL || SSL_get_verify_result(ssl) != X509_V_OK)
		return false;
	if (e != NULL && e->by_dane)
		return SSL_get0_dane_authority(ssl, NULL, NULL) >= 0;
	/* Without a name to be compared OpenSSL finds nothing amiss. */
	return SSL_get0_peername(ssl) != NULL;
}

bool
tls_client_is_by_other_name(struct ssl_st *ssl)
{
	const struct expectation *e = expectation_of(ssl);

	return e != NULL && e->by_dane && e->server_name != NULL && SSL_get0_peername(ssl) != NULL &&
	    X509_check_host(SSL_get0_peer_certificate(ssl), e->server_name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) != 1;
}

const char *
tls_client_doubt(struct ssl_st *ssl)
{
	long result = SSL_get_verify_result(ssl);

	if (SSL_get0_peer_certificate(ssl) == NULL)
		return "there is no certificate";
	return result != X509_V_OK ? X509_verify_cert_error_string(result) : "there is no name to compare";
}
