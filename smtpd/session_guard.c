#include "smtpd/session_guard.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/log.h"
#include "smtpd/session.h"

#define ANSWER_TIMEOUT_MS 2000
#define TEXT_SHOWN_MAX 100 /* bytes of what was said too early */

/* ---- opening and closing ------------------------------------------------------------------------------------------------ */

static void
author_forget(struct session_guard *g)
{
	free(g->login);
	free(g->sender);
	g->login = g->sender = NULL;
}

/* What was granted and not used is given back. */
static void
grant_return(struct session_guard *g)
{
	struct guard_question back = {.ask = GUARD_ASK_RETURN, .count = g->granted};

	if (g->granted > 0) {
		back.first = str_from(g->login);
		back.second = str_from(g->sender);
		guard_link_tell(&g->link, &back);
	}
	g->granted = 0;
	author_forget(g);
}

/* NULL when memory is out: then the session goes on without the guard. */
static struct session_guard *
open_guard(struct session *s)
{
	struct session_guard *g = calloc(1, sizeof *g);

	if (g == NULL)
		return NULL;
	g->session = s;
	s->guard = g;
	guard_link_open(&s->worker->guard, &g->link, s->address, s->is_exempt);
	return g;
}

void
session_guard_close(struct session *s)
{
	struct session_guard *g = s->guard;
	struct guard_report report = {.errors = s->pace.errors};

	if (g == NULL)
		return;
	grant_return(g);
	if (!g->asked_of_messages) {
		report.messages = s->counters.messages;
		report.recipients = session_pace_recipients(&s->counters);
	}
	loop_timer_cancel(&g->pause);
	guard_link_close(&g->link, &report);
	s->guard = NULL;
	free(g);
}

void
session_guard_cancel(struct session *s)
{
	if (s->guard == NULL)
		return;
	guard_link_cancel(&s->guard->link);
	loop_timer_cancel(&s->guard->pause);
}

/* ---- before the greeting --------------------------------------------------------------------------------------------------- */

bool
session_guard_is_waiting(const struct session *s)
{
	return s->guard != NULL && s->guard->waiting;
}

static double
seconds_since(const struct session_guard *g)
{
	return (double)(loop_now_ms(g->session->worker->loop) - g->begun_ms) / 1000;
}

/* In the words of Postfix's postscreen, which tools know: its clients have an address and a port. */
static void
log_screen(const struct session_guard *g, const char *what, const char *more)
{
	log_as(g->session->listener->facts->service, "%s [%s]:%u%s", what, g->session->remote, g->port, more);
}

void
session_guard_log_hangup(const struct session *s)
{
	char what[64];

	(void)snprintf(what, sizeof what, "HANGUP after %.1f from", seconds_since(s->guard));
	log_screen(s->guard, what, " in tests before SMTP handshake");
}

/* There is no core yet: the one reply is written as it is. Under TLS from the start there is nobody to read it. */
static void
turn_away(struct session *s, unsigned code, const char *status, const char *why)
{
	log_as(s->listener->facts->service, "NOQUEUE: reject: CONNECT from %s: %u %s %s; proto=SMTP", s->name, code, status, why);
	s->guard->waiting = false;
	loop_timer_cancel(&s->guard->pause);
	if (!s->listener->facts->tls_at_once)
		buf_addf(&s->stream.out, "%u %s %s %s\r\n", code, status, s->worker->conf->hostname, why);
	s->leaving = s->close = true;
	loop_timer_cancel(&s->idle);
	stream_finish(&s->stream);
}

static void
let_in(struct session_guard *g)
{
	struct session *s = g->session;
	struct guard_question passed = {.ask = GUARD_ASK_PASSED};

	g->waiting = false;
	loop_timer_cancel(&g->pause);
	if (!g->known && !g->is_proxied && s->worker->conf->smtpd.greet_pause_ms > 0 && s->listener->listener->kind == LISTENER_MX)
		guard_link_tell(&g->link, &passed);
	g->next(s);
}

static void
pause_over(struct loop_timer *timer)
{
	struct session_guard *g = container_of(timer, struct session_guard, pause);

	g->pause_over = true;
	if (g->answered)
		let_in(g);
}

void
session_guard_early(struct session *s)
{
	struct session_guard *g = s->guard;
	char text[TEXT_SHOWN_MAX * 4 + 1], what[96], more[sizeof text + 8];

	(void)log_escape(text, sizeof text, str_sub(buf_str(&s->stream.in), 0, TEXT_SHOWN_MAX));
	(void)snprintf(what, sizeof what, "PREGREET %zu after %.2f from", s->stream.in.n, seconds_since(g));
	(void)snprintf(more, sizeof more, ": %s", text);
	log_screen(g, what, more);
	s->pace.errors++;
	buf_clear(&s->stream.in);
	turn_away(s, 521, "5.5.1", "Protocol error");
}

