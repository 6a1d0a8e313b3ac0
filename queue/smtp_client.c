#include "queue/smtp_client_inner.h"

#define FAILURE_ARENA_MAX 4096

const struct smtp_verdict smtp_client_not_smtp = {SMTP_DEFERRED, {"4.5.0", 5}, {"the server's answer makes no sense", 34}};

void
smtp_client_init(struct smtp_client *c, struct buf *out, struct str hostname, bool lmtp, bool want_tls)
{
	*c = (struct smtp_client){.out = out, .hostname = hostname, .lmtp = lmtp, .want_tls = want_tls};
	smtp_reply_init(&c->reply);
	arena_init(&c->arena, FAILURE_ARENA_MAX);
	STAILQ_INIT(&c->results);
}

void
smtp_client_clear(struct smtp_client *c)
{
	smtp_reply_clear(&c->reply);
	sasl_login_clear(&c->login);
	arena_clear(&c->arena);
}

enum smtp_client_need
smtp_client_need(const struct smtp_client *c)
{
	switch (c->state) {
	case SMTP_GREETING:
	case SMTP_EHLO:
	case SMTP_HELO:
	case SMTP_STARTTLS:
	case SMTP_AUTH:
	case SMTP_COMMANDS:
		return SMTP_NEED_REPLY;
	case SMTP_HANDSHAKE:
		return SMTP_NEED_TLS;
	case SMTP_READY:
		return SMTP_NEED_NOTHING;
	case SMTP_BODY:
		return SMTP_NEED_BODY;
	case SMTP_FINAL:
		return SMTP_NEED_FINAL_REPLY;
	case SMTP_OVER:
		break;
	}
	return SMTP_NEED_CLOSE;
}

/* --- verdicts ------------------------------------------------------------------------------------------------------- */

unsigned
smtp_client_reply_class(const struct smtp_client *c)
{
	return c->reply.code / 100;
}

/* A code of the other side only counts when it agrees with the outcome: a 3yz where none belongs is deferred. */
struct smtp_verdict
smtp_client_reply_verdict(struct smtp_client *c, struct arena *arena)
{
	struct smtp_verdict v = {.words = smtp_reply_words(&c->reply, arena, SMTP_CLIENT_WORDS_MAX)};

	switch (smtp_client_reply_class(c)) {
	case 2:
		v.outcome = SMTP_DELIVERED;
		v.code = STR("2.0.0");
		break;
	case 5:
		v.outcome = SMTP_FAILED;
		v.code = STR("5.0.0");
		break;
	case 4:
		v.outcome = SMTP_DEFERRED;
		v.code = STR("4.0.0");
		break;
	default:
		v.outcome = SMTP_DEFERRED;
		v.code = STR("4.5.0");
		break;
	}
	if (smtp_reply_enhanced(&c->reply).n > 0) {
		struct str code = arena_copy(arena, smtp_reply_enhanced(&c->reply));

		v.code = code.p != NULL ? code : v.code;
	}
	if (v.words.p == NULL)
		v.words = STR("the words of the reply are lost: there were too many of them");
	return v;
}

bool
smtp_client_is_settled(const struct smtp_recipient *r)
{
	return r->verdict.outcome != SMTP_PENDING && r->verdict.outcome != SMTP_ACCEPTED;
}

void
smtp_client_settle(struct smtp_client *c, struct smtp_recipient *r, struct smtp_verdict verdict)
{
	if (smtp_client_is_settled(r))
		return;
	r->verdict = verdict;
	c->settled++;
	STAILQ_INSERT_TAIL(&c->results, r, link);
}

void
smtp_client_settle_all(struct smtp_client *c, struct smtp_verdict verdict)
{
	for (size_t i = 0; c->mail != NULL && i < c->mail->nrecipients; i++)
		smtp_client_settle(c, &c->mail->recipients[i], verdict);
}

struct smtp_recipient *
smtp_client_result(struct smtp_client *c)
{
	struct smtp_recipient *r = STAILQ_FIRST(&c->results);

	if (r != NULL)
		STAILQ_REMOVE_HEAD(&c->results, link);
	return r;
}

/* --- the end of a session ------------------------------------------------------------------------------------------- */

static bool
is_in_transaction(const struct smtp_client *c)
{
	return c->state == SMTP_COMMANDS || c->state == SMTP_BODY || c->state == SMTP_FINAL;
}

