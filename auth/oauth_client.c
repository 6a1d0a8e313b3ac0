#include "auth/oauth.h"

#include <string.h>

#include "common/base/log.h"

#define ANSWER_TIMEOUT_MS 15000 /* longer than the process lets its server take */
#define MESSAGE_MAX_BYTES (TOKEN_MAX + 256)

static void
request_end(struct oauth_request *request)
{
	loop_timer_cancel(&request->timer);
	TAILQ_REMOVE(&request->client->requests, request, link);
	request->client->n--;
	request->client = NULL;
}

static void
request_fail(struct oauth_request *request, const char *why)
{
	struct oauth_answer answer = {.found = FOUND_TROUBLE, .value = str_from(why)};

	request_end(request);
	request->answered(request, &answer);
}

static void
request_expired(struct loop_timer *timer)
{
	request_fail(container_of(timer, struct oauth_request, timer), "no answer about the token");
}

/* Those that are under way now: whoever is told may ask again. */
static void
fail_all(struct oauth_client *client, const char *why)
{
	uint32_t last = client->last_id;
	struct oauth_request *request;

	while ((request = TAILQ_FIRST(&client->requests)) != NULL && (int32_t)(request->id - last) <= 0)
		request_fail(request, why);
}

static void
received(struct channel *channel, struct msg *m)
{
	struct oauth_client *client = container_of(channel, struct oauth_client, channel);
	struct oauth_request *request;
	struct oauth_answer answer;

	if (m->type == OAUTH_HELLO) {
		fail_all(client, "the process that knows tokens began anew");
		return;
	}
	TAILQ_FOREACH(request, &client->requests, link)
		if (request->id == m->id)
			break;
	if (request == NULL)
		return; /* it was given up meanwhile */
	if (!oauth_answer_read(m, &answer))
		answer = (struct oauth_answer){.found = FOUND_TROUBLE, .value = STR("a malformed answer")};
	request_end(request);
	request->answered(request, &answer);
}

static void
closed(struct channel *channel)
{
	fail_all(container_of(channel, struct oauth_client, channel), "the process that knows tokens is gone");
}

void
oauth_client_open(struct oauth_client *client, struct loop *loop, int fd)
{
	memset(client, 0, sizeof *client);
	client->loop = loop;
	TAILQ_INIT(&client->requests);
	if (fd >= 0)
		channel_open(&client->channel, loop, fd, received, closed);
}

static bool
ask_send(struct oauth_client *client, uint32_t id, struct str token)
{
	struct buf b;
	bool sent;

	if (client->n > OAUTH_ASKED_MAX || !channel_is_open(&client->channel))
		return false;
	buf_init(&b, MESSAGE_MAX_BYTES);
	(void)buf_reserve(&b, MESSAGE_MAX_BYTES); /* so that it does not move and leave secrets behind */
	msg_begin(&b, OAUTH_ASK, id);
	msg_add_str(&b, token);
	sent = channel_send(&client->channel, &b, -1);
	buf_clear_secret(&b);
	return sent;
}

void
oauth_ask(struct oauth_client *client, struct oauth_request *request, struct str token,
    void (*answered)(struct oauth_request *, const struct oauth_answer *))
{
	memset(request, 0, sizeof *request);
	request->answered = answered;
	request->client = client;
	request->id = ++client->last_id;
	TAILQ_INSERT_TAIL(&client->requests, request, link);
	client->n++;
	loop_timer_set(client->loop, &request->timer, ask_send(client, request->id, token) ? ANSWER_TIMEOUT_MS : 0,
	    request_expired);
}

void
oauth_cancel(struct oauth_request *request)
{
	if (request->client != NULL)
		request_end(request);
}

void
oauth_client_release(struct oauth_client *client)
{
	struct buf b;

	if (!channel_is_open(&client->channel))
		return;
	buf_init(&b, 64);
	msg_begin(&b, OAUTH_GOODBYE, 0);
	(void)channel_send(&client->channel, &b, -1);
	buf_clear(&b);
}
