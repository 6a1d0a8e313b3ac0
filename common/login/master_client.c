#include "common/login/master_client.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/login/authd_link.h"
#include "common/login/sasl.h"

#define LINE_MAX_BYTES 8192
#define OUT_MAX 65536
#define ANSWER_TIMEOUT_MS 10000
#define COOKIE_MAX 128

LIST_HEAD(queries, master_query);

struct master_client {
	struct loop *loop;
	struct authd_link link;
	struct queries queries;
	uint32_t last_id;
};

static bool line_handle(struct authd_link *link, struct str line);
static void link_lost(struct authd_link *link);

struct master_client *
master_client_new(struct loop *loop, const char *path)
{
	struct master_client *client = calloc(1, sizeof *client);

	if (client == NULL)
		fatal("out of memory for the master client");
	client->loop = loop;
	client->link = (struct authd_link){.line = line_handle, .lost = link_lost};
	authd_link_init(&client->link, loop, path, LINE_MAX_BYTES, OUT_MAX);
	LIST_INIT(&client->queries);
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

void
master_client_free(struct master_client *client)
{
	struct master_query *query;

	while ((query = LIST_FIRST(&client->queries)) != NULL)
		master_cancel(query);
	authd_link_clear(&client->link);
	free(client);
}

/* What waited is answered from its timer, at the next turn. */
static void
client_lost(struct master_client *client)
{
	struct master_query *query;

	LIST_FOREACH(query, &client->queries, link) {
		query->failed = true;
		loop_timer_set(client->loop, &query->timer, 0, query_expired);
	}
}

static void
link_lost(struct authd_link *link)
{
	client_lost(container_of(link, struct master_client, link));
}

static bool
client_connect(struct master_client *client)
{
	struct err err;

	if (authd_link_open(&client->link, "VERSION\t1\t1\n", &err))
		return true;
	log_warning("%s", err.text);
	return false;
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
		buf_addf(&client->link.out, "REQUEST\t%u\t%u\t%u\t%.*s\n", query->id, (uint32_t)pid, (uint32_t)exchange,
		    STR_FMT(cookie));
		query->failed = !authd_link_flush(&client->link);
		if (query->failed) {
			authd_link_close(&client->link);
			client_lost(client);
		}
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
line_handle(struct authd_link *link, struct str line)
{
	struct master_client *client = container_of(link, struct master_client, link);
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
