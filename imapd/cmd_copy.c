/*
 * COPY and MOVE (RFC 6851), with UIDPLUS's COPYUID (RFC 4315). The store does either for all messages or for none.
 */
#include <errno.h>

#include "imapd/cmd.h"

struct copy {
	struct durable durable; /* the target */
	/* These live in the command's arena: not beyond the session. */
	struct str target_name;
	uint32_t *uids, *new_uids;
	size_t n;
	bool has_failed;
	struct err err; /* of a move that was done in part */
};

/* False after a reply. */
static bool
collect(struct session *session, struct copy *c)
{
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
fail_to_open(struct session *session, const struct err *err)
{
	if (err->class == ERR_PERM && err->errnum == ENOENT)
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
	buf_addf(out, "[COPYUID %u ", (unsigned)mailbox_uidvalidity(c->durable.mailbox));
	write_set(out, c, c->uids);
	buf_addc(out, ' ');
	write_set(out, c, c->new_uids);
	buf_adds(out, "] ");
}

static const char *
copied_reply(struct session *session, const struct copy *c)
{
	struct buf text;
	struct str reply;

	buf_init(&text, IMAP_ARENA_BYTES / 4);
	buf_adds(&text, "OK ");
	write_copyuid(&text, c);
	buf_adds(&text, "Copied");
	reply = buf_ok(&text) ? arena_copy(&session->imap.arena, buf_str(&text)) : STR_NONE;
	buf_clear(&text);
	return reply.p != NULL ? reply.p : "OK Copied";
}

static void
copy_is_durable(struct session *session, struct durable *durable, bool ok, const struct err *err)
{
	struct copy *c = container_of(durable, struct copy, durable);

	if (ok) {
		user_name_changed(session->user, c->target_name);
		session_finish(session, copied_reply(session, c));
	} else {
		session_fail(session, err);
	}
	durable_free(durable);
}

/* RFC 6851 4.3: COPYUID comes before the EXPUNGE responses. That the messages are gone from here comes last. */
static void
move_is_durable(struct session *session, struct durable *durable, bool ok, const struct err *why)
{
	struct copy *c = container_of(durable, struct copy, durable);
	struct buf *out = &session->stream.out;
	struct err err = ok ? c->err : *why;

	ok = ok && !c->has_failed && mailbox_sync(session->folder->mailbox, &err);
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
		session_fail(session, &err);
	durable_free(durable);
}

static void
copy(struct session *session, struct copy *c)
{
	struct mailbox *target = c->durable.mailbox;
	int fds[DURABLE_FDS_MAX];
	struct err err;

	if (!mailbox_copy(session->folder->mailbox, c->uids, c->n, target, c->new_uids, &err)) {
		session_fail(session, &err);
		durable_free(&c->durable);
		return;
	}
	durable_wait(&c->durable, fds, mailbox_dirty_fds(target, fds), copy_is_durable);
}

static void
move(struct session *session, struct copy *c)
{
	struct mailbox *target = c->durable.mailbox;
	int fds[DURABLE_FDS_MAX];

	c->has_failed = !mailbox_move(session->folder->mailbox, c->uids, c->n, target, c->new_uids, &c->err);
	durable_wait(&c->durable, fds, mailbox_dirty_fds(target, fds), move_is_durable);
}

/* Opens the target; NULL after a reply. */
static struct copy *
begin(struct session *session)
{
	struct mailbox *target;
	struct copy *c;
	struct str name;
	struct err err;

	if (!session_mailbox_name(session, session->imap.command.mailbox, &name))
		return NULL;
	target = mailbox_open(session->user->store, name, MAILBOX_ADD, &err);
	if (target == NULL) {
		fail_to_open(session, &err);
		return NULL;
	}
	c = container_of(durable_new(sizeof *c, session, target, NULL), struct copy, durable);
	c->target_name = name;
	if (collect(session, c))
		return c;
	durable_free(&c->durable);
	return NULL;
}

void
cmd_copy(struct session *session)
{
	bool moving = session->imap.command.row->command == COMMAND_MOVE;
	struct copy *c;

	if (moving && !session->folder->writable) {
		session_finish(session, "NO [READ-ONLY] The mailbox was opened with EXAMINE");
		return;
	}
	c = begin(session);
	if (c == NULL)
		return;
	if (moving)
		move(session, c);
	else
		copy(session, c);
}
