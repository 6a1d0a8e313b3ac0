#include "common/daemon/connector_client.h"

#include <stdio.h>

#include "common/base/log.h"

#define GRACE_MS 1000 /* for the connector's own answer that its time is over */
#define MESSAGE_MAX 64

static struct connector_query *
query_find(const struct connector_client *client, uint32_t id)
{
	struct connector_query *query;

	LIST_FOREACH(query, &client->queries, link)
		if (query->id == id)
			return query;
	return NULL;
}

static void
query_end(struct connector_query *query, int fd, const char *reason)
{
	connector_cancel(query);
	query->answered(query, fd, reason);
}

/* One that was given up is closed with its message. */
static void
received(struct channel *channel, struct msg *m)
{
	struct connector_client *client = container_of(channel, struct connector_client, channel);
	struct str reason = msg_get_str(m);
	struct connector_query *query = query_find(client, m->id);
	char text[CONNECTOR_REASON_MAX + 1];

	if (m->type != CONNECTOR_DONE || !msg_done(m)) {
		log_warning("the connector sends what is no answer");
		return;
	}
	if (query == NULL)
		return;
	(void)snprintf(text, sizeof text, "%.*s", STR_FMT(reason));
	query_end(query, reason.n == 0 ? msg_take_fd(m) : -1, text);
}

static void
closed(struct channel *channel)
{
	(void)channel;
	log_warning("the connection to the connector is lost");
}

void
connector_client_init(struct connector_client *client, struct loop *loop, int fd, const struct conf *conf,
    const struct connector_places *places)
{
	*client = (struct connector_client){.loop = loop, .conf = conf, .places = places};
	LIST_INIT(&client->queries);
	if (fd >= 0)
		channel_open(&client->channel, loop, fd, received, closed);
}

static void
expired(struct loop_timer *timer)
{
	query_end(container_of(timer, struct connector_query, timer), -1, "no answer of the connector");
}

static bool
send_request(struct connector_client *client, uint32_t id, size_t number)
{
	struct buf b;
	bool sent;

	if (!channel_is_open(&client->channel))
		return false;
	buf_init(&b, MESSAGE_MAX);
	msg_begin(&b, CONNECTOR_CONNECT, id);
	msg_add_u64(&b, number);
	sent = channel_send(&client->channel, &b, -1);
	buf_clear(&b);
	return sent;
}

void
connector_ask(struct connector_client *client, struct connector_query *query, size_t number,
    void (*answered)(struct connector_query *, int, const char *))
{
	struct connector_place place;
	bool sent;

	query->answered = answered;
	query->client = client;
	query->id = ++client->last_id;
	LIST_INSERT_HEAD(&client->queries, query, link);
	sent = client->places->find(client->conf, number, &place) && send_request(client, query->id, number);
	loop_timer_set(client->loop, &query->timer, sent ? place.timeout_ms + GRACE_MS : 0, expired);
}

void
connector_cancel(struct connector_query *query)
{
	if (query->client == NULL)
		return;
	loop_timer_cancel(&query->timer);
	LIST_REMOVE(query, link);
	query->client = NULL;
}
