/*
 * The TLS private key in a process of its own. That process loads the key, drops all it had, and from then on answers
 * one kind of request: sign this digest (at most 512 bytes). Whoever parses a stranger's bytes has only the certificate
 * and a socket to it.
 */
#ifndef COMMON_TLS_KEY_H
#define COMMON_TLS_KEY_H

#include <stddef.h>

#include "common/err.h"

struct evp_pkey_st;
struct tls_key;
struct tls_signer;

/* --- in the key process -------------------------------------------------------------------------------------------- */

/* Loads a PEM private key (RSA of 2048 to 8192 bits, or EC). NULL and err when it cannot. */
struct tls_key *tls_key_load(const char *path, struct err *err);
void tls_key_free(struct tls_key *key);
/* Serves the requests that come over these SOCK_SEQPACKET ends until all are closed or stop() says so; blocking, with
 * poll. A malformed request is answered with a refusal. */
void tls_key_serve(struct tls_key *key, const int *fds, size_t n, bool (*stop)(void));
/* Answers one request from fd; false when its other end is gone. For a caller with a loop of its own. */
bool tls_key_answer(struct tls_key *key, int fd);

/* --- on the asking side ---------------------------------------------------------------------------------------------- */

/* fd: SOCK_SEQPACKET, blocking, borrowed. A request takes at most a few seconds, then it has failed. */
struct tls_signer *tls_signer_new(int fd);
void tls_signer_free(struct tls_signer *signer);
/* A key with the public half of the certificate's, whose private operations ask the signer. The caller frees it with
 * EVP_PKEY_free. NULL for other types than RSA and EC. */
struct evp_pkey_st *tls_signer_key(struct tls_signer *signer, struct evp_pkey_st *public_key);

#endif
