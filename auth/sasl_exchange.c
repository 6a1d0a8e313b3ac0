#include "auth/sasl_exchange.h"

#include <bsd/stdlib.h>
#include <stdlib.h>
#include <string.h>

#include "auth/mech.h"
#include "common/base/base64.h"
#include "common/base/log.h"

#define RESPONSE_TIMEOUT_MS 120000 /* for the client behind the client to answer a challenge */
#define REFUSAL_MS 200		   /* no refusal comes sooner, */
#define REFUSAL_MAX_MS 2000	   /* nor, if checks take longer here, sooner than the slow ones among them */
#define GRANT_MS 30000		   /* for a parent to ask about a success */
#define EXCHANGES_MAX 2000	   /* of one of the suite's programs at a time */
#define EXCHANGES_MAX_OTHERS 100   /* of anybody else's */
#define NONCE_BYTES 18 /* 24 characters */
#define CHALLENGE_MAX 4096

enum exchange_state {
	EXCHANGE_ASKED,	  /* waits for the answer to a challenge */
	EXCHANGE_SOUGHT,  /* a checker looks for its salt, or account */
	EXCHANGE_READY,	  /* in front->ready */
	EXCHANGE_DELAYED, /* must wait, because of wrong guesses before it */
	EXCHANGE_CHECKED, /* a checker has it */
	EXCHANGE_REFUSED, /* is wrong, and will be told so in a moment */
	EXCHANGE_GRANTED, /* was answered with OK; a parent may ask about it */
};

struct sasl_exchange {
	struct pool_job job;
	struct oauth_request token;
	struct sasl_peer *peer;
	enum exchange_state state;
	uint32_t id;
	bool admitted; /* has waited as long as it had to */
	bool secured;
	char service[SASL_TEXT_MAX + 1];
	char remote[SASL_TEXT_MAX + 1];
	struct mech_facts facts;
	struct mech mech;
	struct loop_timer timer;
	uint64_t begun_ms; /* CHECKED: when */
	char reason[128];  /* REFUSED: for the log */
	char *account;	   /* GRANTED: the line; before that: to be granted when the client has seen our proof */
	LIST_ENTRY(sasl_exchange) link;
	TAILQ_ENTRY(sasl_exchange) ready;
};

static struct front *
front_of(const struct sasl_exchange *exchange)
{
	return exchange->peer->peer.server->front;
}

/* --- exchanges ----------------------------------------------------------------------------------------------------- */

void
sasl_exchange_free(struct sasl_exchange *exchange)
{
	if (exchange->state == EXCHANGE_READY)
		TAILQ_REMOVE(&front_of(exchange)->ready, exchange, ready);
	pool_cancel(&exchange->job);
	oauth_cancel(&exchange->token);
	loop_timer_cancel(&exchange->timer);
	LIST_REMOVE(exchange, link);
	exchange->peer->nexchanges--;
	mech_clear(&exchange->mech);
	free(exchange->account);
	free(exchange);
}

struct sasl_exchange *
sasl_exchange_find(struct sasl_peer *peer, uint64_t id)
{
	struct sasl_exchange *exchange;

	LIST_FOREACH(exchange, &peer->exchanges, link)
		if (exchange->id == id)
			return exchange;
	return NULL;
}

/* Whose guesses are counted together. What a person's process says about a remote address is not to be believed. */
static struct str
guesser(const struct sasl_exchange *exchange, char *text, size_t size)
{
	const struct front *front = front_of(exchange);
	uid_t uid = exchange->peer->peer.who.uid;

	if (exchange->remote[0] != '\0' && (front_is_suite(front, uid) || uid < front->conf->auth.lowest_uid))
		return str_from(exchange->remote);
	(void)snprintf(text, size, "uid %lu", (unsigned long)uid);
	return str_from(text);
}

/* --- answers ------------------------------------------------------------------------------------------------------- */

