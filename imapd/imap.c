#include "imapd/imap.h"

#include <stdarg.h>
#include <stdio.h>

void
imap_init(struct imap *imap, struct buf *out)
{
	*imap = (struct imap){.out = out};
	reader_init(&imap->reader, IMAP_COMMAND_MAX_BYTES);
	arena_init(&imap->arena, IMAP_ARENA_BYTES);
}

void
imap_clear(struct imap *imap)
{
	reader_clear(&imap->reader);
	arena_clear(&imap->arena);
}

size_t
imap_feed(struct imap *imap, struct str bytes)
{
	if (imap->phase == IMAP_RUNNING || imap->phase == IMAP_ANNOUNCED || imap->state == IMAP_ENDED)
		return 0;
	return reader_feed(&imap->reader, bytes);
}

/* ---- ending a command ------------------------------------------------------------------------------------------ */

/* Large commands are rare: what one needed is not kept for the next. */
static void
end_command(struct imap *imap)
{
	if (imap->arena.used > 65536)
		arena_clear(&imap->arena);
	else
		arena_reset(&imap->arena);
	reader_next(&imap->reader);
	imap->command.tag = STR_NONE;
	imap->refusal = NULL;
	imap->literals = 0;
	imap->phase = IMAP_BETWEEN;
}

void
imap_reply_begin(struct imap *imap)
{
	if (imap->command.tag.n > 0)
		buf_add(imap->out, imap->command.tag);
	else
		buf_addc(imap->out, '*');
	buf_addc(imap->out, ' ');
}

void
imap_reply_end(struct imap *imap)
{
	buf_adds(imap->out, "\r\n");
	imap->errors = 0;
	end_command(imap);
}

void
imap_reply(struct imap *imap, const char *format, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	imap_reply_begin(imap);
	buf_adds(imap->out, text);
	imap_reply_end(imap);
}

static enum imap_need
bye(struct imap *imap, const char *text)
{
	buf_addf(imap->out, "* BYE %s\r\n", text);
	imap->state = IMAP_ENDED;
	return IMAP_CLOSE;
}

/* What cannot be done, answered with what follows the tag. BAD is the client's mistake, and counted. */
static enum imap_need
refuse(struct imap *imap, const char *reply)
{
	unsigned errors = imap->errors + (reply[0] == 'B');

	imap_reply(imap, "%s", reply);
	imap->errors = errors;
	return errors > IMAP_ERRORS_MAX ? bye(imap, "Too many errors") : IMAP_MORE;
}

static enum imap_need
refuse_bad(struct imap *imap, const char *problem)
{
	char reply[256];

	(void)snprintf(reply, sizeof reply, "BAD %s", problem);
	return refuse(imap, reply);
}

/* ---- commands -------------------------------------------------------------------------------------------------- */

static bool
is_legal(const struct imap *imap)
{
	unsigned state = imap->state == IMAP_SELECTED ? COMMAND_IN_SELECTED : COMMAND_IN_AUTHENTICATED;

	return (imap->command.row->states & state) != 0;
}

static bool
is_login_verb(struct str verb)
{
	return str_equal_nocase(verb, STR("LOGIN")) || str_equal_nocase(verb, STR("AUTHENTICATE")) ||
	    str_equal_nocase(verb, STR("STARTTLS"));
}

static enum imap_need
refuse_unknown(struct imap *imap)
{
	struct str text = reader_so_far(&imap->reader), word;

	(void)str_word(&text, &word);
	if (str_word(&text, &word) && is_login_verb(word))
		return refuse_bad(imap, "Already logged in");
	return refuse_bad(imap, "Unknown command");
}

static enum imap_need
act_on_parsed(struct imap *imap, enum command_result result, const char *problem)
{
	switch (result) {
	case COMMAND_NO_TAG:
		return refuse_bad(imap, "A tag and a command are expected");
	case COMMAND_UNKNOWN:
		return refuse_unknown(imap);
	case COMMAND_BAD:
		return refuse_bad(imap, problem);
	case COMMAND_GOOD:
		break;
	}
	if (!is_legal(imap))
		return refuse_bad(imap, "Select a mailbox first");
	imap->phase = IMAP_RUNNING;
	return IMAP_COMMAND;
}

static enum imap_need
take_command(struct imap *imap)
{
	struct parse_text t = {.rest = reader_command(&imap->reader), .arena = &imap->arena};
	enum command_result result = command_parse(&t, &imap->command);

	if (result == COMMAND_GOOD && imap->command.row->command == COMMAND_APPEND)
		return refuse_bad(imap, "The message is missing");
	return act_on_parsed(imap, result, t.problem);
}

/* The arguments were parsed when the literal was announced. */
static enum imap_need
take_append_end(struct imap *imap)
{
	struct str command = reader_command(&imap->reader);

	if (imap->reader.line < command.n) {
		enum imap_need need = refuse_bad(imap, "Nothing may follow the message");

		return need == IMAP_CLOSE ? need : IMAP_APPEND_ABORT;
	}
	imap->phase = IMAP_RUNNING;
	return IMAP_COMMAND;
}

static enum imap_need
take_idle_end(struct imap *imap)
{
	if (!str_equal_nocase(reader_command(&imap->reader), STR("DONE")))
		return refuse_bad(imap, "DONE expected");
	imap->phase = IMAP_RUNNING;
	return IMAP_IDLE_DONE;
}

