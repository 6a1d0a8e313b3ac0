#include "auth/map_front.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/net/socketmap.h"

#define QUERIES_MAX 256 /* of one connection at a time; the rest of its input waits */

static const struct {
	struct str name;
	enum check check;
} maps[] = {
    {STR("recipient"), CHECK_RECIPIENT},
    {STR("sender"), CHECK_SENDER},
    {STR("alias"), CHECK_ALIAS},
    {STR("account"), CHECK_ACCOUNT},
    {STR("uid"), CHECK_UID},
};

struct map_query {
	struct pool_job job;
	struct map_peer *peer;
	bool answered;
	struct buf reply; /* once answered, until the queries before it are */
	TAILQ_ENTRY(map_query) link;
};

struct map_peer {
	struct peer peer;
	size_t nqueries;
	bool paused;
	TAILQ_HEAD(map_queries, map_query) queries; /* in the order asked */
};

static struct map_peer *
map_peer_of(struct peer *peer)
{
	return container_of(peer, struct map_peer, peer);
}

static void
query_free(struct map_query *query)
{
	TAILQ_REMOVE(&query->peer->queries, query, link);
	query->peer->nqueries--;
	pool_cancel(&query->job);
	buf_clear(&query->reply);
	free(query);
}

/* Moves what is answered, up to the first that is not, into the output. */
static void
replies_move(struct map_peer *peer)
{
	struct map_query *query;

	while ((query = TAILQ_FIRST(&peer->queries)) != NULL && query->answered) {
		buf_add(&peer->peer.stream.out, buf_str(&query->reply));
		query_free(query);
	}
	if (peer->paused && peer->nqueries < QUERIES_MAX / 2) {
		peer->paused = false;
		stream_resume(&peer->peer.stream);
	}
}

static void
query_reply(struct map_query *query, enum socketmap_status status, struct str value)
{
	socketmap_reply_add(&query->reply, status, value);
	if (!buf_ok(&query->reply)) {
		buf_reset(&query->reply);
		socketmap_reply_add(&query->reply, SOCKETMAP_TEMP, STR("too long an answer"));
	}
	query->answered = true;
}

static void
query_checked(struct pool_job *job, const struct check_answer *answer)
{
	struct map_query *query = container_of(job, struct map_query, job);
	struct map_peer *peer = query->peer;

	switch (answer->found) {
	case FOUND:
		query_reply(query, SOCKETMAP_OK, answer->value);
		break;
	case FOUND_NOT:
		query_reply(query, SOCKETMAP_NOTFOUND, STR(""));
		break;
	case FOUND_TROUBLE:
		log_warning("%.*s", STR_FMT(answer->value));
		query_reply(query, SOCKETMAP_TEMP, answer->value);
		break;
	}
	replies_move(peer);
	stream_flush(&peer->peer.stream);
}

static bool
query_begin(struct map_peer *peer, struct str map, struct str key)
{
	struct check_request request = {.subject = key};
	struct map_query *query = calloc(1, sizeof *query);
	bool known = false;

	if (query == NULL)
		return false;
	query->peer = peer;
	buf_init(&query->reply, SOCKETMAP_REPLY_MAX);
	TAILQ_INSERT_TAIL(&peer->queries, query, link);
	peer->nqueries++;
	for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++) {
		if (!str_equal(map, maps[i].name))
			continue;
		known = true;
		request.type = maps[i].check;
	}
	if (!known)
		query_reply(query, SOCKETMAP_PERM, STR("there is no such map"));
	else if (key.n == 0 || key.n > CHECK_SUBJECT_MAX || str_find(key, '\0') < key.n)
		query_reply(query, SOCKETMAP_NOTFOUND, STR(""));
	else
		pool_ask(&peer->peer.server->front->pool, &query->job, &request, query_checked);
	return true;
}

/* --- the connection ------------------------------------------------------------------------------------------------ */

static bool
suite_is_welcome(const struct front *front, const struct unix_peer *who)
{
	return front_is_suite(front, who->uid);
}

static void
peer_opened(struct peer *peer)
{
	TAILQ_INIT(&map_peer_of(peer)->queries);
}

static bool
peer_input(struct peer *peer)
{
	struct map_peer *map_peer = map_peer_of(peer);
	struct str rest = buf_str(&peer->stream.in), map, key;
	enum parse parse = PARSE_MORE;

	while (map_peer->nqueries < QUERIES_MAX && (parse = socketmap_request_take(&rest, &map, &key)) == PARSE_OK)
		if (!query_begin(map_peer, map, key))
			return false;
	buf_consume(&peer->stream.in, peer->stream.in.n - rest.n);
	if (map_peer->nqueries >= QUERIES_MAX) {
		map_peer->paused = true;
		stream_pause(&peer->stream);
	}
	replies_move(map_peer);
	return parse != PARSE_BAD;
}

static void
peer_closed(struct peer *peer)
{
	struct map_peer *map_peer = map_peer_of(peer);
	struct map_query *query, *next;

	TAILQ_FOREACH_SAFE(query, &map_peer->queries, link, next)
		query_free(query);
}

static bool
peer_is_idle(struct peer *peer)
{
	return map_peer_of(peer)->nqueries == 0;
}

const struct peer_kind map_front_kind = {
    .name = "map",
    .size = sizeof(struct map_peer),
    .limits = {.in_max = 16384, .out_max = 4 * 1024 * 1024, .full_duplex = true},
    .is_welcome = suite_is_welcome,
    .opened = peer_opened,
    .input = peer_input,
    .closed = peer_closed,
    .is_idle = peer_is_idle,
};
