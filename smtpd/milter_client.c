#include "smtpd/milter_client.h"

#include <stdlib.h>

#include "common/base/log.h"

#define IN_MAX (MILTER_PACKET_MAX + 8)
/* The largest packet of ours, behind some that could not be sent yet. */
#define FULL_FROM 65536
#define OUT_MAX (MILTER_PACKET_MAX + 4 * FULL_FROM)

void
milter_pool_init(struct milter_pool *pool, struct loop *loop, struct connector_client *connector, const struct conf *conf)
{
	*pool = (struct milter_pool){.loop = loop, .connector = connector, .conf = conf};
}

/* ---- the end ----------------------------------------------------------------------------------------------------------- */

static void
free_later(struct loop_deferred *later)
{
	struct milter_client *client = container_of(later, struct milter_client, later);

	milter_clear(&client->milter);
	free(client);
}

/* Not from inside our own functions that still look at it. */
static void
client_end(struct milter_client *client)
{
	connector_cancel(&client->query);
	stream_close(&client->stream);
	client->user->client = NULL;
	client->user = NULL;
	loop_defer(client->pool->loop, &client->later, free_later);
}

static void
failed(struct milter_client *client, const char *why)
{
	struct milter_user *user = client->user;

	client_end(client);
	user->events->failed(user, why);
}

/* ---- what the filter says ------------------------------------------------------------------------------------------------ */

static uint64_t
timeout_ms(const struct milter_client *client)
{
	return client->pool->conf->filters[client->filter].timeout_ms;
}

/* What a scanner makes of a whole message takes longer than an answer. */
static void
deadline_set(struct milter_client *client)
{
	uint64_t after_ms = timeout_ms(client);

	if (client->milter.asked == MILTER_END)
		after_ms *= MILTER_END_TIMES;
	else if (client->milter.asked == 0 && stream_pending(&client->stream) == 0)
		after_ms = 0;
	stream_set_deadline(&client->stream, after_ms);
}

/* One that only waits costs no buffer. */
static void
buffers_drop(struct stream *stream)
{
	if (!stream_is_open(stream))
		return;
	if (stream->in.n == 0)
		buf_clear(&stream->in);
	if (stream->out.n == 0)
		buf_clear(&stream->out);
}

static bool
progress(struct milter_client *client)
{
	if (loop_now_ms(client->pool->loop) - client->asked_ms > MILTER_PROGRESS_MS) {
		failed(client, "makes progress without end");
		return false;
	}
	deadline_set(client);
	return true;
}

/* False: nothing more for now. */
static bool
event_take(struct milter_client *client, enum milter_event event)
{
	struct milter_user *user = client->user;

	switch (event) {
	case MILTER_MORE:
		return false;
	case MILTER_READY:
		deadline_set(client);
		user->events->ready(user);
		break;
	case MILTER_VERDICT:
		deadline_set(client);
		user->events->verdict(user);
		break;
	case MILTER_CHANGED:
		user->events->changed(user);
		break;
	case MILTER_PROGRESS:
		return progress(client);
	case MILTER_BAD:
		failed(client, client->milter.problem);
		return false;
	}
	return client->user == user;
}

/* A change is borrowed from the input until it is dealt with; nothing else is. */
static bool
packet_take(struct milter_client *client)
{
	struct buf *in = &client->stream.in;
	struct str rest = buf_str(in);
	enum milter_event event = milter_feed(&client->milter, &rest);
	size_t taken = in->n - rest.n;
	bool more;

	if (event != MILTER_CHANGED)
		buf_consume(in, taken);
	more = event_take(client, event);
	if (more && event == MILTER_CHANGED)
		buf_consume(in, taken);
	return more;
}

static void
on_input(struct stream *stream)
{
	struct milter_client *client = container_of(stream, struct milter_client, stream);

	while (packet_take(client))
		continue;
	buffers_drop(stream);
}

static void
on_drained(struct stream *stream)
{
	struct milter_client *client = container_of(stream, struct milter_client, stream);

	deadline_set(client);
	client->user->events->drained(client->user);
}

static void
on_closed(struct stream *stream, enum stream_end why, const struct err *err)
{
	struct milter_client *client = container_of(stream, struct milter_client, stream);

	if (why == STREAM_DEADLINE)
		failed(client, "does not answer in time");
	else
		failed(client, err != NULL ? err->text : "the connection was closed");
}

static const struct stream_events client_events = {
    .input = on_input,
    .drained = on_drained,
    .closed = on_closed,
};

/* ---- the beginning ------------------------------------------------------------------------------------------------------- */

static void
connected(struct connector_query *query, int fd, const char *reason)
{
	static const struct stream_limits limits = {.in_max = IN_MAX, .out_max = OUT_MAX, .full_duplex = true};
	struct milter_client *client = container_of(query, struct milter_client, query);

	if (fd < 0) {
		failed(client, reason);
		return;
	}
	stream_open(&client->stream, client->pool->loop, fd, &client_events, &limits);
	milter_negotiate(&client->milter, &client->stream.out);
	milter_client_send(client);
}

static struct milter_client *
client_new(struct milter_pool *pool, size_t filter)
{
	struct milter_client *client = calloc(1, sizeof *client);

	if (client == NULL)
		return NULL;
	client->pool = pool;
	client->filter = filter;
	milter_init(&client->milter);
	return client;
}

void
milter_client_open(struct milter_pool *pool, size_t filter, struct milter_user *user)
{
	struct milter_client *client = client_new(pool, filter);

	if (client == NULL)
		fatal("out of memory for a filter");
	client->user = user;
	user->client = client;
	connector_ask(pool->connector, &client->query, filter, connected);
}

void
milter_client_send(struct milter_client *client)
{
	client->asked_ms = loop_now_ms(client->pool->loop);
	stream_flush(&client->stream);
	deadline_set(client);
}

bool
milter_client_has_room(struct milter_client *client)
{
	if (stream_pending(&client->stream) >= FULL_FROM)
		milter_client_send(client);
	return stream_pending(&client->stream) < FULL_FROM;
}

/* What cannot be sent at once is not: the filter sees the end of the connection all the same. */
void
milter_client_release(struct milter_user *user)
{
	struct milter_client *client = user->client;

	if (client == NULL)
		return;
	if (stream_is_open(&client->stream)) {
		milter_quit(&client->milter, &client->stream.out);
		stream_flush(&client->stream);
	}
	client_end(client);
}