static void
refusal_log(const struct sasl_exchange *exchange, struct str why)
{
	log_info("%s login refused: user=<%s>, rip=%s%s: %.*s", exchange->service, exchange->mech.login,
	    exchange->remote, exchange->secured ? ", TLS" : "", STR_FMT(why));
}

static void
exchange_fail(struct sasl_exchange *exchange, bool temporary, struct str why)
{
	struct stream *stream = &exchange->peer->peer.stream;

	if (!exchange->mech.refused) /* else it is in the log since the client was told */
		refusal_log(exchange, why);
	buf_addf(&stream->out, "FAIL\t%u", exchange->id);
	if (exchange->mech.login[0] != '\0') {
		buf_adds(&stream->out, "\tuser=");
		sasl_escape(&stream->out, str_from(exchange->mech.login));
	}
	buf_adds(&stream->out, temporary ? "\ttemp\n" : "\n");
	sasl_exchange_free(exchange);
	stream_flush(stream);
}

static void timer_expired(struct loop_timer *timer);
static void exchange_ask_token(struct sasl_exchange *exchange);

static void
exchange_challenge(struct sasl_exchange *exchange, struct str challenge)
{
	struct stream *stream = &exchange->peer->peer.stream;

	buf_addf(&stream->out, "CONT\t%u\t", exchange->id);
	base64_encode(&stream->out, challenge);
	buf_addc(&stream->out, '\n');
	exchange->state = EXCHANGE_ASKED;
	loop_timer_set(stream->loop, &exchange->timer, RESPONSE_TIMEOUT_MS, timer_expired);
}

/* Whose token is refused is told what would be taken, and answers that before it is told so. */
static void
exchange_hint(struct sasl_exchange *exchange)
{
	const struct conf_auth *auth = &front_of(exchange)->conf->auth;
	struct mech_oauth_hints hints = {
	    .scope = str_from(auth->oauth_scope), .configuration = str_from(auth->oauth_configuration)};
	struct buf message;

	refusal_log(exchange, str_from(exchange->reason));
	buf_init(&message, CHALLENGE_MAX);
	mech_refuse(&exchange->mech, &hints, &message);
	exchange_challenge(exchange, buf_str(&message));
	buf_clear(&message);
	stream_flush(&exchange->peer->peer.stream);
}

static void
timer_expired(struct loop_timer *timer)
{
	struct sasl_exchange *exchange = container_of(timer, struct sasl_exchange, timer);
	struct front *front = front_of(exchange);

	if (exchange->state == EXCHANGE_GRANTED) {
		sasl_exchange_free(exchange);
	} else if (exchange->state == EXCHANGE_DELAYED && mech_is_oauth(exchange->mech.kind)) {
		exchange_ask_token(exchange);
	} else if (exchange->state == EXCHANGE_DELAYED) {
		exchange->state = EXCHANGE_READY;
		TAILQ_INSERT_HEAD(&front->ready, exchange, ready);
		pool_passwords_wait(&front->pool);
	} else if (exchange->state == EXCHANGE_REFUSED && mech_is_oauth(exchange->mech.kind)) {
		exchange_hint(exchange);
	} else if (exchange->state == EXCHANGE_REFUSED)
		exchange_fail(exchange, false, str_from(exchange->reason));
	else
		exchange_fail(exchange, false, STR("no answer to the challenge"));
}

static void
exchange_grant(struct sasl_exchange *exchange, struct str line)
{
	struct stream *stream = &exchange->peer->peer.stream;
	struct account account;

	if (!account_parse(&account, line)) {
		exchange_fail(exchange, true, STR("not a good account"));
		return;
	}
	buf_addf(&stream->out, "OK\t%u\tuser=", exchange->id);
	sasl_escape(&stream->out, str_from(account.name));
	buf_addc(&stream->out, '\n');
	log_debug("%s login: user=<%s>, rip=%s", exchange->service, account.name, exchange->remote);
	exchange->state = EXCHANGE_GRANTED;
	exchange->account = str_dup(line);
	mech_clear(&exchange->mech);
	loop_timer_set(stream->loop, &exchange->timer, GRANT_MS, timer_expired);
	stream_flush(stream);
}

