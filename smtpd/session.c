#include "smtpd/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "smtpd/session_filter.h"
#include "smtpd/session_message.h"
#include "smtpd/session_policy.h"

#define IN_MAX 32768
#define OUT_MAX 65536
/* One that pipelines is read on when it has taken most of the replies so far. */
#define OUT_PAUSE 16384
#define ARENA_BYTES_A_RECIPIENT 1024
#define ARENA_BYTES_MORE 8192

_Static_assert(IN_MAX >= SMTP_INPUT_MIN, "the longest line fits into the input buffer");

static void
body_begin(struct session *s)
{
	if (session_message_begin(s))
		session_filter_body(s);
	else
		smtp_server_answer(&s->smtp, SMTP_REPLY(452, "4.3.1", "Out of memory, please try again later"));
}

/* False: the steps pause, for more input or because the session changes. */
static bool
event_take(struct session *s, enum smtp_event event)
{
	switch (event) {
	case SMTP_READ:
		return s->smtp.refusal.code != 0; /* the core stops at each of them */
	case SMTP_HELLO:
		session_filter_hello(s);
		return true;
	case SMTP_UNKNOWN:
		session_filter_unknown(s);
		return true;
	case SMTP_VRFY:
		session_verify(s);
		return true;
	case SMTP_ETRN:
		intake_wake(&s->worker->intake, s->smtp.argument);
		smtp_server_accept(&s->smtp);
		return true;
	case SMTP_XCLIENT:
		session_xclient(s);
		return true;
	case SMTP_SENDER:
		session_sender(s);
		return true;
	case SMTP_RECIPIENT:
		session_recipient(s);
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
		session_policy_clear(s);
		session_filter_abandoned(s);
		return true;
	case SMTP_AUTHENTICATE:
		session_authenticate(s);
		return true;
	case SMTP_RESPOND:
		session_respond(s);
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
	session_log_reject(s, s->smtp.refused_verb, &s->smtp.refusal, STR_NONE);
	s->smtp.refusal.code = 0;
}

/* One step of the core on what is in the buffer from *taken on. What held a password is wiped. */
static bool
step(struct session *s, size_t *taken)
{
	struct buf *in = &s->stream.in;
	size_t n = 0;
	enum smtp_event event = smtp_server_step(&s->smtp, str_skip(buf_str(in), *taken), &n);
	bool more = event_take(s, event);

	if (event == SMTP_AUTHENTICATE || event == SMTP_RESPOND)
		explicit_bzero(in->p + *taken, n);
	*taken += n;
	log_refusal_of_core(s);
	return more;
}

static void
replies_release(struct session *s)
{
	if (s->stream.out.n == 0 && buf_ok(&s->replies)) {
		struct buf empty = s->stream.out;

		s->stream.out = s->replies;
		s->replies = empty;
		return;
	}
	buf_add(&s->stream.out, buf_str(&s->replies));
	if (!buf_ok(&s->replies))
		s->stream.out.failed = true; /* the client does not read: the stream ends it */
	buf_clear(&s->replies);
}

/* False: the client is to take the replies that it has before it gets more. */
static bool
has_room(struct session *s)
{
	if (s->replies.n + stream_pending(&s->stream) < OUT_PAUSE)
		return true;
	replies_release(s);
	stream_flush(&s->stream);
	return stream_pending(&s->stream) < OUT_PAUSE;
}

static void
slow_over(struct loop_timer *timer)
{
	session_go_on(container_of(timer, struct session, pace.slow));
}

/* Has an error been answered that the client is to wait for? One that is leaving is not kept. */
static bool
is_slowed(struct session *s)
{
	uint64_t delay_ms;

	if (s->pace.slow.loop != NULL)
		return true;
	delay_ms = session_pace_delay(&s->pace, &s->counters, s->worker->conf->smtpd.error_delay_ms);
	if (delay_ms == 0 || s->close)
		return false;
	loop_timer_set(s->worker->loop, &s->pace.slow, delay_ms, slow_over);
	return true;
}

/* Of the clock on the wall, for DELIVERBY and FUTURERELEASE. */
static uint64_t
time_ms(void)
{
	struct timespec now = {0};

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void
steps(struct session *s)
{
	size_t taken = 0;

	s->smtp.time_ms = time_ms();
	while (!s->close && !smtp_server_is_waiting(&s->smtp) && !is_slowed(s) && has_room(s))
		if (!step(s, &taken))
			break;
	buf_consume(&s->stream.in, taken);
	if (is_slowed(s)) { /* the reply, and what else the client sends, waits */
		stream_pause(&s->stream);
		return;
	}
	/* The replies to a pipelined group leave together. What a client said before it closed its side is answered. */
	if (smtp_server_is_waiting(&s->smtp))
		stream_pause(&s->stream);
	else
		replies_release(s);
	/* A client that only waits costs no buffer, and leaves no password in one. */
	if (s->stream.in.n == 0 && s->message == NULL)
		buf_clear_secret(&s->stream.in);
}

static void
goodbye(struct session *s, const struct smtp_reply *reply)
{
	if (s->leaving)
		return;
	s->leaving = s->close = true;
	/* Nobody waits for these answers any more. */
	socketmap_cancel(&s->query);
	session_policy_clear(s);
	sasl_cancel(&s->sasl);
	session_guard_cancel(s);
	session_filter_cancel(s);
	loop_timer_cancel(&s->pace.slow);
	/* During a handshake there is nobody to talk to. */
	if (s->smtp.out != NULL && s->stream.phase == STREAM_OPEN)
		smtp_server_goodbye(&s->smtp, reply);
	replies_release(s);
}

/* Ends a session that dribbles, guesses or stays too long. */
static void
pace_end(struct session *s, enum session_pace_end why)
{
	static const struct {
		const char *log;
		struct smtp_reply reply;
	} ends[] = {
	    [PACE_TOO_SLOW] = {"too slow a client", {421, "4.4.2", STR("Too slow, closing the connection")}},
	    [PACE_TOO_LONG] = {"session time limit", {421, "4.7.0", STR("The session has lasted too long, please connect again")}},
	    [PACE_GUESSES] = {"too many refused recipients", {421, "4.7.0", STR("Too many refused recipients")}},
	};

	session_log_broken(s, ends[why].log);
	goodbye(s, &ends[why].reply);
}

static bool
is_committing(const struct session *s)
{
	return s->message != NULL && s->message->intake.done != NULL;
}

/* A message may take longer than a session, as long as it can become one. */
static bool
is_receiving(const struct session *s)
{
	return s->message != NULL && !smtp_server_is_refusing(&s->smtp);
}

static void idle_expired(struct loop_timer *timer);

static void
idle_restart(struct session *s)
{
	const struct conf_smtpd *conf = &s->worker->conf->smtpd;
	uint64_t now_ms = loop_now_ms(s->worker->loop);

	loop_timer_set(s->worker->loop, &s->idle, is_receiving(s) ? conf->timeout_ms : session_pace_wait(&s->pace, conf, now_ms),
	    idle_expired);
}

/* The client's time is not what the disk takes, nor authd, who has deadlines of its own. */
static void
idle_expired(struct loop_timer *timer)
{
	struct session *s = container_of(timer, struct session, idle);

	if (is_committing(s) || session_guard_is_waiting(s) || s->pace.slow.loop != NULL || smtp_server_is_waiting(&s->smtp)) {
		idle_restart(s);
		return;
	}
	if (!is_receiving(s) && session_pace_is_over(&s->pace, &s->worker->conf->smtpd, loop_now_ms(s->worker->loop))) {
		pace_end(s, PACE_TOO_LONG);
	} else {
		session_log_broken(s, "timeout");
		goodbye(s, SMTP_REPLY(421, "4.4.2", "Timeout, closing the connection"));
	}
	stream_finish(&s->stream);
}

static void
server_init(struct session *s, bool resumed)
{
	const struct conf *conf = s->worker->conf;
	const struct policy_listener *rules = s->rules;
	bool tls = stream_is_tls(&s->stream);
	const struct smtp_server_facts facts = {
	    .protocol = SMTP_ESMTP,
	    .hostname = str_from(conf->hostname),
	    .banner = str_from(conf->smtpd.banner),
	    .mechanisms = rules->takes_passwords ? session_mechanisms(s) : STR_NONE,
	    .tls = tls,
	    .can_start_tls = s->listener->tls != NULL && !tls,
	    .must_authenticate = rules->must_authenticate,
	    .is_trusted = rules->is_local,
	    .asks_vrfy = rules->is_local || conf->smtpd.vrfy,
	    .offers_etrn = s->in_networks && !rules->is_local,
	    .may_xclient = s->may_xclient,
	    .may_xforward = s->may_xforward,
	    .offers_dsn = true,
	    .offers_requiretls = true,
	    .offers_deliverby = true,
	    .offers_priority = rules->is_submission || s->in_networks,
	    .hold_max_s = rules->is_submission ? conf->smtpd.future_release_limit_ms / 1000 : 0,
	    .is_resumed = resumed,
	    .stops_at_refusals = true,
	    .asks_hello = s->filters != NULL,
	    .asks_unknown = s->filters != NULL,
	    .normalise = conf->smtpd.normalise_line_ends,
	    .size_max = conf->message_size_limit_bytes,
	    .recipients_max = conf->smtpd.recipients_per_message,
	    .errors_max = conf->smtpd.errors_per_session,
	    .arena_max = conf->smtpd.recipients_per_message * ARENA_BYTES_A_RECIPIENT + ARENA_BYTES_MORE,
	};

	smtp_server_init(&s->smtp, &facts, &s->counters, &s->replies);
}

void
session_facts_renew(struct session *s)
{
	struct smtp_server_facts *facts = &s->smtp.facts;

	facts->mechanisms = s->rules->takes_passwords ? session_mechanisms(s) : STR_NONE;
	facts->offers_etrn = s->in_networks;
	facts->offers_priority = s->rules->is_submission || s->in_networks;
	s->pace.exempt = s->is_exempt;
}

static void
tls_begin(struct session *s)
{
	s->start_tls = false;
	smtp_server_clear(&s->smtp);
	if (stream_start_tls(&s->stream, s->listener->tls, NULL))
		return;
	/* Something was sent behind STARTTLS, or the go-ahead could not leave: immunity rule 3. */
	session_log(s, "ending the session of", ": input behind STARTTLS");
	stream_finish(&s->stream);
}

static void
pace_look(struct session *s, size_t came)
{
	const struct conf_smtpd *conf = &s->worker->conf->smtpd;
	uint64_t now_ms = loop_now_ms(s->worker->loop);
	enum session_pace_end end;

	if (s->close || s->smtp.out == NULL)
		return;
	if (smtp_server_is_waiting(&s->smtp) || s->pace.slow.loop != NULL) {
		session_pace_rest(&s->pace);
		return;
	}
	end = session_pace_input(&s->pace, came, s->stream.in.n, s->message != NULL, conf->minimum_rate, now_ms);
	if (end == PACE_FINE && !is_receiving(s))
		end = session_pace_check(&s->pace, &s->counters, conf, now_ms);
	if (end != PACE_FINE)
		pace_end(s, end);
}

static void
run(struct session *s)
{
	size_t came = s->stream.in.n - s->pace.left;

	steps(s);
	pace_look(s, came);
	s->pace.left = s->stream.in.n;
	if (s->close) {
		s->leaving = true;
		loop_timer_cancel(&s->idle);
		stream_finish(&s->stream);
		return;
	}
	if (s->start_tls)
		tls_begin(s);
	else if (s->worker->stopping && !smtp_server_is_waiting(&s->smtp))
		session_stop(s);
	idle_restart(s);
}

void
session_go_on(struct session *s)
{
	stream_resume(&s->stream);
	run(s);
	stream_flush(&s->stream);
}

/* ---- the stream's callbacks -------------------------------------------------------------------------------------------- */

static void
on_input(struct stream *stream)
{
	struct session *s = container_of(stream, struct session, stream);

	if (session_guard_is_waiting(s))
		session_guard_early(s);
	else
		run(s);
}

static void
on_drained(struct stream *stream)
{
	struct session *s = container_of(stream, struct session, stream);

	if (s->smtp.out != NULL && stream->phase == STREAM_OPEN && !smtp_server_is_waiting(&s->smtp))
		run(s);
}

static void session_greet(struct session *s);

static void
on_secured(struct stream *stream)
{
	struct session *s = container_of(stream, struct session, stream);

	if (s->listener->facts->tls_at_once) {
		session_greet(s);
		return;
	}
	server_init(s, true);
	run(s);
}

static void
on_closed(struct stream *stream, enum stream_end why, const struct err *err)
{
	struct session *s = container_of(stream, struct session, stream);
	struct worker *worker = s->worker;

	if (!s->leaving && session_guard_is_waiting(s))
		session_guard_log_hangup(s);
	else if (!s->leaving)
		session_log_broken(s, why == STREAM_BROKEN && s->smtp.out == NULL ? "TLS failure" : "lost connection");
	if (err != NULL)
		log_debug("%s: %s", s->name, err->text);
	session_log_end(s);
	session_filters_free(s->filters);
	session_message_drop(s);
	socketmap_cancel(&s->query);
	session_policy_clear(s);
	sasl_cancel(&s->sasl);
	loop_timer_cancel(&s->idle);
	smtp_server_clear(&s->smtp);
	buf_clear(&s->replies);
	loop_timer_cancel(&s->pace.slow);
	session_guard_close(s);
	TAILQ_REMOVE(&worker->sessions, s, link);
	worker->nsessions--;
	worker->nlocals -= s->rules->is_local;
	free(s);
	worker_session_over(worker);
}

static const struct stream_events session_events = {
    .input = on_input,
    .drained = on_drained,
    .secured = on_secured,
    .closed = on_closed,
};

/* ---- beginning and end --------------------------------------------------------------------------------------------------- */

void
session_name(struct session *s, struct str host)
{
	(void)snprintf(s->name, sizeof s->name, "%.*s[%s]", STR_FMT(host.n > 0 ? host : STR("unknown")), s->remote);
	s->name_n = host.n;
}

struct str
session_client_name(const struct session *s)
{
	return str_sub(str_from(s->name), 0, s->name_n);
}

void
session_client(struct session *s, const struct sockaddr *peer)
{
	s->address = guard_address_bytes(peer);
	memcpy(s->address_bytes, s->address.p, s->address.n);
	s->address.p = s->address_bytes;
	network_address_format(peer, s->remote);
	session_name(s, STR_NONE);
	s->remote_port = network_port(peer);
	s->is_near = network_is_loopback(peer);
	s->in_networks = conf_networks_contain(&s->worker->conf->networks, peer);
	s->is_exempt = s->in_networks || conf_networks_contain(&s->worker->conf->smtpd.exempt_clients, peer);
}

static void
facts_set(struct session *s, int fd, const struct sockaddr *peer, const struct sockaddr *local)
{
	const struct conf_smtpd *conf = &s->worker->conf->smtpd;
	struct sockaddr_storage here = {0};
	socklen_t n = sizeof here;

	if (s->rules->is_local) {
		s->is_near = s->in_networks = s->is_exempt = true;
		/* Log tools take nothing but an address there. */
		(void)str_copy(s->name, sizeof s->name, STR("localhost[127.0.0.1]"));
		return;
	}
	session_client(s, peer);
	s->may_xclient = conf_networks_contain(&conf->xclient_hosts, peer);
	s->may_xforward = conf_networks_contain(&conf->xforward_hosts, peer);
	if (local == NULL && getsockname(fd, (struct sockaddr *)(void *)&here, &n) == 0)
		local = (const struct sockaddr *)(const void *)&here;
	if (local == NULL)
		return;
	network_address_format(local, s->local);
	s->local_port = network_port(local);
}

/* A greeting is 220, or 554 or 421 and the end (RFC 5321 3.1, 4.3.2). */
static void
turn_away(struct session *s, const struct smtp_reply *refusal)
{
	struct smtp_reply reply = *refusal;

	reply.code = reply.code < 500 ? 421 : 554;
	server_init(s, true);
	goodbye(s, &reply);
	stream_finish(&s->stream);
}

static void
greet(struct session *s, const struct smtp_reply *refusal)
{
	if (refusal != NULL) {
		turn_away(s, refusal);
		return;
	}
	server_init(s, false);
	replies_release(s);
	stream_resume(&s->stream);
	stream_flush(&s->stream);
}

static void
session_greet(struct session *s)
{
	s->filters = session_filters_new(s);
	stream_pause(&s->stream);
	if (!session_filter_connect(s, greet))
		greet(s, NULL);
}

/* Nothing speaks against the client. */
static void
session_welcome(struct session *s)
{
	if (!s->listener->facts->tls_at_once) {
		session_greet(s);
		return;
	}
	stream_resume(&s->stream);
	if (!stream_start_tls(&s->stream, s->listener->tls, NULL))
		stream_finish(&s->stream);
}

static void
session_begin(struct session *s, int fd, const struct sockaddr *peer)
{
	static const struct stream_limits limits = {.in_max = IN_MAX, .out_max = OUT_MAX};

	TAILQ_INSERT_TAIL(&s->worker->sessions, s, link);
	s->worker->nsessions++;
	s->worker->nlocals += s->rules->is_local;
	stream_open(&s->stream, s->worker->loop, fd, &session_events, &limits);
	buf_init(&s->replies, OUT_MAX);
	session_pace_init(&s->pace, s->is_exempt, loop_now_ms(s->worker->loop));
	idle_restart(s);
	if (s->rules->is_local) {
		session_log(s, "connect from", "");
		stream_pause(&s->stream);
		session_local_user(s, fd, session_greet);
	} else {
		session_guard_connect(s, peer, session_welcome);
	}
}

void
session_new(struct worker_listener *listener, int fd, const struct sockaddr *peer, const struct sockaddr *local)
{
	struct session *s = calloc(1, sizeof *s);

	if (s == NULL) {
		(void)close(fd);
		return;
	}
	s->worker = listener->worker;
	s->listener = listener;
	s->rules = policy_listener(listener->listener->kind);
	facts_set(s, fd, peer, local);
	session_begin(s, fd, peer);
}

void
session_stop(struct session *s)
{
	if (s->leaving || !stream_is_open(&s->stream))
		return;
	if (is_committing(s))
		return; /* worker.c comes again when the reply is out */
	goodbye(s, SMTP_REPLY(421, "4.3.2", "The service is restarting, please try again"));
	stream_finish(&s->stream);
}
