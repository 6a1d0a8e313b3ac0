/*
 * A connection from accept() until its login: drives the protocol's pure core, asks authd, hands over to the parent.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/login/login_worker.h"
#include "common/login/sasl_channel.h"

#define ERRORS_MAX 10
#define REFUSALS_MAX 5
#define CORE_OUT_MAX 16384
#define GUESTS_MAX_OF_ADDRESS 1000 /* connections from one address that have not logged in */

static void talk(struct login_client *client);

static const struct login_protocol *
protocol_of(const struct login_client *client)
{
	return client->worker->service->protocol;
}

/* --- addresses ----------------------------------------------------------------------------------------------------- */

/* Of an IPv6 address only the network counts, since whoever has one has 2^64. */
static struct str
address_network(const struct sockaddr_storage *address)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;

	if (address->ss_family == AF_INET)
		return (struct str){(const char *)&v4->sin_addr, sizeof v4->sin_addr};
	if (address->ss_family != AF_INET6)
		return STR("");
	if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
		return (struct str){(const char *)&v6->sin6_addr.s6_addr[12], 4};
	return (struct str){(const char *)v6->sin6_addr.s6_addr, 8};
}

static void
addresses_read(struct login_client *client, int fd)
{
	struct sockaddr_storage remote = {0}, local = {0};
	socklen_t n = sizeof remote;

	if (getpeername(fd, (struct sockaddr *)&remote, &n) != 0)
		remote.ss_family = AF_UNSPEC;
	n = sizeof local;
	if (getsockname(fd, (struct sockaddr *)&local, &n) != 0)
		local.ss_family = AF_UNSPEC;
	network_address_format((const struct sockaddr *)&remote, client->remote);
	network_address_format((const struct sockaddr *)&local, client->local);
	client->hash = siphash(&client->worker->key, address_network(&remote));
}

/* Is the peer a process of this host? */
static bool
is_at_home(const struct login_client *client)
{
	return client->remote[0] == '\0' || strncmp(client->remote, "127.", 4) == 0 || strcmp(client->remote, "::1") == 0 ||
	       strcmp(client->remote, client->local) == 0;
}

/* --- the core ------------------------------------------------------------------------------------------------------ */

static void
core_free(struct login_client *client)
{
	struct login_core *core = client->core;

	if (core == NULL)
		return;
	if (core->protocol->clear != NULL)
		core->protocol->clear(core);
	buf_clear(&core->out);
	free(core);
	client->core = NULL;
}

static bool
core_new(struct login_client *client)
{
	struct login_core *core = calloc(1, protocol_of(client)->core_size);

	if (core == NULL)
		return false;
	core->protocol = protocol_of(client);
	core->facts.hostname = str_from(client->worker->self->conf->hostname);
	core->facts.tls = stream_is_tls(&client->stream);
	core->facts.mechanisms = sasl_client_mechanisms(client->worker->sasl,
	    sasl_channel_offers(&client->stream, is_at_home(client), client->worker->self->conf));
	core->facts.can_start_tls = !core->facts.tls && client->listener->tls != NULL;
	core->facts.plain_text = core->facts.tls || is_at_home(client);
	core->facts.resumed = client->resumed;
	buf_init(&core->out, CORE_OUT_MAX);
	client->core = core;
	core->protocol->open(core);
	return true;
}

static void
take_output(struct login_client *client)
{
	if (!buf_ok(&client->core->out))
		client->stream.out.failed = true;
	buf_add(&client->stream.out, buf_str(&client->core->out));
	buf_reset(&client->core->out);
}

/* Commands may hold passwords: they are wiped behind the reader. */
static void
take_input(struct login_client *client, size_t n)
{
	struct buf *in = &client->stream.in;

	buf_consume(in, n);
	if (n > 0)
		explicit_bzero(in->p + in->n, n);
}

/* --- the end ------------------------------------------------------------------------------------------------------- */

