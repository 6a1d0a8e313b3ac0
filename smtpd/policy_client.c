#include "smtpd/policy_client.h"

#include <stdlib.h>

#include "common/base/log.h"

#define IN_MAX (2 * POLICY_REPLY_MAX)

struct policy_connection {
	struct policy_client *client;
	struct connector_query dial; /* under way until the stream is open */
	struct stream stream;
	struct policy_query *query; /* NULL: idle */
	bool used;		    /* it has answered before: it may have been closed since */
	LIST_ENTRY(policy_connection) link;
};

static void serve(struct policy_client *client);

void
policy_client_init(struct policy_client *client, struct loop *loop, struct connector_client *connector, size_t index)
{
	*client = (struct policy_client){.loop = loop, .connector = connector, .filter = &connector->conf->filters[index],
	    .index = index};
	TAILQ_INIT(&client->waiting);
	LIST_INIT(&client->connections);
}

/* --- queries ------------------------------------------------------------------------------------------------------ */

static void
query_forget(struct policy_query *query)
{
	loop_timer_cancel(&query->deadline);
	buf_clear(&query->request);
	if (query->connection != NULL)
		query->connection->query = NULL;
	else
		TAILQ_REMOVE(&query->client->waiting, query, link);
	query->connection = NULL;
	query->client = NULL;
}

static void
query_answer(struct policy_query *query, const struct policy_reply *reply, const char *reason)
{
	query_forget(query);
	query->answered(query, reply, reason);
}

/* --- connections -------------------------------------------------------------------------------------------------- */

static void
connection_free(struct policy_connection *c)
{
	connector_cancel(&c->dial);
	stream_close(&c->stream);
	LIST_REMOVE(c, link);
	c->client->nconnections--;
	free(c);
}

/* Its question waits again: for another connection, or to be answered. */
static void
query_take_back(struct policy_connection *c)
{
	struct policy_query *query = c->query;

	c->query = NULL;
	query->connection = NULL;
	TAILQ_INSERT_HEAD(&c->client->waiting, query, link);
}

/* What it was asked is asked again elsewhere, if the server may have closed it before it saw the question. */
static void
connection_fail(struct policy_connection *c, const char *reason)
{
	struct policy_client *client = c->client;
	struct policy_query *query = c->query;
	bool again = query != NULL && c->used && !query->retried;
	struct err err;

	(void)err_set(&err, ERR_TEMP, "%s", reason); /* it may be the stream's */
	if (query != NULL)
		query_take_back(c);
	connection_free(c);
	if (again)
		query->retried = true;
	else if (query != NULL)
		query_answer(query, NULL, err.text);
	serve(client);
}

static void
give(struct policy_connection *c, struct policy_query *query)
{
	TAILQ_REMOVE(&c->client->waiting, query, link);
	c->query = query;
	query->connection = c;
	stream_set_deadline(&c->stream, 0);
	buf_add(&c->stream.out, buf_str(&query->request));
	stream_flush(&c->stream);
}

/* Everything is in order before the answer is told: whoever hears it may ask again at once. */
static void
reply_came(struct policy_connection *c, size_t taken, const struct policy_reply *reply)
{
	struct policy_client *client = c->client;
	struct policy_query *query = c->query;
	struct policy_reply copy = *reply;
	char text[POLICY_REPLY_MAX];

	(void)str_copy(text, sizeof text, reply->text);
	copy.text = str_from(text);
	c->used = true;
	buf_consume(&c->stream.in, taken);
	stream_set_deadline(&c->stream, POLICY_IDLE_MS);
	query_answer(query, &copy, NULL);
	serve(client);
}

static void
on_input(struct stream *stream)
{
	struct policy_connection *c = container_of(stream, struct policy_connection, stream);
	struct str rest = buf_str(&stream->in);
	struct policy_reply reply;

	if (c->query == NULL) {
		connection_fail(c, ""); /* nobody asked */
		return;
	}
	switch (policy_reply_take(&rest, &reply)) {
	case PARSE_MORE:
		return;
	case PARSE_BAD:
		c->used = false;
		connection_fail(c, "it gave an answer that makes no sense");
		return;
	case PARSE_OK:
		break;
	}
	reply_came(c, stream->in.n - rest.n, &reply);
}

static void
on_closed(struct stream *stream, enum stream_end why, const struct err *err)
{
	struct policy_connection *c = container_of(stream, struct policy_connection, stream);

	(void)why;
	connection_fail(c, err != NULL ? err->text : "it closed the connection");
}

