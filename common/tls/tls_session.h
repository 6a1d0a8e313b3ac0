/*
 * Sessions that a client can resume, by what it demanded of the server when they began: who would demand anything else does
 * not find them, so that a session is never worth more than the handshake it came from. Bounded in number and bytes: the
 * longest unused goes first. Kept as bytes, without the server's chain.
 */
#ifndef COMMON_TLS_SESSION_H
#define COMMON_TLS_SESSION_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/tree.h"

#define TLS_SESSIONS_MAX 1000
#define TLS_SESSION_BYTES_MAX 8192 /* a larger one is not kept */
/* How long one may stand for the certificate that was looked at then. */
#define TLS_SESSION_AGE_MAX_S 3600

struct ssl_session_st;
struct tls_session;

RB_HEAD(tls_session_tree, tls_session);
TAILQ_HEAD(tls_session_list, tls_session);

struct tls_sessions {
	struct tls_session_tree tree;
	struct tls_session_list recent; /* the last used first */
	size_t n;
};

void tls_sessions_init(struct tls_sessions *sessions);
void tls_sessions_clear(struct tls_sessions *sessions);

/* Takes the place of another one of the key. proven: what the handshake had shown; since_s: when a
 * certificate was looked at, in seconds of any clock. */
void tls_sessions_put(struct tls_sessions *sessions, const char *key, struct ssl_session_st *session, bool proven,
    uint64_t since_s);
/*
 * The caller's, to be freed; NULL: there is none. One of TLS 1.3 is given out once (RFC 8446 C.4): the server sends the
 * next, which stands for the same certificate: *since_s tells when that was looked at.
 */
struct ssl_session_st *tls_sessions_take(struct tls_sessions *sessions, const char *key, bool *proven, uint64_t *since_s,
    uint64_t now_s);

#endif