void
login_client_free(struct login_client *client)
{
	struct login_worker *worker = client->worker;

	sasl_cancel(&client->request);
	loop_timer_cancel(&client->deadline);
	core_free(client);
	if (client->inner_fd >= 0)
		(void)close(client->inner_fd);
	if (client->state == LOGIN_PROXYING) {
		TAILQ_REMOVE(&worker->users, client, link);
	} else {
		TAILQ_REMOVE(&worker->guests, client, link);
		worker->addresses[client->hash % LOGIN_BUCKETS]--;
	}
	worker->nclients--;
	free(client);
	login_worker_left(worker);
}

static void
client_drop(struct login_client *client)
{
	stream_close(&client->stream);
	login_client_free(client);
}

void
login_client_goodbye(struct login_client *client, enum login_goodbye why)
{
	if (client->state == LOGIN_ENDING || client->state == LOGIN_HANDING)
		return;
	sasl_cancel(&client->request);
	if (client->core != NULL) {
		client->core->protocol->goodbye(client->core, why);
		take_output(client);
	}
	client->state = LOGIN_ENDING;
	loop_timer_cancel(&client->deadline);
	stream_finish(&client->stream);
}

static void
deadline_expired(struct loop_timer *timer)
{
	login_client_goodbye(container_of(timer, struct login_client, deadline), LOGIN_BYE_TIMEOUT);
}

/* --- the hand-over ------------------------------------------------------------------------------------------------- */

static void
verdict(struct login_client *client, enum login_verdict word, struct str challenge)
{
	client->core->protocol->verdict(client->core, word, challenge);
	take_output(client);
	client->state = LOGIN_TALKING;
}

/* What the session is to get: the connection itself, or a socket that this process will proxy. -1 on failure. */
static int
session_end(struct login_client *client)
{
	int pair[2];

	if (!stream_is_tls(&client->stream))
		return client->stream.io.fd;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
		return -1;
	client->inner_fd = pair[0];
	return pair[1];
}

static bool
parent_tell(struct login_client *client)
{
	struct login_worker *worker = client->worker;
	struct login_claim claim = {.exchange = client->exchange, .cookie = sasl_client_cookie(worker->sasl)};
	struct login_connection connection = {
	    .tls = stream_is_tls(&client->stream),
	    .label = client->core->protocol->label == NULL ? STR("") : client->core->protocol->label(client->core),
	    .input = buf_str(&client->stream.in),
	    .remote = str_from(client->remote),
	    .local = str_from(client->local),
	};
	int fd = session_end(client);
	bool sent;

	if (fd < 0)
		return false;
	client->handover = ++worker->last_handover;
	login_handover_write(&worker->message, client->handover, &claim, &connection);
	sent = daemon_self_send(worker->self, &worker->message, fd);
	if (fd != client->stream.io.fd)
		(void)close(fd);
	return sent;
}

static void
inner_close(struct login_client *client)
{
	if (client->inner_fd >= 0)
		(void)close(client->inner_fd);
	client->inner_fd = -1;
}

/* Nothing is read from here on until the parent has answered: the next bytes are for the session. */
static void
hand_over(struct login_client *client)
{
	stream_pause(&client->stream);
	stream_flush(&client->stream);
	if (stream_pending(&client->stream) > 0) {
		client->state = LOGIN_FLUSHING;
		return;
	}
	loop_timer_cancel(&client->deadline);
	client->state = LOGIN_HANDING;
	if (!parent_tell(client))
		login_client_handed(client, false);
}

void
login_client_handed(struct login_client *client, bool ok)
{
	const struct login_worker *worker = client->worker;

	if (!ok) {
		inner_close(client);
		verdict(client, LOGIN_UNAVAILABLE, STR(""));
		loop_timer_set(worker->loop, &client->deadline, worker->limits.login_timeout_ms, deadline_expired);
		stream_resume(&client->stream);
		talk(client);
		stream_flush(&client->stream);
		return;
	}
	log_info("login: user=<%s>, rip=%s, lip=%s%s%s", client->user, client->remote, client->local,
	    stream_is_tls(&client->stream) ? ", " : "", stream_tls_version(&client->stream));
	core_free(client);
	if (client->inner_fd < 0)
		client_drop(client);
	else
		login_proxy_open(client);
}

/* --- authentication ------------------------------------------------------------------------------------------------ */

