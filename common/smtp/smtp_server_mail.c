/*
 * The mail transaction: MAIL and RCPT, and the owner's answers.
 */
#include <assert.h>

#include "common/smtp/smtp_server_inner.h"

void
smtp_out_of_memory(struct smtp_server *s)
{
	smtp_reply_own(s, 452, "4.3.1", STR("Envelope too large"));
}

/* FROM: or TO:, behind which many a client leaves a blank. */
static bool
take_label(struct str *argument, struct str label)
{
	if (!str_starts_nocase(*argument, label))
		return false;
	*argument = str_skip(*argument, label.n);
	while (argument->n > 0 && ascii_is_blank(argument->p[0]))
		*argument = str_skip(*argument, 1);
	return true;
}

/* --- MAIL ---------------------------------------------------------------------------------------------------------------- */

/* RFC 6531 3.4: only a client that says SMTPUTF8 can know what it does. */
static bool
may_be_named(struct smtp_server *s, const struct address *address)
{
	if (s->transaction.smtputf8 || !address_has_utf8(address))
		return true;
	smtp_reply_own(s, 553, "5.6.7", STR("Address needs SMTPUTF8"));
	return false;
}

static bool
mail_parse(struct smtp_server *s, struct str argument)
{
	struct smtp_transaction *t = &s->transaction;
	unsigned may = ADDRESS_MAY_BE_NULL | ADDRESS_MAY_BE_UTF8 | (s->facts.is_trusted ? ADDRESS_MAY_LACK_DOMAIN : 0);

	if (!take_label(&argument, STR("FROM:"))) {
		smtp_reply_own(s, 501, "5.5.4", STR("Syntax: MAIL FROM:<address>"));
		return false;
	}
	if (address_path_parse(&t->arena, &argument, may, &t->sender))
		return smtp_parameters_take(s, argument) && may_be_named(s, &t->sender);
	if (t->arena.failed)
		smtp_out_of_memory(s);
	else
		smtp_reply_own(s, 501, "5.1.7", STR("Bad sender address syntax"));
	return false;
}

void
smtp_command_mail(struct smtp_server *s, struct str argument)
{
	if (mail_parse(s, argument))
		smtp_ask(s, SMTP_SENDER);
	else
		smtp_state_set(s, SMTP_STATE_GREETED);
}

/* --- RCPT ---------------------------------------------------------------------------------------------------------------- */

/* RFC 5321 4.5.1: <Postmaster> is the one recipient that needs no domain. Our own programs may say more. */
static bool
has_enough_domain(const struct smtp_server *s, const struct address *address)
{
	return address->kind != ADDRESS_LOCAL || s->facts.is_trusted ||
	    str_equal_nocase(address->local, STR("postmaster"));
}

struct smtp_recipient *
smtp_recipient_parse(struct smtp_server *s, struct str *argument)
{
	struct arena *arena = &s->transaction.arena;
	struct smtp_recipient *recipient = arena_alloc(arena, sizeof *recipient);

	if (recipient == NULL || !address_path_parse(arena, argument, ADDRESS_MAY_LACK_DOMAIN | ADDRESS_MAY_BE_UTF8, &recipient->address)) {
		if (arena->failed)
			smtp_out_of_memory(s);
		else
			smtp_reply_own(s, 501, "5.1.3", STR("Bad recipient address syntax"));
		return NULL;
	}
	return recipient;
}

/* May the path be a recipient's at all? False: the refusal was written. */
static bool
is_recipient(struct smtp_server *s, const struct address *address)
{
	if (has_enough_domain(s, address))
		return may_be_named(s, address);
	smtp_reply_own(s, 501, "5.1.3", STR("Recipient address needs a domain"));
	return false;
}

/* Into s->recipient; false: the refusal was written. */
static bool
rcpt_parse(struct smtp_server *s, struct str argument)
{
	if (!take_label(&argument, STR("TO:"))) {
		smtp_reply_own(s, 501, "5.5.4", STR("Syntax: RCPT TO:<address>"));
		return false;
	}
	s->recipient = smtp_recipient_parse(s, &argument);
	if (s->recipient == NULL)
		return false;
	if (is_recipient(s, &s->recipient->address) && smtp_parameters_take(s, argument))
		return true;
	s->recipient = NULL;
	return false;
}

static int
recipient_compare(struct smtp_recipient *a, struct smtp_recipient *b)
{
	return str_compare(a->address.text, b->address.text);
}

TREE_GENERATE(smtp_recipients, smtp_recipient, by_address, recipient_compare)

