#include "imapd/preauth.h"

#include <string.h>

#include "common/base/arena.h"
#include "imapd/capability.h"
#include "imapd/command.h"
#include "imapd/parse.h"
#include "imapd/reader.h"

#define ARENA_BYTES 65536
#define RESPONSE_MAX_BYTES (2 * LOGIN_INPUT_MAX)

struct preauth {
	struct login_core core;
	bool ready; /* reader and arena are initialised */
	struct reader reader;
	struct arena arena;  /* of the command */
	struct buf response; /* what LOGIN says, as SASL has it: a secret */
	char tag[LOGIN_LABEL_MAX + 1];
	bool challenged; /* the next line answers a challenge */
	bool taken;	 /* the reader's command was handed out, and is to be dropped at the next step */
};

static struct preauth *
preauth_of(struct login_core *core)
{
	return container_of(core, struct preauth, core);
}

static void
preauth_open(struct login_core *core)
{
	struct preauth *p = preauth_of(core);

	reader_init(&p->reader, LOGIN_INPUT_MAX);
	arena_init(&p->arena, ARENA_BYTES);
	buf_init(&p->response, RESPONSE_MAX_BYTES);
	p->ready = true;
	if (core->facts.resumed)
		return;
	buf_adds(&core->out, "* OK [CAPABILITY ");
	capability_write_before_login(&core->out, &core->facts);
	buf_adds(&core->out, "] ");
	buf_add(&core->out, core->facts.hostname);
	buf_adds(&core->out, " Merpati is ready\r\n");
}

static void
preauth_clear(struct login_core *core)
{
	struct preauth *p = preauth_of(core);

	if (!p->ready)
		return;
	reader_clear(&p->reader);
	arena_clear(&p->arena);
	buf_clear_secret(&p->response);
}

static enum login_action
reply(struct preauth *p, const char *text, enum login_action action)
{
	buf_addf(&p->core.out, "%s %s\r\n", p->tag[0] != '\0' ? p->tag : "*", text);
	return action;
}

/* ---- commands -------------------------------------------------------------------------------------------------- */

static enum login_action
cmd_capability(struct preauth *p, struct parse_text *t, struct login_step *step)
{
	(void)t;
	(void)step;
	buf_adds(&p->core.out, "* CAPABILITY ");
	capability_write_before_login(&p->core.out, &p->core.facts);
	buf_adds(&p->core.out, "\r\n");
	return reply(p, "OK Capabilities told", LOGIN_ANSWERED);
}

static enum login_action
cmd_noop(struct preauth *p, struct parse_text *t, struct login_step *step)
{
	(void)t;
	(void)step;
	return reply(p, "OK Nothing done", LOGIN_ANSWERED);
}

static enum login_action
cmd_logout(struct preauth *p, struct parse_text *t, struct login_step *step)
{
	(void)t;
	(void)step;
	buf_adds(&p->core.out, "* BYE Goodbye\r\n");
	return reply(p, "OK Logged out", LOGIN_CLOSE);
}

static enum login_action
cmd_id(struct preauth *p, struct parse_text *t, struct login_step *step)
{
	(void)step;
	if (!command_parse_id(t) || !parse_end(t))
		return reply(p, "BAD ID wants NIL or a list", LOGIN_ERROR);
	capability_write_id(&p->core.out);
	return reply(p, "OK ID told", LOGIN_ANSWERED);
}

static enum login_action
cmd_starttls(struct preauth *p, struct parse_text *t, struct login_step *step)
{
	(void)t;
	(void)step;
	if (p->core.facts.tls)
		return reply(p, "BAD TLS is active already", LOGIN_ERROR);
	if (!p->core.facts.can_start_tls)
		return reply(p, "BAD TLS is not available", LOGIN_ERROR);
	return reply(p, "OK Begin TLS now", LOGIN_START_TLS);
}

static enum login_action
refuse_plain_text(struct preauth *p)
{
	return reply(p, "NO [PRIVACYREQUIRED] Passwords are accepted under TLS only", LOGIN_ERROR);
}

/* The password may lie in the arena, unescaped, where nothing else would wipe it. */
static bool
take_password(struct preauth *p, struct str name, struct str password)
{
	bool taken = login_plain(&p->response, name, password);

	explicit_bzero((void *)(uintptr_t)password.p, password.n);
	return taken;
}

