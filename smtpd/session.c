#include "smtpd/session.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/unix_socket.h"
#include "smtpd/policy.h"
#include "smtpd/session_message.h"

#define IN_MAX 32768
#define OUT_MAX 65536
#define ARENA_BYTES_A_RECIPIENT 1024
#define ARENA_BYTES_MORE 8192

static void run(struct session *s);

static const char *
service(const struct session *s)
{
	return s->listener->facts->service;
}

/* "unknown[127.0.0.1]": names by reverse DNS are not looked up. */
static void
log_session(const struct session *s, const char *what, const char *more)
{
	if (s->remote[0] != '\0')
		log_as(service(s), "%s unknown[%s]%s", what, s->remote, more);
	else
		log_as(service(s), "%s localhost[submit]%s", what, more);
}

static void
log_reject(const struct session *s, const char *verb, const struct smtp_reply *reply, struct str recipient)
{
	log_as(service(s), "NOQUEUE: reject: %s from unknown[%s]: %u %s %.*s; from=<%.*s> to=<%.*s> proto=%s helo=<%s>", verb,
	    s->remote, reply->code, reply->status ? reply->status : "-", STR_FMT(reply->text),
	    STR_FMT(s->smtp.transaction.sender.text), STR_FMT(recipient), smtp_server_protocol_name(&s->smtp), s->smtp.helo);
}

/* ---- recipients ------------------------------------------------------------------------------------------------------ */

static void
recipient_refuse(struct session *s, unsigned code, const char *status, const char *why)
{
	char text[SMTP_REPLY_TEXT_MAX];
	struct smtp_reply reply = {.code = code, .status = status};
	int n = snprintf(text, sizeof text, "<%.*s>: Recipient address rejected: %s",
	    STR_FMT(str_sub(s->smtp.recipient->address.text, 0, 256)), why);

	reply.text = (struct str){text, n < (int)sizeof text ? (size_t)n : sizeof text - 1};
	log_reject(s, "RCPT", &reply, s->smtp.recipient->address.text);
	smtp_server_answer(&s->smtp, &reply);
}

static void
recipient_known(struct socketmap_query *query, enum socketmap_status status, struct str value)
{
	struct session *s = container_of(query, struct session, query);

	(void)value;
	switch (status) {
	case SOCKETMAP_OK:
		smtp_server_accept(&s->smtp);
		break;
	case SOCKETMAP_NOTFOUND:
		recipient_refuse(s, 550, "5.1.1", "User unknown");
		break;
	case SOCKETMAP_PERM:
		recipient_refuse(s, 550, "5.1.3", "Malformed address");
		break;
	case SOCKETMAP_TEMP:
		recipient_refuse(s, 451, "4.3.0", "Cannot look it up now, please try again later");
		break;
	}
	session_go_on(s);
}

static void
recipient_ask(struct session *s)
{
	const struct address *address = &s->smtp.recipient->address;
	struct str domain = policy_domain(s->worker->conf, address);
	char key[ADDRESS_TEXT_MAX + 256];
	int n;

	if (address->kind == ADDRESS_LOCAL)
		n = snprintf(key, sizeof key, "%.*s@%.*s", STR_FMT(address->text), STR_FMT(domain));
	else
		n = snprintf(key, sizeof key, "%.*s", STR_FMT(address->text));
	socketmap_ask(&s->worker->map, &s->query, STR("recipient"), (struct str){key, (size_t)n}, recipient_known);
}

static void
recipient_check(struct session *s)
{
	const struct policy_facts facts = {.conf = s->worker->conf, .authenticated = s->smtp.user[0] != '\0',
	    .in_networks = s->in_networks};
	struct smtp_reply reply;

	/* As everywhere: sendmail takes any address, and what cannot be delivered comes back as a notification. */
	if (s->remote[0] == '\0') {
		smtp_server_accept(&s->smtp);
		return;
	}
	switch (policy_recipient(&facts, &s->smtp.recipient->address, &reply)) {
	case POLICY_LOCAL:
		recipient_ask(s);
		break;
	case POLICY_RELAY:
		smtp_server_accept(&s->smtp);
		break;
	case POLICY_REFUSE:
		log_reject(s, "RCPT", &reply, s->smtp.recipient->address.text);
		smtp_server_answer(&s->smtp, &reply);
		break;
	}
}

/* ---- passwords ------------------------------------------------------------------------------------------------------- */