static void
authenticated(struct sasl_request *request, const struct sasl_answer *answer)
{
	struct login_client *client = container_of(request, struct login_client, request);

	if (answer->result != SASL_OK)
		stream_resume(&client->stream);
	switch (answer->result) {
	case SASL_CONTINUE:
		verdict(client, LOGIN_CHALLENGE, answer->challenge);
		break;
	case SASL_OK:
		client->exchange = answer->id;
		(void)str_copy(client->user, sizeof client->user, answer->user);
		hand_over(client);
		return;
	case SASL_FAIL:
		verdict(client, LOGIN_REFUSED, STR(""));
		if (++client->refusals >= REFUSALS_MAX)
			login_client_goodbye(client, LOGIN_BYE_ERRORS);
		break;
	case SASL_TEMP:
		verdict(client, LOGIN_UNAVAILABLE, STR(""));
		break;
	}
	talk(client);
	stream_flush(&client->stream);
}

static bool
auth_begin(struct login_client *client, const struct login_step *step)
{
	struct login_worker *worker = client->worker;
	struct sasl_peer peer = {
	    .service = str_from(worker->service->name),
	    .local = str_from(client->local),
	    .remote = str_from(client->remote),
	    .secured = stream_is_tls(&client->stream),
	};
	struct sasl_channel channel;

	sasl_channel_read(&channel, &client->stream, worker->self->conf);
	sasl_channel_tell(&channel, &peer);
	sasl_cancel(&client->request);
	return sasl_start(worker->sasl, &client->request, &peer, step->mechanism,
	    step->has_initial ? &step->response : NULL, authenticated);
}

static bool
auth_respond(struct login_client *client, const struct login_step *step)
{
	if (client->request.client == NULL)
		return false;
	if (sasl_continue(&client->request, step->response))
		return true;
	sasl_cancel(&client->request);
	return false;
}

/* --- commands ------------------------------------------------------------------------------------------------------ */

static void
error_count(struct login_client *client)
{
	if (++client->errors >= ERRORS_MAX)
		login_client_goodbye(client, LOGIN_BYE_ERRORS);
}

/* The step's strings may lie in the input, so it is taken only afterwards. */
static void
auth_step(struct login_client *client, enum login_action action, const struct login_step *step)
{
	bool begun = action == LOGIN_AUTHENTICATE ? auth_begin(client, step) : auth_respond(client, step);

	take_input(client, step->taken);
	take_output(client);
	if (begun) {
		stream_pause(&client->stream); /* what follows, the peer's end too, comes after the verdict */
		client->state = LOGIN_AUTHENTICATING;
		return;
	}
	verdict(client, LOGIN_MALFORMED, STR(""));
	error_count(client);
}

/* Whatever came behind the command in plain text ends the session: it may be a stranger's. */
static void
tls_start(struct login_client *client)
{
	core_free(client);
	client->state = LOGIN_HANDSHAKING;
	client->resumed = true;
	if (client->listener->tls == NULL || !stream_start_tls(&client->stream, client->listener->tls, NULL)) {
		log_info("STARTTLS from %s with more behind it, or not at all: closed", client->remote);
		client->state = LOGIN_ENDING;
		buf_reset(&client->stream.out);
		stream_finish(&client->stream);
	}
}

static void
act(struct login_client *client, enum login_action action, const struct login_step *step)
{
	switch (action) {
	case LOGIN_MORE:
		break;
	case LOGIN_AUTHENTICATE:
	case LOGIN_RESPOND:
		auth_step(client, action, step);
		return;
	case LOGIN_ANSWERED:
		break;
	case LOGIN_ERROR:
		take_input(client, step->taken);
		take_output(client);
		error_count(client);
		return;
	case LOGIN_ABANDON:
		sasl_cancel(&client->request);
		break;
	case LOGIN_START_TLS:
		take_input(client, step->taken);
		take_output(client);
		tls_start(client);
		return;
	case LOGIN_CLOSE:
		client->state = LOGIN_ENDING;
		break;
	}
	take_input(client, step->taken);
	take_output(client);
	if (client->state == LOGIN_ENDING)
		stream_finish(&client->stream);
}

