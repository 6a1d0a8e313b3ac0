/*
 * One HTTP request and its response, in the event loop: the host's addresses are looked up and tried one after the other,
 * under TLS the server must prove its name, and the whole has one deadline. Redirects are not followed, nothing is kept
 * for a further request.
 */
#ifndef COMMON_HTTP_CLIENT_H
#define COMMON_HTTP_CLIENT_H

#include "common/dns/dns.h"
#include "common/net/http.h"
#include "common/net/stream.h"

#define HTTP_ADDRESSES_MAX 8	     /* of a host that are tried */
#define HTTP_REQUEST_MAX (1024 * 1024) /* bytes */

/* What calls share; outlives them. */
struct http_client {
	struct loop *loop;
	struct dns *dns;
	struct tls_context *tls; /* NULL: https fails */
};

struct http_call {
	/* Set by the owner, `request` from http_call_init on: */
	struct buf request; /* all of it, as http_get and its like write it; wiped as soon as the call is over */
	/*
	 * Called once, never from inside http_call_start: the response, whatever its status, or (response NULL) why there is
	 * none. The call is over then and holds nothing; it may be freed or begun anew. The response lives during the call.
	 */
	void (*answered)(struct http_call *call, const struct http_response *response, const char *why);

	/* For `answered` to look at: */
	bool untrusted; /* the certificate is not one that is trusted for this name */

	/* http_client.c's own: */
	struct http_client *client;
	char host[HTTP_HOST_MAX + 1];
	uint16_t port;
	bool tls, connected;
	struct stream stream;
	struct http_response response;
	struct dns_query v6, v4;
	unsigned asked; /* questions to DNS */
	struct endpoint addresses[HTTP_ADDRESSES_MAX];
	size_t naddresses, next;
	char why[160];
	struct loop_timer deadline;
	struct loop_deferred later;
};

/* Empties it: a new one, or one that is over. */
void http_call_init(struct http_call *call);
/* timeout_ms: for all of it. The URL is not needed any more afterwards. */
void http_call_start(struct http_call *call, struct http_client *client, const struct http_url *url, uint64_t timeout_ms,
    void (*answered)(struct http_call *, const struct http_response *, const char *));
/* Nothing is called any more. Harmless when it is over or was only initialised. */
void http_call_stop(struct http_call *call);

#endif