static void
sasl_refused(struct session *s, const struct sasl_answer *answer, enum smtp_auth why)
{
	/* In the words that fail2ban's filter for Postfix looks for. */
	log_as(service(s), "warning: unknown[%s]: SASL %s authentication failed: %.*s, sasl_username=%.*s", s->remote,
	    s->mechanism, STR_FMT(answer->reason), STR_FMT(answer->user));
	smtp_server_auth_failed(&s->smtp, why);
}

static void
sasl_answered(struct sasl_request *request, const struct sasl_answer *answer)
{
	struct session *s = container_of(request, struct session, sasl);

	switch (answer->result) {
	case SASL_CONTINUE:
		smtp_server_challenge(&s->smtp, answer->challenge);
		break;
	case SASL_OK:
		smtp_server_authenticated(&s->smtp, answer->user);
		break;
	case SASL_FAIL:
		sasl_refused(s, answer, SMTP_AUTH_REFUSED);
		break;
	case SASL_TEMP:
		sasl_refused(s, answer, SMTP_AUTH_UNAVAILABLE);
		break;
	}
	session_go_on(s);
}

static void
sasl_begin(struct session *s)
{
	const struct sasl_peer peer = {.service = STR("smtp"), .local = str_from(s->local), .remote = str_from(s->remote),
	    .secured = stream_is_tls(&s->stream)};

	(void)str_copy(s->mechanism, sizeof s->mechanism, s->smtp.mechanism);
	if (!sasl_start(s->worker->sasl, &s->sasl, &peer, s->smtp.mechanism,
	        s->smtp.has_response ? &s->smtp.response : NULL, sasl_answered))
		smtp_server_auth_failed(&s->smtp, SMTP_AUTH_MALFORMED);
}

static void
sasl_go_on(struct session *s)
{
	if (sasl_continue(&s->sasl, s->smtp.response))
		return;
	sasl_cancel(&s->sasl);
	smtp_server_auth_failed(&s->smtp, SMTP_AUTH_MALFORMED);
}

/* ---- the core's questions ------------------------------------------------------------------------------------------- */

static void
body_begin(struct session *s)
{
	if (session_message_begin(s))
		smtp_server_accept(&s->smtp);
	else
		smtp_server_answer(&s->smtp, SMTP_REPLY(452, "4.3.1", "Out of memory, please try again later"));
}

/* False: the steps pause, for more input or because the session changes. */
static bool
event_take(struct session *s, enum smtp_event event)
{
	switch (event) {
	case SMTP_READ:
		return false;
	case SMTP_SENDER:
		smtp_server_accept(&s->smtp);
		return true;
	case SMTP_RECIPIENT:
		recipient_check(s);
		return true;
	case SMTP_BODY:
		body_begin(s);
		return true;
	case SMTP_CONTENT:
		session_message_feed(s, s->smtp.content);
		return true;
	case SMTP_MESSAGE:
		session_message_end(s);
		return true;
	case SMTP_ABANDONED:
		session_message_drop(s);
		return true;
	case SMTP_AUTHENTICATE:
		sasl_begin(s);
		return true;
	case SMTP_RESPOND:
		sasl_go_on(s);
		return true;
	case SMTP_CANCEL:
		sasl_cancel(&s->sasl);
		return true;
	case SMTP_START_TLS:
		s->start_tls = true;
		return false;
	case SMTP_CLOSE:
		s->close = true;
		return false;
	}
	return false;
}

static void
log_refusal_of_core(struct session *s)
{
	if (s->smtp.refusal.code == 0)
		return;
	log_reject(s, s->smtp.refused_verb ? s->smtp.refused_verb : "command", &s->smtp.refusal, STR_NONE);
	s->smtp.refusal.code = 0;
}

static void
steps(struct session *s)
{
	size_t taken = 0;
	bool more = true;

	while (more && !s->close && !smtp_server_is_waiting(&s->smtp)) {
		size_t n = 0;

		more = event_take(s, smtp_server_step(&s->smtp, str_skip(buf_str(&s->stream.in), taken), &n));
		taken += n;
		log_refusal_of_core(s);
	}
	buf_consume(&s->stream.in, taken);
}

static void
goodbye(struct session *s, const struct smtp_reply *reply)
{
	if (s->leaving)
		return;
	s->leaving = s->close = true;
	/* During a handshake there is nobody to talk to. */
	if (s->smtp.out != NULL && s->stream.phase == STREAM_OPEN)
		smtp_server_goodbye(&s->smtp, reply);
}

