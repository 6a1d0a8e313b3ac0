#include "queue/smtp_client.h"

#define FAILURE_ARENA_MAX 4096

enum step {
	STEP_RESET,
	STEP_MAIL,
	STEP_RCPT, /* the first of as many as there are recipients; DATA follows */
};

static const struct smtp_verdict not_smtp = {SMTP_DEFERRED, {"4.5.0", 5},
    {"the server's answer makes no sense", 34}};

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

/* --- verdicts ----------------------------------------------------------------------------------------------------- */

static unsigned
reply_class(const struct smtp_client *c)
{
	return c->reply.code / 100;
}

/* A code of the other side only counts when it agrees with the outcome: a 3yz where none belongs is deferred. */
static struct smtp_verdict
verdict_of_reply(struct smtp_client *c, struct arena *arena)
{
	struct smtp_verdict v = {.words = smtp_reply_words(&c->reply, arena, SMTP_CLIENT_WORDS_MAX)};

	switch (reply_class(c)) {
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

static bool
is_final(const struct smtp_recipient *r)
{
	return r->verdict.outcome != SMTP_PENDING && r->verdict.outcome != SMTP_ACCEPTED;
}

static void
settle(struct smtp_client *c, struct smtp_recipient *r, struct smtp_verdict verdict)
{
	if (is_final(r))
		return;
	r->verdict = verdict;
	c->settled++;
	STAILQ_INSERT_TAIL(&c->results, r, link);
}

static void
settle_all(struct smtp_client *c, struct smtp_verdict verdict)
{
	for (size_t i = 0; c->mail != NULL && i < c->mail->nrecipients; i++)
		settle(c, &c->mail->recipients[i], verdict);
}

struct smtp_recipient *
smtp_client_result(struct smtp_client *c)
{
	struct smtp_recipient *r = STAILQ_FIRST(&c->results);

	if (r != NULL)
		STAILQ_REMOVE_HEAD(&c->results, link);
	return r;
}

/* --- the end of a session ------------------------------------------------------------------------------------------ */

static bool
is_in_transaction(const struct smtp_client *c)
{
	return c->state == SMTP_COMMANDS || c->state == SMTP_BODY || c->state == SMTP_FINAL;
}

static void
over(struct smtp_client *c, struct smtp_verdict verdict)
{
	if (is_in_transaction(c))
		settle_all(c, verdict);
	if (c->state != SMTP_OVER)
		c->failure = verdict;
	c->state = SMTP_OVER;
}

/* The reply that just came ends the session. */
static void
over_by_reply(struct smtp_client *c)
{
	struct smtp_verdict verdict = verdict_of_reply(c, c->mail != NULL && is_in_transaction(c) ? c->mail->arena : &c->arena);

	/* A reply of success, where it makes no sense, promises nothing. */
	if (verdict.outcome == SMTP_DELIVERED) {
		verdict.outcome = SMTP_DEFERRED;
		verdict.code = STR("4.5.0");
	}
	c->said_421 = c->reply.code == 421;
	c->may_quit = !c->said_421 && c->state != SMTP_BODY;
	over(c, verdict);
}

void
smtp_client_abandon(struct smtp_client *c, struct str code, struct str words)
{
	over(c, (struct smtp_verdict){SMTP_DEFERRED, code, words});
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

/* --- greeting to READY --------------------------------------------------------------------------------------------- */

static void
hello(struct smtp_client *c, enum smtp_client_state state)
{
	const char *verb = c->lmtp ? "LHLO" : state == SMTP_EHLO ? "EHLO" : "HELO";

	buf_addf(c->out, "%s %.*s\r\n", verb, STR_FMT(c->hostname));
	c->state = state;
}

static void
greeting_answered(struct smtp_client *c)
{
	if (c->reply.code == 220)
		hello(c, SMTP_EHLO);
	else
		over_by_reply(c);
}

static void
ehlo_answered(struct smtp_client *c)
{
	if (reply_class(c) == 5 && !c->lmtp) {
		hello(c, SMTP_HELO);
		return;
	}
	if (reply_class(c) != 2) {
		over_by_reply(c);
		return;
	}
	smtp_features_read(&c->features, &c->reply);
	c->state = SMTP_READY;
	if (c->want_tls && !c->tls && c->features.starttls) {
		buf_adds(c->out, "STARTTLS\r\n");
		c->state = SMTP_STARTTLS;
	}
}

static void
helo_answered(struct smtp_client *c)
{
	if (reply_class(c) == 2)
		c->state = SMTP_READY;
	else
		over_by_reply(c);
}

/* Opportunistic: a server that will not is served in plain. */
static void
starttls_answered(struct smtp_client *c)
{
	c->state = c->reply.code == 220 ? SMTP_HANDSHAKE : SMTP_READY;
}

/* RFC 3207 4.2: nothing learnt before the handshake is kept, so this is a new client. */
void
smtp_client_secured(struct smtp_client *c)
{
	struct smtp_client old = *c;

	smtp_client_clear(c);
	smtp_client_init(c, old.out, old.hostname, old.lmtp, old.want_tls);
	c->tls = true;
	hello(c, SMTP_EHLO);
}

/* --- a transaction: what is sent ------------------------------------------------------------------------------------ */

/*
 * May stand between < and > of a command: no control character, and outside of quotes nothing that could end the path.
 * Our own intake lets no other address into the queue; this is the last gate.
 */
static bool
is_safe(struct str address)
{
	bool quoted = false;

	for (size_t i = 0; i < address.n; i++) {
		char c = address.p[i];

		if ((unsigned char)c < 32 || c == 127)
			return false;
		if (quoted && c == '\\' && ++i == address.n)
			return false;
		if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == ' ' || c == '<' || c == '>'))
			return false;
	}
	return !quoted;
}

static size_t
data_step(const struct smtp_client *c)
{
	return STEP_RCPT + c->mail->nrecipients;
}

/* RFC 3461 4: xtext. */
static void
add_xtext(struct buf *out, struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		unsigned char byte = (unsigned char)text.p[i];

		if (byte <= 32 || byte >= 127 || byte == '+' || byte == '=')
			buf_addf(out, "+%02X", byte);
		else
			buf_addc(out, (char)byte);
	}
}

