/*
 * TLS contexts. A server context takes its certificates from common/tls/tls_certificate.h; the private keys are not in this
 * process but in the `key` process (common/tls/tls_key.h), which signs for us. TLS 1.2 is the floor; no renegotiation, no
 * compression; session tickets are good only for the listener of the context (immunity rule 8), because each listener has
 * ticket keys of its own.
 */
#ifndef COMMON_TLS_H
#define COMMON_TLS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"

struct ssl_st;
struct tls_certificates;
struct tls_context;
struct tls_ticket_secret;

enum tls_client_mode {
	TLS_CLIENT_NONE,    /* clients are not asked for a certificate */
	TLS_CLIENT_ASK,	    /* asked, but served without, or with one that cannot be verified, all the same */
	TLS_CLIENT_REQUIRE, /* no handshake without a certificate that an authority of client_ca has signed */
};

struct tls_server_spec {
	const char *listener; /* to which sessions are bound */
	const struct tls_certificates *certificates; /* borrowed; outlive the context */
	const struct tls_ticket_secret *tickets; /* those who have the same resume each other's sessions; copied */
	enum tls_client_mode client_mode;
	const char *client_ca; /* a PEM file with the authorities of clients; NULL or "": none is trusted */
};

/* NULL and err when memory is out or client_ca cannot be read. */
struct tls_context *tls_server_new(const struct tls_server_spec *spec, struct err *err);
/* For opportunistic TLS: encrypts, but believes any certificate. Sessions are resumed: common/tls/tls_client.h. */
struct tls_context *tls_client_new(struct err *err);
/* Of a client's context: certificates that lead to one of these authorities (a file in PEM, read at once) and name the
 * server that was wanted count as verified: stream_tls_is_verified. Others are believed as before. */
bool tls_client_trust(struct tls_context *context, const char *authorities_path, struct err *err);
bool tls_is_server(const struct tls_context *context);
void tls_free(struct tls_context *context);

/* A new connection's state: for stream.c. NULL when memory is out. */
struct ssl_st *tls_server_connection_new(struct tls_context *context, int fd);

/* Seconds since boot: the clock of tickets, which all processes of this host read alike. */
uint64_t tls_clock_s(void);

/* Takes OpenSSL's error queue as the text of err; class TEMP. Returns false. */
bool tls_error(struct err *err, const char *what);

#endif
