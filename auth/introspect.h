/*
 * Asking a server about tokens (RFC 7662), in the event loop: a connection for each, INTROSPECT_RUNNING_MAX at a time,
 * the others wait in line, and further ones fail. Each has INTROSPECT_SECONDS from when it was asked. Under TLS the server
 * must prove its name.
 */
#ifndef AUTH_INTROSPECT_H
#define AUTH_INTROSPECT_H

#include "auth/http.h"
#include "common/dns/dns.h"
#include "common/net/stream.h"

#define INTROSPECT_RUNNING_MAX 16
#define INTROSPECT_WAITING_MAX 256
#define INTROSPECT_SECONDS 10
#define INTROSPECT_ADDRESSES_MAX 8

struct introspect_request;
TAILQ_HEAD(introspect_requests, introspect_request);

struct introspect {
	/* Set by the owner: */
	struct loop *loop;
	struct dns *dns;
	struct tls_context *tls;
	struct http_url url;
	struct str client, secret; /* may be empty */

	/* introspect.c's own; the lists initialised by introspect_init: */
	struct introspect_requests running, waiting;
	size_t nrunning, nwaiting;
};

struct introspect_request {
	/* Called once, never from inside introspect_ask: the body of a response of status 200, or why there is none (body
	 * is then empty). The request may be freed in it. */
	void (*answered)(struct introspect_request *request, struct str body, const char *why);
	struct introspect *introspect;
	struct buf form; /* holds the token */
	struct stream stream;
	struct http_response response;
	struct dns_query v6, v4;
	unsigned asked; /* questions to DNS */
	struct endpoint addresses[INTROSPECT_ADDRESSES_MAX];
	size_t naddresses, next;
	bool running, connected, failed_dns;
	char why[160];
	struct loop_timer deadline;
	struct loop_deferred later;
	TAILQ_ENTRY(introspect_request) link;
};

void introspect_init(struct introspect *introspect);
void introspect_ask(struct introspect *introspect, struct introspect_request *request, struct str token,
    void (*answered)(struct introspect_request *, struct str body, const char *why));

#endif