static enum login_action
cmd_login(struct preauth *p, struct parse_text *t, struct login_step *step)
{
	struct str name, password;

	if (!parse_space(t) || !parse_astring(t, &name) || !parse_space(t) || !parse_astring(t, &password) ||
	    !parse_end(t))
		return reply(p, "BAD LOGIN wants a name and a password", LOGIN_ERROR);
	if (!p->core.facts.plain_text)
		return refuse_plain_text(p);
	if (!take_password(p, name, password))
		return reply(p, "NO [AUTHENTICATIONFAILED] Name or password cannot be right", LOGIN_ERROR);
	step->mechanism = STR("PLAIN");
	step->has_initial = true;
	step->response = buf_str(&p->response);
	return LOGIN_AUTHENTICATE;
}

/* RFC 4959: "=" stands for an empty initial response. */
static enum login_action
cmd_authenticate(struct preauth *p, struct parse_text *t, struct login_step *step)
{
	if (!parse_space(t) || !parse_atom(t, &step->mechanism))
		return reply(p, "BAD AUTHENTICATE wants a mechanism", LOGIN_ERROR);
	step->has_initial = parse_skip(t, ' ');
	step->response = t->rest;
	if (step->has_initial ? t->rest.n == 0 : !parse_at_end(t))
		return reply(p, "BAD Syntax error", LOGIN_ERROR);
	if (str_has_word_nocase(p->core.facts.mechanisms, step->mechanism))
		return LOGIN_AUTHENTICATE;
	if (!p->core.facts.plain_text)
		return refuse_plain_text(p);
	return reply(p, "NO No such mechanism", LOGIN_ERROR);
}

static const struct {
	struct str verb;
	enum login_action (*run)(struct preauth *p, struct parse_text *t, struct login_step *step);
	bool has_arguments; /* which `run` reads itself */
	const char *reference;
} commands[] = {
    {STR("AUTHENTICATE"), cmd_authenticate, true, "RFC 3501 6.2.2, RFC 4959"},
    {STR("CAPABILITY"), cmd_capability, false, "RFC 3501 6.1.1"},
    {STR("ID"), cmd_id, true, "RFC 2971 3.1"},
    {STR("LOGIN"), cmd_login, true, "RFC 3501 6.2.3"},
    {STR("LOGOUT"), cmd_logout, false, "RFC 3501 6.1.3"},
    {STR("NOOP"), cmd_noop, false, "RFC 3501 6.1.2"},
    {STR("STARTTLS"), cmd_starttls, false, "RFC 3501 6.2.1"},
};

static bool
is_session_verb(struct str verb)
{
	size_t n;
	const struct command_row *rows = command_rows(&n);

	for (size_t i = 0; i < n; i++)
		if (str_equal_nocase(rows[i].verb, verb))
			return true;
	return str_equal_nocase(verb, STR("UID"));
}

static enum login_action
run_verb(struct preauth *p, struct parse_text *t, struct str verb, struct login_step *step)
{
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		if (!str_equal_nocase(commands[i].verb, verb))
			continue;
		if (!commands[i].has_arguments && !parse_at_end(t))
			return reply(p, "BAD Too many arguments", LOGIN_ERROR);
		return commands[i].run(p, t, step);
	}
	return reply(p, is_session_verb(verb) ? "BAD Log in first" : "BAD Unknown command", LOGIN_ERROR);
}

static bool
take_tag(struct preauth *p, struct parse_text *t)
{
	struct str tag;

	p->tag[0] = '\0';
	return parse_tag(t, &tag) && str_copy(p->tag, sizeof p->tag, tag);
}

static enum login_action
run_command(struct preauth *p, struct login_step *step)
{
	struct parse_text t = {.rest = reader_command(&p->reader), .arena = &p->arena};
	struct str verb;

	p->taken = true;
	if (t.rest.n == 0)
		return LOGIN_ANSWERED;
	if (!take_tag(p, &t) || !parse_space(&t) || !parse_atom(&t, &verb))
		return reply(p, "BAD A tag and a command are expected", LOGIN_ERROR);
	return run_verb(p, &t, verb, step);
}

/* ---- the exchange after AUTHENTICATE --------------------------------------------------------------------------- */

