#include "auth/master_front.h"

#include <unistd.h>

#include "auth/sasl_front.h"
#include "common/login/sasl.h"

struct master_peer {
	struct peer peer;
	bool has_version;
};

struct request {
	uint64_t id, pid, exchange;
	struct str cookie;
};

static bool
number_take(struct str *rest, uint64_t *value)
{
	struct str word;

	return str_token(rest, '\t', &word) && str_to_u64(word, SASL_ID_MAX, value);
}

/* Further words, of later versions, are passed over. */
static bool
request_parse(struct request *request, struct str rest)
{
	return number_take(&rest, &request->id) && number_take(&rest, &request->pid) &&
	       number_take(&rest, &request->exchange) && str_token(&rest, '\t', &request->cookie);
}

static void
request_answer(struct peer *peer, const struct request *request)
{
	struct str line, user;
	struct buf account;

	buf_init(&account, MSG_MAX_BYTES);
	if (sasl_front_redeem(peer->server->front, request->pid, request->exchange, request->cookie, &account)) {
		line = buf_str(&account);
		(void)str_token(&line, '\t', &user); /* user=NAME stands first */
		buf_addf(&peer->stream.out, "USER\t%u\t%.*s\t%.*s\n", (uint32_t)request->id,
		    STR_FMT(str_skip(user, 5)), STR_FMT(line));
	} else
		buf_addf(&peer->stream.out, "NOTFOUND\t%u\n", (uint32_t)request->id);
	buf_clear(&account);
}

static bool
line_handle(struct peer *peer, struct str line)
{
	struct master_peer *master = container_of(peer, struct master_peer, peer);
	struct request request;
	struct str rest = line, verb;
	uint64_t number;

	(void)str_token(&rest, '\t', &verb);
	if (str_equal(verb, STR("VERSION"))) {
		master->has_version = number_take(&rest, &number) && number == 1;
		return master->has_version;
	}
	if (str_equal(verb, STR("CPID")))
		return true;
	if (str_equal(verb, STR("REQUEST"))) {
		if (!master->has_version || !request_parse(&request, rest))
			return false;
		request_answer(peer, &request);
		return true;
	}
	if (!number_take(&rest, &number))
		return false;
	buf_addf(&peer->stream.out, "FAIL\t%u\n", (uint32_t)number); /* USER, PASS, LIST: not served */
	return true;
}

/* Whoever is told here may be told everything: root, or who runs all of this as an ordinary user. */
static bool
parent_is_welcome(const struct front *front, const struct unix_peer *who)
{
	(void)front;
	return who->uid == 0 || who->uid == geteuid();
}

static void
peer_opened(struct peer *peer)
{
	buf_addf(&peer->stream.out, "VERSION\t1\t1\nSPID\t%ld\n", (long)getpid());
}

static bool
peer_input(struct peer *peer)
{
	struct buf *in = &peer->stream.in;
	struct str rest = buf_str(in);
	bool good = true;
	size_t end;

	while (good && (end = str_find(rest, '\n')) < rest.n) {
		good = line_handle(peer, str_sub(rest, 0, end));
		rest = str_skip(rest, end + 1);
	}
	buf_consume(in, in->n - rest.n);
	return good && in->n < in->max;
}

static void
peer_closed(struct peer *peer)
{
	(void)peer;
}

static bool
peer_is_idle(struct peer *peer)
{
	(void)peer;
	return true;
}

const struct peer_kind master_front_kind = {
    .name = "master",
    .size = sizeof(struct master_peer),
    .limits = {.in_max = 4096, .out_max = 262144, .full_duplex = true},
    .is_welcome = parent_is_welcome,
    .opened = peer_opened,
    .input = peer_input,
    .closed = peer_closed,
    .is_idle = peer_is_idle,
};