static void
idle_expired(struct loop_timer *timer)
{
	struct session *s = container_of(timer, struct session, idle);

	log_session(s, "timeout from", "");
	goodbye(s, SMTP_REPLY(421, "4.4.2", "Timeout, closing the connection"));
	stream_finish(&s->stream);
}

static void
server_init(struct session *s, bool resumed)
{
	const struct conf *conf = s->worker->conf;
	bool tls = stream_is_tls(&s->stream), submission = service(s) != NULL;
	const struct smtp_server_facts facts = {
	    .protocol = SMTP_ESMTP,
	    .hostname = str_from(conf->hostname),
	    .banner = str_from(conf->smtpd.banner),
	    .mechanisms = submission && (tls || s->is_near) ? sasl_client_mechanisms(s->worker->sasl) : STR_NONE,
	    .tls = tls,
	    .can_start_tls = s->listener->tls != NULL && !tls && s->remote[0] != '\0',
	    .must_authenticate = submission,
	    .is_trusted = s->remote[0] == '\0',
	    .is_resumed = resumed,
	    .size_max = conf->message_size_limit_bytes,
	    .recipients_max = conf->smtpd.recipients_per_message,
	    .errors_max = conf->smtpd.errors_per_session,
	    .arena_max = conf->smtpd.recipients_per_message * ARENA_BYTES_A_RECIPIENT + ARENA_BYTES_MORE,
	};

	smtp_server_init(&s->smtp, &facts, &s->counters, &s->stream.out);
}

static void
tls_begin(struct session *s)
{
	s->start_tls = false;
	smtp_server_clear(&s->smtp);
	if (stream_start_tls(&s->stream, s->listener->tls, NULL))
		return;
	/* Something was sent behind STARTTLS, or the go-ahead could not leave: immunity rule 3. */
	log_session(s, "ending the session of", ": input behind STARTTLS");
	stream_finish(&s->stream);
}

static void
run(struct session *s)
{
	steps(s);
	if (s->close) {
		loop_timer_cancel(&s->idle);
		stream_finish(&s->stream);
		return;
	}
	if (s->start_tls)
		tls_begin(s);
	if (s->worker->stopping && !smtp_server_is_waiting(&s->smtp) && s->message == NULL)
		session_stop(s);
	loop_timer_set(s->worker->loop, &s->idle, s->worker->conf->smtpd.timeout_ms, idle_expired);
}

void
session_go_on(struct session *s)
{
	run(s);
	stream_flush(&s->stream);
}

/* ---- the stream's callbacks -------------------------------------------------------------------------------------------- */

static void
on_input(struct stream *stream)
{
	run(container_of(stream, struct session, stream));
}

static void
on_secured(struct stream *stream)
{
	struct session *s = container_of(stream, struct session, stream);

	server_init(s, !s->listener->facts->tls_at_once);
	run(s);
}

static void
on_closed(struct stream *stream, enum stream_end why, const struct err *err)
{
	struct session *s = container_of(stream, struct session, stream);
	struct worker *worker = s->worker;
	struct buf counters;

	buf_init(&counters, 1024);
	smtp_server_counters_add(&counters, &s->counters);
	buf_addc(&counters, '\0');
	if (why == STREAM_BROKEN)
		log_session(s, "lost connection with", "");
	if (err != NULL)
		log_debug("session: %s", err->text);
	log_session(s, "disconnect from", counters.p != NULL ? counters.p : "");
	buf_clear(&counters);
	session_message_drop(s);
	socketmap_cancel(&s->query);
	socketmap_cancel(&s->user_query);
	sasl_cancel(&s->sasl);
	loop_timer_cancel(&s->idle);
	smtp_server_clear(&s->smtp);
	clients_remove(&worker->clients, s->client);
	TAILQ_REMOVE(&worker->sessions, s, link);
	worker->nsessions--;
	free(s);
	worker_session_over(worker);
}

static const struct stream_events session_events = {
    .input = on_input,
    .secured = on_secured,
    .closed = on_closed,
};

/* ---- beginning and end --------------------------------------------------------------------------------------------------- */

static bool
is_loopback(const struct sockaddr *address)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;

	if (address->sa_family == AF_INET)
		return ntohl(in->sin_addr.s_addr) >> 24 == 127;
	return address->sa_family == AF_INET6 &&
	    (IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) ||
	        (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) && in6->sin6_addr.s6_addr[12] == 127));
}