static enum login_action
take_response(struct preauth *p, struct login_step *step)
{
	p->taken = true;
	p->challenged = false;
	step->response = reader_so_far(&p->reader);
	if (!str_equal(step->response, STR("*")))
		return LOGIN_RESPOND;
	return reply(p, "BAD Authentication given up", LOGIN_ABANDON);
}

static void
preauth_verdict(struct login_core *core, enum login_verdict verdict, struct str challenge)
{
	struct preauth *p = preauth_of(core);

	switch (verdict) {
	case LOGIN_CHALLENGE:
		p->challenged = true;
		buf_adds(&core->out, "+ ");
		buf_add(&core->out, challenge);
		buf_adds(&core->out, "\r\n");
		break;
	case LOGIN_REFUSED:
		(void)reply(p, "NO [AUTHENTICATIONFAILED] Wrong name or password", LOGIN_ERROR);
		break;
	case LOGIN_UNAVAILABLE:
		(void)reply(p, "NO [UNAVAILABLE] Logging in is not possible just now", LOGIN_ERROR);
		break;
	case LOGIN_MALFORMED:
		(void)reply(p, "BAD Not Base64", LOGIN_ERROR);
		break;
	}
}

/* ---- input ----------------------------------------------------------------------------------------------------- */

static enum login_action
take_literal(struct preauth *p)
{
	struct parse_text t = {.rest = reader_so_far(&p->reader), .arena = &p->arena};
	size_t room = p->reader.command.max - p->reader.command.n;

	if (p->reader.literal_bytes <= room) {
		if (p->reader.literal_waits)
			buf_adds(&p->core.out, "+ OK\r\n");
		reader_collect(&p->reader);
		return LOGIN_ANSWERED;
	}
	(void)take_tag(p, &t);
	if (p->reader.literal_waits) {
		p->taken = true;
		return reply(p, "BAD [TOOBIG] Literal too large", LOGIN_ERROR);
	}
	buf_adds(&p->core.out, "* BYE [TOOBIG] Literal too large\r\n");
	return LOGIN_CLOSE;
}

static void
drop_command(struct preauth *p)
{
	if (!p->taken)
		return;
	p->taken = false;
	reader_next(&p->reader);
	arena_reset(&p->arena);
	buf_clear_secret(&p->response);
}

static enum login_action
preauth_step(struct login_core *core, struct str in, struct login_step *step)
{
	struct preauth *p = preauth_of(core);

	drop_command(p);
	*step = (struct login_step){.taken = reader_feed(&p->reader, in)};
	switch (p->reader.event) {
	case READER_MORE:
	case READER_STREAM:
		break;
	case READER_COMMAND:
		return p->challenged ? take_response(p, step) : run_command(p, step);
	case READER_LITERAL:
		return p->challenged ? take_response(p, step) : take_literal(p);
	case READER_TOO_LONG:
		buf_adds(&core->out, "* BYE [TOOBIG] Command too long\r\n");
		return LOGIN_CLOSE;
	case READER_MALFORMED:
		buf_adds(&core->out, "* BYE Lines must end in CRLF\r\n");
		return LOGIN_CLOSE;
	}
	return step->taken > 0 ? LOGIN_ANSWERED : LOGIN_MORE;
}

static struct str
preauth_label(const struct login_core *core)
{
	return str_from(((const struct preauth *)(const void *)core)->tag);
}

static void
preauth_goodbye(struct login_core *core, enum login_goodbye why)
{
	const char *text = "";

	switch (why) {
	case LOGIN_BYE_TIMEOUT:
		text = "Waited too long";
		break;
	case LOGIN_BYE_ERRORS:
		text = "Too many errors";
		break;
	case LOGIN_BYE_BUSY:
		text = "[UNAVAILABLE] Too many connections";
		break;
	case LOGIN_BYE_SHUTDOWN:
		text = "[UNAVAILABLE] The server is being restarted";
		break;
	}
	buf_addf(&core->out, "* BYE %s\r\n", text);
}

const struct login_protocol preauth_protocol = {
    .core_size = sizeof(struct preauth),
    .open = preauth_open,
    .step = preauth_step,
    .verdict = preauth_verdict,
    .label = preauth_label,
    .goodbye = preauth_goodbye,
    .clear = preauth_clear,
};
