#include "auth/introspect.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ATTEMPT_MS 3000 /* for one of several addresses to be connected */
#define FORM_MAX 32768	/* a token of TOKEN_MAX, each byte as three, and some more */

static void start(struct introspect_request *request);

void
introspect_init(struct introspect *introspect)
{
	TAILQ_INIT(&introspect->running);
	TAILQ_INIT(&introspect->waiting);
}

/* --- the end ------------------------------------------------------------------------------------------------------- */

static void
next_start(struct introspect *introspect)
{
	struct introspect_request *request = TAILQ_FIRST(&introspect->waiting);

	if (request == NULL || introspect->nrunning >= INTROSPECT_RUNNING_MAX)
		return;
	TAILQ_REMOVE(&introspect->waiting, request, link);
	introspect->nwaiting--;
	start(request);
}

static void
request_leave(struct introspect_request *request)
{
	struct introspect *introspect = request->introspect;

	if (request->running) {
		TAILQ_REMOVE(&introspect->running, request, link);
		introspect->nrunning--;
	} else {
		TAILQ_REMOVE(&introspect->waiting, request, link);
		introspect->nwaiting--;
	}
	next_start(introspect);
}

/* why NULL: the body of the response is the answer. */
static void
finish(struct introspect_request *request, const char *why)
{
	struct buf body = request->response.body;
	char text[sizeof request->why + 100];

	buf_init(&request->response.body, 0);
	loop_timer_cancel(&request->deadline);
	loop_defer_cancel(&request->later);
	dns_cancel(&request->v6);
	dns_cancel(&request->v4);
	stream_close(&request->stream);
	http_response_clear(&request->response);
	buf_clear_secret(&request->form);
	request_leave(request);
	if (why != NULL) {
		(void)snprintf(text, sizeof text, "%s: %s", request->introspect->url.host, why);
		request->answered(request, STR_NONE, text);
	} else
		request->answered(request, buf_str(&body), NULL);
	buf_clear(&body);
}

static void
deadline_expired(struct loop_timer *timer)
{
	finish(container_of(timer, struct introspect_request, deadline), "no answer in time");
}

/* --- the connection ------------------------------------------------------------------------------------------------ */

static void
request_send(struct introspect_request *request)
{
	const struct introspect *introspect = request->introspect;

	http_post(&request->stream.out, &introspect->url, buf_str(&request->form), introspect->client, introspect->secret);
}

static void
connected(struct introspect_request *request)
{
	const struct introspect *introspect = request->introspect;

	request->connected = true;
	stream_set_deadline(&request->stream, 0); /* the request's own goes on */
	if (!introspect->url.tls)
		request_send(request);
	else if (introspect->tls == NULL || !stream_start_tls(&request->stream, introspect->tls, introspect->url.host))
		finish(request, "there is no TLS");
}

static void
responded(struct introspect_request *request, enum http_state state)
{
	char why[64];

	if (state == HTTP_MORE)
		return;
	(void)snprintf(why, sizeof why, "status %u", request->response.status);
	finish(request, state == HTTP_BAD ? "no good response" : request->response.status == 200 ? NULL : why);
}

static void
on_input(struct stream *stream)
{
	struct introspect_request *request = container_of(stream, struct introspect_request, stream);
	enum http_state state = http_response_feed(&request->response, buf_str(&stream->in));

	buf_consume(&stream->in, stream->in.n);
	responded(request, state);
}

static void
on_drained(struct stream *stream)
{
	struct introspect_request *request = container_of(stream, struct introspect_request, stream);

	if (!request->connected)
		connected(request);
}

static void
on_secured(struct stream *stream)
{
	struct introspect_request *request = container_of(stream, struct introspect_request, stream);

	if (stream_tls_is_verified(stream))
		request_send(request);
	else
		finish(request, "its certificate is not one that we trust for this name");
}

static void next_address(struct introspect_request *request);

static void
later_run(struct loop_deferred *deferred)
{
	next_address(container_of(deferred, struct introspect_request, later));
}