static bool
is_known(struct smtp_server *s, struct smtp_recipient *recipient)
{
	return s->facts.protocol == SMTP_ESMTP && RB_FIND(smtp_recipients, &s->transaction.by_address, recipient) != NULL;
}

void
smtp_command_rcpt(struct smtp_server *s, struct str argument)
{
	if (s->transaction.nrecipients >= s->facts.recipients_max) {
		smtp_reply_own(s, 452, "4.5.3", STR("Too many recipients"));
		return;
	}
	if (!rcpt_parse(s, argument))
		return;
	if (is_known(s, s->recipient))
		smtp_reply_own(s, 250, "2.1.5", STR("Ok"));
	else
		smtp_ask(s, SMTP_RECIPIENT);
}

static void
recipient_accepted(struct smtp_server *s)
{
	struct smtp_transaction *t = &s->transaction;

	s->recipient->index = t->nrecipients++;
	*t->last = s->recipient;
	t->last = &s->recipient->next;
	(void)RB_INSERT(smtp_recipients, &t->by_address, s->recipient);
	smtp_state_set(s, SMTP_STATE_RCPT);
}

/* --- answers ------------------------------------------------------------------------------------------------------------- */

static const struct smtp_reply usual_words[] = {
    [SMTP_HELLO] = {250, NULL, STR("")}, /* the core has more to say; as with XCLIENT */
    [SMTP_SENDER] = {250, "2.1.0", STR("Ok")},
    [SMTP_RECIPIENT] = {250, "2.1.5", STR("Ok")},
    [SMTP_BODY] = {354, NULL, STR("End data with <CR><LF>.<CR><LF>")},
    [SMTP_VRFY] = {252, "2.1.5", STR("Send some mail, and I will try to deliver it")}, /* RFC 5321 7.3 */
    [SMTP_ETRN] = {250, "2.0.0", STR("Queuing for the node started")}, /* RFC 1985 5.3 */
    [SMTP_XCLIENT] = {220, NULL, STR("")},
};

/* Where no transaction is under way, what a question left in its arena goes; but not what XFORWARD said. */
static void
arena_tidy(struct smtp_server *s)
{
	s->recipient = NULL;
	if (s->state == SMTP_STATE_GREETED && s->transaction.forwarded == NULL)
		smtp_state_set(s, SMTP_STATE_GREETED);
}

/* What follows from the answer to a question about the envelope. */
static void
apply_answer(struct smtp_server *s, enum smtp_event question, bool yes)
{
	s->mode = MODE_COMMAND;
	if (question == SMTP_SENDER) {
		smtp_state_set(s, yes ? SMTP_STATE_MAIL : SMTP_STATE_GREETED);
	} else if (question == SMTP_RECIPIENT) {
		if (yes)
			recipient_accepted(s);
		s->recipient = NULL;
	} else if (question != SMTP_BODY) {
		if (question == SMTP_HELLO)
			smtp_hello_refused(s);
		arena_tidy(s);
	}
}

/* A question whose answer is one line in the owner's words. */
static void
answer_plainly(struct smtp_server *s, enum smtp_event question, const struct smtp_reply *reply)
{
	smtp_reply_write(s, reply);
	apply_answer(s, question, reply->code < 400);
	smtp_count_outcome(s, reply->code);
}

void
smtp_server_answer(struct smtp_server *s, const struct smtp_reply *reply)
{
	enum smtp_event question = s->event;
	bool yes = reply->code < 400;

	assert(s->mode == MODE_QUESTION && question != SMTP_AUTHENTICATE && question != SMTP_RESPOND);
	if (question == SMTP_MESSAGE)
		smtp_message_answer(s, reply);
	else if (question == SMTP_BODY)
		smtp_body_answer(s, reply);
	else if (question == SMTP_HELLO && yes)
		smtp_hello_accepted(s);
	else if (question == SMTP_XCLIENT && yes)
		smtp_xclient_accepted(s);
	else
		answer_plainly(s, question, reply);
	if (reply->code == 421)
		s->mode = MODE_CLOSING;
}

void
smtp_server_accept(struct smtp_server *s)
{
	if (s->event == SMTP_UNKNOWN) {
		apply_answer(s, SMTP_UNKNOWN, false);
		smtp_unknown_refuse(s);
		return;
	}
	assert(s->event < sizeof usual_words / sizeof usual_words[0] && usual_words[s->event].code != 0);
	smtp_server_answer(s, &usual_words[s->event]);
}
