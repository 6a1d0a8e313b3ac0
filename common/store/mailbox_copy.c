/*
 * Copies by hard link, moves by rename, from folder to folder of one Maildir.
 *
 * Only the target is locked, and the source is never looked at while it is: two processes that copy in opposite
 * directions cannot wait for each other. So a round tries every message under the lock; those whose file was renamed
 * meanwhile are found again after it, and tried in the next round.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/store/mailbox_inner.h"

#define ROUNDS_MAX 10

struct transfer {
	struct mailbox *from, *to;
	const uint32_t *uids;
	size_t n;
	uint32_t *new_uids; /* 0: not done yet, or gone */
	bool move;
	signed char letter_of[MAILDIR_KEYWORDS_MAX]; /* the target's index for a keyword of the source; -1: none */
	char (*names)[MAILDIR_NAME_MAX + 1];	     /* made in the target: to undo a copy */
	bool missed;				     /* a file was not where its record says */
};

static uint32_t
keywords_in_target(const struct transfer *t, uint32_t keywords)
{
	uint32_t result = 0;

	for (int i = 0; i < MAILDIR_KEYWORDS_MAX; i++)
		if ((keywords & 1u << i) && t->letter_of[i] >= 0)
			result |= 1u << t->letter_of[i];
	return result;
}

/* Makes in the target what keywords the messages have; one for which no letter is left is lost with the copy. */
static bool
map_keywords(struct transfer *t, struct err *err)
{
	uint32_t used = 0;

	for (size_t i = 0; i < t->n; i++) {
		const struct mailbox_record *record = mailbox_find(t->from, t->uids[i]);

		used |= record ? record->keywords : 0;
	}
	for (unsigned i = 0; i < MAILDIR_KEYWORDS_MAX; i++) {
		const char *name = mailbox_keyword_name(t->from, i);
		struct err why = {ERR_NONE, 0, ""};

		t->letter_of[i] = -1;
		if (name == NULL || !(used & 1u << i))
			continue;
		t->letter_of[i] = (signed char)mailbox_keyword_make(t->to, str_from(name), &why);
		if (t->letter_of[i] < 0 && why.class != ERR_LIMIT) {
			if (err != NULL)
				*err = why;
			return false;
		}
	}
	return true;
}

/* A copy is a file of its own and gets a name of its own; a file that moves keeps what is not the folder's. */
static void
target_name(const struct transfer *t, const struct mailbox_record *record, struct buf *base, struct buf *name, uint32_t uid)
{
	const char *tag = folder_tag(&t->to->folder);
	struct maildir_name n;

	buf_reset(base);
	buf_reset(name);
	if (!maildir_name_parse(&n, str_from(mailbox_record_name(t->from, record))))
		n = (struct maildir_name){0};
	if (t->move)
		maildir_name_rebase(base, n.base, record->size, record->wire_size, uid, tag);
	if (!t->move || base->n > MAILDIR_NAME_MAX - 64) {
		buf_reset(base);
		store_unique_name(t->to->store, base);
		maildir_name_base(base, STR(""), record->size, record->wire_size, uid, tag);
	}
	maildir_name_format(name, buf_str(base), record->flags, keywords_in_target(t, record->keywords), n.letters);
	buf_addc(name, '\0');
}

static bool
copy_bytes(int in, int out, struct err *err)
{
	char piece[65536];
	ssize_t n;

	while ((n = read(in, piece, sizeof piece)) > 0)
		for (ssize_t done = 0, m; done < n; done += m) {
			m = write(out, piece + done, (size_t)(n - done));
			if (m < 0)
				return err_sys(err, "cannot write a copy");
		}
	return n == 0 || err_sys(err, "cannot read a message");
}

