#include "queue/remote_connection.h"

#include <arpa/inet.h>
#include <bsd/stdlib.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/login/sasl_channel.h"
#include "common/net/unix_socket.h"
#include "queue/next_hop.h"

#define IN_MAX 16384
#define CHUNK_BYTES 32768
/* What dot-stuffing and the repair of bare line ends can make of so many bytes at most. */
#define CHUNK_ROOM(n) (2 * (n) + DOT_WRITE_ROOM_MIN)
/* What goes through a conversion is read in smaller ones, since it grows, and then may grow again. */
#define CONVERT_BYTES 2048
#define CONVERTED_MAX (CONVERT_BYTES * DOWNCONVERT_GROWTH + DOWNCONVERT_SLACK)
#define OUT_MAX (SMTP_CLIENT_OUTPUT_MAX + CHUNK_ROOM(CHUNK_BYTES) + SMTP_CLIENT_CHUNK_EXTRA_MAX)

_Static_assert(CONVERTED_MAX <= CHUNK_BYTES, "a converted piece is no larger than another");

/* Chunks of one message that are sent before other connections have their turn. */
#define CHUNKS_A_TURN 16

static void proceed(struct remote_connection *c);
static void body_send(struct remote_connection *c);

static void
destroy(struct remote_connection *c)
{
	stream_close(&c->stream);
	loop_timer_cancel(&c->later);
	loop_timer_cancel(&c->expiry);
	smtp_client_clear(&c->client);
	c->context->connections--;
	free(c);
}

void
remote_connection_release(struct remote_connection *c)
{
	bool in_order = smtp_client_need(&c->client) == SMTP_NEED_NOTHING || c->client.may_quit || c->client.said_421;

	c->owner = NULL;
	c->transaction = NULL;
	loop_timer_cancel(&c->later);
	loop_timer_cancel(&c->expiry);
	if (!in_order || !stream_is_open(&c->stream)) {
		destroy(c);
		return;
	}
	smtp_client_quit(&c->client);
	stream_finish(&c->stream);
}

bool
remote_connection_is_usable(const struct remote_connection *c)
{
	return smtp_client_need(&c->client) == SMTP_NEED_NOTHING && stream_is_open(&c->stream) &&
	    !smtp_client_is_spent(&c->client);
}

/* --- the body ------------------------------------------------------------------------------------------------------ */

/* A message that cannot be read to its end must not be ended: the connection is given up. */
static void
body_unreadable(struct remote_connection *c)
{
	c->unreadable = true;
	smtp_client_abandon(&c->client, STR("4.3.0"), STR("the message cannot be read from the queue"));
	proceed(c);
}

static void
body_later(struct loop_timer *timer)
{
	body_send(container_of(timer, struct remote_connection, later));
}

/* The last bytes of a conversion may come after the last bytes of the message. */
static void
body_converted(struct remote_connection *c, struct str bytes)
{
	static char room[CONVERTED_MAX];
	struct downconvert *conversion = c->transaction->conversion;
	struct buf out = {.p = room, .cap = sizeof room, .max = sizeof room};
	struct str rest;

	if (bytes.n > 0)
		downconvert_write(conversion, bytes, &out);
	if (remote_content_is_read(&c->transaction->content))
		downconvert_end(conversion, &out);
	rest = buf_str(&out);
	while (rest.n > 0)
		rest = str_skip(rest, smtp_client_body(&c->client, rest, CHUNK_ROOM(rest.n)));
}

/* The next bytes of the message. False when the file does not have what it should. */
static bool
body_chunk(struct remote_connection *c)
{
	static char chunk[CHUNK_BYTES]; /* of all connections: it is used up before the next one comes */
	bool converts = c->transaction->conversion != NULL;
	size_t n = 0;

	if (!c->transaction->unreadable)
		n = remote_content_read(&c->transaction->content, chunk, converts ? CONVERT_BYTES : sizeof chunk);
	if (n == 0)
		return false;
	if (converts)
		body_converted(c, (struct str){chunk, n});
	else
		(void)smtp_client_body(&c->client, (struct str){chunk, n}, CHUNK_ROOM(n));
	return true;
}

