#include "common/smtp/smtp_server.h"

#include <assert.h>
#include <string.h>

#include "common/smtp/smtp_server_inner.h"

void
smtp_greet(struct smtp_server *s)
{
	buf_addf(s->out, "220 %.*s %.*s\r\n", STR_FMT(s->facts.hostname), STR_FMT(s->facts.banner));
}

void
smtp_server_init(struct smtp_server *s, const struct smtp_server_facts *facts, struct smtp_counters *counters,
    struct buf *out)
{
	*s = (struct smtp_server){.facts = *facts, .counters = counters, .out = out, .state = SMTP_STATE_CONNECTED};
	arena_init(&s->transaction.arena, facts->arena_max);
	s->command_index = SMTP_COMMANDS_MAX;
	smtp_state_set(s, SMTP_STATE_CONNECTED);
	if (!facts->is_resumed)
		smtp_greet(s);
}

void
smtp_server_clear(struct smtp_server *s)
{
	arena_clear(&s->transaction.arena);
	explicit_bzero(s, sizeof *s);
}

/* The one function that drops a transaction. */
static void
transaction_drop(struct smtp_server *s)
{
	struct arena arena = s->transaction.arena;

	arena_clear(&arena); /* who only waits holds no memory */
	s->transaction = (struct smtp_transaction){.arena = arena};
	s->transaction.last = &s->transaction.recipients;
	s->recipient = NULL;
	s->reply_next = NULL;
	s->best_code = 0;
	s->verdict = (struct smtp_reply){0};
	s->verdict_told = false;
	s->dot = (struct dot_reader){.normalise = s->facts.normalise};
}

void
smtp_state_set(struct smtp_server *s, enum smtp_state state)
{
	if (state == SMTP_STATE_CONNECTED || state == SMTP_STATE_GREETED)
		transaction_drop(s);
	s->state = state;
}

void
smtp_ask(struct smtp_server *s, enum smtp_event question)
{
	s->mode = MODE_QUESTION;
	s->event = question;
}

bool
smtp_server_is_waiting(const struct smtp_server *s)
{
	return s->mode == MODE_QUESTION;
}

void
smtp_server_goodbye(struct smtp_server *s, const struct smtp_reply *reply)
{
	smtp_reply_write(s, reply);
	s->mode = MODE_CLOSING;
}

/* --- commands --------------------------------------------------------------------------------------------------------- */

/* Somebody speaks HTTP, or a message's header as commands: not by mistake of a mail program, and nothing good follows. */
static bool
is_foreign(struct str verb)
{
	static const struct str verbs[] = {STR("GET"), STR("POST"), STR("PUT"), STR("HEAD"), STR("CONNECT"), STR("OPTIONS")};

	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
		if (str_equal_nocase(verb, verbs[i]))
			return true;
	return verb.n > 1 && verb.p[verb.n - 1] == ':';
}

/* Kept in the transaction for the owner, where there is room for it. */
#define UNKNOWN_SHOWN_MAX 512

static bool
unknown_ask(struct smtp_server *s, struct str line)
{
	struct arena *arena = &s->transaction.arena;

	line = str_sub(line, 0, UNKNOWN_SHOWN_MAX);
	if (!s->facts.asks_unknown || arena->max - arena->used < 2 * UNKNOWN_SHOWN_MAX)
		return false;
	s->argument = arena_copy(arena, line);
	smtp_ask(s, SMTP_UNKNOWN);
	return true;
}

static void
unknown_command(struct smtp_server *s, struct str line, struct str verb)
{
	if (!is_foreign(verb)) {
		if (!unknown_ask(s, line))
			smtp_unknown_refuse(s);
		return;
	}
	smtp_reply_own(s, 554, "5.5.2", STR("This is a mail server"));
	s->mode = MODE_CLOSING;
}

static struct smtp_reply
refusal(unsigned code, const char *status, struct str text)
{
	return (struct smtp_reply){code, status, text};
}

static struct smtp_reply
bad_sequence(const struct smtp_server *s)
{
	struct str text = STR("Bad sequence of commands");

	if (s->state == SMTP_STATE_CONNECTED)
		text = s->facts.protocol == SMTP_LMTP ? STR("Send LHLO first") : STR("Send EHLO or HELO first");
	else if (s->state == SMTP_STATE_GREETED)
		text = STR("Need MAIL command");
	else if (s->state == SMTP_STATE_BDAT)
		text = STR("Not between BDAT commands");
	else if ((s->command->states & (SMTP_STATE_MAIL | SMTP_STATE_RCPT)) == SMTP_STATE_RCPT)
		text = STR("No valid recipients");
	else if ((s->command->states & STATE_TRANSACTION) == 0)
		text = STR("Not within a mail transaction");
	return refusal(503, "5.5.1", text);
}

static struct smtp_reply
not_offered(const struct smtp_server *s)
{
	if (s->command->extension == SMTP_EXT_AUTH && smtp_server_offers(s, SMTP_EXT_STARTTLS))
		return refusal(538, "5.7.11", STR("Encryption required: use STARTTLS first"));
	if (s->command->extension == SMTP_EXT_AUTH || s->command->extension == SMTP_EXT_STARTTLS)
		return refusal(503, "5.5.1", STR("Not available in this session"));
	return refusal(502, "5.5.1", STR("Command not offered here"));
}

/* What the command table has against the command under way, in the order in which the client can mend it. Code 0:
 * nothing. */