/* What the caller has of RFC 3461's values; as all that is sent they hold nothing that could end the line. */
static bool
is_word(struct str value)
{
	for (size_t i = 0; i < value.n; i++)
		if (value.p[i] <= 32 || value.p[i] == 127)
			return false;
	return value.n > 0;
}

static void
send_mail(struct smtp_client *c)
{
	buf_addf(c->out, "MAIL FROM:<%.*s>", STR_FMT(c->mail->sender));
	if (c->features.size && c->mail->size > 0)
		buf_addf(c->out, " SIZE=%llu", (unsigned long long)c->mail->size);
	if (c->mail->flags & SMTP_MAIL_8BIT)
		buf_adds(c->out, " BODY=8BITMIME");
	if (c->features.smtputf8 && (c->mail->flags & SMTP_MAIL_UTF8))
		buf_adds(c->out, " SMTPUTF8");
	if (c->features.dsn && is_word(c->mail->ret))
		buf_addf(c->out, " RET=%.*s", STR_FMT(c->mail->ret));
	if (c->features.dsn && c->mail->envid.n > 0) {
		buf_adds(c->out, " ENVID=");
		add_xtext(c->out, c->mail->envid);
	}
	buf_adds(c->out, "\r\n");
}

static void
send_rcpt(struct smtp_client *c, const struct smtp_recipient *r)
{
	buf_addf(c->out, "RCPT TO:<%.*s>", STR_FMT(r->address));
	if (c->features.dsn && is_word(r->notify))
		buf_addf(c->out, " NOTIFY=%.*s", STR_FMT(r->notify));
	if (c->features.dsn && is_word(r->orcpt))
		buf_addf(c->out, " ORCPT=%.*s", STR_FMT(r->orcpt));
	buf_adds(c->out, "\r\n");
}

/* The command of this step. False: there is none to be sent. */
static bool
send_step(struct smtp_client *c, size_t step)
{
	if (step == STEP_RESET) {
		buf_adds(c->out, "RSET\r\n");
	} else if (step == STEP_MAIL) {
		send_mail(c);
	} else if (step == data_step(c)) {
		/* With answers outstanding it is worth a try; once all are known it is not without a recipient. */
		if (c->ahead == 0 && c->accepted == 0)
			return false;
		buf_adds(c->out, "DATA\r\n");
	} else {
		struct smtp_recipient *r = &c->mail->recipients[step - STEP_RCPT];

		if (r->skipped)
			return false;
		send_rcpt(c, r);
	}
	return true;
}