/*
 * That there is no such account is told no sooner than that the password was wrong. Checkers see to that for virtual
 * accounts, by hashing for nothing; what PAM's modules do takes a time of its own for unknown and for locked users, so
 * every refusal is held back for as long as the slow ones have lately taken.
 */
static uint64_t
refusal_wait_ms(struct front *front, uint64_t taken_ms)
{
	uint64_t floor_ms;

	if (taken_ms > front->slow_ms)
		front->slow_ms = taken_ms > REFUSAL_MAX_MS ? REFUSAL_MAX_MS : taken_ms;
	else
		front->slow_ms -= (front->slow_ms - taken_ms) / 64;
	floor_ms = front->slow_ms + front->slow_ms / 4;
	if (floor_ms < REFUSAL_MS)
		floor_ms = REFUSAL_MS;
	return floor_ms > taken_ms ? floor_ms - taken_ms : 0;
}

/* What tells one guess from another. Two proofs are never the same, even if the password is. */
static struct str
guess(const struct sasl_exchange *exchange)
{
	enum scram_hash hash;

	if (mech_needs_keys(exchange->mech.kind, &hash))
		return (struct str){(const char *)exchange->mech.scram.proof, scram_digest_bytes(hash)};
	if (mech_is_oauth(exchange->mech.kind))
		return buf_str(&exchange->mech.oauth.token);
	return str_from(exchange->mech.password);
}

static void
exchange_refuse(struct sasl_exchange *exchange, struct str why)
{
	struct front *front = front_of(exchange);
	uint64_t now_ms = loop_now_ms(front->pool.loop);
	char text[32];

	penalty_wrong(&front->penalty, guesser(exchange, text, sizeof text), str_from(exchange->mech.login), guess(exchange),
	    now_ms);
	explicit_bzero(exchange->mech.password, sizeof exchange->mech.password);
	(void)str_copy(exchange->reason, sizeof exchange->reason, str_sub(why, 0, sizeof exchange->reason - 1));
	exchange->state = EXCHANGE_REFUSED;
	loop_timer_set(front->pool.loop, &exchange->timer, refusal_wait_ms(front, now_ms - exchange->begun_ms),
	    timer_expired);
}

/* The client's proof is right: ours follows, and when the client has taken that, the login. */
static void
exchange_prove(struct sasl_exchange *exchange, const struct check_answer *answer)
{
	struct buf message;

	exchange->account = str_dup(answer->value);
	buf_init(&message, CHALLENGE_MAX);
	mech_scram_signature(&exchange->mech.scram, answer->signature, &message);
	exchange_challenge(exchange, buf_str(&message));
	buf_clear(&message);
	stream_flush(&exchange->peer->peer.stream);
}

static void
exchange_confirmed(struct sasl_exchange *exchange)
{
	char *line = exchange->account;

	exchange->account = NULL;
	exchange_grant(exchange, str_from(line));
	free(line);
}

/* The name that the client gave beside its token, if any: as the token has it, or the account's own. */
static bool
is_who_it_claims(const struct sasl_exchange *exchange, struct str line)
{
	struct str claimed = str_from(exchange->mech.oauth.claimed);
	struct account account;

	return claimed.n == 0 || str_equal_nocase(claimed, str_from(exchange->mech.login)) ||
	       (account_parse(&account, line) && str_equal_nocase(claimed, str_from(account.name)));
}