static void
body_send(struct remote_connection *c)
{
	struct remote_content *content = &c->transaction->content;

	stream_set_deadline(&c->stream, c->context->conf->queue.reply_timeout_ms);
	for (unsigned i = 0; i < CHUNKS_A_TURN && !remote_content_is_read(content); i++) {
		/* Commands whose replies are not waited for leave together with the first of it. */
		if (i > 0 || !c->client.one_flight_now) {
			stream_flush(&c->stream);
			if (stream_pending(&c->stream) > 0)
				return; /* `drained` goes on */
		}
		if (!body_chunk(c)) {
			body_unreadable(c);
			return;
		}
	}
	if (remote_content_is_read(content)) {
		smtp_client_body_end(&c->client);
		stream_flush(&c->stream);
		proceed(c);
		return;
	}
	stream_flush(&c->stream);
	if (stream_pending(&c->stream) == 0)
		loop_timer_set(c->context->loop, &c->later, 0, body_later);
}

/* --- progress ------------------------------------------------------------------------------------------------------- */

static void
tls_start(struct remote_connection *c)
{
	if (remote_tls_start(&c->stream, c->context->tls, &c->identity, &c->policy, c->relay)) {
		stream_set_deadline(&c->stream, c->context->conf->queue.reply_timeout_ms);
		return;
	}
	c->tls_failed = true;
	smtp_client_abandon(&c->client, STR("4.7.5"), STR("TLS cannot be started"));
	proceed(c);
}

/* The connection had been idle, and is closed without that the server answered anything to the new message. */
static bool
is_stale(const struct remote_connection *c)
{
	return c->transactions > 1 && !c->client.answered && smtp_client_need(&c->client) == SMTP_NEED_CLOSE;
}

static void
transaction_ended(struct remote_connection *c)
{
	c->transaction = NULL;
	stream_set_deadline(&c->stream, 0);
	c->owner->ended(c->owner, c);
}

static void
results_tell(struct remote_connection *c)
{
	struct smtp_recipient *recipient;

	while ((recipient = smtp_client_result(&c->client)) != NULL)
		c->owner->result(c->owner, c, recipient);
}

static const struct smtp_verdict no_tls = {SMTP_FAILED, {"5.7.30", 6},
    {"the message needs REQUIRETLS, which the server cannot promise", 61}};

/* The server is in order, but has no TLS that proves its name. */
static bool
lacks_tls(const struct remote_connection *c)
{
	return c->client.unfit && (!c->client.tls || !c->client.verified);
}

/* Why the server will not do; by a rule of ours it says more than the core could. */
static const struct smtp_verdict *
opening_failure(struct remote_connection *c)
{
	if (c->must_keep_tls && lacks_tls(c))
		return &no_tls;
	if (c->client.unfit && c->client.tls && c->client.must_verify && !c->client.verified) {
		(void)snprintf(c->words, sizeof c->words, "the certificate of %s: %s", c->relay, stream_tls_doubt(&c->stream));
		c->client.failure.words = str_from(c->words);
	}
	return &c->client.failure;
}

/* Neither in a transaction nor opening: the owner waits for nothing. */
static void
over(struct remote_connection *c)
{
	if (c->opening) {
		c->opening = false;
		c->opening_failed = true;
		c->owner->opened(c->owner, c, opening_failure(c));
	} else if (c->transaction != NULL) {
		transaction_ended(c);
	} else {
		c->owner->lost(c->owner, c);
	}
}

static void
ready(struct remote_connection *c)
{
	if (c->opening) {
		c->opening = false;
		stream_set_deadline(&c->stream, 0);
		c->owner->opened(c->owner, c, c->must_keep_tls && !smtp_client_keeps_tls(&c->client) ? &no_tls : NULL);
	} else if (c->transaction != NULL) {
		transaction_ended(c);
	}
}

/* Of a reply as a whole: a server that lets it drip, byte by byte, gets no more time for each. */
static void
reply_deadline_set(struct remote_connection *c, uint64_t after_ms)
{
	if (!smtp_reply_is_begun(&c->client.reply))
		stream_set_deadline(&c->stream, after_ms);
}