static void
address_format(char out[INET6_ADDRSTRLEN], const struct sockaddr *address)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;

	if (address->sa_family == AF_INET)
		(void)inet_ntop(AF_INET, &in->sin_addr, out, INET6_ADDRSTRLEN);
	else if (address->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		(void)inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], out, INET6_ADDRSTRLEN);
	else if (address->sa_family == AF_INET6)
		(void)inet_ntop(AF_INET6, &in6->sin6_addr, out, INET6_ADDRSTRLEN);
}

static void
local_user_known(struct socketmap_query *query, enum socketmap_status status, struct str value)
{
	struct session *s = container_of(query, struct session, user_query);

	if (status == SOCKETMAP_OK && value.n > 0)
		(void)str_copy(s->local_user, sizeof s->local_user, value);
}

/* The kernel says who is at the submit socket; the name only serves to be read, so nobody waits for it. */
static void
local_user_ask(struct session *s, int fd)
{
	struct unix_peer peer;
	struct err err;
	char number[24];

	if (!unix_peer_get(fd, &peer, &err)) {
		log_warning("submit socket: %s", err.text);
		(void)str_copy(s->local_user, sizeof s->local_user, STR("unknown"));
		return;
	}
	(void)snprintf(number, sizeof number, "%u", (unsigned)peer.uid);
	(void)snprintf(s->local_user, sizeof s->local_user, "uid %s", number);
	socketmap_ask(&s->worker->map, &s->user_query, STR("uid"), str_from(number), local_user_known);
}

/* False: too many from there; they were told. */
static bool
client_count(struct session *s, int fd, const struct sockaddr *address)
{
	static const char busy[] = "421 4.7.0 Too many connections from your address, please try again later\r\n";

	if (s->in_networks)
		return true;
	s->client = clients_add(&s->worker->clients, address, s->worker->conf->smtpd.clients_per_address);
	if (s->client != NULL)
		return true;
	log_session(s, "too many connections from", "");
	(void)send(fd, busy, sizeof busy - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	return false;
}

static void
facts_set(struct session *s, int fd, const struct sockaddr_storage *address)
{
	const struct sockaddr *peer = (const struct sockaddr *)(const void *)address;
	struct sockaddr_storage local = {0};
	socklen_t n = sizeof local;

	if (peer->sa_family != AF_INET && peer->sa_family != AF_INET6) {
		s->is_near = s->in_networks = true;
		local_user_ask(s, fd);
		return;
	}
	address_format(s->remote, peer);
	if (getsockname(fd, (struct sockaddr *)(void *)&local, &n) == 0)
		address_format(s->local, (const struct sockaddr *)(const void *)&local);
	s->is_near = is_loopback(peer);
	s->in_networks = conf_networks_contain(&s->worker->conf->networks, peer);
}

void
session_new(struct worker_listener *listener, int fd, const struct sockaddr_storage *address)
{
	static const struct stream_limits limits = {.in_max = IN_MAX, .out_max = OUT_MAX};
	struct worker *worker = listener->worker;
	struct session *s = calloc(1, sizeof *s);

	if (s == NULL) {
		(void)close(fd);
		return;
	}
	s->worker = worker;
	s->listener = listener;
	facts_set(s, fd, address);
	if (!client_count(s, fd, (const struct sockaddr *)(const void *)address)) {
		socketmap_cancel(&s->user_query);
		(void)close(fd);
		free(s);
		return;
	}
	TAILQ_INSERT_TAIL(&worker->sessions, s, link);
	worker->nsessions++;
	log_session(s, "connect from", "");
	stream_open(&s->stream, worker->loop, fd, &session_events, &limits);
	loop_timer_set(worker->loop, &s->idle, worker->conf->smtpd.timeout_ms, idle_expired);
	if (listener->facts->tls_at_once) {
		if (listener->tls == NULL || !stream_start_tls(&s->stream, listener->tls, NULL))
			stream_finish(&s->stream);
		return;
	}
	server_init(s, false);
	stream_flush(&s->stream);
}

void
session_stop(struct session *s)
{
	if (s->leaving || !stream_is_open(&s->stream))
		return;
	if (s->message != NULL && s->message->intake.done != NULL)
		return; /* worker.c comes again when the reply is out */
	goodbye(s, SMTP_REPLY(421, "4.3.2", "The service is restarting, please try again"));
	stream_finish(&s->stream);
}
