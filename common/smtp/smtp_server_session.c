/*
 * The commands that are not about a message: greeting, TLS, authentication, and the rest.
 */
#include <assert.h>
#include <stdio.h>

#include "common/login/sasl.h"
#include "common/smtp/smtp_server_inner.h"

/*
 * RFC 5321 4.1.1.1 asks for a domain or address literal. Machines call themselves all sorts of things (RFC 5321 4.1.4:
 * that is no reason to refuse mail), so only what would harm a log line or a Received field is refused.
 */
static bool
is_hello_name(struct str name)
{
	static const struct str others = STR("-._:[]+/=~!#$%&'*?^`{|}");

	if (name.n == 0 || name.n > SMTP_HELO_MAX)
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_alnum(name.p[i]) && str_find(others, name.p[i]) == others.n)
			return false;
	return true;
}

/* While the owner is asked, the name stands in its place already. */
static bool
hello_set(struct smtp_server *s, struct str name)
{
	if (s->facts.asks_hello) {
		s->helo_before = arena_copy(&s->transaction.arena, str_from(s->helo));
		s->extended_before = s->extended;
		if (s->helo_before.p == NULL)
			return false;
	}
	(void)str_copy(s->helo, sizeof s->helo, name);
	s->extended = !str_equal(s->command->verb, STR("HELO"));
	return true;
}

void
smtp_hello_accepted(struct smtp_server *s)
{
	s->mode = MODE_COMMAND;
	s->abandoned = (s->state & STATE_TRANSACTION) != 0;
	smtp_state_set(s, SMTP_STATE_GREETED);
	if (s->extended)
		smtp_extensions_write(s);
	else
		smtp_reply_write(s, &(struct smtp_reply){250, NULL, s->facts.hostname});
	smtp_count_outcome(s, 250);
}

/* RFC 5321 4.1.4: a transaction under way goes on, too. */
void
smtp_hello_refused(struct smtp_server *s)
{
	(void)str_copy(s->helo, sizeof s->helo, s->helo_before);
	s->extended = s->extended_before;
}

void
smtp_command_hello(struct smtp_server *s, struct str argument)
{
	struct str name;

	(void)str_word(&argument, &name);
	if (!is_hello_name(name))
		smtp_reply_own(s, 501, "5.5.4", STR("Not a host name or address literal"));
	else if (!hello_set(s, name))
		smtp_out_of_memory(s);
	else if (s->facts.asks_hello)
		smtp_ask(s, SMTP_HELLO);
	else
		smtp_hello_accepted(s);
}

void
smtp_command_noop(struct smtp_server *s, struct str argument)
{
	(void)argument;
	smtp_reply_own(s, 250, "2.0.0", STR("Ok"));
}

void
smtp_command_rset(struct smtp_server *s, struct str argument)
{
	(void)argument;
	s->abandoned = (s->state & STATE_TRANSACTION) != 0;
	smtp_state_set(s, s->state == SMTP_STATE_CONNECTED ? SMTP_STATE_CONNECTED : SMTP_STATE_GREETED);
	smtp_reply_own(s, 250, "2.0.0", STR("Ok"));
}

/* The string of RFC 5321 4.1.1.6, if it is an address: with or without <>. What follows it (SMTPUTF8, RFC 6531 3.7.4.2)
 * makes no difference. */
static struct smtp_recipient *
vrfy_parse(struct smtp_server *s, struct str argument)
{
	struct str rest = argument, word;
	char path[ADDRESS_TEXT_MAX + 3];
	int n;

	if (argument.p[0] == '<')
		return smtp_recipient_parse(s, &argument);
	(void)str_word(&rest, &word);
	n = snprintf(path, sizeof path, "<%.*s>", STR_FMT(str_sub(word, 0, sizeof path)));
	if (n >= (int)sizeof path) {
		smtp_reply_own(s, 501, "5.1.3", STR("Bad recipient address syntax"));
		return NULL;
	}
	return smtp_recipient_parse(s, &(struct str){path, (size_t)n});
}

/* RFC 5321 7.3: who has a mailbox here is nobody's business before there is mail for it, unless the owner thinks
 * otherwise. */
void
smtp_command_vrfy(struct smtp_server *s, struct str argument)
{
	if (!s->facts.asks_vrfy) {
		smtp_reply_own(s, 252, "2.1.5", STR("Send some mail, and I will try to deliver it"));
		return;
	}
	s->recipient = vrfy_parse(s, argument);
	if (s->recipient != NULL)
		smtp_ask(s, SMTP_VRFY);
}

