/*
 * APPEND: the message goes to the disk as it comes, and is acknowledged when it is durable there, with its name.
 */
#include <errno.h>

#include "imapd/cmd.h"
#include "imapd/keywords.h"

void
cmd_append_abort(struct session *session)
{
	mailbox_file_free(session->append_file);
	mailbox_close(session->append_to);
	session->append_file = NULL;
	session->append_to = NULL;
	session->append_err = (struct err){0};
}

static const char *
failure(struct session *session, const struct err *err, bool of_target)
{
	if (of_target && err->class == ERR_PERM && err->errnum == ENOENT)
		return "NO [TRYCREATE] There is no such mailbox";
	return session_failure(session, err);
}

static bool
mailbox_name(struct session *session, struct str *name)
{
	if (session_mailbox_name(session, session->imap.command.mailbox, name))
		return true;
	session->reply = NULL; /* the refusal of the message is the reply */
	return false;
}

/* The message may be refused before the client sends it. */
void
cmd_append_begin(struct session *session)
{
	struct user *user = session->user;
	struct err err;
	struct str name;

	if (imap_append_bytes(&session->imap) > user->conf->message_size_limit_bytes) {
		imap_append_refuse(&session->imap, "NO [TOOBIG] Message too large");
		return;
	}
	if (!mailbox_name(session, &name)) {
		imap_append_refuse(&session->imap, "NO [CANNOT] No mailbox can have this name");
		return;
	}
	session->append_to = mailbox_open(user->store, name, MAILBOX_ADD, &err);
	if (session->append_to == NULL) {
		imap_append_refuse(&session->imap, failure(session, &err, true));
		return;
	}
	session->append_file = mailbox_file_new(session->append_to, &err);
	if (session->append_file == NULL) {
		imap_append_refuse(&session->imap, failure(session, &err, false));
		cmd_append_abort(session);
		return;
	}
	imap_append_begin(&session->imap);
}

/* After a failure the rest is taken, and thrown away, so that the reply comes where it belongs. */
void
cmd_append_chunk(struct session *session)
{
	if (session->append_err.class == ERR_NONE)
		(void)mailbox_file_write(session->append_file, imap_append_chunk(&session->imap), &session->append_err);
	imap_append_go_on(&session->imap);
}

static bool
finish_file(struct session *session, struct err *err)
{
	const struct command *command = &session->imap.command;
	struct mailbox_file_attributes attributes = {.has_date = command->has_date, .date = command->date};
	struct keyword_set set;

	if (!keywords_resolve(session->append_to, &command->flags, true, &set, err))
		return false;
	attributes.flags = set.flags;
	attributes.keywords = set.keywords;
	return mailbox_file_finish(session->append_file, &attributes, err);
}

static void
fail(struct session *session, struct durable *durable, const struct err *err)
{
	session_finish(session, failure(session, err, false));
	durable_free(durable);
}

static void
name_is_durable(struct session *session, struct durable *durable, bool ok, const struct err *err)
{
	struct str reply, name;

	if (!ok) {
		fail(session, durable, err);
		return;
	}
	reply = arena_printf(&session->imap.arena, "OK [APPENDUID %u %u] Appended",
	    (unsigned)mailbox_uidvalidity(durable->mailbox), (unsigned)mailbox_file_uid(durable->file));
	durable_free(durable);
	if (mailbox_name(session, &name))
		user_name_changed(session->user, name);
	session_finish(session, reply.p != NULL ? reply.p : "OK Appended");
}

static void
file_is_durable(struct session *session, struct durable *durable, bool ok, const struct err *why)
{
	int fds[DURABLE_FDS_MAX];
	struct err err;

	if (!ok)
		fail(session, durable, why);
	else if (!mailbox_publish(durable->mailbox, &durable->file, 1, &err))
		fail(session, durable, &err);
	else
		durable_wait(durable, fds, mailbox_dirty_fds(durable->mailbox, fds), name_is_durable);
}

/* All of the message has come. First it is made durable, then it gets its name, then that is made durable. */
void
cmd_append(struct session *session)
{
	struct err err = session->append_err;
	struct durable *durable;
	int fd;

	if (err.class != ERR_NONE || !finish_file(session, &err)) {
		session_finish(session, failure(session, &err, false));
		cmd_append_abort(session);
		return;
	}
	durable = durable_new(sizeof *durable, session, session->append_to, session->append_file);
	session->append_to = NULL;
	session->append_file = NULL;
	fd = mailbox_file_fd(durable->file);
	durable_wait(durable, &fd, 1, file_is_durable);
}