/* Runs the sender ahead as far as it may; the transaction is over when nothing is left to send or to be answered. */
static void
send_more(struct smtp_client *c)
{
	size_t window = c->features.pipelining ? SMTP_CLIENT_AHEAD_MAX : 1;

	if (c->mail_refused)
		c->sent = data_step(c) + 1;
	while (c->ahead < window && c->sent <= data_step(c))
		if (send_step(c, c->sent++))
			c->ahead++;
	if (c->ahead == 0 && c->state == SMTP_COMMANDS)
		c->state = SMTP_READY;
}

/* Why this message cannot go to this server at all. */
static bool
is_impossible(const struct smtp_client *c, const struct smtp_mail *mail, struct smtp_verdict *verdict)
{
	const struct smtp_features *f = &c->features;

	verdict->outcome = SMTP_FAILED;
	if (!is_safe(mail->sender)) {
		verdict->code = STR("5.1.7");
		verdict->words = STR("the sender's address is malformed");
	} else if (f->size && f->size_max > 0 && mail->size > f->size_max) {
		verdict->code = STR("5.3.4");
		verdict->words = STR("the message is larger than the server takes");
	} else if ((mail->flags & SMTP_MAIL_8BIT) && !f->eightbit) {
		verdict->code = STR("5.6.3");
		verdict->words = STR("the message has 8-bit characters, and the server does not take them (8BITMIME)");
	} else if (((mail->flags & SMTP_MAIL_UTF8) || !str_is_ascii(mail->sender)) && !f->smtputf8) {
		verdict->code = STR("5.6.7");
		verdict->words = STR("the message needs SMTPUTF8, which the server does not offer");
	} else {
		return false;
	}
	return true;
}

/* Recipients that need not, or must not, be sent to this server. */
static void
skip_some(struct smtp_client *c)
{
	for (size_t i = 0; i < c->mail->nrecipients; i++) {
		struct smtp_recipient *r = &c->mail->recipients[i];

		if (!is_safe(r->address) || r->address.n == 0)
			settle(c, r, (struct smtp_verdict){SMTP_FAILED, STR("5.1.3"), STR("the address is malformed")});
		else if (!str_is_ascii(r->address) && !(c->features.smtputf8 && (c->mail->flags & SMTP_MAIL_UTF8)))
			settle(c, r, (struct smtp_verdict){SMTP_FAILED, STR("5.6.7"),
			    STR("the address needs SMTPUTF8, which the server or the message has not")});
		r->skipped = is_final(r);
	}
}

void
smtp_client_begin(struct smtp_client *c, struct smtp_mail *mail)
{
	struct smtp_verdict verdict;

	c->mail = mail;
	c->settled = 0;
	c->accepted = 0;
	c->ahead = 0;
	c->final = 0;
	c->mail_refused = false;
	c->answered = false;
	c->dot = (struct dot_writer){0};
	if (is_impossible(c, mail, &verdict)) {
		settle_all(c, verdict);
		return;
	}
	skip_some(c);
	if (c->settled == mail->nrecipients)
		return;
	c->sent = c->needs_reset ? STEP_RESET : STEP_MAIL;
	c->received = c->sent;
	c->state = SMTP_COMMANDS;
	send_more(c);
}

size_t
smtp_client_body(struct smtp_client *c, struct str bytes, size_t room)
{
	char *p = buf_reserve(c->out, room);
	size_t taken, written;

	if (p == NULL)
		return 0;
	taken = dot_write(&c->dot, bytes, p, room, &written);
	buf_commit(c->out, written);
	return taken;
}

void
smtp_client_body_end(struct smtp_client *c)
{
	char *p = buf_reserve(c->out, DOT_WRITE_END_MAX);

	if (p != NULL)
		buf_commit(c->out, dot_write_end(&c->dot, p));
	c->state = SMTP_FINAL;
}

/* --- a transaction: what is answered -------------------------------------------------------------------------------- */

static void
mail_answered(struct smtp_client *c)
{
	struct smtp_verdict verdict;

	c->needs_reset = reply_class(c) == 2;
	if (c->needs_reset)
		return;
	verdict = verdict_of_reply(c, c->mail->arena);
	settle_all(c, verdict);
	c->mail_refused = true;
}