static const struct stream_events connection_events = {
    .input = on_input,
    .closed = on_closed,
};

static void
dialled(struct connector_query *dial, int fd, const char *reason)
{
	static const struct stream_limits limits = {.in_max = IN_MAX, .out_max = 2 * POLICY_REQUEST_MAX, .full_duplex = true};
	struct policy_connection *c = container_of(dial, struct policy_connection, dial);

	if (fd < 0) {
		struct policy_client *client = c->client;
		struct policy_query *query = TAILQ_FIRST(&client->waiting);

		connection_free(c);
		if (query != NULL)
			query_answer(query, NULL, reason);
		serve(client);
		return;
	}
	stream_open(&c->stream, c->client->loop, fd, &connection_events, &limits);
	stream_set_deadline(&c->stream, POLICY_IDLE_MS);
	serve(c->client);
}

static void
connection_new(struct policy_client *client)
{
	struct policy_connection *c = calloc(1, sizeof *c);

	if (c == NULL)
		return; /* those that wait have their deadlines */
	c->client = client;
	LIST_INSERT_HEAD(&client->connections, c, link);
	client->nconnections++;
	connector_ask(client->connector, &c->dial, client->index, dialled);
}

/* An idle one that the server has just closed shows it only at its next turn; then the question is asked again. */
static struct policy_connection *
idle_one(struct policy_client *client)
{
	struct policy_connection *c;

	LIST_FOREACH(c, &client->connections, link)
		if (c->query == NULL && stream_is_open(&c->stream))
			return c;
	return NULL;
}

/* As many as wait, less those that are on their way. */
static void
connect_more(struct policy_client *client)
{
	struct policy_connection *c;
	struct policy_query *query;
	size_t dials = 0, waiting = 0;

	LIST_FOREACH(c, &client->connections, link)
		dials += c->dial.client != NULL;
	TAILQ_FOREACH(query, &client->waiting, link) {
		if (client->nconnections == POLICY_CONNECTIONS_MAX)
			break;
		if (++waiting > dials)
			connection_new(client);
	}
}

static void
serve(struct policy_client *client)
{
	struct policy_connection *c;

	while (!TAILQ_EMPTY(&client->waiting) && (c = idle_one(client)) != NULL)
		give(c, TAILQ_FIRST(&client->waiting));
	if (!TAILQ_EMPTY(&client->waiting))
		connect_more(client);
}

/* --- questions ---------------------------------------------------------------------------------------------------- */

/* A connection whose answer is overdue is of no use: the answer would be taken for that to another question. */
static void
query_expired(struct loop_timer *timer)
{
	struct policy_query *query = container_of(timer, struct policy_query, deadline);
	struct policy_client *client = query->client;
	struct policy_connection *c = query->connection;

	if (c != NULL) {
		query_take_back(c);
		connection_free(c);
	}
	query_answer(query, NULL, "it took too long to answer");
	serve(client);
}

void
policy_ask(struct policy_client *client, struct policy_query *query, const struct policy_request *request,
    void (*answered)(struct policy_query *, const struct policy_reply *, const char *))
{
	query->answered = answered;
	query->client = client;
	query->connection = NULL;
	query->retried = false;
	buf_init(&query->request, POLICY_REQUEST_MAX);
	policy_request_add(&query->request, request);
	TAILQ_INSERT_TAIL(&client->waiting, query, link);
	loop_timer_set(client->loop, &query->deadline, client->filter->timeout_ms, query_expired);
	serve(client);
}

void
policy_cancel(struct policy_query *query)
{
	struct policy_client *client = query->client;
	struct policy_connection *c = query->connection;

	if (client == NULL)
		return;
	query_forget(query);
	if (c == NULL)
		return;
	connection_free(c);
	serve(client); /* there is room for another connection */
}

struct policy_reply
policy_failure(const struct conf_filter *filter)
{
	struct policy_reply reply = {.action = POLICY_ACTION_REPLY, .text = STR("Server configuration problem")};

	switch (filter->on_failure) {
	case CONF_FAILURE_ACCEPT:
		return (struct policy_reply){.action = POLICY_ACTION_DUNNO};
	case CONF_FAILURE_DEFER:
		reply.code = 451;
		(void)str_copy(reply.status, sizeof reply.status, STR("4.3.5"));
		break;
	case CONF_FAILURE_REFUSE:
		reply.code = 550;
		(void)str_copy(reply.status, sizeof reply.status, STR("5.3.5"));
		break;
	}
	return reply;
}
