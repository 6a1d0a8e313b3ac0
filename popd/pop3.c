#include "popd/pop3.h"

#include <inttypes.h>

#include "popd/command.h"

static void
totals(const struct pop3 *p, size_t *count, uint64_t *size)
{
	*count = 0;
	*size = 0;
	for (size_t i = 0; i < p->n; i++)
		if (!p->messages[i].deleted) {
			(*count)++;
			*size += p->messages[i].size;
		}
}

static enum pop3_want
refuse(struct pop3 *p, const char *why)
{
	buf_addf(p->out, "-ERR %s\r\n", why);
	if (++p->errors < POP3_ERRORS_MAX)
		return POP3_AGAIN;
	buf_adds(p->out, "-ERR Too many errors\r\n");
	return p->want = POP3_CLOSE;
}

static enum pop3_want
good(struct pop3 *p, const char *text)
{
	buf_addf(p->out, "+OK %s\r\n", text);
	return POP3_AGAIN;
}

/* Finds the message of a number, if it exists and is not deleted. */
static bool
message_find(const struct pop3 *p, struct str number, size_t *index)
{
	uint64_t value;

	if (!str_to_u64(number, p->n, &value) || value == 0 || p->messages[value - 1].deleted)
		return false;
	*index = (size_t)value - 1;
	return true;
}

/* --- listings ------------------------------------------------------------------------------------------------------ */

static void
write_one(struct pop3 *p, size_t i, bool uid)
{
	const struct pop3_message *m = &p->messages[i];

	if (uid)
		buf_addf(p->out, "%zu %08" PRIx32 "%08" PRIx32 "\r\n", i + 1, m->uid, p->uidvalidity);
	else
		buf_addf(p->out, "%zu %" PRIu64 "\r\n", i + 1, m->size);
}

static enum pop3_want
list_slice(struct pop3 *p)
{
	for (; p->next < p->n; p->next++) {
		if (p->out->n >= POP3_SLICE_BYTES)
			return POP3_ROOM;
		if (!p->messages[p->next].deleted)
			write_one(p, p->next, p->listing_uids);
	}
	buf_adds(p->out, ".\r\n");
	p->listing = false;
	return POP3_AGAIN;
}

static enum pop3_want
cmd_list(struct pop3 *p, const struct command *command)
{
	bool uid = command->verb == COMMAND_UIDL;
	size_t i;

	if (command->n == 1) {
		if (!message_find(p, command->arguments[0], &i))
			return refuse(p, "No such message");
		buf_adds(p->out, "+OK ");
		write_one(p, i, uid);
		return POP3_AGAIN;
	}
	(void)good(p, uid ? "Unique identifiers:" : "Sizes:");
	p->listing = true;
	p->listing_uids = uid;
	p->next = 0;
	return POP3_AGAIN;
}

static enum pop3_want
cmd_stat(struct pop3 *p)
{
	size_t count;
	uint64_t size;

	totals(p, &count, &size);
	buf_addf(p->out, "+OK %zu %" PRIu64 "\r\n", count, size);
	return POP3_AGAIN;
}

/* --- messages ------------------------------------------------------------------------------------------------------ */

static enum pop3_want
cmd_retr(struct pop3 *p, const struct command *command)
{
	if (!message_find(p, command->arguments[0], &p->current))
		return refuse(p, "No such message");
	p->top = command->verb == COMMAND_TOP;
	if (p->top && !str_to_u64(command->arguments[1], UINT32_MAX, &p->lines_left))
		return refuse(p, "How many lines?");
	return p->want = POP3_OPEN;
}

void
pop3_opened(struct pop3 *p)
{
	p->writer = (struct dot_writer){.inside = false};
	p->in_header = true;
	p->inside_line = false;
	p->finished = false;
	p->want = POP3_BODY;
	if (p->top)
		(void)good(p, "Top of the message:");
	else
		buf_addf(p->out, "+OK %" PRIu64 " octets\r\n", p->messages[p->current].size);
}

void
pop3_not_opened(struct pop3 *p, bool gone)
{
	p->want = POP3_AGAIN;
	(void)refuse(p, gone ? "Another program has removed this message" :
			       "[SYS/TEMP] The message cannot be read now");
}

/* One more line is complete: was it the last one that TOP wants? */
static bool
top_line_ends(struct pop3 *p)
{
	bool empty = !p->inside_line;

	p->inside_line = false;
	if (!p->in_header) {
		p->lines_left--;
	} else if (empty) {
		p->in_header = false;
	} else {
		return false;
	}
	return !p->in_header && p->lines_left == 0;
}

/* How many of these bytes TOP wants. */
static size_t
top_bytes(struct pop3 *p, struct str bytes, bool *last)
{
	for (size_t i = 0; i < bytes.n; i++) {
		if (bytes.p[i] != '\n')
			p->inside_line |= bytes.p[i] != '\r';
		else if (top_line_ends(p)) {
			*last = true;
			return i + 1;
		}
	}
	return bytes.n;
}

/* A bounded piece at a time, so that what is counted for TOP is also written. */
#define PIECE_BYTES 1024

