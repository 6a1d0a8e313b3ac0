/*
 * The TLS private key in a process of its own. That process loads the key, drops all it had, and from then on answers
 * one kind of request: sign this. Whoever parses a stranger's bytes has only the certificate and a socket to it.
 *
 * It signs digests, and RSA blocks that are well-formed PSS encodings; never other blocks, so that a captured worker
 * cannot make it decrypt what was recorded elsewhere.
 */
#ifndef COMMON_TLS_KEY_H
#define COMMON_TLS_KEY_H

#include <stdbool.h>

#include "common/err.h"

struct evp_pkey_st;
struct tls_key;
struct tls_signer;

/* --- in the key process (common/tls_key.c) ------------------------------------------------------------------------- */

/* Loads a PEM private key (RSA of 2048 to 8192 bits, or EC). NULL and err when it cannot. */
struct tls_key *tls_key_load(const char *path, struct err *err);
void tls_key_free(struct tls_key *key);
/* Answers one request from fd (SOCK_SEQPACKET), if there is one; never waits. A malformed request is answered with a
 * refusal. False when the other end is gone. */
bool tls_key_answer(struct tls_key *key, int fd);

/* --- on the asking side (common/tls_signer.c) ---------------------------------------------------------------------- */

/* fd: SOCK_SEQPACKET, borrowed. A request takes at most five seconds, then it has failed. */
struct tls_signer *tls_signer_new(int fd);
void tls_signer_free(struct tls_signer *signer);
/* A key with the public half of the certificate's, whose private operations ask the signer (which outlives it). The
 * caller frees it with EVP_PKEY_free. NULL for other types than RSA and EC. */
struct evp_pkey_st *tls_signer_key(struct tls_signer *signer, struct evp_pkey_st *public_key);

#endif
