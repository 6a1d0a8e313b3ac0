/*
 * The commands that are not about a message: greeting, TLS, authentication, and the rest.
 */
#include <assert.h>

#include "common/sasl.h"
#include "common/smtp_server_inner.h"

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

void
smtp_command_hello(struct smtp_server *s, struct str argument)
{
	bool had_transaction = s->state == SMTP_STATE_MAIL || s->state == SMTP_STATE_RCPT;
	struct str name;

	(void)str_word(&argument, &name);
	if (!is_hello_name(name)) {
		smtp_reply_own(s, 501, "5.5.4", STR("Not a host name or address literal"));
		return;
	}
	(void)str_copy(s->helo, sizeof s->helo, name);
	s->extended = !str_equal(s->command->verb, STR("HELO"));
	s->abandoned = had_transaction;
	smtp_state_set(s, SMTP_STATE_GREETED);
	if (s->extended)
		smtp_extensions_write(s);
	else
		smtp_reply_write(s, &(struct smtp_reply){250, NULL, s->facts.hostname});
	smtp_count_outcome(s, 250);
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
	s->abandoned = s->state == SMTP_STATE_MAIL || s->state == SMTP_STATE_RCPT;
	smtp_state_set(s, s->state == SMTP_STATE_CONNECTED ? SMTP_STATE_CONNECTED : SMTP_STATE_GREETED);
	smtp_reply_own(s, 250, "2.0.0", STR("Ok"));
}

/* RFC 5321 7.3: who has a mailbox here is nobody's business before there is mail for it. */
void
smtp_command_vrfy(struct smtp_server *s, struct str argument)
{
	(void)argument;
	smtp_reply_own(s, 252, "2.1.5", STR("Send some mail, and I will try to deliver it"));
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
	s->abandoned = s->state == SMTP_STATE_MAIL || s->state == SMTP_STATE_RCPT;
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
