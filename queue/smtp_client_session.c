#include "common/base/base64.h"
#include "queue/smtp_client_inner.h"

#define AUTH_TEXT_MAX 8192

static void
hello(struct smtp_client *c, enum smtp_client_state state)
{
	const char *verb = c->lmtp ? "LHLO" : state == SMTP_EHLO ? "EHLO" : "HELO";

	buf_addf(c->out, "%s %.*s\r\n", verb, STR_FMT(c->hostname));
	c->state = state;
}

void
smtp_client_greeting_answered(struct smtp_client *c)
{
	if (c->reply.code == 220)
		hello(c, SMTP_EHLO);
	else
		smtp_client_over_by_reply(c);
}

static void
give_up(struct smtp_client *c, struct str code, struct str words)
{
	smtp_client_over(c, (struct smtp_verdict){SMTP_DEFERRED, code, words});
	c->may_quit = c->unfit = true;
}

static void
send_base64(struct smtp_client *c, struct str bytes)
{
	struct buf text;

	buf_init(&text, AUTH_TEXT_MAX);
	base64_encode(&text, bytes);
	buf_add(c->out, buf_str(&text));
	buf_adds(c->out, "\r\n");
	buf_clear_secret(&text);
}

/* RFC 4616. */
static void
send_plain(struct smtp_client *c)
{
	struct buf message;

	buf_init(&message, AUTH_TEXT_MAX);
	buf_addc(&message, '\0');
	buf_add(&message, c->login);
	buf_addc(&message, '\0');
	buf_add(&message, c->password);
	buf_adds(c->out, "AUTH PLAIN ");
	send_base64(c, buf_str(&message));
	buf_clear_secret(&message);
}

static void
log_in(struct smtp_client *c)
{
	c->state = SMTP_AUTH;
	if (!c->tls)
		give_up(c, STR("4.7.4"), STR("a password is not sent without TLS"));
	else if (c->features.auth_plain)
		send_plain(c);
	else if (c->features.auth_login)
		buf_adds(c->out, "AUTH LOGIN\r\n");
	else
		give_up(c, STR("4.7.0"), STR("the server offers no way to log in that we know (AUTH PLAIN, LOGIN)"));
}

/* What was offered is known, and TLS is as it will be. */
static void
session_begin(struct smtp_client *c)
{
	if (c->must_tls && !c->tls)
		give_up(c, STR("4.7.4"), STR("TLS is required, and the server does not offer it"));
	else if (c->must_verify && !c->verified)
		give_up(c, STR("4.7.5"), STR("the server's certificate is not one of that host that can be trusted"));
	else if (c->login.n > 0)
		log_in(c);
	else
		c->state = SMTP_READY;
}

/* Wrong credentials are ours: the mail waits for the postmaster to set them right, and is not returned for that. */
void
smtp_client_auth_answered(struct smtp_client *c)
{
	struct smtp_verdict verdict;

	if (c->reply.code == 235) {
		c->state = SMTP_READY;
		return;
	}
	if (c->reply.code == 334 && !c->features.auth_plain && c->auth_step < 2) {
		send_base64(c, c->auth_step++ == 0 ? c->login : c->password);
		return;
	}
	verdict = smtp_client_reply_verdict(c, &c->arena);
	give_up(c, verdict.code.p[0] == '4' ? verdict.code : STR("4.7.8"), verdict.words);
}

void
smtp_client_ehlo_answered(struct smtp_client *c)
{
	if (smtp_client_reply_class(c) == 5 && !c->lmtp) {
		hello(c, SMTP_HELO);
		return;
	}
	if (smtp_client_reply_class(c) != 2) {
		smtp_client_over_by_reply(c);
		return;
	}
	smtp_features_read(&c->features, &c->reply);
	if (c->want_tls && !c->tls && c->features.starttls) {
		buf_adds(c->out, "STARTTLS\r\n");
		c->state = SMTP_STARTTLS;
	} else {
		session_begin(c);
	}
}

void
smtp_client_helo_answered(struct smtp_client *c)
{
	if (smtp_client_reply_class(c) == 2)
		session_begin(c);
	else
		smtp_client_over_by_reply(c);
}

/* Opportunistic: a server that will not is served in plain. */
void
smtp_client_starttls_answered(struct smtp_client *c)
{
	if (c->reply.code == 220)
		c->state = SMTP_HANDSHAKE;
	else
		session_begin(c);
}

/* RFC 3207 4.2: nothing learnt before the handshake is kept, so this is a new client. */
void
smtp_client_secured(struct smtp_client *c, bool verified)
{
	struct smtp_client old = *c;

	smtp_client_clear(c);
	smtp_client_init(c, old.out, old.hostname, old.lmtp, old.want_tls);
	c->tls = true;
	c->verified = verified;
	c->must_tls = old.must_tls;
	c->must_verify = old.must_verify;
	c->login = old.login;
	c->password = old.password;
	hello(c, SMTP_EHLO);
}

bool
smtp_client_is_spent(const struct smtp_client *c)
{
	return c->features.mails_max > 0 && c->mails >= c->features.mails_max;
}
