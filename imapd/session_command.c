#include <errno.h>

#include "common/base/log.h"
#include "common/mime/mutf7.h"
#include "imapd/session.h"

void
session_start_job(struct session *session, struct job *job)
{
	session->job = job;
}

/* What others did is looked for here, once a command. */
void
session_finish(struct session *session, const char *reply)
{
	session->reply = reply;
	if (session->folder != NULL && folder_look(session->folder))
		user_push_later(session->user);
}

void
session_fail_limit(struct session *session)
{
	session_finish(session, "NO [LIMIT] Too much for one command");
}

/* What the client can do something about; else NULL. */
static const char *
client_failure(const struct err *err)
{
	if (err->errnum == ENOSPC || err->errnum == EDQUOT)
		return "NO [OVERQUOTA] No space left for mail";
	if (err->class == ERR_LIMIT)
		return "NO [LIMIT] A limit was reached";
	if (err->class != ERR_PERM)
		return NULL;
	switch (err->errnum) {
	case ENOENT:
		return "NO [NONEXISTENT] There is no such mailbox";
	case EEXIST:
		return "NO [ALREADYEXISTS] There is such a mailbox already";
	case EINVAL:
		return "NO [CANNOT] No mailbox can have this name";
	case EPERM:
		return "NO [CANNOT] Not with this mailbox";
	default:
		return "NO [CANNOT] That cannot be done";
	}
}

const char *
session_failure(const struct session *session, const struct err *err)
{
	const char *reply = client_failure(err);

	if (reply == NULL || err->class == ERR_TEMP)
		log_error("user=<%s>: %s", session->user->login->account->name, err->text);
	return reply != NULL ? reply : "NO [UNAVAILABLE] The mail store has a problem; try again later";
}

void
session_fail(struct session *session, const struct err *err)
{
	session_finish(session, session_failure(session, err));
}

bool
session_mailbox_name(struct session *session, struct str written, struct str *name)
{
	struct arena *arena = &session->imap.arena;
	struct buf utf8;
	bool good;

	buf_init(&utf8, 4096);
	good = written.n <= 1024 && mutf7_decode(&utf8, written);
	if (good)
		*name = arena_copy(arena, buf_str(&utf8));
	else if (written.n <= 1024 && utf8_is_valid(written)) /* some clients write it as it is */
		*name = arena_copy(arena, written);
	else
		*name = STR_NONE;
	buf_clear(&utf8);
	if (name->p == NULL)
		session_finish(session, "NO [CANNOT] No mailbox can have this name");
	return name->p != NULL;
}

void
session_unselect(struct session *session)
{
	if (session->folder == NULL)
		return;
	message_close(&session->message);
	view_close(&session->view);
	folder_release(session->folder);
	session->folder = NULL;
	if (session->imap.state == IMAP_SELECTED)
		imap_set_state(&session->imap, IMAP_AUTHENTICATED);
}

/* ---- the messages that a command names ------------------------------------------------------------------------- */

bool
session_messages_init(struct session *session, struct session_messages *m)
{
	struct command *command = &session->imap.command;
	uint32_t largest = command->uid ? view_last_uid(&session->view) : (uint32_t)session->view.n;

	*m = (struct session_messages){.view = &session->view, .set = &command->set, .uids = command->uid};
	seqset_resolve(&command->set, largest);
	if (command->uid || (seqset_greatest(&command->set) <= largest && command->set.ranges[0].first > 0))
		return true;
	session_finish(session, "BAD There is no message with this number");
	return false;
}

static uint32_t
number_at(const struct session_messages *m, size_t index)
{
	return m->uids ? m->view->entries[index].uid : (uint32_t)index + 1;
}

/* The first index from m->index on whose number is at least `first`. */
static size_t
seek(const struct session_messages *m, uint32_t first)
{
	size_t low = m->index, high = m->view->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (number_at(m, middle) < first)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct view_entry *
session_messages_next(struct session_messages *m)
{
	for (; m->range < m->set->n; m->range++) {
		const struct seqset_range *range = &m->set->ranges[m->range];

		if (m->index < m->view->n && number_at(m, m->index) < range->first)
			m->index = seek(m, range->first);
		if (m->index == m->view->n)
			return NULL;
		if (number_at(m, m->index) <= range->last)
			return &m->view->entries[m->index++];
	}
	return NULL;
}
