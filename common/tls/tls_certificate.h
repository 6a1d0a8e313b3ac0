/*
 * The certificates of a process: read once, shared by all its listeners and connections, each with a key that lives in
 * the key process. A client that names the host it wants (SNI, RFC 6066 3) gets those that are for that name; any other
 * client gets the first.
 */
#ifndef COMMON_TLS_CERTIFICATE_H
#define COMMON_TLS_CERTIFICATE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/err.h"

struct ssl_ctx_st;
struct ssl_st;
struct tls_certificates;
struct tls_signer;

#define TLS_CERTIFICATE_NAMES_MAX 1000 /* of one certificate */

/*
 * paths: PEM files with a chain each, at least one; the number of a path is that of its key (common/tls/tls_key.h). signer: see
 * there (borrowed; outlives them). NULL and err when one cannot be read or its key type is neither RSA nor EC.
 */
struct tls_certificates *tls_certificates_load(const char *const *paths, size_t n, struct tls_signer *signer,
    struct err *err);
/* After all contexts that use them. */
void tls_certificates_free(struct tls_certificates *certificates);

/* Gives the context the first certificate, and those of other key types that are for its first name too: a client takes
 * the one that it can verify. */
bool tls_certificates_use_default(const struct tls_certificates *certificates, struct ssl_ctx_st *context, struct err *err);
/*
 * Gives a connection that begins the certificates for the name, of each key type the first in the order of the paths; those
 * that say the name itself go before those with a wildcard (RFC 9525 6.3: for one whole label, the leftmost). Leaves the
 * connection alone when there are none. False when memory is out.
 */
bool tls_certificates_use(const struct tls_certificates *certificates, struct ssl_st *ssl, const char *name);

#endif
