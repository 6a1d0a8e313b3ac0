#include "queue/smtp_client_inner.h"

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

/* For the rules below: true, since one of them has been broken. */
static bool
fail(struct smtp_verdict *verdict, struct str code, struct str words)
{
	*verdict = (struct smtp_verdict){SMTP_FAILED, code, words};
	return true;
}

/* RFC 6152 3, RFC 3030 3: it must be converted, and it was not. */
static bool
content_is_unfit(const struct smtp_client *c, const struct smtp_mail *mail, struct smtp_verdict *verdict)
{
	const struct smtp_features *f = &c->features;
	bool binary = (mail->flags & SMTP_MAIL_BINARY) != 0 && !(f->binary && f->chunking);
	struct str words;

	if (!binary && (!(mail->flags & SMTP_MAIL_8BIT) || (mail->flags & SMTP_MAIL_BINARY) || f->eightbit))
		return false;
	if (mail->unconvertible.p != NULL) {
		words = arena_printf(mail->arena, "the message would have to be converted for the server (%s), and cannot be: %.*s",
		    binary ? "BINARYMIME" : "8BITMIME", STR_FMT(mail->unconvertible));
		return fail(verdict, STR("5.6.3"), words.p != NULL ? words : mail->unconvertible);
	}
	if (binary)
		return fail(verdict, STR("5.6.1"), STR("the message is BINARYMIME, which the server does not offer"));
	return fail(verdict, STR("5.6.3"),
	    STR("the message has 8-bit characters, and the server does not take them (8BITMIME)"));
}

static bool
content_is_impossible(const struct smtp_client *c, const struct smtp_mail *mail, struct smtp_verdict *verdict)
{
	const struct smtp_features *f = &c->features;

	if (f->size && f->size_max > 0 && mail->size > f->size_max)
		return fail(verdict, STR("5.3.4"), STR("the message is larger than the server takes"));
	if (((mail->flags & SMTP_MAIL_UTF8) || !str_is_ascii(mail->sender)) && !f->smtputf8)
		return fail(verdict, STR("5.6.7"), STR("the message needs SMTPUTF8, which the server does not offer"));
	return content_is_unfit(c, mail, verdict);
}

/* What the sender asked for must be kept, or the message does not go (RFC 8689 4.2.1, RFC 2852 4.1.4). */
static bool
handling_is_impossible(const struct smtp_client *c, const struct smtp_mail *mail, struct smtp_verdict *verdict)
{
	const struct smtp_features *f = &c->features;

	if (c->lmtp)
		return false;
	if ((mail->flags & SMTP_MAIL_REQUIRETLS) && !smtp_client_keeps_tls(c))
		return fail(verdict, STR("5.7.30"), STR("the message needs REQUIRETLS, which the server cannot promise"));
	if (mail->by_mode != 'R')
		return false;
	if (!f->deliver_by)
		return fail(verdict, STR("5.3.3"),
		    STR("the message is to be returned if it is late (DELIVERBY), which the server does not offer"));
	if (mail->by_s <= 0 || (uint64_t)mail->by_s < f->deliver_by_min_s)
		return fail(verdict, STR("5.4.7"), STR("the message cannot be delivered by the time that was asked for"));
	return false;
}

/* Why this message cannot go to this server at all. */
bool
smtp_client_is_impossible(const struct smtp_client *c, const struct smtp_mail *mail, struct smtp_verdict *verdict)
{
	if (!is_safe(mail->sender))
		return fail(verdict, STR("5.1.7"), STR("the sender's address is malformed"));
	return content_is_impossible(c, mail, verdict) || handling_is_impossible(c, mail, verdict);
}

bool
smtp_client_keeps_tls(const struct smtp_client *c)
{
	return c->lmtp || (c->tls && c->verified && c->features.requiretls);
}

/* Recipients that need not, or must not, be sent to this server. */
void
smtp_client_skip_some(struct smtp_client *c)
{
	for (size_t i = 0; i < c->mail->nrecipients; i++) {
		struct smtp_recipient *r = &c->mail->recipients[i];

		if (!is_safe(r->address) || r->address.n == 0)
			smtp_client_settle(c, r, (struct smtp_verdict){SMTP_FAILED, STR("5.1.3"), STR("the address is malformed")});
		else if (!str_is_ascii(r->address) && !c->features.smtputf8)
			smtp_client_settle(c, r, (struct smtp_verdict){SMTP_FAILED, STR("5.6.7"),
			    STR("the address needs SMTPUTF8, which the server does not offer")});
		r->skipped = smtp_client_is_settled(r);
	}
}

/* None of the recipients before this one that are sent is in its domain. */
static bool
is_new_domain(const struct smtp_mail *mail, size_t index)
{
	struct str domain = str_skip(mail->recipients[index].address, str_find_last(mail->recipients[index].address, '@'));

	for (size_t i = 0; i < index; i++) {
		struct str other = mail->recipients[i].address;

		if (!mail->recipients[i].skipped &&
		    str_equal_nocase(str_skip(other, str_find_last(other, '@')), domain))
			return false;
	}
	return true;
}

/* RFC 9422: what passes the server's limits is left for another transaction. */
void
smtp_client_leave_some(struct smtp_client *c)
{
	static const struct smtp_verdict left = {SMTP_LEFT, {"4.5.3", 5}, {"the server takes fewer recipients at a time", 43}};
	const struct smtp_features *f = &c->features;
	uint64_t recipients = 0, domains = 0;

	if (f->recipients_max == 0 && f->domains_max == 0)
		return;
	for (size_t i = 0; i < c->mail->nrecipients; i++) {
		struct smtp_recipient *r = &c->mail->recipients[i];
		bool is_new = !r->skipped && f->domains_max > 0 && is_new_domain(c->mail, i);

		if (r->skipped)
			continue;
		if ((f->recipients_max > 0 && recipients >= f->recipients_max) || (is_new && domains >= f->domains_max)) {
			smtp_client_settle(c, r, left);
			r->skipped = true;
			continue;
		}
		recipients++;
		domains += is_new;
	}
}

bool
smtp_client_goes_by_chunks(const struct smtp_client *c, const struct smtp_mail *mail)
{
	if (mail->flags & SMTP_MAIL_BINARY)
		return true;
	return c->features.chunking && mail->size > 0 && (!c->features.pipelining || c->one_flight);
}

bool
smtp_client_goes_in_one_flight(const struct smtp_client *c, const struct smtp_mail *mail)
{
	return c->one_flight && c->by_chunks && c->features.pipelining && mail->size > 0 &&
	    mail->size <= SMTP_CLIENT_ONE_FLIGHT_MAX && mail->nrecipients + STEP_RCPT < SMTP_CLIENT_AHEAD_MAX;
}
