/*
 * Answers to the core's questions about the envelope and about passwords.
 */
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/login/sasl_channel.h"
#include "common/net/unix_socket.h"
#include "smtpd/session_filter.h"
#include "smtpd/session_policy.h"

#define ADDRESS_SHOWN_MAX 256 /* bytes of an address in a reply */
#define KEY_MAX (ADDRESS_TEXT_MAX + 1 + ADDRESS_DOMAIN_MAX + 1)

/* The core asks for AUTH where it is needed; programs of this host and other servers use any name. */
static void
sender_go_on(struct session *s)
{
	if (s->rules->must_authenticate && s->smtp.user[0] != '\0')
		session_sender_check(s);
	else
		session_filter_sender(s);
}

void
session_sender(struct session *s)
{
	session_policy_clear(s);
	s->sender_is_rewritten = false;
	if (!session_guard_sender(s, sender_go_on))
		sender_go_on(s);
}

/* ---- recipients ------------------------------------------------------------------------------------------------------ */

void
session_recipient_refuse(struct session *s, const struct smtp_reply *reply)
{
	char text[SMTP_REPLY_TEXT_MAX];
	struct smtp_reply named = {.code = reply->code, .status = reply->status};
	int n = snprintf(text, sizeof text, "<%.*s>: %.*s",
	    STR_FMT(str_sub(s->smtp.recipient->address.text, 0, ADDRESS_SHOWN_MAX)), STR_FMT(reply->text));

	/* Clients that pipeline need the address to know which one is meant. */
	named.text = (struct str){text, n < (int)sizeof text ? (size_t)n : sizeof text - 1};
	session_log_reject(s, "RCPT", &named, s->smtp.recipient->address.text);
	session_filter_recipient_refused(s, &named);
}

/* What authd is asked: the address with a domain, in buffer. */
static struct str
recipient_key(const struct session *s, char buffer[KEY_MAX])
{
	const struct address *address = &s->smtp.recipient->address;
	struct str domain = policy_domain(s->worker->conf, address);
	int n;

	if (address->kind == ADDRESS_LOCAL)
		n = snprintf(buffer, KEY_MAX, "%.*s@%.*s", STR_FMT(address->text), STR_FMT(domain));
	else
		n = snprintf(buffer, KEY_MAX, "%.*s", STR_FMT(address->text));
	return (struct str){buffer, n < KEY_MAX ? (size_t)n : KEY_MAX - 1};
}

static void
recipient_known(struct socketmap_query *query, enum socketmap_status status, struct str value)
{
	struct session *s = container_of(query, struct session, query);
	char key[KEY_MAX];

	(void)value;
	switch (status) {
	case SOCKETMAP_OK:
		known_add(&s->worker->known, recipient_key(s, key), loop_now_ms(s->worker->loop));
		session_policy_exists(s);
		break;
	case SOCKETMAP_NOTFOUND:
		session_recipient_refuse(s, SMTP_REPLY(550, "5.1.1", "Recipient address rejected: User unknown"));
		break;
	case SOCKETMAP_PERM:
		session_recipient_refuse(s, SMTP_REPLY(550, "5.1.3", "Recipient address rejected: Malformed address"));
		break;
	case SOCKETMAP_TEMP:
		session_recipient_refuse(s, SMTP_REPLY(451, "4.3.0", "Recipient address rejected: Cannot look it up now"));
		break;
	}
	session_go_on(s);
}

static void
recipient_ask(struct session *s)
{
	char buffer[KEY_MAX];
	struct str key = recipient_key(s, buffer);

	if (known_has(&s->worker->known, key, loop_now_ms(s->worker->loop)))
		session_policy_exists(s);
	else
		socketmap_ask(&s->worker->map, &s->query, STR("recipient"), key, recipient_known);
}

static void
recipient_go_on(struct session *s)
{
	/* As everywhere: sendmail takes any address, and what cannot be delivered comes back as a notification. */
	if (s->rules->is_local)
		session_filter_recipient(s);
	else
		session_policy_recipient(s, recipient_ask);
}

void
session_recipient(struct session *s)
{
	if (!session_guard_recipient(s, recipient_go_on))
		recipient_go_on(s);
}

/* ---- passwords ------------------------------------------------------------------------------------------------------- */

static void
sasl_refused(struct session *s, const struct sasl_answer *answer, enum smtp_auth why)
{
	/* In the words that fail2ban's filter for Postfix looks for. */
	log_as(s->listener->facts->service, "warning: %s: SASL %s authentication failed: %.*s, sasl_username=%.*s", s->name,
	    s->mechanism, STR_FMT(answer->reason), STR_FMT(answer->user));
	smtp_server_auth_failed(&s->smtp, why);
}

static void
sasl_answered(struct sasl_request *request, const struct sasl_answer *answer)
{
	struct session *s = container_of(request, struct session, sasl);

	/* authd gave the exchange up while the client thinks about a challenge: its next line gets the reply. */
	if (!smtp_server_is_waiting(&s->smtp))
		return;
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

struct str
session_mechanisms(const struct session *s)
{
	return sasl_client_mechanisms(s->worker->sasl,
	    sasl_channel_offers(&s->stream, s->is_near, s->worker->conf));
}

void
session_authenticate(struct session *s)
{
	struct sasl_channel channel;
	struct sasl_peer peer = {.service = STR("smtp"), .local = str_from(s->local), .remote = str_from(s->remote),
	    .secured = stream_is_tls(&s->stream)};

	sasl_channel_read(&channel, &s->stream, s->worker->conf);
	sasl_channel_tell(&channel, &peer);
	(void)str_copy(s->mechanism, sizeof s->mechanism, s->smtp.mechanism);
	if (!sasl_start(s->worker->sasl, &s->sasl, &peer, s->smtp.mechanism,
	        s->smtp.has_response ? &s->smtp.response : NULL, sasl_answered))
		smtp_server_auth_failed(&s->smtp, SMTP_AUTH_MALFORMED);
}

void
session_respond(struct session *s)
{
	if (s->sasl.client == NULL) {
		smtp_server_auth_failed(&s->smtp, SMTP_AUTH_UNAVAILABLE);
		return;
	}
	if (sasl_continue(&s->sasl, s->smtp.response))
		return;
	sasl_cancel(&s->sasl);
	smtp_server_auth_failed(&s->smtp, SMTP_AUTH_MALFORMED);
}

/* ---- programs of this host --------------------------------------------------------------------------------------------- */

static void
local_user_known(struct socketmap_query *query, enum socketmap_status status, struct str value)
{
	struct session *s = container_of(query, struct session, query);

	if (status == SOCKETMAP_OK && value.n > 0)
		(void)str_copy(s->local_user, sizeof s->local_user, value);
	s->local_user_known(s);
}

/* A user without a name, or an authd that cannot tell, is no reason not to take mail: the number does as well. */
void
session_local_user(struct session *s, int fd, void (*known)(struct session *s))
{
	struct unix_peer peer;
	struct err err;
	char number[24];

	s->local_user_known = known;
	if (!unix_peer_get(fd, &peer, &err)) {
		log_warning("submit socket: %s", err.text);
		(void)str_copy(s->local_user, sizeof s->local_user, STR("unknown"));
		known(s);
		return;
	}
	(void)snprintf(number, sizeof number, "%u", (unsigned)peer.uid);
	(void)snprintf(s->local_user, sizeof s->local_user, "uid=%s", number);
	socketmap_ask(&s->worker->map, &s->query, STR("uid"), str_from(number), local_user_known);
}