static void
exchange_checked(struct pool_job *job, const struct check_answer *answer)
{
	struct sasl_exchange *exchange = container_of(job, struct sasl_exchange, job);
	enum scram_hash hash;

	switch (answer->found) {
	case FOUND:
		if (mech_needs_keys(exchange->mech.kind, &hash))
			exchange_prove(exchange, answer);
		else if (mech_is_oauth(exchange->mech.kind) && !is_who_it_claims(exchange, answer->value))
			exchange_refuse(exchange, STR("the token is somebody else's"));
		else
			exchange_grant(exchange, answer->value);
		break;
	case FOUND_NOT:
		exchange_refuse(exchange, answer->value);
		break;
	case FOUND_TROUBLE:
		exchange_fail(exchange, true, answer->value);
		break;
	}
}

/* --- salts --------------------------------------------------------------------------------------------------------- */

static void
nonce_make(struct buf *out)
{
	char bytes[NONCE_BYTES];

	arc4random_buf(bytes, sizeof bytes);
	base64_encode(out, (struct str){bytes, sizeof bytes});
}

static void
exchange_salted(struct pool_job *job, const struct check_answer *answer)
{
	struct sasl_exchange *exchange = container_of(job, struct sasl_exchange, job);
	struct buf nonce, message;

	buf_init(&nonce, SCRAM_NONCE_MAX);
	buf_init(&message, CHALLENGE_MAX);
	nonce_make(&nonce);
	if (answer->found != FOUND)
		exchange_fail(exchange, true, answer->value);
	else if (!mech_scram_salt(&exchange->mech.scram, answer->value, buf_str(&nonce), &message))
		exchange_fail(exchange, false, STR("malformed response"));
	else {
		exchange_challenge(exchange, buf_str(&message));
		stream_flush(&exchange->peer->peer.stream);
	}
	buf_clear(&nonce);
	buf_clear(&message);
}

/* A look-up as any other: it tells nothing, so who asks for many learns nothing and need not wait. */
static void
exchange_seek_salt(struct sasl_exchange *exchange)
{
	struct check_request request = {.type = CHECK_SALT, .subject = str_from(exchange->mech.login)};

	(void)mech_needs_keys(exchange->mech.kind, &request.hash);
	loop_timer_cancel(&exchange->timer);
	exchange->state = EXCHANGE_SOUGHT;
	pool_ask(&front_of(exchange)->pool, &exchange->job, &request, exchange_salted);
}

/* --- passwords to the checkers ------------------------------------------------------------------------------------- */

/* False when it has to wait first, or was refused; it is no longer among the ready ones then. */
static bool
exchange_admit(struct sasl_exchange *exchange)
{
	struct front *front = front_of(exchange);
	char text[32];
	uint64_t wait_ms;

	if (exchange->admitted)
		return true;
	if (!penalty_begin(&front->penalty, guesser(exchange, text, sizeof text), loop_now_ms(front->pool.loop),
		&wait_ms)) {
		TAILQ_REMOVE(&front->ready, exchange, ready);
		exchange->state = EXCHANGE_ASKED;
		exchange_fail(exchange, true, STR("too many wrong passwords from there"));
		return false;
	}
	exchange->admitted = true;
	if (wait_ms == 0)
		return true;
	TAILQ_REMOVE(&front->ready, exchange, ready);
	exchange->state = EXCHANGE_DELAYED;
	loop_timer_set(front->pool.loop, &exchange->timer, wait_ms, timer_expired);
	return false;
}

static struct check_request
password_request(const struct sasl_exchange *exchange)
{
	const struct mech *mech = &exchange->mech;
	struct check_request request = {.subject = str_from(mech->login), .remote = str_from(exchange->remote)};

	if (mech_needs_keys(mech->kind, &request.hash)) {
		request.type = CHECK_PROOF;
		request.proof = (struct str){(const char *)mech->scram.proof, scram_digest_bytes(request.hash)};
		request.messages = buf_str(&mech->scram.messages);
	} else {
		request.type = CHECK_VERIFY;
		request.password = str_from(mech->password);
	}
	return request;
}

