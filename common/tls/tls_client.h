/*
 * TLS as a client: whom it expects, and what counts as proof of that. A handshake never fails for want of proof; whether
 * there was any is asked behind it, by who knows what must be proven (stream_tls_is_verified).
 *
 * Proof is a certificate of the expected name that leads to an authority of tls_client_trust; or, where there are TLSA
 * records, one that they agree with, and nothing else (RFC 6698, 7671, 7672): usage DANE-TA with one of the names, DANE-EE
 * whatever the name and date, of several digests of one thing only the strongest.
 */
#ifndef COMMON_TLS_CLIENT_H
#define COMMON_TLS_CLIENT_H

#include "common/base/str.h"
#include "common/tls/tls.h"

#define TLS_OTHER_NAMES_MAX 2

struct tls_dane_record {
	uint8_t usage, selector, matching;
	struct str association;
};

/* What is a use of DANE that mail knows (RFC 7672 3.1), and well formed. */
bool tls_dane_is_usable(const struct tls_dane_record *record);

struct tls_expected {
	const char *server_name; /* SNI, and the certificate's name; NULL: none, which proves nothing */
	/* With DANE the certificate may have one of these instead; NULL: none. */
	const char *other_names[TLS_OTHER_NAMES_MAX];
	const struct tls_dane_record *dane; /* usable ones */
	size_t ndane;
	/* What all of this is to be called when sessions are resumed: equal only for who expects the same. NULL: none is. */
	const char *session_key;
	bool keeps_unproven; /* sessions, too: proof is not needed */
};

/* For stream.c. The spec and all in it is needed during the call only. NULL when memory is out, or a record is no good. */
struct ssl_st *tls_client_connection_new(struct tls_context *context, int fd, const struct tls_expected *expected);

/* After the handshake. */
bool tls_client_is_proven(struct ssl_st *ssl);
/* By one of other_names, and not by server_name. */
bool tls_client_is_by_other_name(struct ssl_st *ssl);
/* Why it is not proven, in words of OpenSSL's: "certificate has expired". Static. */
const char *tls_client_doubt(struct ssl_st *ssl);

#endif
