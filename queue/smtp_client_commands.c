#include "common/smtp/xtext.h"
#include "queue/smtp_client_inner.h"

/* --- what is sent --------------------------------------------------------------------------------------------------- */

size_t
smtp_client_data_step(const struct smtp_client *c)
{
	return STEP_RCPT + c->mail->nrecipients;
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

static bool
offers_dsn(const struct smtp_client *c)
{
	/* LMTP is the last step: what is told of it we tell ourselves. */
	return c->features.dsn && !c->lmtp;
}

/* Does an address that goes to this server need SMTPUTF8, or the header? */
static bool
needs_utf8(const struct smtp_client *c)
{
	const struct smtp_mail *mail = c->mail;

	if ((mail->flags & SMTP_MAIL_UTF8) || !str_is_ascii(mail->sender))
		return true;
	for (size_t i = 0; i < mail->nrecipients; i++)
		if (!mail->recipients[i].skipped && !str_is_ascii(mail->recipients[i].address))
			return true;
	return false;
}

static void
send_body_parameter(struct smtp_client *c)
{
	if (c->mail->flags & SMTP_MAIL_BINARY)
		buf_adds(c->out, " BODY=BINARYMIME");
	else if (c->mail->flags & SMTP_MAIL_8BIT)
		buf_adds(c->out, " BODY=8BITMIME");
}

static void
send_dsn_parameters(struct smtp_client *c)
{
	if (!offers_dsn(c))
		return;
	if (is_word(c->mail->ret))
		buf_addf(c->out, " RET=%.*s", STR_FMT(c->mail->ret));
	if (c->mail->envid.n > 0) {
		buf_adds(c->out, " ENVID=");
		xtext_encode(c->out, c->mail->envid);
	}
}

/* RFC 6710, 2852, 8689. */
static void
send_handling_parameters(struct smtp_client *c)
{
	const struct smtp_mail *mail = c->mail;

	if (c->lmtp)
		return;
	if (c->features.priority && (mail->flags & SMTP_MAIL_PRIORITY))
		buf_addf(c->out, " MT-PRIORITY=%d", mail->priority);
	if (c->features.deliver_by && mail->by_mode != 0)
		buf_addf(c->out, " BY=%lld;%c%s", (long long)mail->by_s, mail->by_mode, mail->by_trace ? "T" : "");
	if (mail->flags & SMTP_MAIL_REQUIRETLS)
		buf_adds(c->out, " REQUIRETLS");
}

static void
send_mail(struct smtp_client *c)
{
	buf_addf(c->out, "MAIL FROM:<%.*s>", STR_FMT(c->mail->sender));
	if (c->features.size && c->mail->size > 0)
		buf_addf(c->out, " SIZE=%llu", (unsigned long long)c->mail->size);
	send_body_parameter(c);
	if (c->features.smtputf8 && needs_utf8(c))
		buf_adds(c->out, " SMTPUTF8");
	send_dsn_parameters(c);
	send_handling_parameters(c);
	buf_adds(c->out, "\r\n");
	c->mails++;
}

static void
send_rcpt(struct smtp_client *c, const struct smtp_recipient *r)
{
	buf_addf(c->out, "RCPT TO:<%.*s>", STR_FMT(r->address));
	if (offers_dsn(c) && is_word(r->notify))
		buf_addf(c->out, " NOTIFY=%.*s", STR_FMT(r->notify));
	if (offers_dsn(c) && is_word(r->orcpt))
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
	} else if (step == smtp_client_data_step(c) && c->by_chunks) {
		if (c->one_flight_now || c->accepted > 0)
			c->state = SMTP_BODY;
		return false;
	} else if (step == smtp_client_data_step(c)) {
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
void
smtp_client_send_more(struct smtp_client *c)
{
	size_t window = c->features.pipelining ? SMTP_CLIENT_AHEAD_MAX : 1;

	if (c->mail_refused)
		c->sent = smtp_client_data_step(c) + 1;
	while (c->ahead < window && c->sent <= smtp_client_data_step(c)) {
		if (c->sent == smtp_client_data_step(c) && c->by_chunks && c->ahead > 0 && !c->one_flight_now)
			return;
		if (send_step(c, c->sent++))
			c->ahead++;
	}
	if (c->ahead == 0 && c->state == SMTP_COMMANDS)
		c->state = SMTP_READY;
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
	c->by_chunks = smtp_client_goes_by_chunks(c, mail);
	c->one_flight_now = smtp_client_goes_in_one_flight(c, mail);
	c->dot = (struct dot_writer){.bare = c->by_chunks};
	c->body_left = mail->size;
	c->chunks = 0;
	if (smtp_client_is_impossible(c, mail, &verdict)) {
		smtp_client_settle_all(c, verdict);
		return;
	}
	smtp_client_skip_some(c);
	smtp_client_leave_some(c);
	if (c->settled == mail->nrecipients)
		return;
	c->sent = c->needs_reset ? STEP_RESET : STEP_MAIL;
	c->received = c->sent;
	c->state = SMTP_COMMANDS;
	smtp_client_send_more(c);
}

/* --- what is answered ----------------------------------------------------------------------------------------------- */

static void
mail_answered(struct smtp_client *c)
{
	struct smtp_verdict verdict;

	c->needs_reset = smtp_client_reply_class(c) == 2;
	if (c->needs_reset)
		return;
	verdict = smtp_client_reply_verdict(c, c->mail->arena);
	smtp_client_settle_all(c, verdict);
	c->mail_refused = true;
	c->mail_verdict = verdict;
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

	if (smtp_client_is_settled(r))
		return;
	if (smtp_client_reply_class(c) == 2) {
		r->verdict.outcome = SMTP_ACCEPTED;
		c->accepted++;
		return;
	}
	verdict = smtp_client_reply_verdict(c, c->mail->arena);
	if (is_too_many(c))
		verdict.outcome = SMTP_LEFT;
	smtp_client_settle(c, r, verdict);
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
		verdict = smtp_client_reply_verdict(c, c->mail->arena);
		if (verdict.outcome == SMTP_DELIVERED)
			verdict = smtp_client_not_smtp;
		smtp_client_settle_all(c, verdict);
	}
}

void
smtp_client_command_answered(struct smtp_client *c)
{
	size_t step = c->received;

	while (step >= STEP_RCPT && step < smtp_client_data_step(c) && c->mail->recipients[step - STEP_RCPT].skipped)
		step++;
	c->received = step + 1;
	c->ahead--;
	c->answered = true;
	if (step == STEP_MAIL)
		mail_answered(c);
	else if (step == smtp_client_data_step(c))
		data_answered(c);
	else if (step >= STEP_RCPT)
		rcpt_answered(c, &c->mail->recipients[step - STEP_RCPT]);
	if (c->state == SMTP_COMMANDS)
		smtp_client_send_more(c);
}
