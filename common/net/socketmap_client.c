/*
 * The two clients of socketmap. The asynchronous one keeps its queries in one list, in the order asked; those whose
 * request is in the output buffer or beyond come first. Since replies come in that order too, the first query's reply
 * is the next to come, but for those of cancelled queries: each query counts how many of them come before its own.
 */
#include "common/net/socketmap.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/net/unix_socket.h"

#define OUT_MAX 65536
#define IN_MAX (SOCKETMAP_REPLY_MAX + 16)
#define BUSY_RETRY_MS 20 /* when the server's backlog is full */

static void client_ready(struct loop_io *io, unsigned events);
static void client_expired(struct loop_timer *timer);

void
socketmap_client_init(struct socketmap_client *client, struct loop *loop, const char *path, unsigned timeout_ms)
{
	memset(client, 0, sizeof *client);
	client->loop = loop;
	client->path = path;
	client->timeout_ms = timeout_ms;
	TAILQ_INIT(&client->queries);
	buf_init(&client->in, IN_MAX);
	buf_init(&client->out, OUT_MAX);
}

static bool
is_connected(const struct socketmap_client *client)
{
	return client->io.loop != NULL;
}

static void
disconnect(struct socketmap_client *client)
{
	if (is_connected(client)) {
		loop_io_remove(&client->io);
		(void)close(client->io.fd);
	}
	client->broken = false;
	client->skip_last = 0;
	buf_reset(&client->in);
	buf_reset(&client->out);
}

static void
query_remove(struct socketmap_query *query)
{
	TAILQ_REMOVE(&query->client->queries, query, link);
	query->client = NULL;
	buf_clear(&query->request);
}

void
socketmap_client_clear(struct socketmap_client *client)
{
	struct socketmap_query *query;

	disconnect(client);
	loop_timer_cancel(&client->timer);
	while ((query = TAILQ_FIRST(&client->queries)) != NULL)
		query_remove(query);
	buf_clear(&client->in);
	buf_clear(&client->out);
}

static void
query_answer(struct socketmap_query *query, enum socketmap_status status, struct str value)
{
	query_remove(query);
	query->answered(query, status, value);
}

/* A callback may remove any other query, so the search begins anew after each. */
static void
answer_failed(struct socketmap_client *client)
{
	struct socketmap_query *query;

	do {
		TAILQ_FOREACH(query, &client->queries, link)
			if (query->state == SOCKETMAP_FAILED)
				break;
		if (query != NULL)
			query_answer(query, SOCKETMAP_TEMP, STR("authd cannot be asked at present"));
	} while (query != NULL);
}

static void
fail_all(struct socketmap_client *client)
{
	struct socketmap_query *query;

	TAILQ_FOREACH(query, &client->queries, link)
		query->state = SOCKETMAP_FAILED;
}

static void
timer_arm(struct socketmap_client *client)
{
	struct socketmap_query *first = TAILQ_FIRST(&client->queries);
	uint64_t now_ms = loop_now_ms(client->loop);

	if (first == NULL)
		loop_timer_cancel(&client->timer);
	else if (client->timer.loop == NULL)
		loop_timer_set(client->loop, &client->timer,
		    first->deadline_ms > now_ms ? first->deadline_ms - now_ms : 0, client_expired);
}

