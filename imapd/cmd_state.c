/*
 * The commands about the session itself and the mailbox that it has selected.
 */
#include "imapd/capability.h"
#include "imapd/cmd.h"

void
cmd_capability(struct session *session)
{
	struct buf *out = &session->stream.out;

	buf_adds(out, "* CAPABILITY ");
	capability_write(out);
	buf_adds(out, "\r\n");
	session_finish(session, "OK Capabilities told");
}

void
cmd_noop(struct session *session)
{
	session_finish(session, "OK Nothing done");
}

void
cmd_id(struct session *session)
{
	capability_write_id(&session->stream.out);
	session_finish(session, "OK ID told");
}

/* There is nothing yet that would have to be enabled: RFC 5161 3.1 wants that said. */
void
cmd_enable(struct session *session)
{
	buf_adds(&session->stream.out, "* ENABLED\r\n");
	session_finish(session, "OK Nothing enabled");
}

void
cmd_logout(struct session *session)
{
	session_unselect(session);
	imap_set_state(&session->imap, IMAP_ENDED);
	buf_adds(&session->stream.out, "* BYE Goodbye\r\n");
	session_finish(session, "OK Logged out");
}

/* What there is to tell follows at once. */
void
cmd_idle(struct session *session)
{
	if (session->folder != NULL)
		(void)folder_look(session->folder);
	imap_idle(&session->imap);
}

/* ---- SELECT, EXAMINE ------------------------------------------------------------------------------------------- */

static uint32_t
first_unseen(const struct view *view)
{
	for (size_t i = 0; i < view->n; i++)
		if ((view->entries[i].flags & MAILDIR_SEEN) == 0)
			return (uint32_t)i + 1;
	return 0;
}

static void
describe(struct session *session)
{
	struct buf *out = &session->stream.out;
	const struct mailbox *mailbox = session->folder->mailbox;
	uint32_t unseen = first_unseen(&session->view);

	session_write_flag_lists(session);
	buf_addf(out, "* %zu EXISTS\r\n* %zu RECENT\r\n", session->view.n, session->view.recent);
	if (unseen > 0)
		buf_addf(out, "* OK [UNSEEN %u] First unseen message\r\n", (unsigned)unseen);
	buf_addf(out, "* OK [UIDVALIDITY %u] UIDs are valid\r\n", (unsigned)mailbox_uidvalidity(mailbox));
	buf_addf(out, "* OK [UIDNEXT %u] The next UID\r\n", (unsigned)mailbox_uidnext(mailbox));
}

static bool
open_view(struct session *session)
{
	struct view_source source = folder_source(session->folder);

	if (!view_open(&session->view, &source))
		return false;
	folder_claim_recent(session->folder);
	session->generation = session->folder->generation;
	return true;
}

void
cmd_select(struct session *session)
{
	bool writable = session->imap.command.row->command == COMMAND_SELECT;
	struct str name;
	struct err err;

	session_unselect(session);
	if (!session_mailbox_name(session, session->imap.command.mailbox, &name))
		return;
	session->folder = folder_acquire(&session->user->folders, session->user->store, name, writable, &err);
	if (session->folder == NULL) {
		session_fail(session, &err);
		return;
	}
	if (!open_view(session)) {
		session_unselect(session);
		session_fail_limit(session);
		return;
	}
	imap_set_state(&session->imap, IMAP_SELECTED);
	describe(session);
	user_push_later(session->user);
	session->reply = writable ? "OK [READ-WRITE] Selected" : "OK [READ-ONLY] Selected";
}

void
cmd_check(struct session *session)
{
	struct err err;

	if (mailbox_sync(session->folder->mailbox, &err))
		session_finish(session, "OK Checked");
	else
		session_fail(session, &err);
}

void
cmd_unselect(struct session *session)
{
	session_unselect(session);
	session_finish(session, "OK Unselected");
}
