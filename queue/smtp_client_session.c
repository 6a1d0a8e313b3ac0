#include <string.h>

#include "queue/smtp_client_inner.h"

#define OFFERED_MAX 200 /* bytes, of what a server offers, in words for people */

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

/* words: static or in c->arena, which may have had no room for them. */
static void
give_up(struct smtp_client *c, struct str code, struct str words)
{
	if (words.p == NULL)
		words = STR("the words for it are lost: there were too many of them");
	smtp_client_over(c, (struct smtp_verdict){SMTP_DEFERRED, code, words});
	c->may_quit = c->unfit = true;
}

/* Until the postmaster has set that right, mail waits. */
static void
give_up_login(struct smtp_client *c, struct str code, const char *problem)
{
	if (c->state == SMTP_AUTH && c->reply.code == 334)
		buf_adds(c->out, "*\r\n"); /* RFC 4954 4: the exchange is cancelled */
	give_up(c, code, arena_printf(&c->arena, "%s", problem));
}

static void
log_in_nohow(struct smtp_client *c)
{
	struct str offered = str_sub(smtp_features_words(&c->reply, STR("AUTH")), 0, OFFERED_MAX);

	if (offered.n == 0)
		give_up(c, STR("4.7.0"), STR("there is a login for the server, but it offers none"));
	else
		give_up(c, STR("4.7.0"), arena_printf(&c->arena, "no mechanism to log in that both sides have; the server offers %.*s",
		    STR_FMT(offered)));
}

static void
log_in(struct smtp_client *c)
{
	const struct sasl_binding *binding = c->has_binding ? &c->binding : NULL;
	enum sasl_mechanism mechanism = sasl_login_choose(c->credentials, c->features.auth, binding);
	const char *problem;

	c->state = SMTP_AUTH;
	if (!c->tls) {
		give_up(c, STR("4.7.4"), STR("a password is not sent without TLS"));
		return;
	}
	if (mechanism == SASL_MECHANISMS) {
		log_in_nohow(c);
		return;
	}
	sasl_login_begin(&c->login, mechanism, c->credentials);
	problem = sasl_login_command(&c->login, c->features.auth, binding, str_from(c->nonce), c->out);
	if (problem != NULL)
		give_up_login(c, STR("4.7.0"), problem);
}

/* What was offered is known, and TLS is as it will be. */
static void
session_begin(struct smtp_client *c)
{
	if (c->must_tls && !c->tls)
		give_up(c, STR("4.7.4"), STR("TLS is required, and the server does not offer it"));
	else if (c->must_verify && !c->verified)
		give_up(c, STR("4.7.5"), STR("the server's certificate is not one of that host that can be trusted"));
	else if (c->credentials != NULL && c->credentials->user.n > 0)
		log_in(c);
	else
		c->state = SMTP_READY;
}

/* Wrong credentials are ours: the mail waits for the postmaster to set them right, and is not returned for that. */
static void
login_refused(struct smtp_client *c)
{
	struct smtp_verdict verdict = smtp_client_reply_verdict(c, &c->arena);
	struct str problem = sasl_login_problem(&c->login);

	if (problem.n > 0)
		verdict.words = arena_printf(&c->arena, "%.*s (it says of the token: %.*s)", STR_FMT(verdict.words), STR_FMT(problem));
	else
		verdict.words = arena_printf(&c->arena, "%.*s (to %s of %.*s)", STR_FMT(verdict.words),
		    sasl_mechanism_name(c->login.mechanism), STR_FMT(c->credentials->user));
	give_up(c, verdict.code.p[0] == '4' ? verdict.code : STR("4.7.8"), verdict.words);
}

static struct str
challenge_of(const struct smtp_reply *reply)
{
	struct str text = buf_str(&reply->text);

	return str_skip(str_sub(text, 0, str_find(text, '\n')), 4);
}

void
smtp_client_auth_answered(struct smtp_client *c)
{
	const char *problem = NULL;

	if (c->reply.code == 334)
		problem = sasl_login_answer(&c->login, challenge_of(&c->reply), c->out);
	else if (c->reply.code == 235)
		problem = sasl_login_finish(&c->login);
	else
		login_refused(c);
	if (problem != NULL)
		give_up_login(c, STR("4.7.8"), problem);
	else if (c->reply.code == 235)
		c->state = SMTP_READY;
	if (c->state != SMTP_AUTH)
		sasl_login_clear(&c->login);
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
	c->credentials = old.credentials;
	memcpy(c->nonce, old.nonce, sizeof c->nonce);
	hello(c, SMTP_EHLO);
}

bool
smtp_client_is_spent(const struct smtp_client *c)
{
	return c->features.mails_max > 0 && c->mails >= c->features.mails_max;
}
