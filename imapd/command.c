#include "imapd/command.h"

#include <string.h>

static bool
parse_nothing(struct parse_text *t, struct command *command)
{
	(void)t;
	(void)command;
	return true;
}

/* ---- mailboxes ------------------------------------------------------------------------------------------------- */

static bool
parse_mailbox(struct parse_text *t, struct command *command)
{
	return parse_space(t) && parse_astring(t, &command->mailbox);
}

static bool
parse_rename(struct parse_text *t, struct command *command)
{
	return parse_mailbox(t, command) && parse_space(t) && parse_astring(t, &command->other_mailbox);
}

static bool
parse_list(struct parse_text *t, struct command *command)
{
	return parse_mailbox(t, command) && parse_space(t) && parse_list_mailbox(t, &command->other_mailbox);
}

static bool
parse_status_item(struct parse_text *t, struct command *command)
{
	static const struct {
		const char *name;
		enum status_item item;
	} items[] = {
	    {"MESSAGES", STATUS_MESSAGES},
	    {"RECENT", STATUS_RECENT},
	    {"UIDNEXT", STATUS_UIDNEXT},
	    {"UIDVALIDITY", STATUS_UIDVALIDITY},
	    {"UNSEEN", STATUS_UNSEEN},
	};

	for (size_t i = 0; i < sizeof items / sizeof items[0]; i++) {
		if (parse_keyword(t, items[i].name)) {
			command->status |= (unsigned)items[i].item;
			return true;
		}
	}
	return parse_fail(t, "Unknown status item");
}

static bool
parse_status(struct parse_text *t, struct command *command)
{
	if (!parse_mailbox(t, command) || !parse_space(t) || !parse_char(t, '('))
		return false;
	do {
		if (!parse_status_item(t, command))
			return false;
	} while (parse_skip(t, ' '));
	return parse_char(t, ')');
}

/* What stands before the message; the reader hands that out as it comes. */
static bool
parse_append(struct parse_text *t, struct command *command)
{
	if (!parse_mailbox(t, command) || !parse_space(t))
		return false;
	if (parse_peek(t, '(') && (!parse_flag_list(t, &command->flags) || !parse_space(t)))
		return false;
	if (!parse_peek(t, '"'))
		return true;
	command->has_date = true;
	return parse_date_time(t, &command->date) && parse_space(t);
}

/* ---- messages -------------------------------------------------------------------------------------------------- */

static bool
parse_set(struct parse_text *t, struct command *command)
{
	return parse_space(t) && seqset_parse(t, &command->set);
}

static bool
parse_fetch(struct parse_text *t, struct command *command)
{
	if (!parse_set(t, command) || !parse_space(t) || !fetch_items_parse(t, &command->fetch))
		return false;
	if (command->uid)
		command->fetch.items |= FETCH_UID;
	return true;
}

static bool
parse_store(struct parse_text *t, struct command *command)
{
	if (!parse_set(t, command) || !parse_space(t))
		return false;
	command->change = parse_skip(t, '+') ? STORE_ADD : parse_skip(t, '-') ? STORE_REMOVE : STORE_SET;
	command->silent = parse_keyword(t, "FLAGS.SILENT");
	if (!command->silent && !parse_keyword(t, "FLAGS"))
		return parse_fail(t, "FLAGS expected");
	return parse_space(t) && parse_flags(t, &command->flags);
}

static bool
parse_copy(struct parse_text *t, struct command *command)
{
	return parse_set(t, command) && parse_mailbox(t, command);
}

static bool
parse_search(struct parse_text *t, struct command *command)
{
	return parse_space(t) && search_parse(t, &command->search);
}

static bool
parse_expunge(struct parse_text *t, struct command *command)
{
	return !command->uid || parse_set(t, command);
}

/* ---- further --------------------------------------------------------------------------------------------------- */

/* RFC 2971: "(" *(string SP nstring) ")" / NIL. What it says is of no use to us. */
bool
command_parse_id(struct parse_text *t)
{
	struct str s;

	if (!parse_space(t))
		return false;
	if (!parse_skip(t, '('))
		return parse_nstring(t, &s);
	if (parse_skip(t, ')'))
		return true;
	do {
		if (!parse_string(t, &s) || !parse_space(t) || !parse_nstring(t, &s))
			return false;
	} while (parse_skip(t, ' '));
	return parse_char(t, ')');
}

static bool
parse_id(struct parse_text *t, struct command *command)
{
	(void)command;
	return command_parse_id(t);
}

/* RFC 5161: 1*(SP capability). */
static bool
parse_enable(struct parse_text *t, struct command *command)
{
	struct str name;

	(void)command;
	do {
		if (!parse_space(t) || !parse_atom(t, &name))
			return false;
	} while (!parse_at_end(t));
	return true;
}

/* ---- the table ------------------------------------------------------------------------------------------------- */

#define BOTH COMMAND_IN_BOTH
#define SELECTED COMMAND_IN_SELECTED

