/*
 * EXPUNGE, UID EXPUNGE (RFC 4315) and CLOSE.
 */
#include "imapd/cmd.h"

struct expunge_job {
	struct job job;
	size_t index; /* of the next entry of the view */
	bool closing;
	bool removed; /* something */
};

static bool
is_wanted(const struct session *session, const struct view_entry *entry, const struct mailbox_record *record)
{
	const struct command *command = &session->imap.command;

	return record != NULL && (record->flags & MAILDIR_TRASHED) != 0 &&
	    (!command->uid || seqset_contains(&command->set, entry->uid));
}

static bool
expunge_one(struct session *session, struct expunge_job *e, const struct view_entry *entry, struct err *err)
{
	struct mailbox *mailbox = session->folder->mailbox;

	if (!is_wanted(session, entry, mailbox_find(mailbox, entry->uid)))
		return true;
	e->removed = true;
	return mailbox_remove(mailbox, entry->uid, err) != MAILBOX_FAILED;
}

/* What is said to be removed stays so. */
static enum job_progress
expunge_done(struct session *session, struct expunge_job *e)
{
	struct err err;
	bool ok = !e->removed || mailbox_sync(session->folder->mailbox, &err);

	if (e->removed)
		user_folder_changed(session->user, session->folder);
	if (e->closing)
		session_unselect(session);
	if (!ok)
		session_fail(session, &err);
	else
		session_finish(session, e->closing ? "OK Closed" : "OK Expunged");
	return JOB_DONE;
}

static enum job_progress
expunge_step(struct session *session, struct job *job, uint64_t begin_ms)
{
	struct expunge_job *e = container_of(job, struct expunge_job, job);
	struct err err;

	while (e->index < session->view.n) {
		if (!expunge_one(session, e, &session->view.entries[e->index++], &err)) {
			user_folder_changed(session->user, session->folder);
			session_fail(session, &err);
			return JOB_DONE;
		}
		if (user_slice_is_over(session->user, begin_ms))
			return JOB_AGAIN;
	}
	return expunge_done(session, e);
}

static void
begin(struct session *session, bool closing)
{
	struct expunge_job *e = arena_alloc(&session->imap.arena, sizeof *e);

	if (e == NULL) {
		session_fail_limit(session);
		return;
	}
	e->job.step = expunge_step;
	e->closing = closing;
	if (session->imap.command.uid)
		seqset_resolve(&session->imap.command.set, view_last_uid(&session->view));
	session_start_job(session, &e->job);
}

void
cmd_expunge(struct session *session)
{
	if (session->folder->writable)
		begin(session, false);
	else
		session_finish(session, "NO [READ-ONLY] The mailbox was opened with EXAMINE");
}

void
cmd_close(struct session *session)
{
	if (session->folder->writable) {
		begin(session, true);
		return;
	}
	session_unselect(session);
	session_finish(session, "OK Closed");
}