static size_t
body_piece(struct pop3 *p, struct str piece)
{
	bool last = false;
	size_t wanted = p->top ? top_bytes(p, piece, &last) : piece.n, taken = 0;

	while (taken < wanted) {
		char room[2 * PIECE_BYTES];
		size_t written;

		taken += dot_write(&p->writer, str_sub(piece, taken, wanted - taken), room, sizeof room, &written);
		buf_add(p->out, (struct str){room, written});
		p->retrieved_bytes += written;
	}
	p->finished = last;
	return wanted;
}

size_t
pop3_body(struct pop3 *p, struct str bytes)
{
	size_t taken = 0;

	while (taken < bytes.n && !p->finished && p->out->n < POP3_SLICE_BYTES)
		taken += body_piece(p, str_sub(bytes, taken, PIECE_BYTES));
	return taken;
}

void
pop3_body_end(struct pop3 *p)
{
	char end[DOT_WRITE_END_MAX];

	buf_add(p->out, (struct str){end, dot_write_end(&p->writer, end)});
	if (!p->top)
		p->retrieved++;
	p->want = POP3_AGAIN;
}

/* --- deleting ------------------------------------------------------------------------------------------------------ */

static enum pop3_want
cmd_dele(struct pop3 *p, const struct command *command)
{
	size_t i;

	if (!message_find(p, command->arguments[0], &i))
		return refuse(p, "No such message");
	p->messages[i].deleted = true;
	p->deleted++;
	return good(p, "Marked; it goes when you say QUIT");
}

static enum pop3_want
cmd_rset(struct pop3 *p)
{
	for (size_t i = 0; i < p->n; i++)
		p->messages[i].deleted = false;
	p->deleted = 0;
	return good(p, "Nothing will be deleted");
}

static enum pop3_want
cmd_quit(struct pop3 *p)
{
	if (p->deleted > 0)
		return p->want = POP3_UPDATE;
	(void)good(p, "Bye");
	return p->want = POP3_CLOSE;
}

void
pop3_updated(struct pop3 *p, bool all)
{
	p->want = POP3_CLOSE;
	if (all)
		(void)good(p, "Deleted; bye");
	else
		buf_adds(p->out, "-ERR [SYS/TEMP] Some deleted messages were not removed\r\n");
}

/* --- commands ------------------------------------------------------------------------------------------------------ */

static enum pop3_want
cmd_capa(struct pop3 *p)
{
	/* What was there before the login is announced after it too (RFC 2449 5); not so STLS (RFC 2595 4). */
	command_write_capabilities(p->out, &(struct command_capabilities){.user = true, .mechanisms = p->mechanisms});
	return POP3_AGAIN;
}

static enum pop3_want
dispatch(struct pop3 *p, const struct command *command)
{
	switch (command->verb) {
	case COMMAND_CAPA:
		return cmd_capa(p);
	case COMMAND_DELE:
		return cmd_dele(p, command);
	case COMMAND_LIST:
	case COMMAND_UIDL:
		return cmd_list(p, command);
	case COMMAND_NOOP:
		return good(p, "Still here");
	case COMMAND_QUIT:
		return cmd_quit(p);
	case COMMAND_RETR:
	case COMMAND_TOP:
		return cmd_retr(p, command);
	case COMMAND_RSET:
		return cmd_rset(p);
	case COMMAND_STAT:
		return cmd_stat(p);
	case COMMAND_AUTH:
	case COMMAND_PASS:
	case COMMAND_STLS:
	case COMMAND_USER:
		break; /* the table has them for earlier */
	}
	return refuse(p, "You are logged in already");
}

static enum pop3_want
command_line(struct pop3 *p, struct str line)
{
	struct command command;
	const char *wrong = command_parse(&command, line, POP3_TRANSACTION);
	unsigned errors = p->errors;
	enum pop3_want want = wrong != NULL ? refuse(p, wrong) : dispatch(p, &command);

	if (p->errors == errors)
		p->errors = 0;
	return want;
}

enum pop3_want
pop3_step(struct pop3 *p, struct str in, size_t *taken)
{
	struct str line;
	enum line what;

	*taken = 0;
	if (p->want != POP3_AGAIN)
		return p->want;
	if (p->out->n >= POP3_SLICE_BYTES)
		return POP3_ROOM;
	if (p->listing)
		return list_slice(p);
	what = line_next(&p->lexer, in, COMMAND_LINE_MAX_BYTES, &line);
	switch (what) {
	case LINE_MORE:
		return POP3_INPUT;
	case LINE_WHOLE:
		*taken = line_wire_bytes(line);
		return command_line(p, line);
	case LINE_TOO_LONG:
		buf_adds(p->out, "-ERR The line is too long\r\n");
		break;
	case LINE_BARE_CR:
	case LINE_BARE_LF:
	case LINE_NUL:
		buf_addf(p->out, "-ERR %s in a command\r\n", line_name(what));
		break;
	}
	return p->want = POP3_CLOSE;
}

void
pop3_init(struct pop3 *p, struct buf *out, const struct pop3_maildrop *maildrop)
{
	size_t count;
	uint64_t size;

	*p = (struct pop3){.out = out, .want = POP3_AGAIN, .messages = maildrop->messages, .n = maildrop->n,
	    .uidvalidity = maildrop->uidvalidity, .mechanisms = maildrop->mechanisms};
	totals(p, &count, &size);
	buf_addf(out, "+OK %zu messages (%" PRIu64 " octets)\r\n", count, size);
}
