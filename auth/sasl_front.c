#include "auth/sasl_front.h"

#include <bsd/stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/mech.h"
#include "auth/sasl_exchange.h"

static struct sasl_peer *
sasl_peer_of(struct peer *peer)
{
	return container_of(peer, struct sasl_peer, peer);
}

static bool
command_run(struct sasl_peer *peer, const struct sasl_command *command)
{
	struct sasl_exchange *exchange;

	switch (command->verb) {
	case SASL_VERB_VERSION:
		peer->has_version = command->number == 1;
		return peer->has_version;
	case SASL_VERB_CPID:
		peer->has_pid = true;
		peer->pid = command->number;
		return true;
	case SASL_VERB_AUTH:
		return peer->has_version && peer->has_pid && sasl_exchange_begin(peer, command);
	case SASL_VERB_CONT:
		exchange = sasl_exchange_find(peer, command->number);
		if (exchange != NULL)
			sasl_exchange_continue(exchange, command);
		return true; /* it may have expired meanwhile */
	case SASL_VERB_CANCEL:
		exchange = sasl_exchange_find(peer, command->number);
		if (exchange != NULL)
			sasl_exchange_free(exchange);
		return true;
	case SASL_VERB_UNKNOWN:
		return true;
	}
	return false;
}

/* --- the connection ------------------------------------------------------------------------------------------------ */

static bool
everyone_is_welcome(const struct front *front, const struct unix_peer *who)
{
	(void)front;
	(void)who;
	return true;
}

static void
cookie_make(char *dst)
{
	unsigned char bytes[SASL_COOKIE_BYTES];

	arc4random_buf(bytes, sizeof bytes);
	for (size_t i = 0; i < sizeof bytes; i++)
		(void)snprintf(dst + 2 * i, 3, "%02x", bytes[i]);
	explicit_bzero(bytes, sizeof bytes);
}

static bool
is_offered(const struct front *front, enum mech_kind kind)
{
	enum scram_hash hash;

	if (kind == MECH_EXTERNAL)
		return front->conf->auth_external != CONF_EXTERNAL_NO;
	if (mech_is_oauth(kind))
		return oauth_is_configured(front->conf);
	return !mech_needs_keys(kind, &hash) || (front->offers & CHECK_OFFER(hash));
}

static void
offers_write(const struct front *front, struct buf *out)
{
	for (size_t i = 0; i < MECH_KINDS; i++)
		if (is_offered(front, (enum mech_kind)i))
			buf_addf(out, "MECH\t%.*s%s\n", STR_FMT(mech_name((enum mech_kind)i)),
			    mech_properties((enum mech_kind)i));
}

/* Our own programs, none of which asks as root, are told again; others would not expect it. */
void
sasl_front_offers(struct front *front)
{
	struct peer *peer, *next;

	TAILQ_FOREACH_SAFE(peer, &front->sasl.peers, link, next) {
		if (peer->is_stranger || peer->who.uid == 0)
			continue;
		offers_write(front, &peer->stream.out);
		buf_adds(&peer->stream.out, "DONE\n");
		stream_flush(&peer->stream);
	}
}

static void
peer_opened(struct peer *peer)
{
	static unsigned last_number;
	struct sasl_peer *sasl = sasl_peer_of(peer);
	struct buf *out = &peer->stream.out;

	cookie_make(sasl->cookie);
	buf_adds(out, "VERSION\t1\t2\n");
	offers_write(peer->server->front, out);
	buf_addf(out, "SPID\t%ld\nCUID\t%u\nCOOKIE\t%s\nDONE\n", (long)getpid(), ++last_number, sasl->cookie);
}

/* What was read holds passwords: it is wiped behind the reader. */
static void
input_taken(struct buf *in, size_t n)
{
	buf_consume(in, n);
	explicit_bzero(in->p + in->n, n);
}

static bool
peer_input(struct peer *peer)
{
	struct sasl_peer *sasl = sasl_peer_of(peer);
	struct buf *in = &peer->stream.in;
	struct str rest = buf_str(in);
	size_t end;
	bool good = true;

	while (good && (end = str_find(rest, '\n')) < rest.n) {
		struct sasl_command command;

		good = sasl_command_parse(&command, str_sub(rest, 0, end)) && command_run(sasl, &command);
		rest = str_skip(rest, end + 1);
	}
	input_taken(in, in->n - rest.n);
	return good && in->n < in->max;
}

static void
peer_closed(struct peer *peer)
{
	struct sasl_peer *sasl = sasl_peer_of(peer);
	struct sasl_exchange *exchange;

	while ((exchange = LIST_FIRST(&sasl->exchanges)) != NULL)
		sasl_exchange_free(exchange);
}

static bool
peer_is_idle(struct peer *peer)
{
	return sasl_peer_of(peer)->nexchanges == 0;
}

const struct peer_kind sasl_front_kind = {
    .name = "sasl",
    .size = sizeof(struct sasl_peer),
    .limits = {.in_max = 16384, .out_max = 262144, .full_duplex = true},
    .is_welcome = everyone_is_welcome,
    .opened = peer_opened,
    .input = peer_input,
    .closed = peer_closed,
    .is_idle = peer_is_idle,
};

bool
sasl_front_redeem(struct front *front, uint64_t pid, uint64_t id, struct str cookie, struct buf *line)
{
	struct sasl_exchange *exchange = NULL;
	const char *account;
	struct peer *peer;

	TAILQ_FOREACH(peer, &front->sasl.peers, link) {
		struct sasl_peer *sasl = sasl_peer_of(peer);

		if (sasl->pid == pid && str_equal_secret(str_from(sasl->cookie), cookie)) {
			exchange = sasl_exchange_find(sasl, id);
			break;
		}
	}
	account = exchange == NULL ? NULL : sasl_exchange_account(exchange);
	if (account == NULL)
		return false;
	buf_adds(line, account);
	sasl_exchange_free(exchange);
	return buf_ok(line);
}