void
smtp_client_over(struct smtp_client *c, struct smtp_verdict verdict)
{
	if (is_in_transaction(c))
		smtp_client_settle_all(c, verdict);
	if (c->state != SMTP_OVER)
		c->failure = verdict;
	c->state = SMTP_OVER;
}

/* The reply that just came ends the session. */
void
smtp_client_over_by_reply(struct smtp_client *c)
{
	bool in_transaction = c->mail != NULL && is_in_transaction(c);
	struct smtp_verdict verdict = smtp_client_reply_verdict(c, in_transaction ? c->mail->arena : &c->arena);

	/* A reply of success, where it makes no sense, promises nothing. */
	if (verdict.outcome == SMTP_DELIVERED) {
		verdict.outcome = SMTP_DEFERRED;
		verdict.code = STR("4.5.0");
	}
	c->said_421 = c->reply.code == 421;
	c->may_quit = !c->said_421 && c->state != SMTP_BODY;
	smtp_client_over(c, verdict);
}

void
smtp_client_abandon(struct smtp_client *c, struct str code, struct str words)
{
	smtp_client_over(c, (struct smtp_verdict){SMTP_DEFERRED, code, words});
	c->may_quit = false;
}

void
smtp_client_quit(struct smtp_client *c)
{
	if (c->state == SMTP_READY || (c->state == SMTP_OVER && c->may_quit))
		buf_adds(c->out, "QUIT\r\n");
	c->may_quit = false;
	c->state = SMTP_OVER;
}

/* --- replies -------------------------------------------------------------------------------------------------------- */

static void
reply_dispatch(struct smtp_client *c)
{
	switch (c->state) {
	case SMTP_GREETING:
		smtp_client_greeting_answered(c);
		break;
	case SMTP_EHLO:
		smtp_client_ehlo_answered(c);
		break;
	case SMTP_HELO:
		smtp_client_helo_answered(c);
		break;
	case SMTP_STARTTLS:
		smtp_client_starttls_answered(c);
		break;
	case SMTP_AUTH:
		smtp_client_auth_answered(c);
		break;
	case SMTP_COMMANDS:
		smtp_client_command_answered(c);
		break;
	case SMTP_BODY:
	case SMTP_FINAL:
		smtp_client_content_answered(c);
		break;
	case SMTP_READY: /* it speaks without being asked: good-bye, or nonsense */
	case SMTP_HANDSHAKE:
	case SMTP_OVER:
		smtp_client_over_by_reply(c);
		break;
	}
}

void
smtp_client_feed(struct smtp_client *c, struct str *input)
{
	while (input->n > 0 && c->state != SMTP_OVER) {
		enum parse result;

		if (c->state == SMTP_HANDSHAKE) {
			/* Bytes in plain behind the go-ahead for TLS were put there by somebody else. */
			smtp_client_abandon(c, STR("4.7.0"), STR("there are bytes between STARTTLS and the handshake"));
			return;
		}
		result = smtp_reply_take(&c->reply, input);
		if (result == PARSE_MORE)
			return;
		if (result == PARSE_BAD)
			smtp_client_over(c, smtp_client_not_smtp);
		else if (c->reply.code == 421)
			smtp_client_over_by_reply(c);
		else
			reply_dispatch(c);
	}
}

static const char *
command_stage(const struct smtp_client *c)
{
	if (c->received == STEP_RESET)
		return "waiting for the reply to RSET";
	if (c->received == STEP_MAIL)
		return "waiting for the reply to MAIL";
	return c->received == smtp_client_data_step(c) ? "waiting for the reply to DATA" : "waiting for the reply to RCPT";
}

const char *
smtp_client_stage(const struct smtp_client *c)
{
	switch (c->state) {
	case SMTP_GREETING:
		return "waiting for the greeting";
	case SMTP_EHLO:
		return c->lmtp ? "waiting for the reply to LHLO" : "waiting for the reply to EHLO";
	case SMTP_HELO:
		return "waiting for the reply to HELO";
	case SMTP_STARTTLS:
		return "waiting for the reply to STARTTLS";
	case SMTP_HANDSHAKE:
		return "waiting for the TLS handshake";
	case SMTP_AUTH:
		return "waiting for the reply to AUTH";
	case SMTP_COMMANDS:
		return command_stage(c);
	case SMTP_BODY:
		return "sending the message";
	case SMTP_FINAL:
		return "waiting for the reply to the message, which may be sent twice";
	case SMTP_READY:
	case SMTP_OVER:
		break;
	}
	return "waiting for nothing";
}