static struct smtp_reply
objection(const struct smtp_server *s, struct str argument)
{
	const struct smtp_command *c = s->command;

	if ((c->states & s->state) == 0)
		return bad_sequence(s);
	if ((c->flags & SMTP_AFTER_AUTH) && s->facts.must_authenticate && s->user[0] == '\0')
		return refusal(530, "5.7.0", smtp_server_offers(s, SMTP_EXT_STARTTLS) ?
		    STR("Authentication required: use STARTTLS and AUTH first") : STR("Authentication required"));
	if (!smtp_server_offers(s, c->extension))
		return not_offered(s);
	if ((c->flags & SMTP_HAS_ARGUMENT) && argument.n == 0)
		return refusal(501, "5.5.4", STR("Argument missing"));
	if ((c->flags & SMTP_NO_ARGUMENT) && argument.n > 0)
		return refusal(501, "5.5.4", STR("No argument expected"));
	return refusal(0, NULL, STR_NONE);
}

static void
command_run(struct smtp_server *s, struct str argument)
{
	struct smtp_reply no = objection(s, argument);

	if (s->command->flags & SMTP_HAS_CHUNK)
		smtp_chunk_begin(s, argument, &no);
	else if (no.code != 0)
		smtp_reply_own(s, no.code, no.status, no.text);
	else
		s->command->handler(s, argument);
}

static void
dispatch(struct smtp_server *s, struct str line)
{
	struct str argument = line, verb;

	(void)str_word(&argument, &verb);
	argument = str_trim(argument);
	s->command = smtp_command_find(s->facts.protocol, verb, &s->command_index);
	s->counters->commands[s->command_index].total++;
	s->parameters = 0;
	if (s->command == NULL)
		unknown_command(s, line, verb);
	else
		command_run(s, argument);
}

static void
too_long(struct smtp_server *s)
{
	if (s->mode == MODE_AUTH) {
		s->event = SMTP_CANCEL;
	} else {
		s->command = NULL;
		s->command_index = SMTP_COMMANDS_MAX;
		s->counters->commands[s->command_index].total++;
	}
	s->mode = MODE_SKIP;
	smtp_reply_own(s, 500, s->event == SMTP_CANCEL ? "5.5.6" : "5.5.2", STR("Line too long"));
}

/* A client that ends lines otherwise, or that was made to: no byte that follows can be trusted (immunity rule 1). */
static void
bare(struct smtp_server *s, enum line what)
{
	struct str text = what == LINE_BARE_LF ? STR("Bare <LF> in a command") :
	    what == LINE_BARE_CR ? STR("Bare <CR> in a command") : STR("NUL in a command");

	s->command = NULL;
	s->command_index = SMTP_COMMANDS_MAX;
	smtp_reply_own(s, 500, "5.5.2", text);
	s->mode = MODE_CLOSING;
}

static bool
is_long_command(struct str in)
{
	struct str verb;
	size_t index;
	const struct smtp_command *c;

	(void)str_word(&in, &verb);
	c = smtp_command_find(SMTP_ESMTP, verb, &index);
	return c != NULL && (c->flags & SMTP_LONG_LINE);
}

/* One line of the client's, a command or part of an authentication. False when it is not there yet. */
static bool
step_line(struct smtp_server *s, struct str in, size_t *taken)
{
	size_t max = s->mode == MODE_AUTH || is_long_command(in) ? SMTP_AUTH_LINE_MAX : SMTP_COMMAND_LINE_MAX;
	struct str line;
	enum line what = line_next(&s->lexer, in, max, &line);

	switch (what) {
	case LINE_WHOLE:
		*taken = line_wire_bytes(line);
		s->input_left = *taken < in.n;
		if (s->mode == MODE_AUTH)
			smtp_auth_line(s, line);
		else
			dispatch(s, line);
		return true;
	case LINE_MORE:
		return false;
	case LINE_TOO_LONG:
		too_long(s);
		return true;
	case LINE_BARE_CR:
	case LINE_BARE_LF:
	case LINE_NUL:
		bare(s, what);
		return true;
	}
	return false;
}

static bool
step_skip(struct smtp_server *s, struct str in, size_t *taken)
{
	enum line what = line_skip(&s->lexer, in, taken);

	if (what == LINE_MORE)
		return false;
	s->mode = MODE_COMMAND;
	if (what != LINE_WHOLE)
		bare(s, what);
	return true;
}

/* False when the input does not suffice. */
static bool
step_once(struct smtp_server *s, struct str in, size_t *taken)
{
	*taken = 0;
	if (s->abandoned) {
		s->abandoned = false;
		s->event = SMTP_ABANDONED;
		return true;
	}
	switch (s->mode) {
	case MODE_COMMAND:
	case MODE_AUTH:
		return step_line(s, in, taken);
	case MODE_SKIP:
		return step_skip(s, in, taken);
	case MODE_CONTENT:
		return smtp_content_step(s, in, taken);
	case MODE_CLOSING:
		s->event = SMTP_CLOSE;
		return true;
	}
	return false;
}

enum smtp_event
smtp_server_step(struct smtp_server *s, struct str in, size_t *taken)
{
	size_t n;
	bool more;

	assert(s->mode != MODE_QUESTION);
	*taken = 0;
	s->event = SMTP_READ;
	do {
		more = step_once(s, str_skip(in, *taken), &n);
		*taken += n;
	} while (more && s->event == SMTP_READ && !(s->facts.stops_at_refusals && s->refusal.code != 0));
	return s->event;
}