static const struct command_row rows[] = {
    /* verb, legal in, command, arguments, has a UID form, keeps sequence numbers, reference */
    {STR("APPEND"), BOTH, COMMAND_APPEND, parse_append, false, false, "RFC 3501 6.3.11"},
    {STR("CAPABILITY"), BOTH, COMMAND_CAPABILITY, parse_nothing, false, false, "RFC 3501 6.1.1"},
    {STR("CHECK"), SELECTED, COMMAND_CHECK, parse_nothing, false, false, "RFC 3501 6.4.1"},
    {STR("CLOSE"), SELECTED, COMMAND_CLOSE, parse_nothing, false, false, "RFC 3501 6.4.2"},
    {STR("COPY"), SELECTED, COMMAND_COPY, parse_copy, true, false, "RFC 3501 6.4.7"},
    {STR("CREATE"), BOTH, COMMAND_CREATE, parse_mailbox, false, false, "RFC 3501 6.3.3"},
    {STR("DELETE"), BOTH, COMMAND_DELETE, parse_mailbox, false, false, "RFC 3501 6.3.4"},
    {STR("ENABLE"), BOTH, COMMAND_ENABLE, parse_enable, false, false, "RFC 5161 3.1"},
    {STR("EXAMINE"), BOTH, COMMAND_EXAMINE, parse_mailbox, false, false, "RFC 3501 6.3.2"},
    {STR("EXPUNGE"), SELECTED, COMMAND_EXPUNGE, parse_expunge, true, false, "RFC 3501 6.4.3, RFC 4315 2.1"},
    {STR("FETCH"), SELECTED, COMMAND_FETCH, parse_fetch, true, true, "RFC 3501 6.4.5"},
    {STR("ID"), BOTH, COMMAND_ID, parse_id, false, false, "RFC 2971 3.1"},
    {STR("IDLE"), BOTH, COMMAND_IDLE, parse_nothing, false, false, "RFC 2177 3"},
    {STR("LIST"), BOTH, COMMAND_LIST, parse_list, false, false, "RFC 3501 6.3.8"},
    {STR("LOGOUT"), BOTH, COMMAND_LOGOUT, parse_nothing, false, false, "RFC 3501 6.1.3"},
    {STR("LSUB"), BOTH, COMMAND_LSUB, parse_list, false, false, "RFC 3501 6.3.9"},
    {STR("MOVE"), SELECTED, COMMAND_MOVE, parse_copy, true, false, "RFC 6851 3.1"},
    {STR("NAMESPACE"), BOTH, COMMAND_NAMESPACE, parse_nothing, false, false, "RFC 2342 5"},
    {STR("NOOP"), BOTH, COMMAND_NOOP, parse_nothing, false, false, "RFC 3501 6.1.2"},
    {STR("RENAME"), BOTH, COMMAND_RENAME, parse_rename, false, false, "RFC 3501 6.3.5"},
    {STR("SEARCH"), SELECTED, COMMAND_SEARCH, parse_search, true, true, "RFC 3501 6.4.4"},
    {STR("SELECT"), BOTH, COMMAND_SELECT, parse_mailbox, false, false, "RFC 3501 6.3.1"},
    {STR("STATUS"), BOTH, COMMAND_STATUS, parse_status, false, false, "RFC 3501 6.3.10"},
    {STR("STORE"), SELECTED, COMMAND_STORE, parse_store, true, true, "RFC 3501 6.4.6"},
    {STR("SUBSCRIBE"), BOTH, COMMAND_SUBSCRIBE, parse_mailbox, false, false, "RFC 3501 6.3.6"},
    {STR("UNSELECT"), SELECTED, COMMAND_UNSELECT, parse_nothing, false, false, "RFC 3691 2"},
    {STR("UNSUBSCRIBE"), BOTH, COMMAND_UNSUBSCRIBE, parse_mailbox, false, false, "RFC 3501 6.3.7"},
};

const struct command_row *
command_rows(size_t *n)
{
	*n = sizeof rows / sizeof rows[0];
	return rows;
}

static const struct command_row *
find_row(struct str verb)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (str_equal_nocase(verb, rows[i].verb))
			return &rows[i];
	return NULL;
}

/* command = verb / "UID" SP verb */
static enum command_result
parse_verb(struct parse_text *t, struct command *command)
{
	struct str verb;

	if (!parse_space(t))
		return COMMAND_BAD;
	command->uid = parse_keyword(t, "UID");
	if ((command->uid && !parse_space(t)) || !parse_atom(t, &verb))
		return COMMAND_BAD;
	command->row = find_row(verb);
	return command->row == NULL || (command->uid && !command->row->has_uid_form) ? COMMAND_UNKNOWN : COMMAND_GOOD;
}

enum command_result
command_parse(struct parse_text *t, struct command *command)
{
	enum command_result result;

	memset(command, 0, sizeof *command);
	if (!parse_tag(t, &command->tag))
		return COMMAND_NO_TAG;
	command->tag = arena_copy(t->arena, command->tag);
	if (command->tag.p == NULL)
		return COMMAND_NO_TAG;
	result = parse_verb(t, command);
	if (result != COMMAND_GOOD)
		return result;
	if (!command->row->parse(t, command))
		return COMMAND_BAD;
	return parse_end(t) ? COMMAND_GOOD : COMMAND_BAD;
}
