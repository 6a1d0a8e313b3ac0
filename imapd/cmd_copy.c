/*
 * COPY and MOVE (RFC 6851), with UIDPLUS's COPYUID (RFC 4315). The store does either for all messages or for none.
 */
#include <errno.h>

#include "imapd/cmd.h"

struct copy {
	struct session *session;
	struct str target_name;
	struct mailbox *target;
	uint32_t *uids, *new_uids;
	size_t n;
};

static bool
collect(struct copy *c)
{
	struct session *session = c->session;
	struct session_messages messages;
	struct view_entry *entry;

	if (!session_messages_init(session, &messages))
		return false;
	c->uids = arena_alloc(&session->imap.arena, (session->view.n + 1) * sizeof *c->uids);
	c->new_uids = arena_alloc(&session->imap.arena, (session->view.n + 1) * sizeof *c->new_uids);
	if (c->uids == NULL || c->new_uids == NULL) {
		session_fail_limit(session);
		return false;
	}
	while ((entry = session_messages_next(&messages)) != NULL)
		if (!entry->gone)
			c->uids[c->n++] = entry->uid;
	return true;
}

/* RFC 3501 6.4.7: a client may make the mailbox and try again. */
static void
fail(struct session *session, const struct err *err, bool of_target)
{
	if (of_target && err->errnum == ENOENT)
		session_finish(session, "NO [TRYCREATE] There is no such mailbox");
	else
		session_fail(session, err);
}

static void
write_set(struct buf *out, const struct copy *c, const uint32_t *numbers)
{
	struct seqset_writer w;

	seqset_writer_init(&w, out);
	for (size_t i = 0; i < c->n; i++)
		if (c->new_uids[i] != 0)
			seqset_writer_add(&w, numbers[i]);
	seqset_writer_end(&w);
}

static bool
has_copied(const struct copy *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->new_uids[i] != 0)
			return true;
	return false;
}

/* "[COPYUID validity from to] " */
static void
write_copyuid(struct buf *out, const struct copy *c)
{
	if (!has_copied(c))
		return;
	buf_addf(out, "[COPYUID %u ", (unsigned)mailbox_uidvalidity(c->target));
	write_set(out, c, c->uids);
	buf_addc(out, ' ');
	write_set(out, c, c->new_uids);
	buf_adds(out, "] ");
}

static const char *
copied_reply(const struct copy *c)
{
	struct buf text;
	struct str reply;

	buf_init(&text, IMAP_ARENA_BYTES / 4);
	buf_adds(&text, "OK ");
	write_copyuid(&text, c);
	buf_adds(&text, "Copied");
	reply = buf_ok(&text) ? arena_copy(&c->session->imap.arena, buf_str(&text)) : STR_NONE;
	buf_clear(&text);
	return reply.p != NULL ? reply.p : "OK Copied";
}

static void
copy(struct copy *c)
{
	struct session *session = c->session;
	struct err err;

	if (!mailbox_copy(session->folder->mailbox, c->uids, c->n, c->target, c->new_uids, &err) ||
	    !mailbox_sync(c->target, &err)) {
		fail(session, &err, false);
		return;
	}
	user_name_changed(session->user, c->target_name);
	session_finish(session, copied_reply(c));
}

/* RFC 6851 4.3: COPYUID comes before the EXPUNGE responses. */
static void
move(struct copy *c)
{
	struct session *session = c->session;
	struct buf *out = &session->stream.out;
	struct err err;
	bool ok = mailbox_move(session->folder->mailbox, c->uids, c->n, c->target, c->new_uids, &err);

	ok = mailbox_sync(c->target, ok ? &err : NULL) && ok;
	ok = mailbox_sync(session->folder->mailbox, ok ? &err : NULL) && ok;
	if (has_copied(c)) {
		buf_adds(out, "* OK ");
		write_copyuid(out, c);
		buf_adds(out, "Moved\r\n");
	}
	user_folder_changed(session->user, session->folder);
	user_name_changed(session->user, c->target_name);
	if (ok)
		session_finish(session, "OK Moved");
	else
		fail(session, &err, false);
}

void
cmd_copy(struct session *session)
{
	bool moving = session->imap.command.row->command == COMMAND_MOVE;
	struct copy c = {.session = session};
	struct err err;

	if (moving && !session->folder->writable) {
		session_finish(session, "NO [READ-ONLY] The mailbox was opened with EXAMINE");
		return;
	}
	if (!session_mailbox_name(session, session->imap.command.mailbox, &c.target_name) || !collect(&c))
		return;
	c.target = mailbox_open(session->user->store, c.target_name, MAILBOX_ADD, &err);
	if (c.target == NULL) {
		fail(session, &err, true);
		return;
	}
	if (moving)
		move(&c);
	else
		copy(&c);
	mailbox_close(c.target);
}
