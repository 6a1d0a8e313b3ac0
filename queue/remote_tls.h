/*
 * Whom a server is to prove to be, and the beginning of TLS with it.
 */
#ifndef QUEUE_REMOTE_TLS_H
#define QUEUE_REMOTE_TLS_H

#include "common/net/stream.h"
#include "common/tls/tls_client.h"
#include "queue/tls_policy.h"

/* Borrowed, until TLS is begun. */
struct remote_identity {
	struct str name; /* of the host, or its TLSA base domain; empty: none */
	struct str domains[TLS_OTHER_NAMES_MAX]; /* DANE-TA: of one of these instead (RFC 7672 3.2.2) */
	const struct tls_dane_record *dane;
	size_t ndane;
};

/* server: who that is for resumed sessions, where there is no name. False: TLS cannot be begun. */
bool remote_tls_start(struct stream *stream, struct tls_context *tls, const struct remote_identity *identity,
    const struct tls_policy *policy, const char *server);

#endif
