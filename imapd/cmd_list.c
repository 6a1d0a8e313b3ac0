/*
 * LIST and LSUB, with the attributes of CHILDREN (RFC 3348) and SPECIAL-USE (RFC 6154).
 */
#include "common/store/folder_name.h"
#include "common/mime/mutf7.h"
#include "imapd/cmd.h"
#include "imapd/list_pattern.h"

static void
write_uses(struct buf *out, unsigned uses)
{
	for (unsigned bit = 0; bit < MAILBOX_USE_COUNT; bit++)
		if ((uses >> bit & 1) != 0)
			buf_addf(out, " %s", mailbox_use_name((enum mailbox_use_bit)bit));
}

static void
write_folder(struct buf *out, const char *verb, const struct store_folder *folder, bool selectable)
{
	buf_addf(out, "* %s (", verb);
	if (!selectable)
		buf_adds(out, "\\Noselect ");
	buf_adds(out, folder->has_children ? "\\HasChildren" : "\\HasNoChildren");
	write_uses(out, folder->uses);
	buf_addf(out, ") \"%c\" ", STORE_SEPARATOR);
	respond_mailbox(out, str_from(folder->name));
	buf_adds(out, "\r\n");
}

static bool
matches(struct str pattern, const char *name)
{
	struct buf encoded;
	bool match;

	buf_init(&encoded, 4096);
	match = mutf7_encode(&encoded, str_from(name)) && list_pattern_matches(pattern, buf_str(&encoded));
	buf_clear(&encoded);
	return match;
}

/* Names that are only subscribed to, or subscribed to no more, are no folders. */
static void
list_folders(struct buf *out, const struct store_list *list, struct str pattern)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct store_folder *folder = &list->folders[i];

		if ((folder->exists || folder->has_children) && matches(pattern, folder->name))
			write_folder(out, "LIST", folder, folder->exists);
	}
}

static bool
is_subscribed(const struct store_list *list, struct str name)
{
	for (size_t i = 0; i < list->n; i++)
		if (str_equal(str_from(list->folders[i].name), name))
			return list->folders[i].subscribed;
	return false;
}

static bool
is_below(struct str name, struct str parent)
{
	return name.n > parent.n && str_starts(name, parent) && name.p[parent.n] == STORE_SEPARATOR;
}

/*
 * RFC 3501 6.3.9: where % hides a subscribed folder, its parent is named instead, as one that cannot be selected. The
 * folders below a parent are neighbours in the list, so that it was named already if `before` is below it too.
 */
static void
list_hiding_parents(struct buf *out, const struct store_list *list, struct str pattern, size_t i, struct str before)
{
	struct str name = str_from(list->folders[i].name);

	for (size_t n = str_find(name, STORE_SEPARATOR); n < name.n;
	    n += 1 + str_find(str_skip(name, n + 1), STORE_SEPARATOR)) {
		struct str parent = str_sub(name, 0, n);
		char text[FOLDER_NAME_MAX + 1];
		const struct store_folder shown = {.name = text, .has_children = true};

		if (!is_below(before, parent) && str_copy(text, sizeof text, parent) && matches(pattern, text) &&
		    !is_subscribed(list, parent))
			write_folder(out, "LSUB", &shown, false);
	}
}

static void
list_subscribed(struct buf *out, const struct store_list *list, struct str pattern)
{
	bool hides = pattern.n > 0 && pattern.p[pattern.n - 1] == '%';
	struct str before = STR_NONE;

	for (size_t i = 0; i < list->n; i++) {
		const struct store_folder *folder = &list->folders[i];

		if (!folder->subscribed)
			continue;
		if (hides)
			list_hiding_parents(out, list, pattern, i, before);
		if (matches(pattern, folder->name))
			write_folder(out, "LSUB", folder, true);
		before = str_from(folder->name);
	}
}

void
cmd_list(struct session *session)
{
	const struct command *command = &session->imap.command;
	bool lsub = command->row->command == COMMAND_LSUB;
	struct buf *out = &session->stream.out;
	struct store_list list = {0};
	struct str pattern;
	struct err err;

	if (command->other_mailbox.n == 0 && !lsub) {
		buf_addf(out, "* LIST (\\Noselect) \"%c\" \"\"\r\n", STORE_SEPARATOR);
		session_finish(session, "OK Listed");
		return;
	}
	pattern = list_pattern_make(&session->imap.arena, command->mailbox, command->other_mailbox);
	if (pattern.p == NULL) {
		session_fail_limit(session);
		return;
	}
	if (!store_list(session->user->store, &list, &err)) {
		session_fail(session, &err);
		return;
	}
	if (lsub)
		list_subscribed(out, &list, pattern);
	else
		list_folders(out, &list, pattern);
	store_list_clear(&list);
	session_finish(session, "OK Listed");
}
