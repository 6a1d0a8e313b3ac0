#include "common/net/http_client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ATTEMPT_MS 3000 /* for one of several addresses to be connected */

void
http_call_init(struct http_call *call)
{
	memset(call, 0, sizeof *call);
	buf_init(&call->request, HTTP_REQUEST_MAX);
	http_response_init(&call->response);
}

/* --- the end ------------------------------------------------------------------------------------------------------- */

void
http_call_stop(struct http_call *call)
{
	loop_timer_cancel(&call->deadline);
	loop_defer_cancel(&call->later);
	dns_cancel(&call->v6);
	dns_cancel(&call->v4);
	stream_close(&call->stream);
	http_response_clear(&call->response);
	buf_clear_secret(&call->request);
}

/* why NULL: the response is the answer. */
static void
finish(struct http_call *call, const char *why)
{
	struct http_response response = call->response;
	char text[sizeof call->why + HTTP_HOST_MAX + 3];

	if (why != NULL)
		(void)snprintf(text, sizeof text, "%s: %s", call->host, why);
	http_response_init(&call->response);
	http_call_stop(call);
	call->answered(call, why == NULL ? &response : NULL, why == NULL ? NULL : text);
	http_response_clear(&response);
}

static void
deadline_expired(struct loop_timer *timer)
{
	finish(container_of(timer, struct http_call, deadline), "no answer in time");
}

/* --- the connection ------------------------------------------------------------------------------------------------ */

static void
request_send(struct http_call *call)
{
	buf_add(&call->stream.out, buf_str(&call->request));
}

static void
connected(struct http_call *call)
{
	call->connected = true;
	stream_set_deadline(&call->stream, 0); /* the call's own goes on */
	if (!call->tls)
		request_send(call);
	else if (call->client->tls == NULL || !stream_start_tls(&call->stream, call->client->tls, call->host))
		finish(call, "there is no TLS");
}

static void
responded(struct http_call *call, enum http_state state)
{
	if (state != HTTP_MORE)
		finish(call, state == HTTP_BAD ? "no good response" : NULL);
}

static void
on_input(struct stream *stream)
{
	struct http_call *call = container_of(stream, struct http_call, stream);
	enum http_state state = http_response_feed(&call->response, buf_str(&stream->in));

	buf_consume(&stream->in, stream->in.n);
	responded(call, state);
}

static void
on_drained(struct stream *stream)
{
	struct http_call *call = container_of(stream, struct http_call, stream);

	if (!call->connected)
		connected(call);
}

static void
on_secured(struct stream *stream)
{
	struct http_call *call = container_of(stream, struct http_call, stream);

	call->untrusted = !stream_tls_is_verified(stream);
	if (call->untrusted)
		finish(call, "its certificate is not one that we trust for this name");
	else
		request_send(call);
}

static void next_address(struct http_call *call);

static void
later_run(struct loop_deferred *deferred)
{
	next_address(container_of(deferred, struct http_call, later));
}

static void
why_set(struct http_call *call, struct str why)
{
	(void)str_copy(call->why, sizeof call->why, str_sub(why, 0, sizeof call->why - 1));
}

static void
on_closed(struct stream *stream, enum stream_end why, const struct err *err)
{
	struct http_call *call = container_of(stream, struct http_call, stream);

	why_set(call, err != NULL ? str_from(err->text) : STR("the connection ended"));
	if (!call->connected)
		loop_defer(call->client->loop, &call->later, later_run);
	else if (why == STREAM_EOF)
		responded(call, http_response_end(&call->response));
	else
		finish(call, call->why);
}

static const struct stream_events events = {
    .input = on_input,
    .drained = on_drained,
    .secured = on_secured,
    .closed = on_closed,
};

/* -1: err says why not. */
static int
socket_connect(const struct endpoint *to, bool *connecting, struct err *err)
{
	int fd = socket(to->address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	*connecting = false;
	if (fd < 0) {
		(void)err_sys(err, "socket");
		return -1;
	}
	if (connect(fd, &to->address.any, to->length) == 0)
		return fd;
	if (errno == EINPROGRESS) {
		*connecting = true;
		return fd;
	}
	(void)err_sys(err, "connect");
	(void)close(fd);
	return -1;
}

static void
next_address(struct http_call *call)
{
	static const struct stream_limits limits = {.in_max = 16384, .out_max = HTTP_REQUEST_MAX, .full_duplex = true};
	bool connecting = false;
	struct err err = {0};
	int fd = -1;

	while (fd < 0 && call->next < call->naddresses) {
		fd = socket_connect(&call->addresses[call->next++], &connecting, &err);
		if (fd < 0)
			why_set(call, str_from(err.text));
	}
	if (fd < 0) {
		finish(call, call->why);
		return;
	}
	stream_open(&call->stream, call->client->loop, fd, &events, &limits);
	if (connecting) {
		stream_set_deadline(&call->stream, ATTEMPT_MS);
		stream_connecting(&call->stream);
		return;
	}
	connected(call);
	if (stream_is_open(&call->stream))
		stream_flush(&call->stream);
}

/* --- the address --------------------------------------------------------------------------------------------------- */

static void
family_answered(struct http_call *call, const struct dns_answer *answer)
{
	if (answer->status == DNS_TEMP)
		why_set(call, answer->reason);
	if (--call->asked == 0)
		next_address(call);
}

static void
v6_answered(struct dns_query *query, const struct dns_answer *answer)
{
	struct http_call *call = container_of(query, struct http_call, v6);

	for (size_t i = 0; i < answer->n && i < HTTP_ADDRESSES_MAX / 2; i++) {
		struct endpoint *e = &call->addresses[call->naddresses++];

		*e = (struct endpoint){.length = sizeof e->address.v6};
		e->address.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(call->port),
		    .sin6_addr = answer->records[i].address.v6};
	}
	family_answered(call, answer);
}

static void
v4_answered(struct dns_query *query, const struct dns_answer *answer)
{
	struct http_call *call = container_of(query, struct http_call, v4);

	for (size_t i = 0; i < answer->n && i < HTTP_ADDRESSES_MAX / 2; i++) {
		struct endpoint *e = &call->addresses[call->naddresses++];

		*e = (struct endpoint){.length = sizeof e->address.v4};
		e->address.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(call->port),
		    .sin_addr = answer->records[i].address.v4};
	}
	family_answered(call, answer);
}

void
http_call_start(struct http_call *call, struct http_client *client, const struct http_url *url, uint64_t timeout_ms,
    void (*answered)(struct http_call *, const struct http_response *, const char *))
{
	struct str host = str_from(url->host);

	call->client = client;
	call->answered = answered;
	call->port = url->port;
	call->tls = url->tls;
	(void)str_copy(call->host, sizeof call->host, host);
	why_set(call, STR("it has no address"));
	loop_timer_set(client->loop, &call->deadline, timeout_ms, deadline_expired);
	if (endpoint_parse_address(host, url->port, &call->addresses[0])) {
		call->naddresses = 1;
		loop_defer(client->loop, &call->later, later_run);
		return;
	}
	call->asked = 2;
	dns_ask(client->dns, &call->v6, host, DNS_AAAA, v6_answered);
	dns_ask(client->dns, &call->v4, host, DNS_A, v4_answered);
}
