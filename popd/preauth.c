#include "popd/preauth.h"

#include "common/base/line.h"
#include "popd/command.h"

#define NAME_MAX_BYTES 255
#define PLAIN_MAX_BYTES (2 * (COMMAND_LINE_MAX_BYTES + NAME_MAX_BYTES))

struct preauth {
	struct login_core core;
	struct line_lexer lexer;
	struct buf user;  /* of USER, for the PASS that follows; empty otherwise */
	struct buf plain; /* what PASS becomes: a secret */
	bool challenged;  /* the next line answers a challenge */
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

	buf_init(&p->user, NAME_MAX_BYTES);
	buf_init(&p->plain, PLAIN_MAX_BYTES);
	if (!core->facts.resumed)
		buf_addf(&core->out, "+OK %.*s Merpati is ready\r\n", STR_FMT(core->facts.hostname));
}

static void
preauth_clear(struct login_core *core)
{
	struct preauth *p = preauth_of(core);

	buf_clear(&p->user);
	buf_clear_secret(&p->plain);
}

static enum login_action
refuse(struct preauth *p, const char *why)
{
	buf_addf(&p->core.out, "-ERR %s\r\n", why);
	return LOGIN_ERROR;
}

static enum login_action
refuse_plain_text(struct preauth *p)
{
	return refuse(p, p->core.facts.can_start_tls ? "[AUTH] Passwords are taken under TLS only: use STLS first" :
						       "[AUTH] Passwords are taken under TLS only");
}

/* --- commands ------------------------------------------------------------------------------------------------------ */

static enum login_action
cmd_capa(struct preauth *p)
{
	const struct login_facts *facts = &p->core.facts;
	struct command_capabilities capabilities = {.user = facts->plain_text, .stls = facts->can_start_tls};

	capabilities.mechanisms = facts->mechanisms;
	command_write_capabilities(&p->core.out, &capabilities);
	return LOGIN_ANSWERED;
}

static enum login_action
cmd_stls(struct preauth *p)
{
	if (p->core.facts.tls)
		return refuse(p, "TLS is active already");
	if (!p->core.facts.can_start_tls)
		return refuse(p, "TLS is not available");
	buf_adds(&p->core.out, "+OK Begin TLS now\r\n");
	return LOGIN_START_TLS;
}

static enum login_action
cmd_user(struct preauth *p, struct str name)
{
	if (!p->core.facts.plain_text)
		return refuse_plain_text(p);
	buf_reset(&p->user);
	buf_add(&p->user, name);
	if (!buf_ok(&p->user)) {
		buf_reset(&p->user);
		return refuse(p, "The name is too long");
	}
	buf_adds(&p->core.out, "+OK And the password?\r\n");
	return LOGIN_ANSWERED;
}

static enum login_action
cmd_pass(struct preauth *p, struct str password, struct login_step *step)
{
	bool good;

	if (p->user.n == 0)
		return refuse(p, "USER comes first");
	buf_clear_secret(&p->plain);
	good = login_plain(&p->plain, buf_str(&p->user), password);
	buf_reset(&p->user);
	if (!good)
		return refuse(p, "Neither may be empty");
	step->mechanism = STR("PLAIN");
	step->has_initial = true;
	step->response = buf_str(&p->plain);
	return LOGIN_AUTHENTICATE;
}

/* Without an argument it lists the mechanisms, one a line: older clients ask so. */
static enum login_action
auth_list(struct preauth *p)
{
	struct str list = p->core.facts.mechanisms, word;

	buf_adds(&p->core.out, "+OK\r\n");
	while (str_word(&list, &word))
		buf_addf(&p->core.out, "%.*s\r\n", STR_FMT(word));
	buf_adds(&p->core.out, ".\r\n");
	return LOGIN_ANSWERED;
}

static enum login_action
cmd_auth(struct preauth *p, const struct command *command, struct login_step *step)
{
	if (command->n == 0)
		return auth_list(p);
	if (!str_has_word_nocase(p->core.facts.mechanisms, command->arguments[0]))
		return p->core.facts.plain_text ? refuse(p, "There is no such mechanism") : refuse_plain_text(p);
	step->mechanism = command->arguments[0];
	step->has_initial = command->n == 2;
	step->response = command->arguments[1];
	return LOGIN_AUTHENTICATE;
}

