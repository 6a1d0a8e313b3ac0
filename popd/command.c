#include "popd/command.h"

#define BOTH (POP3_AUTHORIZATION | POP3_TRANSACTION)

static const struct row {
	struct str name;
	enum command_verb verb;
	unsigned states;
	unsigned char min, max; /* arguments */
	bool rest;		/* the one argument is all that follows, blanks included */
	const char *reference;
} rows[] = {
    {{"AUTH", 4}, COMMAND_AUTH, POP3_AUTHORIZATION, 0, 2, false, "RFC 5034"},
    {{"CAPA", 4}, COMMAND_CAPA, BOTH, 0, 0, false, "RFC 2449 5"},
    {{"DELE", 4}, COMMAND_DELE, POP3_TRANSACTION, 1, 1, false, "RFC 1939 5"},
    {{"LIST", 4}, COMMAND_LIST, POP3_TRANSACTION, 0, 1, false, "RFC 1939 5"},
    {{"NOOP", 4}, COMMAND_NOOP, POP3_TRANSACTION, 0, 0, false, "RFC 1939 5"},
    {{"PASS", 4}, COMMAND_PASS, POP3_AUTHORIZATION, 1, 1, true, "RFC 1939 7"},
    {{"QUIT", 4}, COMMAND_QUIT, BOTH, 0, 0, false, "RFC 1939 4, 6"},
    {{"RETR", 4}, COMMAND_RETR, POP3_TRANSACTION, 1, 1, false, "RFC 1939 5"},
    {{"RSET", 4}, COMMAND_RSET, POP3_TRANSACTION, 0, 0, false, "RFC 1939 5"},
    {{"STAT", 4}, COMMAND_STAT, POP3_TRANSACTION, 0, 0, false, "RFC 1939 5"},
    {{"STLS", 4}, COMMAND_STLS, POP3_AUTHORIZATION, 0, 0, false, "RFC 2595 4"},
    {{"TOP", 3}, COMMAND_TOP, POP3_TRANSACTION, 2, 2, false, "RFC 1939 7"},
    {{"UIDL", 4}, COMMAND_UIDL, POP3_TRANSACTION, 0, 1, false, "RFC 1939 7"},
    {{"USER", 4}, COMMAND_USER, POP3_AUTHORIZATION, 1, 1, false, "RFC 1939 7"},
};

static const struct row *
row_find(struct str name)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (str_equal_nocase(rows[i].name, name))
			return &rows[i];
	return NULL;
}

/* False when there are more than the table allows. */
static bool
arguments_take(struct command *command, const struct row *row, struct str rest)
{
	struct str word;

	if (row->rest) {
		command->arguments[0] = rest;
		command->n = rest.n > 0 ? 1 : 0;
		return true;
	}
	while (str_word(&rest, &word)) {
		if (command->n == row->max)
			return false;
		command->arguments[command->n++] = word;
	}
	return true;
}

const char *
command_parse(struct command *command, struct str line, enum pop3_state state)
{
	size_t end = str_find(line, ' ');
	const struct row *row = row_find(str_sub(line, 0, end));

	if (row == NULL)
		return "Unknown command";
	if (!(row->states & state))
		return state == POP3_TRANSACTION ? "You are logged in already" : "Log in first";
	*command = (struct command){.verb = row->verb};
	if (!arguments_take(command, row, str_skip(line, end + 1)))
		return "Too many arguments";
	return command->n < row->min ? "An argument is missing" : NULL;
}

void
command_write_capabilities(struct buf *out, const struct command_capabilities *capabilities)
{
	buf_adds(out, "+OK What this server can do:\r\nTOP\r\nUIDL\r\nPIPELINING\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nEXPIRE NEVER\r\n");
	if (capabilities->stls)
		buf_adds(out, "STLS\r\n");
	if (capabilities->user)
		buf_adds(out, "USER\r\n");
	if (capabilities->mechanisms.n > 0)
		buf_addf(out, "SASL %.*s\r\n", STR_FMT(capabilities->mechanisms));
	buf_adds(out, "IMPLEMENTATION Merpati\r\n.\r\n");
}