static const char *
whose(enum guard_kind kind)
{
	switch (kind) {
	case GUARD_ADDRESS:
		return "your address";
	case GUARD_NETWORK:
		return "your network";
	case GUARD_LOGIN:
		return "this login";
	case GUARD_SENDER:
		return "this sender";
	}
	return "you";
}

static void
refuse_connection(struct session *s, const struct guard_answer *a)
{
	char what[64], why[400];

	if (a->judgement.verdict == GUARD_LISTED) {
		(void)snprintf(what, sizeof what, "DNSBL rank %lld for", (long long)a->score);
		log_screen(s->guard, what, "");
		(void)snprintf(why, sizeof why, "Service unavailable; client [%s] blocked using %.*s", s->remote, STR_FMT(a->lists));
		turn_away(s, 554, "5.7.1", why);
		return;
	}
	session_log(s, "too many connections from", "");
	(void)snprintf(why, sizeof why, "Too many connections from %s, please try again later", whose(a->judgement.kind));
	turn_away(s, 421, "4.7.0", why);
}

static void
connection_judged(struct guard_link *link, const struct guard_answer *a)
{
	struct session_guard *g = container_of(link, struct session_guard, link);
	struct session *s = g->session;

	session_pace_earlier(&s->pace, a->errors);
	if (!g->is_named)
		session_name(s, a->name);
	session_log(s, "connect from", "");
	if (a->judgement.verdict != GUARD_GO) {
		refuse_connection(s, a);
		return;
	}
	g->answered = true;
	g->known = a->known;
	if (g->known || g->pause_over)
		let_in(g);
}

/* A client of an mx listener is listened to, so that one who talks early is heard; others may say what they like. */
static void
wait_begin(struct session_guard *g)
{
	struct session *s = g->session;
	uint64_t pause_ms = s->worker->conf->smtpd.greet_pause_ms;

	g->waiting = true;
	g->pause_over = g->is_proxied || pause_ms == 0 || s->listener->listener->kind != LISTENER_MX;
	if (g->pause_over)
		stream_pause(&s->stream);
	else
		loop_timer_set(s->worker->loop, &g->pause, pause_ms, pause_over);
}

static void
ask_of_connection(struct session_guard *g, const struct sockaddr *peer, void (*next)(struct session *))
{
	struct session *s = g->session;
	const struct conf_smtpd *conf = &s->worker->conf->smtpd;
	struct guard_question question = {.ask = GUARD_ASK_CONNECT, .first = s->address};

	g->next = next;
	g->begun_ms = loop_now_ms(s->worker->loop);
	g->port = network_port(peer);
	if (s->listener->listener->kind == LISTENER_MX)
		question.flags = (conf->client_names && !g->is_named ? GUARD_WANTS_NAME : 0U) |
		    (conf->dns_lists.n > 0 ? GUARD_WANTS_LISTS : 0U);
	wait_begin(g);
	guard_link_ask(&g->link, &question, ANSWER_TIMEOUT_MS + (question.flags != 0 ? conf->client_lookup_timeout_ms : 0),
	    connection_judged);
}

void
session_guard_connect(struct session *s, const struct sockaddr *peer, void (*next)(struct session *))
{
	struct session_guard *g = s->is_exempt ? NULL : open_guard(s);

	if (g != NULL) {
		ask_of_connection(g, peer, next);
		return;
	}
	session_log(s, "connect from", "");
	next(s);
}

void
session_guard_again(struct session *s, const struct sockaddr *peer, bool is_named, void (*next)(struct session *))
{
	struct session_guard *g = s->is_exempt ? NULL : open_guard(s);

	if (g == NULL) {
		next(s);
		return;
	}
	g->is_proxied = true;
	g->is_named = is_named;
	ask_of_connection(g, peer, next);
}

/* ---- messages ------------------------------------------------------------------------------------------------------------ */

/* "try again after 14:05 UTC", or in how many minutes where that is more than a day. */
static void
when(uint64_t until_ms, char *text, size_t size)
{
	time_t until = (time_t)(until_ms / 1000) + 60; /* the minute that it is in is not over yet */
	struct tm tm;

	if (gmtime_r(&until, &tm) == NULL || strftime(text, size, "try again after %H:%M UTC", &tm) == 0)
		(void)snprintf(text, size, "try again later");
}

static uint64_t
seconds_until(uint64_t until_ms)
{
	time_t now = time(NULL);
	uint64_t until = until_ms / 1000 + 1;

	return until > (uint64_t)now ? until - (uint64_t)now : 1;
}