/* Does what the core needs next. The connection may be gone afterwards. */
static void
proceed(struct remote_connection *c)
{
	const struct conf_queue *conf = &c->context->conf->queue;

	c->stale = c->transaction != NULL && is_stale(c);
	if (c->transaction != NULL && !c->stale)
		results_tell(c);
	switch (smtp_client_need(&c->client)) {
	case SMTP_NEED_REPLY:
		reply_deadline_set(c, conf->reply_timeout_ms);
		return;
	case SMTP_NEED_FINAL_REPLY:
		reply_deadline_set(c, conf->final_reply_timeout_ms);
		return;
	case SMTP_NEED_TLS:
		tls_start(c);
		return;
	case SMTP_NEED_BODY:
		body_send(c);
		return;
	case SMTP_NEED_NOTHING:
		ready(c);
		return;
	case SMTP_NEED_CLOSE:
		over(c);
		return;
	}
}

void
remote_connection_send(struct remote_connection *c, struct remote_transaction *transaction)
{
	remote_content_rewind(&transaction->content);
	if (transaction->conversion != NULL)
		downconvert_begin(transaction->conversion);
	c->transaction = transaction;
	c->transactions++;
	smtp_client_begin(&c->client, &transaction->mail);
	if (smtp_client_need(&c->client) != SMTP_NEED_BODY)
		stream_flush(&c->stream);
	proceed(c);
}

/* --- what the stream tells ------------------------------------------------------------------------------------------ */

static void
input(struct stream *stream)
{
	struct remote_connection *c = container_of(stream, struct remote_connection, stream);
	struct str in = buf_str(&stream->in);
	size_t n = in.n;

	if (c->owner == NULL)
		return;
	smtp_client_feed(&c->client, &in);
	buf_consume(&stream->in, n - in.n);
	proceed(c);
}

static void
implicit_tls_start(struct remote_connection *c)
{
	c->implicit_tls = false;
	tls_start(c);
}

static void
implicit_tls_due(struct loop_timer *timer)
{
	implicit_tls_start(container_of(timer, struct remote_connection, later));
}

static void
drained(struct stream *stream)
{
	struct remote_connection *c = container_of(stream, struct remote_connection, stream);

	if (c->owner == NULL)
		return;
	if (!c->connected && c->owner->connected != NULL)
		c->owner->connected(c->owner, c);
	c->connected = true;
	if (c->implicit_tls)
		implicit_tls_start(c);
	else if (smtp_client_need(&c->client) == SMTP_NEED_BODY)
		body_send(c);
	else if (smtp_client_need(&c->client) == SMTP_NEED_REPLY)
		stream_set_deadline(stream, c->context->conf->queue.reply_timeout_ms);
}

static void
secured(struct stream *stream)
{
	struct remote_connection *c = container_of(stream, struct remote_connection, stream);

	c->trust = stream_tls_trust(&c->stream);
	(void)snprintf(c->tls, sizeof c->tls, "%s with %s", stream_tls_version(stream), stream_tls_cipher(stream));
	c->is_alone = stream_tls_is_by_other_name(stream);
	if (c->client.state == SMTP_HANDSHAKE) {
		smtp_client_secured(&c->client, stream_tls_is_verified(stream));
	} else { /* before the greeting */
		c->client.tls = true;
		c->client.verified = stream_tls_is_verified(stream);
	}
	if (c->client.credentials != NULL)
		c->client.has_binding = sasl_channel_binding(&c->client.binding, stream);
	proceed(c);
}

static const char *
trouble(enum stream_end why, const struct err *err)
{
	if (why == STREAM_DEADLINE)
		return "Connection timed out";
	if (err == NULL)
		return "Connection closed";
	return err->errnum != 0 ? strerror(err->errnum) : err->text;
}

static void
words_make(struct remote_connection *c, enum stream_end why, const struct err *err)
{
	const char *text = trouble(why, err);

	if (!c->connected)
		(void)snprintf(c->words, sizeof c->words, "connect to %s: %s", c->relay, text);
	else if (c->client.state == SMTP_HANDSHAKE)
		(void)snprintf(c->words, sizeof c->words, "TLS handshake with %s: %s", c->relay, text);
	else if (why == STREAM_DEADLINE)
		(void)snprintf(c->words, sizeof c->words, "%s does not answer: timed out while %s", c->relay,
		    smtp_client_stage(&c->client));
	else
		(void)snprintf(c->words, sizeof c->words, "lost connection with %s while %s%s%s", c->relay,
		    smtp_client_stage(&c->client), err == NULL ? "" : ": ", err == NULL ? "" : text);
}