/* Moves what waits into the output buffer, as far as there is room, and sends. False when the connection broke. */
static bool
client_send(struct socketmap_client *client)
{
	struct socketmap_query *query;
	ssize_t n = 0;

	TAILQ_FOREACH(query, &client->queries, link) {
		if (query->state != SOCKETMAP_WAITING)
			continue;
		if (query->request.n > client->out.max - client->out.n)
			break;
		buf_add(&client->out, buf_str(&query->request));
		query->state = SOCKETMAP_SENT;
		query->skip = client->skip_last;
		client->skip_last = 0;
	}
	if (!buf_ok(&client->out))
		return false;
	if (client->out.n > 0)
		n = send(client->io.fd, client->out.p, client->out.n, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return false;
	if (n > 0)
		buf_consume(&client->out, (size_t)n);
	loop_io_want(&client->io, client->out.n > 0 ? LOOP_READ | LOOP_WRITE : LOOP_READ);
	return true;
}

/* Connects when need be and sends what waits. False when that cannot be done now. */
static bool
client_pump(struct socketmap_client *client)
{
	struct err err;
	int fd;

	if (is_connected(client))
		return client_send(client);
	fd = unix_connect(client->path, SOCK_STREAM | SOCK_NONBLOCK, &err);
	if (fd < 0 && err.errnum == EAGAIN) {
		loop_timer_set(client->loop, &client->timer, BUSY_RETRY_MS, client_expired);
		return true;
	}
	if (fd < 0) {
		log_warning("%s", err.text);
		fail_all(client);
		return false;
	}
	loop_io_add(client->loop, &client->io, fd, LOOP_READ, client_ready);
	return client_send(client);
}

/* The connection is of no use any more: what was sent on it is sent once again on a new one. */
static void
client_recover(struct socketmap_client *client)
{
	struct socketmap_query *query;

	disconnect(client);
	TAILQ_FOREACH(query, &client->queries, link) {
		if (query->state != SOCKETMAP_SENT)
			continue;
		query->state = query->retried ? SOCKETMAP_FAILED : SOCKETMAP_WAITING;
		query->retried = true;
		query->skip = 0;
	}
	answer_failed(client);
	if (!TAILQ_EMPTY(&client->queries) && !client_pump(client)) {
		disconnect(client);
		fail_all(client);
		answer_failed(client);
	}
	timer_arm(client);
}

static void
client_expired(struct loop_timer *timer)
{
	struct socketmap_client *client = container_of(timer, struct socketmap_client, timer);
	uint64_t now_ms = loop_now_ms(client->loop);
	struct socketmap_query *query;
	bool late = client->broken;

	TAILQ_FOREACH(query, &client->queries, link) {
		if (query->deadline_ms > now_ms)
			break;
		query->state = SOCKETMAP_FAILED;
		late = true;
	}
	if (late || !is_connected(client))
		client_recover(client);
	else
		timer_arm(client);
}

void
socketmap_ask(struct socketmap_client *client, struct socketmap_query *query, struct str map, struct str key,
    void (*answered)(struct socketmap_query *, enum socketmap_status, struct str))
{
	memset(query, 0, sizeof *query);
	query->answered = answered;
	query->client = client;
	query->deadline_ms = loop_now_ms(client->loop) + client->timeout_ms;
	buf_init(&query->request, SOCKETMAP_REQUEST_MAX + 8);
	socketmap_request_add(&query->request, map, key);
	TAILQ_INSERT_TAIL(&client->queries, query, link);
	if (!buf_ok(&query->request) || query->request.n > SOCKETMAP_REQUEST_MAX)
		query->state = SOCKETMAP_FAILED;
	if (query->state != SOCKETMAP_FAILED && !client->broken && client_pump(client))
		timer_arm(client);
	else
		client->broken = true;
	if (client->broken)
		loop_timer_set(client->loop, &client->timer, 0, client_expired);
}

void
socketmap_cancel(struct socketmap_query *query)
{
	struct socketmap_client *client = query->client;
	struct socketmap_query *next;

	if (client == NULL)
		return;
	if (query->state == SOCKETMAP_SENT) {
		next = TAILQ_NEXT(query, link);
		if (next != NULL && next->state == SOCKETMAP_SENT)
			next->skip += query->skip + 1;
		else
			client->skip_last += query->skip + 1;
	}
	query_remove(query);
}

/* One reply goes to the query whose turn it is. False when nobody asked for it. */
static bool
reply_handle(struct socketmap_client *client, enum socketmap_status status, struct str value)
{
	struct socketmap_query *query = TAILQ_FIRST(&client->queries);

	if (query != NULL && query->state == SOCKETMAP_SENT) {
		if (query->skip > 0)
			query->skip--;
		else
			query_answer(query, status, value);
		return true;
	}
	if (client->skip_last == 0)
		return false;
	client->skip_last--;
	return true;
}

/* False when the connection is at its end or speaks something else. */
static bool
client_read(struct socketmap_client *client)
{
	enum socketmap_status status;
	struct str rest, value;
	enum parse parse;
	char *p = buf_reserve(&client->in, client->in.max - client->in.n);
	ssize_t n = p == NULL ? 0 : recv(client->io.fd, p, client->in.max - client->in.n, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	buf_commit(&client->in, (size_t)n);
	rest = buf_str(&client->in);
	while ((parse = socketmap_reply_take(&rest, &status, &value)) == PARSE_OK)
		if (!reply_handle(client, status, value))
			return false;
	buf_consume(&client->in, client->in.n - rest.n);
	return parse == PARSE_MORE;
}

static void
client_ready(struct loop_io *io, unsigned events)
{
	struct socketmap_client *client = container_of(io, struct socketmap_client, io);

	if (((events & LOOP_READ) && !client_read(client)) || !client_send(client))
		client_recover(client);
}

/* --- blocking ------------------------------------------------------------------------------------------------------ */

static int64_t
now_ms_read(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static bool
wait_until(int fd, short events, int64_t deadline_ms, struct err *err)
{
	struct pollfd p = {.fd = fd, .events = events};
	int64_t left_ms;
	int n;

	do {
		left_ms = deadline_ms - now_ms_read();
		if (left_ms <= 0)
			return err_set(err, ERR_TEMP, "no answer in time");
		n = poll(&p, 1, left_ms > 3600000 ? 3600000 : (int)left_ms);
	} while (n == 0 || (n < 0 && errno == EINTR));
	return n > 0 || err_sys(err, "poll");
}

static bool
send_whole(int fd, struct str bytes, int64_t deadline_ms, struct err *err)
{
	while (bytes.n > 0) {
		ssize_t n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0)
			bytes = str_skip(bytes, (size_t)n);
		else if (n < 0 && errno != EAGAIN && errno != EINTR)
			return err_sys(err, "send");
		else if (!wait_until(fd, POLLOUT, deadline_ms, err))
			return false;
	}
	return true;
}

static bool
receive_reply(int fd, int64_t deadline_ms, struct buf *in, enum socketmap_status *status, struct str *value,
    struct err *err)
{
	for (;;) {
		struct str rest = buf_str(in);
		enum parse parse = socketmap_reply_take(&rest, status, value);
		char *p;
		ssize_t n;

		if (parse == PARSE_OK)
			return true;
		if (parse == PARSE_BAD)
			return err_set(err, ERR_TEMP, "a malformed reply");
		p = buf_reserve(in, 1);
		if (p == NULL)
			return err_set(err, ERR_LIMIT, "too long a reply");
		if (!wait_until(fd, POLLIN, deadline_ms, err))
			return false;
		n = recv(fd, p, in->cap - in->n, MSG_DONTWAIT);
		if (n == 0)
			return err_set(err, ERR_TEMP, "the server closed the connection");
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return err_sys(err, "recv");
		if (n > 0)
			buf_commit(in, (size_t)n);
	}
}

enum socketmap_status
socketmap_lookup(const char *path, unsigned timeout_ms, struct str map, struct str key, struct buf *value,
    struct err *err)
{
	int64_t deadline_ms = now_ms_read() + timeout_ms;
	enum socketmap_status status = SOCKETMAP_TEMP;
	struct str reply;
	struct buf bytes;
	int fd = unix_connect(path, SOCK_STREAM, err);

	buf_reset(value);
	if (fd < 0)
		return SOCKETMAP_TEMP;
	buf_init(&bytes, IN_MAX);
	socketmap_request_add(&bytes, map, key);
	if (send_whole(fd, buf_str(&bytes), deadline_ms, err)) {
		buf_reset(&bytes);
		if (!receive_reply(fd, deadline_ms, &bytes, &status, &reply, err))
			status = SOCKETMAP_TEMP;
		else if (status == SOCKETMAP_TEMP)
			(void)err_set(err, ERR_TEMP, "the server says: %.*s", STR_FMT(reply));
		else
			buf_add(value, reply);
	}
	buf_clear(&bytes);
	(void)close(fd);
	if (buf_ok(value))
		return status;
	(void)err_set(err, ERR_LIMIT, "too long a reply");
	return SOCKETMAP_TEMP;
}