static void
refuse(struct session *s, bool is_recipient, const struct guard_judgement *j)
{
	char text[SMTP_REPLY_TEXT_MAX], time_text[40];
	struct smtp_reply reply = {.code = 450, .status = "4.7.1"};
	int n = 0;

	when(j->until_ms, time_text, sizeof time_text);
	switch (j->verdict) {
	case GUARD_TOO_MANY_MESSAGES:
		n = snprintf(text, sizeof text, "Too many messages from %s, %s", whose(j->kind), time_text);
		break;
	case GUARD_TOO_MANY_RECIPIENTS:
		n = snprintf(text, sizeof text, "Too many recipients from %s, %s", whose(j->kind), time_text);
		break;
	case GUARD_GREY:
		n = snprintf(text, sizeof text, "Recipient address rejected: Greylisted, please try again in %llu seconds",
		    (unsigned long long)seconds_until(j->until_ms));
		break;
	case GUARD_GO:
	case GUARD_LISTED:
	case GUARD_TOO_MANY:
	case GUARD_TOO_FAST:
		n = snprintf(text, sizeof text, "Too many connections from %s, please try again later", whose(j->kind));
		break;
	}
	reply.text = (struct str){text, n < (int)sizeof text ? (size_t)n : sizeof text - 1};
	if (is_recipient) {
		session_recipient_refuse(s, &reply);
		return;
	}
	session_log_reject(s, "MAIL", &reply, STR_NONE);
	smtp_server_answer(&s->smtp, &reply);
}

static void
judged(struct session_guard *g, bool is_recipient, const struct guard_answer *a)
{
	struct session *s = g->session;

	if (a->judgement.verdict == GUARD_GO)
		g->next(s);
	else
		refuse(s, is_recipient, &a->judgement);
	session_go_on(s);
}

static void
sender_judged(struct guard_link *link, const struct guard_answer *a)
{
	struct session_guard *g = container_of(link, struct session_guard, link);

	g->granted = a->judgement.granted;
	judged(g, false, a);
}

static void
recipient_judged(struct guard_link *link, const struct guard_answer *a)
{
	struct session_guard *g = container_of(link, struct session_guard, link);

	g->granted = a->judgement.granted;
	if (g->granted > 0)
		g->granted--;
	judged(g, true, a);
}

static void
grey_judged(struct guard_link *link, const struct guard_answer *a)
{
	judged(container_of(link, struct session_guard, link), true, a);
}

/* Is there a limit that holds for this session's messages? */
static bool
has_limits(const struct session *s)
{
	const struct conf_smtpd *c = &s->worker->conf->smtpd;

	if (s->rules->is_local)
		return false;
	if (s->smtp.user[0] != '\0')
		return c->login_messages_per_hour + c->login_recipients_per_hour + c->clients_per_login > 0;
	return !s->is_exempt &&
	    c->address_messages_per_hour + c->address_recipients_per_hour + c->network_messages_per_hour +
	        c->network_recipients_per_hour + c->sender_messages_per_hour + c->sender_recipients_per_hour > 0;
}

static void
author_set(struct session_guard *g)
{
	const struct session *s = g->session;

	grant_return(g);
	g->login = str_dup(str_from(s->smtp.user));
	g->sender = str_dup(s->smtp.transaction.sender.text);
}

/* A client of ours that has authenticated is told of only now. */
static struct session_guard *
guard_of_sender(struct session *s)
{
	struct guard_question here = {.ask = GUARD_ASK_CONNECTED, .first = s->address};
	struct session_guard *g = s->guard;

	if (g != NULL)
		return g;
	g = open_guard(s);
	if (g != NULL)
		guard_link_tell(&g->link, &here);
	return g;
}

bool
session_guard_sender(struct session *s, void (*next)(struct session *))
{
	struct guard_question question = {.ask = GUARD_ASK_MESSAGE};
	struct session_guard *g = has_limits(s) ? guard_of_sender(s) : NULL;

	if (g == NULL)
		return false;
	author_set(g);
	g->asked_of_messages = true;
	g->next = next;
	question.first = str_from(g->login);
	question.second = str_from(g->sender);
	guard_link_ask(&g->link, &question, ANSWER_TIMEOUT_MS, sender_judged);
	return true;
}

bool
session_guard_recipient(struct session *s, void (*next)(struct session *))
{
	struct guard_question question = {.ask = GUARD_ASK_RECIPIENTS};
	struct session_guard *g = s->guard;

	if (g == NULL || !g->asked_of_messages || !has_limits(s))
		return false;
	if (g->granted > 0) {
		g->granted--;
		return false;
	}
	g->next = next;
	question.first = str_from(g->login);
	question.second = str_from(g->sender);
	guard_link_ask(&g->link, &question, ANSWER_TIMEOUT_MS, recipient_judged);
	return true;
}

bool
session_guard_grey(struct session *s, void (*next)(struct session *))
{
	struct guard_question question = {.ask = GUARD_ASK_GREY, .first = s->smtp.transaction.sender.text,
	    .second = s->smtp.recipient->address.text};
	struct session_guard *g = s->guard;

	if (g == NULL || s->is_exempt || s->smtp.user[0] != '\0')
		return false;
	g->next = next;
	guard_link_ask(&g->link, &question, ANSWER_TIMEOUT_MS, grey_judged);
	return true;
}
