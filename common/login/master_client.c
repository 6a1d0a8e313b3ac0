#include "common/login/master_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/login/sasl.h"
#include "common/net/unix_socket.h"

#define LINE_MAX_BYTES 8192
#define OUT_MAX 65536
#define ANSWER_TIMEOUT_MS 10000
#define COOKIE_MAX 128

LIST_HEAD(queries, master_query);

struct master_client {
	struct loop *loop;
	char *path;
	struct loop_io io;
	struct queries queries;
	uint32_t last_id;
	struct buf in, out;
};

static void client_ready(struct loop_io *io, unsigned events);

struct master_client *
master_client_new(struct loop *loop, const char *path)
{
	struct master_client *client = calloc(1, sizeof *client);

	if (client == NULL)
		fatal("out of memory for the master client");
	client->loop = loop;
	client->path = str_dup(str_from(path));
	LIST_INIT(&client->queries);
	buf_init(&client->in, LINE_MAX_BYTES);
	buf_init(&client->out, OUT_MAX);
	return client;
}

static void
query_answer(struct master_query *query, enum master_result result, const struct account *account)
{
	LIST_REMOVE(query, link);
	loop_timer_cancel(&query->timer);
	query->client = NULL;
	query->answered(query, result, account);
}

static void
query_expired(struct loop_timer *timer)
{
	struct master_query *query = container_of(timer, struct master_query, timer);

	if (!query->failed)
		log_warning("authd does not answer on its master socket");
	query_answer(query, MASTER_TEMP, NULL);
}

static void
disconnect(struct master_client *client)
{
	if (client->io.loop != NULL) {
		loop_io_remove(&client->io);
		(void)close(client->io.fd);
	}
	buf_reset(&client->in);
	buf_reset(&client->out);
}

void
master_client_free(struct master_client *client)
{
	struct master_query *query;

	while ((query = LIST_FIRST(&client->queries)) != NULL)
		master_cancel(query);
	disconnect(client);
	buf_clear(&client->in);
	buf_clear(&client->out);
	free(client->path);
	free(client);
}

/* What waited is answered from its timer, at the next turn. */
static void
client_lost(struct master_client *client)
{
	struct master_query *query;

	disconnect(client);
	LIST_FOREACH(query, &client->queries, link) {
		query->failed = true;
		loop_timer_set(client->loop, &query->timer, 0, query_expired);
	}
}

static bool
client_flush(struct master_client *client)
{
	ssize_t n;

	if (!buf_ok(&client->out))
		return false;
	if (client->out.n == 0)
		return true;
	n = send(client->io.fd, client->out.p, client->out.n, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return false;
	if (n > 0)
		buf_consume(&client->out, (size_t)n);
	loop_io_want(&client->io, client->out.n > 0 ? LOOP_READ | LOOP_WRITE : LOOP_READ);
	return true;
}

static bool
client_connect(struct master_client *client)
{
	struct err err;
	int fd;

	if (client->io.loop != NULL)
		return true;
	fd = unix_connect(client->path, SOCK_STREAM | SOCK_NONBLOCK, &err);
	if (fd < 0) {
		log_warning("%s", err.text);
		return false;
	}
	loop_io_add(client->loop, &client->io, fd, LOOP_READ, client_ready);
	buf_addf(&client->out, "VERSION\t1\t1\nCPID\t%ld\n", (long)getpid());
	return true;
}

static bool
cookie_is_good(struct str cookie)
{
	for (size_t i = 0; i < cookie.n; i++)
		if (ascii_hex_value(cookie.p[i]) < 0)
			return false;
	return cookie.n > 0 && cookie.n <= COOKIE_MAX;
}

void
master_ask(struct master_client *client, struct master_query *query, uint64_t pid, uint64_t exchange,
    struct str cookie, void (*answered)(struct master_query *, enum master_result, const struct account *))
{
	memset(query, 0, sizeof *query);
	query->client = client;
	query->answered = answered;
	query->id = ++client->last_id;
	LIST_INSERT_HEAD(&client->queries, query, link);
	query->failed = true;
	if (cookie_is_good(cookie) && client_connect(client)) {
		buf_addf(&client->out, "REQUEST\t%u\t%u\t%u\t%.*s\n", query->id, (uint32_t)pid, (uint32_t)exchange,
		    STR_FMT(cookie));
		query->failed = !client_flush(client);
		if (query->failed)
			client_lost(client);
	}
	loop_timer_set(client->loop, &query->timer, query->failed ? 0 : ANSWER_TIMEOUT_MS, query_expired);
}

void
master_cancel(struct master_query *query)
{
	if (query->client == NULL)
		return;
	LIST_REMOVE(query, link);
	loop_timer_cancel(&query->timer);
	query->client = NULL;
}

bool
master_client_is_idle(const struct master_client *client)
{
	return LIST_EMPTY(&client->queries);
}

/* --- answers ------------------------------------------------------------------------------------------------------- */

/* USER id NAME uid= gid= home= mail=: the line of common/login/account.h, but for its beginning. */
static bool
account_read(struct account *account, struct str rest)
{
	struct buf line;
	bool good;

	buf_init(&line, LINE_MAX_BYTES);
	buf_adds(&line, "user=");
	buf_add(&line, rest);
	good = buf_ok(&line) && account_parse(account, buf_str(&line));
	buf_clear(&line);
	return good;
}

static bool
line_handle(struct master_client *client, struct str line)
{
	struct str rest = line, verb, word;
	struct master_query *query;
	struct account account;
	uint64_t id;

	(void)str_token(&rest, '\t', &verb);
	if (!str_equal(verb, STR("USER")) && !str_equal(verb, STR("NOTFOUND")) && !str_equal(verb, STR("FAIL")))
		return true; /* VERSION, SPID, and what later versions add */
	if (!str_token(&rest, '\t', &word) || !str_to_u64(word, SASL_ID_MAX, &id))
		return false;
	LIST_FOREACH(query, &client->queries, link)
		if (query->id == id)
			break;
	if (query == NULL || query->failed)
		return true;
	if (str_equal(verb, STR("NOTFOUND")))
		query_answer(query, MASTER_NOTFOUND, NULL);
	else if (str_equal(verb, STR("FAIL")) || !account_read(&account, rest))
		query_answer(query, MASTER_TEMP, NULL);
	else
		query_answer(query, MASTER_FOUND, &account);
	return true;
}

static bool
client_read(struct master_client *client)
{
	char *p = buf_reserve(&client->in, LINE_MAX_BYTES - client->in.n);
	ssize_t n = p == NULL ? 0 : recv(client->io.fd, p, LINE_MAX_BYTES - client->in.n, MSG_DONTWAIT);
	struct str rest;
	size_t end;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	buf_commit(&client->in, (size_t)n);
	rest = buf_str(&client->in);
	while ((end = str_find(rest, '\n')) < rest.n) {
		if (!line_handle(client, str_sub(rest, 0, end)))
			return false;
		rest = str_skip(rest, end + 1);
	}
	buf_consume(&client->in, client->in.n - rest.n);
	return true;
}

static void
client_ready(struct loop_io *io, unsigned events)
{
	struct master_client *client = container_of(io, struct master_client, io);

	if (((events & LOOP_READ) && !client_read(client)) || !client_flush(client))
		client_lost(client);
}
