#include "auth/introspect.h"

#include <stdio.h>
#include <string.h>

#define TIMEOUT_MS (INTROSPECT_SECONDS * UINT64_C(1000))
#define FORM_MAX 32768 /* a token of TOKEN_MAX, each byte as three, and some more */

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

	loop_timer_cancel(&request->deadline);
	if (request->running) {
		TAILQ_REMOVE(&introspect->running, request, link);
		introspect->nrunning--;
	} else {
		TAILQ_REMOVE(&introspect->waiting, request, link);
		introspect->nwaiting--;
	}
	next_start(introspect);
}

static void
call_answered(struct http_call *call, const struct http_response *response, const char *why)
{
	struct introspect_request *request = container_of(call, struct introspect_request, call);
	char text[HTTP_HOST_MAX + 32];

	request_leave(request);
	if (response != NULL && response->status == 200) {
		request->answered(request, buf_str(&response->body), NULL);
		return;
	}
	if (response != NULL)
		(void)snprintf(text, sizeof text, "%s: status %u", request->introspect->url.host, response->status);
	request->answered(request, STR_NONE, response != NULL ? text : why);
}

/* In line for too long, or the line is too long. */
static void
deadline_expired(struct loop_timer *timer)
{
	struct introspect_request *request = container_of(timer, struct introspect_request, deadline);

	http_call_stop(&request->call);
	request_leave(request);
	request->answered(request, STR_NONE, "no answer in time");
}

/* --- the beginning ------------------------------------------------------------------------------------------------- */

static void
start(struct introspect_request *request)
{
	struct introspect *introspect = request->introspect;
	uint64_t waited_ms = loop_now_ms(introspect->http.loop) - request->asked_ms;

	loop_timer_cancel(&request->deadline);
	TAILQ_INSERT_TAIL(&introspect->running, request, link);
	introspect->nrunning++;
	request->running = true;
	http_call_start(&request->call, &introspect->http, &introspect->url, waited_ms < TIMEOUT_MS ? TIMEOUT_MS - waited_ms : 0,
	    call_answered);
}

static void
request_make(struct introspect_request *request, struct str token)
{
	const struct introspect *introspect = request->introspect;
	struct buf form;

	/* At once, so that no copy of a secret is left behind. */
	buf_init(&form, FORM_MAX);
	(void)buf_reserve(&form, FORM_MAX);
	(void)buf_reserve(&request->call.request, 2 * FORM_MAX);
	buf_adds(&form, "token_type_hint=access_token&token=");
	http_form_add(&form, token);
	http_post(&request->call.request, &introspect->url, buf_str(&form), introspect->client, introspect->secret);
	buf_clear_secret(&form);
}

void
introspect_ask(struct introspect *introspect, struct introspect_request *request, struct str token,
    void (*answered)(struct introspect_request *, struct str body, const char *why))
{
	memset(request, 0, sizeof *request);
	request->answered = answered;
	request->introspect = introspect;
	request->asked_ms = loop_now_ms(introspect->http.loop);
	http_call_init(&request->call);
	request_make(request, token);
	if (introspect->nrunning < INTROSPECT_RUNNING_MAX) {
		start(request);
		return;
	}
	loop_timer_set(introspect->http.loop, &request->deadline,
	    introspect->nwaiting < INTROSPECT_WAITING_MAX ? TIMEOUT_MS : 0, deadline_expired);
	TAILQ_INSERT_TAIL(&introspect->waiting, request, link);
	introspect->nwaiting++;
}
