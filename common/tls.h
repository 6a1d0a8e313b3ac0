/*
 * TLS contexts. A server context is made from a certificate file; the private key is not in this process but in the
 * `key` process (common/tls_key.h), which signs for us. TLS 1.2 is the floor; no renegotiation, no compression; session
 * tickets are good only for the listener of this context (immunity rule 8), because each context has ticket keys of its
 * own.
 */
#ifndef COMMON_TLS_H
#define COMMON_TLS_H

#include <stdbool.h>

#include "common/err.h"

struct ssl_st;
struct tls_context;
struct tls_signer;

/*
 * signer: the connection to the key process (borrowed; outlives the context). listener: a name that sessions are bound
 * to. NULL and err when the certificate cannot be read or its key type is neither RSA nor EC.
 */
struct tls_context *tls_server_new(const char *certificate_path, struct tls_signer *signer, const char *listener,
    struct err *err);
/* For opportunistic TLS: encrypts, but believes any certificate. */
struct tls_context *tls_client_new(struct err *err);
void tls_free(struct tls_context *context);

/* A new connection's state: for stream.c. server_name: the client's SNI, may be NULL. NULL when memory is out. */
struct ssl_st *tls_connection_new(struct tls_context *context, int fd, const char *server_name);

/* Takes OpenSSL's error queue as the text of err; class TEMP. Returns false. */
bool tls_error(struct err *err, const char *what);

#endif
