/*
 * STORE.
 */
#include "imapd/cmd.h"
#include "imapd/keywords.h"

struct store_job {
	struct job job;
	struct session_messages messages;
	enum mailbox_how how;
	struct keyword_set set;
	bool silent;
	unsigned missing;
};

/* The client knows what it asked for; if something else came of it, the difference is told at the command's end. */
static void
expect(struct view_entry *entry, const struct store_job *s)
{
	switch (s->how) {
	case MAILBOX_SET:
		entry->flags = (unsigned char)s->set.flags;
		entry->keywords = s->set.keywords;
		break;
	case MAILBOX_INCLUDE:
		entry->flags = (unsigned char)(entry->flags | s->set.flags);
		entry->keywords |= s->set.keywords;
		break;
	case MAILBOX_EXCLUDE:
		entry->flags = (unsigned char)(entry->flags & ~s->set.flags);
		entry->keywords &= ~s->set.keywords;
		break;
	}
}

static void
say_flags(struct session *session, struct view_entry *entry, const struct mailbox_record *record)
{
	const struct view_source source = folder_source(session->folder);
	struct buf *out = &session->stream.out;

	entry->flags = record->flags;
	entry->keywords = record->keywords;
	buf_addf(out, "* %u FETCH (", (unsigned)view_sequence(&session->view, entry));
	if (session->imap.command.uid)
		buf_addf(out, "UID %u ", (unsigned)entry->uid);
	view_write_flags(entry, &source, out);
	buf_adds(out, ")\r\n");
}

static bool
store_one(struct session *session, struct store_job *s, struct view_entry *entry, struct err *err)
{
	struct mailbox *mailbox = session->folder->mailbox;
	const struct mailbox_record *record;

	if (entry->gone) {
		s->missing++;
		return true;
	}
	switch (mailbox_store(mailbox, entry->uid, s->how, s->set.flags, s->set.keywords, err)) {
	case MAILBOX_DONE:
		break;
	case MAILBOX_GONE:
		s->missing++;
		return true;
	case MAILBOX_FAILED:
		return false;
	}
	record = mailbox_find(mailbox, entry->uid);
	if (s->silent)
		expect(entry, s);
	else if (record != NULL)
		say_flags(session, entry, record);
	return true;
}

/* Until the slice is over; others are told after each. */
static enum job_progress
store_some(struct session *session, struct store_job *s, uint64_t begin_ms)
{
	struct view_entry *entry;
	struct err err;

	while ((entry = session_messages_next(&s->messages)) != NULL) {
		if (!store_one(session, s, entry, &err)) {
			session_fail(session, &err);
			return JOB_DONE;
		}
		if (session_is_full(session) || user_slice_is_over(session->user, begin_ms))
			return JOB_AGAIN;
	}
	session_finish(session, s->missing > 0 && !s->messages.uids ? "NO [EXPUNGEISSUED] Some messages are no more" :
	    "OK Stored");
	return JOB_DONE;
}

static enum job_progress
store_step(struct session *session, struct job *job, uint64_t begin_ms)
{
	enum job_progress progress = store_some(session, container_of(job, struct store_job, job), begin_ms);

	user_folder_changed(session->user, session->folder);
	return progress;
}

static enum mailbox_how
how_of(enum store_change change)
{
	switch (change) {
	case STORE_ADD:
		return MAILBOX_INCLUDE;
	case STORE_REMOVE:
		return MAILBOX_EXCLUDE;
	case STORE_SET:
		break;
	}
	return MAILBOX_SET;
}

void
cmd_store(struct session *session)
{
	const struct command *command = &session->imap.command;
	struct store_job *s = arena_alloc(&session->imap.arena, sizeof *s);
	struct err err;

	if (s == NULL) {
		session_fail_limit(session);
		return;
	}
	if (!session->folder->writable) {
		session_finish(session, "NO [READ-ONLY] The mailbox was opened with EXAMINE");
		return;
	}
	s->job.step = store_step;
	s->how = how_of(command->change);
	s->silent = command->silent;
	if (!keywords_resolve(session->folder->mailbox, &command->flags, s->how != MAILBOX_EXCLUDE, &s->set, &err)) {
		session_fail(session, &err);
		return;
	}
	session_tell_keywords(session);
	if (session_messages_init(session, &s->messages))
		session_start_job(session, &s->job);
}