/* Where there are no hard links (another file system, or the file has too many). */
static bool
copy_file(int from, const char *old, struct mailbox *to, const char *name, struct err *err)
{
	int in = openat(from, old, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int out = in < 0 ? -1
			 : openat(to->folder.tmp, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct stat st;
	bool ok = out >= 0 && fstat(in, &st) == 0;

	if (!ok)
		(void)err_sys(err, "cannot copy a message");
	ok = ok && copy_bytes(in, out, err);
	if (ok) {
		struct timespec times[2] = {st.st_atim, st.st_mtim};

		ok = (futimens(out, times) == 0 && fsync(out) == 0 &&
			 renameat(to->folder.tmp, name, to->folder.cur, name) == 0) ||
		     err_sys(err, "cannot copy a message");
	}
	if (!ok && out >= 0)
		(void)unlinkat(to->folder.tmp, name, 0);
	if (in >= 0)
		(void)close(in);
	if (out >= 0)
		(void)close(out);
	return ok;
}

static bool
transfer_one(struct transfer *t, const struct mailbox_record *record, const char *name, bool *missed, struct err *err)
{
	int from = mailbox_record_directory(t->from, record), to = t->to->folder.cur;
	const char *old = mailbox_record_name(t->from, record);
	int result = t->move ? renameat(from, old, to, name) : linkat(from, old, to, name, 0);

	*missed = result != 0 && errno == ENOENT;
	if (result == 0 || *missed)
		return true;
	if (errno != EXDEV && errno != EMLINK && errno != EPERM && errno != EOPNOTSUPP)
		return err_sys(err, "cannot %s a message", t->move ? "move" : "copy");
	if (!copy_file(from, old, t->to, name, err))
		return false;
	return !t->move || unlinkat(from, old, 0) == 0 || errno == ENOENT || err_sys(err, "cannot remove a message");
}

/* Under the target's lock. */
static bool
round_locked(struct transfer *t, uint32_t uid, struct buf *base, struct buf *name, struct err *err)
{
	for (size_t i = 0; i < t->n; i++) {
		struct mailbox_record *record = t->new_uids[i] == 0 ? mailbox_record(t->from, t->uids[i]) : NULL;
		bool missed;

		if (record == NULL)
			continue;
		target_name(t, record, base, name, uid);
		if (!buf_ok(name) || !str_copy(t->names[i], sizeof t->names[i], str_from(name->p)))
			return err_set(err, ERR_TEMP, "no name for a message");
		if (!transfer_one(t, record, name->p, &missed, err))
			return false;
		t->missed |= missed;
		if (missed)
			continue;
		t->new_uids[i] = uid++;
		t->to->dirty_cur = true;
		if (t->move) {
			mailbox_mark_dirty(t->from, mailbox_record_directory(t->from, record));
			mailbox_drop_record(t->from, record);
		}
	}
	return true;
}

static size_t
count_left(const struct transfer *t)
{
	size_t left = 0;

	for (size_t i = 0; i < t->n; i++)
		left += t->new_uids[i] == 0 && mailbox_find(t->from, t->uids[i]) != NULL;
	return left;
}

static bool
transfer_round(struct transfer *t, struct err *err)
{
	size_t left = count_left(t);
	struct buf base, name;
	uint32_t uid;
	bool ok;

	t->missed = false;
	if (left == 0)
		return true;
	if (!folder_lock(&t->to->folder, err))
		return false;
	buf_init(&base, 1024);
	buf_init(&name, 1024);
	ok = state_file_take_uids(&t->to->folder.state, left, &uid, err) && round_locked(t, uid, &base, &name, err);
	buf_clear(&base);
	buf_clear(&name);
	folder_unlock(&t->to->folder);
	return ok;
}

static bool
transfer_all(struct transfer *t, struct err *err)
{
	for (int i = 0; i < ROUNDS_MAX; i++) {
		bool failed;

		if (!transfer_round(t, err))
			return false;
		if (!t->missed)
			return true;
		(void)mailbox_find_again(t->from, t->uids[0], &failed, err);
		if (failed)
			return false;
	}
	return err_set(err, ERR_TEMP, "the messages' names change all the time");
}

static void
undo_copy(struct transfer *t)
{
	for (size_t i = 0; i < t->n; i++) {
		if (t->new_uids[i] != 0)
			(void)unlinkat(t->to->folder.cur, t->names[i], 0);
		t->new_uids[i] = 0;
	}
}

static bool
transfer(struct mailbox *from, const uint32_t *uids, size_t n, struct mailbox *to, uint32_t *new_uids, bool move,
    struct err *err)
{
	struct transfer t = {.from = from, .to = to, .uids = uids, .n = n, .new_uids = new_uids, .move = move};
	bool ok;

	if (n == 0)
		return true;
	memset(new_uids, 0, n * sizeof *new_uids);
	t.names = calloc(n, sizeof *t.names);
	if (t.names == NULL)
		fatal("out of memory for the names of %zu messages", n);
	ok = map_keywords(&t, err) && transfer_all(&t, err);
	if (!ok && !move)
		undo_copy(&t);
	free(t.names);
	return ok;
}

bool
mailbox_copy(struct mailbox *from, const uint32_t *uids, size_t n, struct mailbox *to, uint32_t *new_uids,
    struct err *err)
{
	return transfer(from, uids, n, to, new_uids, false, err);
}

bool
mailbox_move(struct mailbox *from, const uint32_t *uids, size_t n, struct mailbox *to, uint32_t *new_uids,
    struct err *err)
{
	if (from->rights < MAILBOX_REMOVE)
		return store_refuse(err, EPERM, "the folder was opened without the right to do this");
	return transfer(from, uids, n, to, new_uids, true, err);
}