struct pool_job *
sasl_exchange_next_password(struct pool *pool)
{
	struct front *front = container_of(pool, struct front, pool);
	struct sasl_exchange *exchange;
	struct check_request request;

	do {
		exchange = TAILQ_FIRST(&front->ready);
		if (exchange == NULL)
			return NULL;
	} while (!exchange_admit(exchange));
	TAILQ_REMOVE(&front->ready, exchange, ready);
	exchange->state = EXCHANGE_CHECKED;
	loop_refresh(pool->loop);
	exchange->begun_ms = loop_now_ms(pool->loop);
	request = password_request(exchange);
	pool_job_prepare(&exchange->job, &request, exchange_checked);
	return &exchange->job;
}

static void
exchange_ready(struct sasl_exchange *exchange)
{
	struct front *front = front_of(exchange);

	loop_timer_cancel(&exchange->timer);
	exchange->state = EXCHANGE_READY;
	TAILQ_INSERT_TAIL(&front->ready, exchange, ready);
	pool_passwords_wait(&front->pool);
}

/* The client has proved who it is; whether that account may log in is a look-up. */
static void
exchange_identified(struct sasl_exchange *exchange)
{
	struct check_request request = {.type = CHECK_LOGIN, .subject = str_from(exchange->mech.login)};

	loop_timer_cancel(&exchange->timer);
	exchange->state = EXCHANGE_SOUGHT;
	if (exchange->begun_ms == 0)
		exchange->begun_ms = loop_now_ms(front_of(exchange)->pool.loop);
	pool_ask(&front_of(exchange)->pool, &exchange->job, &request, exchange_checked);
}

static void
token_answered(struct oauth_request *request, const struct oauth_answer *answer)
{
	struct sasl_exchange *exchange = container_of(request, struct sasl_exchange, token);

	switch (answer->found) {
	case FOUND:
		(void)str_copy(exchange->mech.login, sizeof exchange->mech.login, answer->value);
		exchange_identified(exchange);
		break;
	case FOUND_NOT:
		exchange_refuse(exchange, answer->value);
		break;
	case FOUND_TROUBLE:
		exchange_fail(exchange, true, answer->value);
		break;
	}
}

static void
exchange_ask_token(struct sasl_exchange *exchange)
{
	struct front *front = front_of(exchange);

	exchange->state = EXCHANGE_CHECKED;
	exchange->begun_ms = loop_now_ms(front->pool.loop);
	if (exchange->mech.oauth.token.n > 0)
		oauth_ask(&front->oauth, &exchange->token, buf_str(&exchange->mech.oauth.token), token_answered);
	else {
		(void)str_copy(exchange->reason, sizeof exchange->reason, STR("no token"));
		exchange_hint(exchange);
	}
}

/* Who guesses tokens waits like who guesses passwords. */
static void
exchange_token(struct sasl_exchange *exchange)
{
	struct front *front = front_of(exchange);
	char text[32];
	uint64_t wait_ms;

	loop_timer_cancel(&exchange->timer);
	if (!penalty_begin(&front->penalty, guesser(exchange, text, sizeof text), loop_now_ms(front->pool.loop), &wait_ms)) {
		exchange_fail(exchange, true, STR("too many wrong passwords from there"));
		return;
	}
	exchange->state = EXCHANGE_DELAYED;
	loop_timer_set(front->pool.loop, &exchange->timer, wait_ms, timer_expired);
}