/* RFC 5321 4.5.3.1.10: enough for this transaction. With a recipient accepted, another one gets further. */
static bool
is_too_many(const struct smtp_client *c)
{
	struct str code = smtp_reply_enhanced(&c->reply);

	if (c->accepted == 0)
		return false;
	if (str_equal(code, STR("4.5.3")) || str_equal(code, STR("5.5.3")))
		return true;
	return c->reply.code == 452 && code.n == 0;
}

static void
rcpt_answered(struct smtp_client *c, struct smtp_recipient *r)
{
	struct smtp_verdict verdict;

	if (is_final(r))
		return;
	if (reply_class(c) == 2) {
		r->verdict.outcome = SMTP_ACCEPTED;
		c->accepted++;
		return;
	}
	verdict = verdict_of_reply(c, c->mail->arena);
	if (is_too_many(c))
		verdict.outcome = SMTP_LEFT;
	settle(c, r, verdict);
}

static void
data_answered(struct smtp_client *c)
{
	struct smtp_verdict verdict;

	if (c->reply.code == 354 && c->accepted > 0) {
		c->state = SMTP_BODY;
	} else if (c->reply.code == 354) {
		/* RFC 2920 3.1: it waits for a message although nobody is to get it: an empty one. After LHLO such
		 * an end has no reply, so that one could not tell where it ends. */
		buf_adds(c->out, ".\r\n");
		c->state = c->lmtp ? SMTP_OVER : SMTP_FINAL;
	} else {
		verdict = verdict_of_reply(c, c->mail->arena);
		if (verdict.outcome == SMTP_DELIVERED)
			verdict = not_smtp;
		settle_all(c, verdict);
	}
}

static void
command_answered(struct smtp_client *c)
{
	size_t step = c->received;

	while (step >= STEP_RCPT && step < data_step(c) && c->mail->recipients[step - STEP_RCPT].skipped)
		step++;
	c->received = step + 1;
	c->ahead--;
	c->answered = true;
	if (step == STEP_MAIL)
		mail_answered(c);
	else if (step == data_step(c))
		data_answered(c);
	else if (step >= STEP_RCPT)
		rcpt_answered(c, &c->mail->recipients[step - STEP_RCPT]);
	if (c->state == SMTP_COMMANDS)
		send_more(c);
}

/* LMTP answers for each accepted recipient, in their order (RFC 2033 4.2). */
static void
final_answered_lmtp(struct smtp_client *c, struct smtp_verdict verdict)
{
	struct smtp_recipient *all = c->mail->recipients;

	while (c->final < c->mail->nrecipients && all[c->final].verdict.outcome != SMTP_ACCEPTED)
		c->final++;
	if (c->final < c->mail->nrecipients)
		settle(c, &all[c->final++], verdict);
}

static void
final_answered(struct smtp_client *c)
{
	struct smtp_verdict verdict = verdict_of_reply(c, c->mail->arena);

	if (c->lmtp)
		final_answered_lmtp(c, verdict);
	else
		settle_all(c, verdict);
	if (c->settled < c->mail->nrecipients)
		return;
	c->needs_reset = false;
	c->state = SMTP_READY;
}

/* --- replies -------------------------------------------------------------------------------------------------------- */

static void
reply_dispatch(struct smtp_client *c)
{
	switch (c->state) {
	case SMTP_GREETING:
		greeting_answered(c);
		break;
	case SMTP_EHLO:
		ehlo_answered(c);
		break;
	case SMTP_HELO:
		helo_answered(c);
		break;
	case SMTP_STARTTLS:
		starttls_answered(c);
		break;
	case SMTP_COMMANDS:
		command_answered(c);
		break;
	case SMTP_FINAL:
		final_answered(c);
		break;
	case SMTP_BODY:	 /* it will not hear the message out: then there is no way back to commands */
	case SMTP_READY: /* it speaks without being asked: good-bye, or nonsense */
	case SMTP_HANDSHAKE:
	case SMTP_OVER:
		over_by_reply(c);
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
			over(c, not_smtp);
		else if (c->reply.code == 421)
			over_by_reply(c);
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
	return c->received == data_step(c) ? "waiting for the reply to DATA" : "waiting for the reply to RCPT";
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