static void
on_closed(struct stream *stream, enum stream_end why, const struct err *err)
{
	struct introspect_request *request = container_of(stream, struct introspect_request, stream);

	(void)str_copy(request->why, sizeof request->why,
	    err != NULL ? str_sub(str_from(err->text), 0, sizeof request->why - 1) : STR("the connection ended"));
	if (!request->connected)
		loop_defer(request->introspect->loop, &request->later, later_run);
	else if (why == STREAM_EOF)
		responded(request, http_response_end(&request->response));
	else
		finish(request, request->why);
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
next_address(struct introspect_request *request)
{
	static const struct stream_limits limits = {.in_max = 16384, .out_max = 65536, .full_duplex = true};
	bool connecting = false;
	struct err err = {0};
	int fd = -1;

	while (fd < 0 && request->next < request->naddresses) {
		fd = socket_connect(&request->addresses[request->next++], &connecting, &err);
		if (fd < 0)
			(void)str_copy(request->why, sizeof request->why,
			    str_sub(str_from(err.text), 0, sizeof request->why - 1));
	}
	if (fd < 0) {
		finish(request, request->why);
		return;
	}
	stream_open(&request->stream, request->introspect->loop, fd, &events, &limits);
	stream_set_deadline(&request->stream, ATTEMPT_MS);
	if (connecting)
		stream_connecting(&request->stream);
	else
		connected(request);
	if (stream_is_open(&request->stream))
		stream_flush(&request->stream);
}

/* --- the address --------------------------------------------------------------------------------------------------- */

static void
family_answered(struct introspect_request *request, const struct dns_answer *answer)
{
	if (answer->status == DNS_TEMP)
		(void)str_copy(request->why, sizeof request->why, str_sub(answer->reason, 0, sizeof request->why - 1));
	if (--request->asked == 0)
		next_address(request);
}

static void
v6_answered(struct dns_query *query, const struct dns_answer *answer)
{
	struct introspect_request *request = container_of(query, struct introspect_request, v6);

	for (size_t i = 0; i < answer->n && i < INTROSPECT_ADDRESSES_MAX / 2; i++) {
		struct endpoint *e = &request->addresses[request->naddresses++];

		*e = (struct endpoint){.length = sizeof e->address.v6};
		e->address.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6,
		    .sin6_port = htons(request->introspect->url.port), .sin6_addr = answer->records[i].address.v6};
	}
	family_answered(request, answer);
}

static void
v4_answered(struct dns_query *query, const struct dns_answer *answer)
{
	struct introspect_request *request = container_of(query, struct introspect_request, v4);

	for (size_t i = 0; i < answer->n && i < INTROSPECT_ADDRESSES_MAX / 2; i++) {
		struct endpoint *e = &request->addresses[request->naddresses++];

		*e = (struct endpoint){.length = sizeof e->address.v4};
		e->address.v4 = (struct sockaddr_in){.sin_family = AF_INET,
		    .sin_port = htons(request->introspect->url.port), .sin_addr = answer->records[i].address.v4};
	}
	family_answered(request, answer);
}

static void
start(struct introspect_request *request)
{
	struct introspect *introspect = request->introspect;
	struct str host = str_from(introspect->url.host);

	TAILQ_INSERT_TAIL(&introspect->running, request, link);
	introspect->nrunning++;
	request->running = true;
	(void)str_copy(request->why, sizeof request->why, STR("it has no address"));
	if (endpoint_parse_address(host, introspect->url.port, &request->addresses[0])) {
		request->naddresses = 1;
		loop_defer(introspect->loop, &request->later, later_run);
		return;
	}
	request->asked = 2;
	dns_ask(introspect->dns, &request->v6, host, DNS_AAAA, v6_answered);
	dns_ask(introspect->dns, &request->v4, host, DNS_A, v4_answered);
}

void
introspect_ask(struct introspect *introspect, struct introspect_request *request, struct str token,
    void (*answered)(struct introspect_request *, struct str body, const char *why))
{
	memset(request, 0, sizeof *request);
	request->answered = answered;
	request->introspect = introspect;
	http_response_init(&request->response);
	buf_init(&request->form, FORM_MAX);
	(void)buf_reserve(&request->form, FORM_MAX);
	buf_adds(&request->form, "token_type_hint=access_token&token=");
	http_form_add(&request->form, token);
	loop_timer_set(introspect->loop, &request->deadline,
	    introspect->nwaiting < INTROSPECT_WAITING_MAX ? INTROSPECT_SECONDS * 1000 : 0, deadline_expired);
	if (introspect->nrunning < INTROSPECT_RUNNING_MAX)
		start(request);
	else {
		TAILQ_INSERT_TAIL(&introspect->waiting, request, link);
		introspect->nwaiting++;
	}
}