/* Runs the core over what has come, as far as it can. */
static void
talk(struct login_client *client)
{
	while (client->state == LOGIN_TALKING) {
		struct str in = buf_str(&client->stream.in);
		struct login_step step = {0};
		enum login_action action = client->core->protocol->step(client->core, in, &step);

		act(client, action, &step);
		if (action != LOGIN_MORE)
			continue;
		if (in.n >= LOGIN_INPUT_MAX)
			login_client_goodbye(client, LOGIN_BYE_ERRORS);
		return;
	}
}

/* --- the stream ---------------------------------------------------------------------------------------------------- */

static void
client_input(struct stream *stream)
{
	struct login_client *client = container_of(stream, struct login_client, stream);

	if (client->state == LOGIN_PROXYING)
		login_proxy_input(client);
	else
		talk(client);
}

static void
client_drained(struct stream *stream)
{
	struct login_client *client = container_of(stream, struct login_client, stream);

	if (client->state == LOGIN_PROXYING)
		login_proxy_drained(client);
	else if (client->state == LOGIN_FLUSHING)
		hand_over(client);
}

/* Greets, with or without TLS. */
static bool
client_begin(struct login_client *client)
{
	client->state = LOGIN_TALKING;
	if (!core_new(client))
		return false;
	take_output(client);
	return true;
}

static void
client_secured(struct stream *stream)
{
	struct login_client *client = container_of(stream, struct login_client, stream);

	if (!client_begin(client))
		client_drop(client);
}

static void
client_closed(struct stream *stream, enum stream_end why, const struct err *err)
{
	struct login_client *client = container_of(stream, struct login_client, stream);

	if (client->state == LOGIN_PROXYING) {
		login_proxy_closed(client);
		return;
	}
	if (why == STREAM_BROKEN)
		log_debug("%s: %s", client->remote, err->text);
	login_client_free(client);
}

static const struct stream_events client_events = {
    .input = client_input,
    .drained = client_drained,
    .secured = client_secured,
    .closed = client_closed,
};

/* Room for one more: the guest that has been here for longest must go. Those whose login is being looked at stay. */
static bool
make_room(struct login_worker *worker)
{
	struct login_client *client;

	if (worker->nclients < worker->limits.clients_per_worker)
		return true;
	TAILQ_FOREACH(client, &worker->guests, link)
		if (client->state == LOGIN_TALKING || client->state == LOGIN_HANDSHAKING)
			break;
	if (client == NULL)
		return false;
	login_client_goodbye(client, LOGIN_BYE_BUSY);
	client_drop(client);
	return true;
}

/* False when it is to be dropped. Who is not welcome is told so where that can be done in plain text. */
static bool
client_greet(struct login_client *client, bool welcome)
{
	if (client->listener->listener->kind == client->worker->service->kind_tls) {
		client->state = LOGIN_HANDSHAKING;
		return welcome && client->listener->tls != NULL &&
		       stream_start_tls(&client->stream, client->listener->tls, NULL);
	}
	client->resumed = !welcome; /* then the goodbye is the greeting */
	if (!client_begin(client))
		return false;
	if (!welcome)
		login_client_goodbye(client, LOGIN_BYE_BUSY);
	stream_flush(&client->stream);
	return true;
}

void
login_client_open(struct login_worker *worker, const struct login_listener *listener, int fd)
{
	bool room = make_room(worker);
	struct login_client *client = room ? calloc(1, sizeof *client) : NULL;

	if (client == NULL) {
		log_warning("more than %llu connections", (unsigned long long)worker->limits.clients_per_worker);
		(void)close(fd);
		return;
	}
	client->worker = worker;
	client->listener = listener;
	client->inner_fd = -1;
	addresses_read(client, fd);
	TAILQ_INSERT_TAIL(&worker->guests, client, link);
	worker->nclients++;
	stream_open(&client->stream, worker->loop, fd, &client_events, &LOGIN_STREAM_LIMITS);
	loop_timer_set(worker->loop, &client->deadline, worker->limits.login_timeout_ms, deadline_expired);
	if (!client_greet(client, ++worker->addresses[client->hash % LOGIN_BUCKETS] <= GUESTS_MAX_OF_ADDRESS))
		client_drop(client);
}