static enum imap_need
take_line(struct imap *imap)
{
	if (imap->refusal != NULL)
		return refuse(imap, imap->refusal);
	if (imap->phase == IMAP_IDLING)
		return take_idle_end(imap);
	if (imap->phase == IMAP_APPENDING)
		return take_append_end(imap);
	if (reader_command(&imap->reader).n == 0) { /* an empty line between commands does no harm */
		reader_next(&imap->reader);
		return IMAP_MORE;
	}
	return take_command(imap);
}

/* ---- literals -------------------------------------------------------------------------------------------------- */

/* Refuses the command whose literal was announced: at once when the client waits, else at the command's end. */
static enum imap_need
refuse_literal(struct imap *imap, const char *reply)
{
	if (imap->reader.literal_waits)
		return refuse(imap, reply);
	imap->refusal = reply;
	imap->phase = IMAP_BETWEEN;
	reader_skip(&imap->reader);
	return IMAP_MORE;
}

static bool
is_append_verb(const struct imap *imap)
{
	struct str text = reader_so_far(&imap->reader), tag, verb;

	return str_word(&text, &tag) && str_word(&text, &verb) && str_equal_nocase(verb, STR("APPEND"));
}

/*
 * Is all that has come an APPEND up to its message? Then its arguments are in imap->command, and point into a copy,
 * since what the reader holds moves when it grows.
 */
static bool
is_append(struct imap *imap)
{
	struct str text = reader_so_far(&imap->reader);
	struct parse_text t = {.arena = &imap->arena};

	t.rest = arena_copy(&imap->arena, str_sub(text, 0, str_find_last(text, '{')));
	return t.rest.p != NULL && command_parse(&t, &imap->command) == COMMAND_GOOD &&
	    imap->command.row->command == COMMAND_APPEND;
}

static void
find_tag(struct imap *imap)
{
	struct parse_text t = {.rest = reader_so_far(&imap->reader), .arena = &imap->arena};

	if (imap->command.tag.n == 0 && parse_tag(&t, &imap->command.tag))
		imap->command.tag = arena_copy(&imap->arena, imap->command.tag);
}

static void
go_ahead(struct imap *imap)
{
	if (imap->reader.literal_waits)
		buf_adds(imap->out, "+ OK\r\n");
}

static enum imap_need
take_announcement(struct imap *imap)
{
	struct buf *command = &imap->reader.command;

	if (imap->phase == IMAP_IDLING || imap->phase == IMAP_APPENDING) {
		bool appending = imap->phase == IMAP_APPENDING;
		enum imap_need need = refuse_literal(imap, "BAD No literal is expected");

		return appending && need == IMAP_MORE ? IMAP_APPEND_ABORT : need;
	}
	if (imap->refusal != NULL)
		return refuse_literal(imap, imap->refusal);
	if (is_append_verb(imap)) {
		if (is_append(imap)) {
			imap->phase = IMAP_ANNOUNCED;
			return IMAP_APPEND;
		}
		if (imap->literals > 0) /* the mailbox was one already */
			return refuse_literal(imap, "BAD Syntax error");
	}
	find_tag(imap);
	if (++imap->literals > IMAP_LITERALS_MAX)
		return refuse_literal(imap, "BAD Too many literals");
	if (imap->reader.literal_bytes > command->max - command->n)
		return refuse_literal(imap, "BAD [TOOBIG] Literal too large");
	arena_reset(&imap->arena);
	imap->command.tag = STR_NONE;
	go_ahead(imap);
	reader_collect(&imap->reader);
	return IMAP_MORE;
}

/* ---- what is to be done ---------------------------------------------------------------------------------------- */

enum imap_need
imap_next(struct imap *imap)
{
	if (imap->state == IMAP_ENDED)
		return IMAP_CLOSE;
	if (imap->phase == IMAP_RUNNING || imap->phase == IMAP_ANNOUNCED)
		return IMAP_MORE;
	switch (imap->reader.event) {
	case READER_MORE:
		break;
	case READER_COMMAND:
		return take_line(imap);
	case READER_LITERAL:
		return take_announcement(imap);
	case READER_STREAM:
		return IMAP_APPEND_CHUNK;
	case READER_TOO_LONG:
		return bye(imap, "[TOOBIG] Command too long");
	case READER_MALFORMED:
		return bye(imap, "Lines must end in CRLF");
	}
	return IMAP_MORE;
}

void
imap_set_state(struct imap *imap, enum imap_state state)
{
	imap->state = state;
}

void
imap_idle(struct imap *imap)
{
	imap->phase = IMAP_IDLING;
	reader_next(&imap->reader);
	buf_adds(imap->out, "+ idling\r\n");
}

bool
imap_is_idle(const struct imap *imap)
{
	return imap->phase == IMAP_IDLING;
}

uint64_t
imap_append_bytes(const struct imap *imap)
{
	return imap->reader.literal_bytes;
}

void
imap_append_begin(struct imap *imap)
{
	imap->phase = IMAP_APPENDING;
	go_ahead(imap);
	reader_stream(&imap->reader);
}

void
imap_append_refuse(struct imap *imap, const char *reply)
{
	(void)refuse_literal(imap, reply);
}

bool
imap_has_chunk(const struct imap *imap)
{
	return imap->reader.event == READER_STREAM;
}

struct str
imap_append_chunk(const struct imap *imap)
{
	return imap->reader.chunk;
}

void
imap_append_go_on(struct imap *imap)
{
	reader_go_on(&imap->reader);
}
