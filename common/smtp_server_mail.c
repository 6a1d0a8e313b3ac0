/*
 * The mail transaction: MAIL and RCPT with their parameters, and the owner's answers.
 */
#include <assert.h>

#include "common/smtp_server_inner.h"

/* RFC 5321 4.1.1.11: no parameter's value is longer than this makes sense of. */
#define SIZE_DIGITS_MAX 20

void
smtp_out_of_memory(struct smtp_server *s)
{
	smtp_reply_own(s, 452, "4.3.1", STR("Envelope too large"));
}

/* --- parameters --------------------------------------------------------------------------------------------------------- */

/* RFC 1870 6.1 */
static bool
parameter_size(struct smtp_server *s, struct str value)
{
	uint64_t size;

	if (value.n > SIZE_DIGITS_MAX || !str_to_u64(value, UINT64_MAX, &size)) {
		smtp_reply_own(s, 501, "5.5.4", STR("SIZE must be a number"));
		return false;
	}
	if (size > s->facts.size_max) {
		smtp_reply_own(s, 552, "5.3.4", STR("Message size exceeds fixed limit"));
		return false;
	}
	s->transaction.size = size;
	return true;
}

/* RFC 6152 2, RFC 3030 3 */
static bool
parameter_body(struct smtp_server *s, struct str value)
{
	if (str_equal_nocase(value, STR("7BIT"))) {
		s->transaction.body = SMTP_BODY_7BIT;
	} else if (str_equal_nocase(value, STR("8BITMIME"))) {
		s->transaction.body = SMTP_BODY_8BITMIME;
	} else if (str_equal_nocase(value, STR("BINARYMIME"))) {
		s->transaction.body = SMTP_BODY_BINARYMIME;
	} else {
		smtp_reply_own(s, 501, "5.5.4", STR("BODY must be 7BIT, 8BITMIME or BINARYMIME"));
		return false;
	}
	return true;
}

/* RFC 4954 5: somebody else's word for who submitted the message. We give nobody's name on, and believe none. */
static bool
parameter_auth(struct smtp_server *s, struct str value)
{
	if (value.n > 0)
		return true;
	smtp_reply_own(s, 501, "5.5.4", STR("AUTH needs a value"));
	return false;
}

static const struct parameter {
	struct str keyword;
	struct str verb; /* of which command */
	enum smtp_extension extension;
	/* False: the refusal was written. */
	bool (*handler)(struct smtp_server *s, struct str value);
	const char *reference;
} parameters[] = {
    {STR("SIZE"), STR("MAIL"), SMTP_EXT_SIZE, parameter_size, "RFC 1870 6.1"},
    {STR("BODY"), STR("MAIL"), SMTP_EXT_8BITMIME, parameter_body, "RFC 6152 2"},
    {STR("AUTH"), STR("MAIL"), SMTP_EXT_AUTH, parameter_auth, "RFC 4954 5"},
};

static bool
take_parameter(struct smtp_server *s, struct str word)
{
	size_t equals = str_find(word, '=');
	struct str keyword = str_sub(word, 0, equals);

	for (unsigned i = 0; i < sizeof parameters / sizeof parameters[0]; i++) {
		const struct parameter *p = &parameters[i];

		if (!str_equal_nocase(keyword, p->keyword) || !str_equal(s->command->verb, p->verb) ||
		    !smtp_server_offers(s, p->extension))
			continue;
		if (s->parameters & 1U << i) {
			smtp_reply_own(s, 501, "5.5.4", STR("Parameter given twice"));
			return false;
		}
		s->parameters |= 1U << i;
		return p->handler(s, str_skip(word, equals + 1));
	}
	smtp_reply_own(s, 555, "5.5.4", STR("Parameter not recognised"));
	return false;
}

static bool
take_parameters(struct smtp_server *s, struct str rest)
{
	struct str word;

	if (rest.n > 0 && !ascii_is_blank(rest.p[0])) {
		smtp_reply_own(s, 501, "5.5.4", STR("Malformed argument"));
		return false;
	}
	while (str_word(&rest, &word))
		if (!take_parameter(s, word))
			return false;
	return true;
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

static bool
mail_parse(struct smtp_server *s, struct str argument)
{
	struct smtp_transaction *t = &s->transaction;
	unsigned may = ADDRESS_MAY_BE_NULL | (s->facts.is_trusted ? ADDRESS_MAY_LACK_DOMAIN : 0);

	if (!take_label(&argument, STR("FROM:"))) {
		smtp_reply_own(s, 501, "5.5.4", STR("Syntax: MAIL FROM:<address>"));
		return false;
	}
	if (address_path_parse(&t->arena, &argument, may, &t->sender))
		return take_parameters(s, argument);
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

	if (recipient == NULL || !address_path_parse(arena, argument, ADDRESS_MAY_LACK_DOMAIN, &recipient->address)) {
		if (arena->failed)
			smtp_out_of_memory(s);
		else
			smtp_reply_own(s, 501, "5.1.3", STR("Bad recipient address syntax"));
		return NULL;
	}
	return recipient;
}

static struct smtp_recipient *
rcpt_parse(struct smtp_server *s, struct str argument)
{
	struct smtp_recipient *recipient;

	if (!take_label(&argument, STR("TO:"))) {
		smtp_reply_own(s, 501, "5.5.4", STR("Syntax: RCPT TO:<address>"));
		return NULL;
	}
	recipient = smtp_recipient_parse(s, &argument);
	if (recipient == NULL)
		return NULL;
	if (!has_enough_domain(s, &recipient->address)) {
		smtp_reply_own(s, 501, "5.1.3", STR("Recipient address needs a domain"));
		return NULL;
	}
	return take_parameters(s, argument) ? recipient : NULL;
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
	s->recipient = rcpt_parse(s, argument);
	if (s->recipient == NULL)
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
	assert(s->event < sizeof usual_words / sizeof usual_words[0] && usual_words[s->event].code != 0);
	smtp_server_answer(s, &usual_words[s->event]);
}