static enum login_action
dispatch(struct preauth *p, const struct command *command, struct login_step *step)
{
	switch (command->verb) {
	case COMMAND_AUTH:
		return cmd_auth(p, command, step);
	case COMMAND_CAPA:
		return cmd_capa(p);
	case COMMAND_PASS:
		return cmd_pass(p, command->arguments[0], step);
	case COMMAND_QUIT:
		buf_adds(&p->core.out, "+OK Bye\r\n");
		return LOGIN_CLOSE;
	case COMMAND_STLS:
		return cmd_stls(p);
	case COMMAND_USER:
		return cmd_user(p, command->arguments[0]);
	case COMMAND_DELE:
	case COMMAND_LIST:
	case COMMAND_NOOP:
	case COMMAND_RETR:
	case COMMAND_RSET:
	case COMMAND_STAT:
	case COMMAND_TOP:
	case COMMAND_UIDL:
		break; /* the table has them for later */
	}
	return refuse(p, "Log in first");
}

/* --- lines --------------------------------------------------------------------------------------------------------- */

static enum login_action
answer_to_challenge(struct preauth *p, struct str line, struct login_step *step)
{
	p->challenged = false;
	if (str_equal(line, STR("*"))) {
		buf_adds(&p->core.out, "-ERR Given up as you wish\r\n");
		return LOGIN_ABANDON;
	}
	step->response = line;
	return LOGIN_RESPOND;
}

static enum login_action
command_line(struct preauth *p, struct str line, struct login_step *step)
{
	struct command command;
	const char *wrong = command_parse(&command, line, POP3_AUTHORIZATION);

	if (wrong == NULL && line.n + 2 > COMMAND_LINE_MAX_BYTES && command.verb != COMMAND_AUTH)
		wrong = "The line is too long";
	return wrong != NULL ? refuse(p, wrong) : dispatch(p, &command, step);
}

static enum login_action
preauth_step(struct login_core *core, struct str in, struct login_step *step)
{
	struct preauth *p = preauth_of(core);
	struct str line;
	enum line what = line_next(&p->lexer, in, LOGIN_INPUT_MAX, &line);

	switch (what) {
	case LINE_MORE:
		return LOGIN_MORE;
	case LINE_WHOLE:
		step->taken = line_wire_bytes(line);
		return p->challenged ? answer_to_challenge(p, line, step) : command_line(p, line, step);
	case LINE_TOO_LONG:
		(void)refuse(p, "The line is too long");
		return LOGIN_CLOSE;
	case LINE_BARE_CR:
	case LINE_BARE_LF:
	case LINE_NUL:
		buf_addf(&core->out, "-ERR %s in a command\r\n", line_name(what));
		return LOGIN_CLOSE;
	}
	return LOGIN_CLOSE;
}

static void
preauth_verdict(struct login_core *core, enum login_verdict verdict, struct str challenge)
{
	struct preauth *p = preauth_of(core);

	buf_clear_secret(&p->plain);
	switch (verdict) {
	case LOGIN_CHALLENGE:
		p->challenged = true;
		buf_addf(&core->out, "+ %.*s\r\n", STR_FMT(challenge));
		break;
	case LOGIN_REFUSED:
		buf_adds(&core->out, "-ERR [AUTH] Wrong name or password\r\n");
		break;
	case LOGIN_UNAVAILABLE:
		buf_adds(&core->out, "-ERR [SYS/TEMP] Nobody can log in just now; try again later\r\n");
		break;
	case LOGIN_MALFORMED:
		buf_adds(&core->out, "-ERR That is not Base64\r\n");
		break;
	}
}

/* The session announces them too. */
static struct str
preauth_label(const struct login_core *core)
{
	return str_sub(core->facts.mechanisms, 0, LOGIN_LABEL_MAX);
}

static void
preauth_goodbye(struct login_core *core, enum login_goodbye why)
{
	switch (why) {
	case LOGIN_BYE_TIMEOUT:
		break; /* RFC 1939 3: without a word */
	case LOGIN_BYE_ERRORS:
		buf_adds(&core->out, "-ERR Too many errors\r\n");
		break;
	case LOGIN_BYE_BUSY:
		buf_adds(&core->out, "-ERR [SYS/TEMP] Too many connections; try again later\r\n");
		break;
	case LOGIN_BYE_SHUTDOWN:
		buf_adds(&core->out, "-ERR [SYS/TEMP] The server is going down\r\n");
		break;
	}
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