static void
exchange_feed(struct sasl_exchange *exchange, const struct str *response)
{
	struct buf challenge;

	buf_init(&challenge, CHALLENGE_MAX);
	switch (mech_feed(&exchange->mech, &exchange->facts, response, &challenge)) {
	case MECH_CHALLENGE:
		exchange_challenge(exchange, buf_str(&challenge));
		break;
	case MECH_CREDENTIALS:
	case MECH_PROOF:
		exchange_ready(exchange);
		break;
	case MECH_SALT:
		exchange_seek_salt(exchange);
		break;
	case MECH_IDENTITY:
		exchange_identified(exchange);
		break;
	case MECH_TOKEN:
		exchange_token(exchange);
		break;
	case MECH_REFUSED:
		exchange_fail(exchange, false, str_from(exchange->reason));
		break;
	case MECH_CONFIRMED:
		exchange_confirmed(exchange);
		break;
	case MECH_MALFORMED:
		exchange_fail(exchange, false, STR("malformed response"));
		break;
	case MECH_OTHER_IDENTITY:
		exchange_fail(exchange, false, STR("wants to act as another user"));
		break;
	case MECH_UNBOUND:
		exchange_fail(exchange, false, STR("bound to another channel, or deceived about it"));
		break;
	}
	buf_clear(&challenge);
}

/* The response of the command at hand, from Base64. */
static void
exchange_feed_base64(struct sasl_exchange *exchange, const struct sasl_command *command)
{
	struct buf clear;
	struct str response;

	if (!command->has_response) {
		exchange_feed(exchange, NULL);
		return;
	}
	buf_init(&clear, SASL_LINE_MAX);
	(void)buf_reserve(&clear, command->response.n);
	if (base64_decode(&clear, command->response)) {
		response = buf_str(&clear);
		exchange_feed(exchange, &response);
	} else
		exchange_fail(exchange, false, STR("not Base64"));
	buf_clear_secret(&clear);
}

/* --- its life ------------------------------------------------------------------------------------------------------ */

/* What was on offer a moment ago is still taken. */
static bool
is_forbidden(const struct front *front, const struct mech *mech)
{
	enum scram_hash hash;

	if (mech->kind == MECH_EXTERNAL)
		return front->conf->auth_external == CONF_EXTERNAL_NO;
	if (mech_is_oauth(mech->kind))
		return !oauth_is_configured(front->conf);
	return mech_needs_keys(mech->kind, &hash) && front->conf->auth.scram == CONF_SCRAM_NEVER;
}

bool
sasl_exchange_begin(struct sasl_peer *peer, const struct sasl_command *command)
{
	bool is_suite = front_is_suite(peer->peer.server->front, peer->peer.who.uid);
	struct sasl_exchange *exchange = sasl_exchange_find(peer, command->number);

	if (exchange != NULL && exchange->state != EXCHANGE_GRANTED)
		return false; /* the id is in use */
	if (exchange != NULL)
		sasl_exchange_free(exchange);
	exchange = peer->nexchanges < (is_suite ? EXCHANGES_MAX : EXCHANGES_MAX_OTHERS) ? calloc(1, sizeof *exchange)
											: NULL;
	if (exchange == NULL) {
		buf_addf(&peer->peer.stream.out, "FAIL\t%u\ttemp\n", (uint32_t)command->number);
		return true;
	}
	exchange->peer = peer;
	exchange->id = (uint32_t)command->number;
	exchange->secured = command->secured;
	memcpy(exchange->service, command->service, sizeof exchange->service);
	memcpy(exchange->remote, command->remote, sizeof exchange->remote);
	LIST_INSERT_HEAD(&peer->exchanges, exchange, link);
	peer->nexchanges++;
	exchange->facts = command->facts;
	if (!is_suite) /* what anybody says of a certificate is not to be believed */
		exchange->facts.certificate[0] = '\0';
	if (mech_begin(&exchange->mech, command->mechanism) && !is_forbidden(peer->peer.server->front, &exchange->mech))
		exchange_feed_base64(exchange, command);
	else
		exchange_fail(exchange, false, STR("unknown mechanism"));
	return true;
}

void
sasl_exchange_continue(struct sasl_exchange *exchange, const struct sasl_command *command)
{
	if (exchange->state == EXCHANGE_ASKED)
		exchange_feed_base64(exchange, command);
}

const char *
sasl_exchange_account(const struct sasl_exchange *exchange)
{
	return exchange->state == EXCHANGE_GRANTED ? exchange->account : NULL;
}