/* RFC 1985 5.1: a domain; "@": and all below it; "#": a name of a queue, of which we have none. */
void
smtp_command_etrn(struct smtp_server *s, struct str argument)
{
	struct str domain = argument.p[0] == '@' ? str_skip(argument, 1) : argument;

	if (!address_is_domain(domain) && !address_is_literal(domain)) {
		smtp_reply_own(s, 501, "5.5.4", STR("Not a domain"));
		return;
	}
	s->argument = arena_copy(&s->transaction.arena, argument);
	if (s->argument.p == NULL)
		smtp_out_of_memory(s);
	else
		smtp_ask(s, SMTP_ETRN);
}

void
smtp_command_help(struct smtp_server *s, struct str argument)
{
	(void)argument;
	smtp_help_write(s);
	smtp_count_outcome(s, 214);
}

void
smtp_command_quit(struct smtp_server *s, struct str argument)
{
	(void)argument;
	s->abandoned = (s->state & STATE_TRANSACTION) != 0;
	smtp_state_set(s, SMTP_STATE_GREETED);
	smtp_reply_own(s, 221, "2.0.0", STR("Bye"));
	s->mode = MODE_CLOSING;
}

/* What a client, or somebody between, sent behind STARTTLS must never be taken for something said under TLS. */
void
smtp_command_starttls(struct smtp_server *s, struct str argument)
{
	(void)argument;
	if (s->input_left) {
		smtp_reply_own(s, 554, "5.5.1", STR("Commands behind STARTTLS"));
		s->mode = MODE_CLOSING;
		return;
	}
	smtp_reply_own(s, 220, "2.0.0", STR("Ready to start TLS"));
	s->mode = MODE_CLOSING; /* should the owner go on with this core */
	s->event = SMTP_START_TLS;
}

/* --- AUTH --------------------------------------------------------------------------------------------------------------- */

void
smtp_command_auth(struct smtp_server *s, struct str argument)
{
	struct str mechanism, initial, rest = argument;

	(void)str_word(&rest, &mechanism);
	if (s->user[0] != '\0') {
		smtp_reply_own(s, 503, "5.5.1", STR("Already authenticated"));
	} else if (!sasl_mechanism_is_good(mechanism) || !str_has_word_nocase(s->facts.mechanisms, mechanism)) {
		smtp_reply_own(s, 504, "5.5.4", STR("Authentication mechanism not on offer"));
	} else {
		s->has_response = str_word(&rest, &initial);
		s->mechanism = mechanism;
		s->response = initial;
		if (str_trim(rest).n > 0)
			smtp_reply_own(s, 501, "5.5.4", STR("Too many arguments"));
		else
			smtp_ask(s, SMTP_AUTHENTICATE);
	}
}

void
smtp_auth_line(struct smtp_server *s, struct str line)
{
	s->mode = MODE_COMMAND;
	if (str_equal(line, STR("*"))) {
		smtp_reply_own(s, 501, "5.7.0", STR("Authentication cancelled"));
		s->event = SMTP_CANCEL;
		return;
	}
	s->has_response = true;
	s->response = line;
	smtp_ask(s, SMTP_RESPOND);
}

static void
assert_authenticating(const struct smtp_server *s)
{
	assert(s->mode == MODE_QUESTION && (s->event == SMTP_AUTHENTICATE || s->event == SMTP_RESPOND));
}

void
smtp_server_challenge(struct smtp_server *s, struct str challenge)
{
	assert_authenticating(s);
	buf_addf(s->out, "334 %.*s\r\n", STR_FMT(challenge));
	s->mode = MODE_AUTH;
}

void
smtp_server_authenticated(struct smtp_server *s, struct str user)
{
	assert_authenticating(s);
	s->mode = MODE_COMMAND;
	if (user.n == 0 || !str_copy(s->user, sizeof s->user, user)) {
		smtp_server_goodbye(s, SMTP_REPLY(421, "4.7.0", "Authentication service failure"));
		return;
	}
	smtp_reply_own(s, 235, "2.7.0", STR("Authentication successful"));
}

void
smtp_server_auth_failed(struct smtp_server *s, enum smtp_auth why)
{
	assert_authenticating(s);
	s->mode = MODE_COMMAND;
	switch (why) {
	case SMTP_AUTH_REFUSED:
		smtp_reply_own(s, 535, "5.7.8", STR("Authentication credentials invalid"));
		break;
	case SMTP_AUTH_UNAVAILABLE:
		s->counters->errors++; /* else who is told to wait could ask without end */
		smtp_reply_own(s, 454, "4.7.0", STR("Temporary authentication failure"));
		break;
	case SMTP_AUTH_MALFORMED:
		smtp_reply_own(s, 501, "5.5.2", STR("Not Base64"));
		break;
	}
}
