/*
 * The TLS private keys in a process of their own. That process loads the keys, drops all it had, and from then on answers
 * one kind of request: sign this with key number N. Whoever parses a stranger's bytes has only the certificates and a
 * socket to it.
 *
 * It signs digests, and RSA blocks that are well-formed PSS encodings; never other blocks, so that a captured worker
 * cannot make it decrypt what was recorded elsewhere.
 */
#ifndef COMMON_TLS_KEY_H
#define COMMON_TLS_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

struct evp_pkey_st;
struct tls_keys;
struct tls_signer;

/* --- in the key process (common/tls/tls_key.c) ------------------------------------------------------------------------- */

/* Loads PEM private keys (RSA of 2048 to 8192 bits, or EC), numbered from 0 in the order of the paths. NULL and err when
 * one cannot be used. */
struct tls_keys *tls_keys_load(const char *const *paths, size_t n, struct err *err);
void tls_keys_free(struct tls_keys *keys);
/* Answers one request from fd (SOCK_SEQPACKET), if there is one; never waits. A malformed request is answered with a
 * refusal. False when the other end is gone. */
bool tls_keys_answer(struct tls_keys *keys, int fd);

/* --- on the asking side (common/tls/tls_signer.c) ---------------------------------------------------------------------- */

/* fd: SOCK_SEQPACKET, borrowed. A request takes at most five seconds, then it has failed. */
struct tls_signer *tls_signer_new(int fd);
void tls_signer_free(struct tls_signer *signer);
/* A key with the public half of the certificate's, whose private operations ask the signer (which outlives it) for key
 * `number`. The caller frees it with EVP_PKEY_free. NULL for other types than RSA and EC. */
struct evp_pkey_st *tls_signer_key(struct tls_signer *signer, uint32_t number, struct evp_pkey_st *public_key);

#endif
