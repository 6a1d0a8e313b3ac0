/*
 * What a TLS context is: for tls.c and tls_client.c only.
 */
#ifndef COMMON_TLS_INNER_H
#define COMMON_TLS_INNER_H

#include "common/tls/tls.h"
#include "common/tls/tls_session.h"
#include "common/tls/tls_ticket.h"

struct ssl_ctx_st;
struct ssl_method_st;

struct tls_context {
	struct ssl_ctx_st *ssl;
	bool server;
	/* of a server: */
	const struct tls_certificates *certificates;
	struct tls_tickets tickets;
	enum tls_client_mode client_mode;
	/* of a client: */
	struct tls_sessions sessions;
};

/* With what both sides have alike. NULL and err when memory is out. */
struct tls_context *tls_context_new(const struct ssl_method_st *method, bool server, struct err *err);

#endif
