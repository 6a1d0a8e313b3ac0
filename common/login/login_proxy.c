/*
 * A connection under TLS after its login: bytes go between the peer's stream and a socket pair to the session process,
 * which is on its own in the clear. Each side's input is moved as a whole into the other's output; a side whose
 * counterpart does not read is not read from either, so that what is held stays within the streams' limits.
 */
#include <unistd.h>

#include "common/login/login_worker.h"

#define PAUSE_BYTES (2 * LOGIN_INPUT_MAX) /* waiting on one side, at which the other one is not read any more */

static void
move(struct stream *from, struct stream *to)
{
	buf_add(&to->out, buf_str(&from->in));
	buf_consume(&from->in, from->in.n);
	if (!stream_is_open(to))
		return;
	stream_flush(to);
	if (stream_pending(to) > PAUSE_BYTES)
		stream_pause(from);
}

void
login_proxy_input(struct login_client *client)
{
	move(&client->stream, &client->inner);
}

void
login_proxy_drained(struct login_client *client)
{
	stream_resume(&client->inner);
}

/* When one side is at its end the other gets what is left, and ends too. */
static void
side_closed(struct login_client *client, struct stream *other)
{
	if (stream_is_open(other))
		stream_finish(other);
	else
		login_client_free(client);
}

void
login_proxy_closed(struct login_client *client)
{
	side_closed(client, &client->inner);
}

static void
inner_input(struct stream *stream)
{
	struct login_client *client = container_of(stream, struct login_client, inner);

	move(stream, &client->stream);
}

static void
inner_drained(struct stream *stream)
{
	stream_resume(&container_of(stream, struct login_client, inner)->stream);
}

static void
inner_closed(struct stream *stream, enum stream_end why, const struct err *err)
{
	struct login_client *client = container_of(stream, struct login_client, inner);

	(void)why;
	(void)err;
	side_closed(client, &client->stream);
}

static const struct stream_events inner_events = {
    .input = inner_input,
    .drained = inner_drained,
    .closed = inner_closed,
};

/* What the peer had already sent went to the session with the hand-over. */
void
login_proxy_open(struct login_client *client)
{
	struct login_worker *worker = client->worker;
	int fd = client->inner_fd;

	TAILQ_REMOVE(&worker->guests, client, link);
	worker->addresses[client->hash % LOGIN_BUCKETS]--;
	TAILQ_INSERT_TAIL(&worker->users, client, link);
	client->state = LOGIN_PROXYING;
	client->inner_fd = -1;
	buf_consume(&client->stream.in, client->stream.in.n);
	stream_open(&client->inner, worker->loop, fd, &inner_events, &LOGIN_STREAM_LIMITS);
	stream_resume(&client->stream);
}
