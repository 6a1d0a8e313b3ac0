/*
 * As much of HTTP/1.1 (RFC 9110, 9112) as it takes to get or post something and read the answer: one request a connection.
 * Pure; common/net/http_client.h makes the connection.
 */
#ifndef COMMON_HTTP_H
#define COMMON_HTTP_H

#include "common/base/buf.h"

#define HTTP_HEAD_MAX 16384 /* bytes of a response's head, and of each of its lines */
#define HTTP_BODY_MAX 65536
#define HTTP_HOST_MAX 253
#define HTTP_TYPE_MAX 63

/* http(s)://HOST[:PORT][/PATH], without user and fragment. */
struct http_url {
	bool tls;
	char host[HTTP_HOST_MAX + 1]; /* a name or an address, without brackets */
	bool is_v6;
	uint16_t port;
	struct str target; /* path and query; "/" at least; borrowed */
};

bool http_url_parse(struct http_url *url, struct str text);

/* Appends s as form data has it (application/x-www-form-urlencoded). */
void http_form_add(struct buf *out, struct str s);
/* The request that posts a form. user, password: for Basic authentication (RFC 7617, encoded as RFC 6749 2.3.1 says); no
 * user, no authentication. */
void http_post(struct buf *out, const struct http_url *url, struct str form, struct str user, struct str password);

void http_get(struct buf *out, const struct http_url *url, const char *accept);
/* Posts a document of this media type. */
void http_post_document(struct buf *out, const struct http_url *url, const char *type, struct str document);

enum http_state {
	HTTP_MORE, /* feed what comes next */
	HTTP_DONE, /* status and body are there; what came behind them is not looked at */
	HTTP_BAD,  /* not HTTP, or too much of it */
};

enum http_step {
	HTTP_STATUS_LINE,
	HTTP_FIELDS,
	HTTP_BODY,	 /* left bytes of it are to come, or (until_end) all that comes */
	HTTP_CHUNK_SIZE,
	HTTP_CHUNK,
	HTTP_CHUNK_END,
	HTTP_TRAILER,
	HTTP_OVER,
	HTTP_BROKEN,
};

struct http_response {
	enum http_step step;
	unsigned status;
	char type[HTTP_TYPE_MAX + 1]; /* the media type in lower case, without parameters; "": none, or a longer one */
	struct buf body;
	bool is_chunked, has_length;
	bool until_end; /* the body ends where the connection does: who can cut that short can cut the body */
	uint64_t left;
	size_t head_bytes;
	struct buf line;
};

void http_response_init(struct http_response *response);
void http_response_clear(struct http_response *response);
enum http_state http_response_feed(struct http_response *response, struct str bytes);
/* The server has closed: DONE when the body had no other end. */
enum http_state http_response_end(struct http_response *response);

#endif
