/*
 * What a TLS connection says about itself and about the other side, once its handshake is over: the bindings by which
 * an authentication inside of it proves that nobody sits between (RFC 5056), and the client's certificate. For stream.c,
 * whose functions of the same names everybody else calls.
 */
#ifndef COMMON_TLS_PEER_H
#define COMMON_TLS_PEER_H

#include <stdbool.h>
#include <stddef.h>

struct ssl_st;

#define TLS_BINDING_MAX 64 /* bytes: a SHA-512 */

enum tls_binding {
	TLS_BINDING_EXPORTER,	      /* RFC 9266: TLS 1.3 */
	TLS_BINDING_UNIQUE,	      /* RFC 5929 3: TLS 1.2 with an extended master secret (RFC 7627) */
	TLS_BINDING_SERVER_END_POINT, /* RFC 5929 4: a hash of the server's certificate */
};

#define TLS_CLIENT_NAME_MAX 255
#define TLS_CLIENT_NAMES_MAX 8 /* of each kind; more are not looked at */

/*
 * A client's certificate. That the client holds its key is proven in any case. What is written in it is worth
 * something only if an authority that we trust has signed it: otherwise is_verified is false and all names are empty.
 */
struct tls_client {
	bool is_verified;
	char fingerprint[65];			/* SHA-256 of the whole certificate, in lower case hex */
	char subject[TLS_CLIENT_NAME_MAX + 1];	/* its common name; empty: none, or too long, or no text */
	char issuer[TLS_CLIENT_NAME_MAX + 1];	/* the same of who signed it */
	size_t nemails;
	char emails[TLS_CLIENT_NAMES_MAX][TLS_CLIENT_NAME_MAX + 1]; /* rfc822Name, as written there */
	size_t ndomains;
	char domains[TLS_CLIENT_NAMES_MAX][TLS_CLIENT_NAME_MAX + 1]; /* dNSName, perhaps with a wildcard */
};

/* False where this connection has no such binding. */
bool tls_channel_binding(struct ssl_st *ssl, enum tls_binding binding, unsigned char out[TLS_BINDING_MAX], size_t *n);
/* False when the client showed no certificate. */
bool tls_client_certificate(struct ssl_st *ssl, struct tls_client *client);

#endif
