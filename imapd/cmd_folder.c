/*
 * The commands about the tree of folders.
 */
#include "common/store/folder_name.h"
#include "imapd/cmd.h"

static void
finish_or_fail(struct session *session, bool ok, const char *reply, const struct err *err)
{
	if (ok)
		session_finish(session, reply);
	else
		session_fail(session, err);
}

/* RFC 3501 6.3.3: a separator at the end only says that folders will be made below. */
void
cmd_create(struct session *session)
{
	struct str name;
	struct err err;

	if (!session_mailbox_name(session, session->imap.command.mailbox, &name))
		return;
	if (name.n > 0 && name.p[name.n - 1] == STORE_SEPARATOR)
		name.n--;
	finish_or_fail(session, store_create(session->user->store, name, 0, &err), "OK Created", &err);
}

void
cmd_delete(struct session *session)
{
	struct str name;
	struct err err;
	bool ok;

	if (!session_mailbox_name(session, session->imap.command.mailbox, &name))
		return;
	ok = store_delete(session->user->store, name, &err);
	if (ok)
		folder_forget(&session->user->folders, name);
	finish_or_fail(session, ok, "OK Deleted", &err);
}

/* INBOX stays, and only its messages go: who has it selected sees them leave. */
void
cmd_rename(struct session *session)
{
	struct str from, to;
	struct err err;
	bool ok;

	if (!session_mailbox_name(session, session->imap.command.mailbox, &from) ||
	    !session_mailbox_name(session, session->imap.command.other_mailbox, &to))
		return;
	ok = store_rename(session->user->store, from, to, &err);
	if (ok && folder_name_is_inbox(from))
		user_name_changed(session->user, from);
	else if (ok)
		folder_forget(&session->user->folders, from);
	finish_or_fail(session, ok, "OK Renamed", &err);
}

void
cmd_subscribe(struct session *session)
{
	bool on = session->imap.command.row->command == COMMAND_SUBSCRIBE;
	struct str name;
	struct err err;

	if (!session_mailbox_name(session, session->imap.command.mailbox, &name))
		return;
	finish_or_fail(session, store_subscribe(session->user->store, name, on, &err),
	    on ? "OK Subscribed" : "OK Unsubscribed", &err);
}

void
cmd_namespace(struct session *session)
{
	buf_addf(&session->stream.out, "* NAMESPACE ((\"\" \"%c\")) NIL NIL\r\n", STORE_SEPARATOR);
	session_finish(session, "OK Namespaces told");
}

/* ---- STATUS ---------------------------------------------------------------------------------------------------- */

static void
write_item(struct buf *out, bool *first, const char *name, size_t n)
{
	buf_addf(out, "%s%s %zu", *first ? "" : " ", name, n);
	*first = false;
}

static void
write_status(struct buf *out, unsigned items, const struct folder *folder)
{
	const struct view_source source = folder_source(folder);
	size_t recent = 0, unseen = 0;
	bool first = true;

	for (size_t i = 0; i < source.n; i++) {
		recent += source.records[i].recent && source.records[i].uid > source.recent_above;
		unseen += (source.records[i].flags & MAILDIR_SEEN) == 0;
	}
	if ((items & STATUS_MESSAGES) != 0)
		write_item(out, &first, "MESSAGES", source.n);
	if ((items & STATUS_RECENT) != 0)
		write_item(out, &first, "RECENT", recent);
	if ((items & STATUS_UIDNEXT) != 0)
		write_item(out, &first, "UIDNEXT", mailbox_uidnext(folder->mailbox));
	if ((items & STATUS_UIDVALIDITY) != 0)
		write_item(out, &first, "UIDVALIDITY", mailbox_uidvalidity(folder->mailbox));
	if ((items & STATUS_UNSEEN) != 0)
		write_item(out, &first, "UNSEEN", unseen);
}

/* A folder that is open tells from its records; another is opened for it, which is one scan of its names. */
void
cmd_status(struct session *session)
{
	struct buf *out = &session->stream.out;
	struct folder *folder;
	struct str name;
	struct err err;

	if (!session_mailbox_name(session, session->imap.command.mailbox, &name))
		return;
	folder = folder_find(&session->user->folders, name, true);
	folder = folder_acquire(&session->user->folders, session->user->store, name, folder != NULL, &err);
	if (folder == NULL) {
		session_fail(session, &err);
		return;
	}
	buf_adds(out, "* STATUS ");
	respond_astring(out, session->imap.command.mailbox);
	buf_adds(out, " (");
	write_status(out, session->imap.command.status, folder);
	buf_adds(out, ")\r\n");
	folder_release(folder);
	session_finish(session, "OK Status told");
}