static void
closed(struct stream *stream, enum stream_end why, const struct err *err)
{
	struct remote_connection *c = container_of(stream, struct remote_connection, stream);

	if (c->owner == NULL) {
		destroy(c);
		return;
	}
	loop_timer_cancel(&c->later);
	words_make(c, why, err);
	c->tls_failed = c->client.state == SMTP_HANDSHAKE;
	smtp_client_abandon(&c->client, c->connected ? STR("4.4.2") : STR("4.4.1"), str_from(c->words));
	proceed(c);
}

static const struct stream_events events = {input, drained, secured, closed};

/* --- opening -------------------------------------------------------------------------------------------------------- */

static void
relay_name(struct remote_connection *c, const struct remote_target *target)
{
	char address[INET6_ADDRSTRLEN];

	if (target->to == NULL) {
		(void)snprintf(c->relay, sizeof c->relay, "%.*s", STR_FMT(target->host));
		return;
	}
	next_hop_address_text(&target->to->address.any, address, sizeof address);
	(void)snprintf(c->relay, sizeof c->relay, "%.*s[%s]:%u", STR_FMT(target->host), address,
	    (unsigned)ntohs(target->to->address.v4.sin_port));
}

/* A socket that is connected or about to be; -1 with err. */
static int
socket_open(const struct remote_target *target, bool *connecting, struct err *err)
{
	int fd;

	*connecting = false;
	if (target->to == NULL && target->path == NULL)
		return target->fd;
	if (target->to == NULL)
		return unix_connect(target->path, SOCK_STREAM | SOCK_NONBLOCK, err);
	fd = socket(target->to->address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		(void)err_sys(err, "socket");
		return -1;
	}
	if (target->from != NULL && bind(fd, &target->from->address.any, target->from->length) != 0) {
		(void)err_sys(err, "the source address");
		(void)close(fd);
		return -1;
	}
	if (connect(fd, &target->to->address.any, target->to->length) == 0)
		return fd;
	if (errno == EINPROGRESS) {
		*connecting = true;
		return fd;
	}
	(void)err_sys(err, "connect");
	(void)close(fd);
	return -1;
}

static struct remote_connection *
connection_new(struct remote_context *context, const struct remote_target *target, struct remote_owner *owner)
{
	struct remote_connection *c = calloc(1, sizeof *c);

	if (c == NULL)
		fatal("out of memory for a connection");
	c->context = context;
	c->owner = owner;
	c->opening = true;
	c->must_keep_tls = target->must_keep_tls;
	c->policy = target->policy;
	c->opened_ms = loop_now_ms(context->loop);
	relay_name(c, target);
	return c;
}

static void
nonce_make(char nonce[33])
{
	unsigned char random[16];

	arc4random_buf(random, sizeof random);
	for (size_t i = 0; i < sizeof random; i++)
		(void)snprintf(nonce + 2 * i, 3, "%02x", random[i]);
}

static void
client_init(struct remote_connection *c, const struct remote_target *target)
{
	struct remote_context *context = c->context;

	smtp_client_init(&c->client, &c->stream.out, str_from(context->conf->hostname), target->lmtp,
	    target->policy.need != TLS_NEED_PLAIN && context->tls != NULL);
	c->client.one_flight = target->path != NULL;
	c->client.must_tls = target->policy.need >= TLS_NEED_ENCRYPT;
	c->client.must_verify = target->policy.need >= TLS_NEED_NAME;
	c->client.credentials = target->credentials;
	if (target->credentials != NULL)
		nonce_make(c->client.nonce);
}

struct remote_connection *
remote_connection_open(struct remote_context *context, const struct remote_target *target, struct remote_owner *owner,
    struct err *err)
{
	static const struct stream_limits limits = {.in_max = IN_MAX, .out_max = OUT_MAX};
	struct remote_connection *c;
	bool connecting;
	int fd = socket_open(target, &connecting, err);

	if (fd < 0)
		return NULL;
	c = connection_new(context, target, owner);
	c->identity = target->identity;
	c->connected = !connecting;
	stream_open(&c->stream, context->loop, fd, &events, &limits);
	if (connecting)
		stream_connecting(&c->stream);
	stream_set_deadline(&c->stream, context->conf->queue.connect_timeout_ms);
	client_init(c, target);
	c->implicit_tls = target->implicit_tls && context->tls != NULL;
	if (c->implicit_tls && c->connected)
		loop_timer_set(context->loop, &c->later, 0, implicit_tls_due);
	context->connections++;
	return c;
}
