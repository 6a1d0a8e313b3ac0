/*
 * Asking a server about tokens (RFC 7662), in the event loop: a connection for each, INTROSPECT_RUNNING_MAX at a time,
 * the others wait in line, and further ones fail. Each has INTROSPECT_SECONDS from when it was asked. Under TLS the server
 * must prove its name.
 */
#ifndef AUTH_INTROSPECT_H
#define AUTH_INTROSPECT_H

#include "common/net/http_client.h"

#define INTROSPECT_RUNNING_MAX 16
#define INTROSPECT_WAITING_MAX 256
#define INTROSPECT_SECONDS 10

struct introspect_request;
TAILQ_HEAD(introspect_requests, introspect_request);

struct introspect {
	/* Set by the owner: */
	struct http_client http;
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
	struct http_call call; /* its request holds the token */
	uint64_t asked_ms;
	bool running;
	struct loop_timer deadline; /* while it waits in line */
	TAILQ_ENTRY(introspect_request) link;
};

void introspect_init(struct introspect *introspect);
void introspect_ask(struct introspect *introspect, struct introspect_request *request, struct str token,
    void (*answered)(struct introspect_request *, struct str body, const char *why));

#endif
