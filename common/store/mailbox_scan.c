/*
 * What lies in a folder's directories: which files are messages with a UID of this folder, and giving one to the others.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/store/mailbox_inner.h"

/* A UID so far above all that was reserved was not given by us, and must not use up those that can be given. */
#define UID_LEAP_MAX (1u << 24)

static void
seen_add(struct seen_list *seen, const struct seen *one)
{
	if (seen->n == seen->max) {
		seen->max = seen->max * 2 + 256;
		seen->list = reallocarray(seen->list, seen->max, sizeof seen->list[0]);
		if (seen->list == NULL)
			fatal("out of memory for the names of %zu messages", seen->n);
	}
	seen->list[seen->n++] = *one;
}

/*
 * A UID counts if this folder gave it. One that appears below what was next at the last look was somewhere else
 * meanwhile: clients do not expect it any more, so it gets another.
 */
static bool
is_ours(struct mailbox *mailbox, const struct maildir_name *n)
{
	const struct mailbox_state *state = &mailbox->folder.state.state;

	if (n->uid == 0 || strncmp(n->tag, state->id, MAILDIR_TAG_LENGTH) != 0 || !n->has_size || !n->has_wire_size)
		return false;
	if (n->uid > state->reserved && n->uid - state->reserved > UID_LEAP_MAX)
		return false;
	return !mailbox->looked || n->uid >= mailbox->uidnext || mailbox_find(mailbox, n->uid) != NULL;
}

static bool
collect(struct mailbox *mailbox, const struct dirents *d, bool in_new, struct err *err)
{
	struct dirent_name entry;
	size_t offset = 0;

	while (dirents_next(d, &offset, &entry)) {
		struct seen one = {.in_new = in_new, .name = entry.name};

		if ((entry.type != DT_REG && entry.type != DT_UNKNOWN) || !maildir_name_parse(&one.parsed, entry.name))
			continue;
		if (mailbox->seen.n + mailbox->foreign.n >= MAILBOX_MESSAGES_MAX)
			return err_set(err, ERR_LIMIT, "the folder has more than %d messages", MAILBOX_MESSAGES_MAX);
		one.uid = one.parsed.uid;
		seen_add(is_ours(mailbox, &one.parsed) ? &mailbox->seen : &mailbox->foreign, &one);
	}
	return true;
}

/* By UID; of the same UID and base, which is a message that moved to cur/ meanwhile, the one in cur/ first. */
static int
seen_compare(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;
	int order;

	if (x->uid != y->uid)
		return x->uid < y->uid ? -1 : 1;
	order = str_compare(x->parsed.base, y->parsed.base);
	return order != 0 ? order : (int)x->in_new - (int)y->in_new;
}

/* Of files with the same UID, which is a copy that another tool made: the one that we know, else the first. */
static const struct seen *
choose(const struct mailbox *mailbox, const struct seen *list, size_t n)
{
	const struct mailbox_record *record = mailbox_find(mailbox, list[0].uid);
	struct maildir_name known;

	if (n == 1 || record == NULL || !maildir_name_parse(&known, str_from(mailbox_record_name(mailbox, record))))
		return &list[0];
	for (size_t i = 0; i < n; i++)
		if (str_equal(list[i].parsed.base, known.base))
			return &list[i];
	return &list[0];
}

static void
make_unique(struct mailbox *mailbox)
{
	struct seen_list *seen = &mailbox->seen;
	size_t kept = 0;

	for (size_t i = 0, n; i < seen->n; i += n) {
		struct seen chosen;

		for (n = 1; i + n < seen->n && seen->list[i + n].uid == seen->list[i].uid;)
			n++;
		chosen = *choose(mailbox, seen->list + i, n);
		for (size_t j = i; j < i + n; j++)
			if (!str_equal(seen->list[j].parsed.base, chosen.parsed.base))
				seen_add(&mailbox->foreign, &seen->list[j]);
		seen->list[kept++] = chosen;
	}
	seen->n = kept;
}

bool
mailbox_scan(struct mailbox *mailbox, struct err *err)
{
	mailbox->seen.n = mailbox->foreign.n = 0;
	if (!dirents_read(&mailbox->in_new, mailbox->folder.new, err) ||
	    !dirents_read(&mailbox->in_cur, mailbox->folder.cur, err) ||
	    !collect(mailbox, &mailbox->in_new, true, err) || !collect(mailbox, &mailbox->in_cur, false, err))
		return false;
	if (mailbox->seen.n > 1)
		qsort(mailbox->seen.list, mailbox->seen.n, sizeof mailbox->seen.list[0], seen_compare);
	make_unique(mailbox);
	return true;
}

/* Names of Maildirs begin with the time of arrival. */
static uint64_t
arrival(const struct seen *seen)
{
	uint64_t seconds = 0;

	(void)str_to_u64(str_sub(seen->name, 0, str_find(seen->name, '.')), UINT64_MAX, &seconds);
	return seconds;
}

static int
arrival_compare(const void *a, const void *b)
{
	uint64_t x = arrival(a), y = arrival(b);

	if (x != y)
		return x < y ? -1 : 1;
	return str_compare(((const struct seen *)a)->name, ((const struct seen *)b)->name);
}

static bool
number_locked(struct mailbox *mailbox, size_t *numbered, struct err *err)
{
	struct seen_list *foreign = &mailbox->foreign;
	struct folder *folder = &mailbox->folder;
	uint32_t uid;
	bool done;

	if (!mailbox_scan(mailbox, err))
		return false;
	if (foreign->n == 0)
		return true;
	qsort(foreign->list, foreign->n, sizeof foreign->list[0], arrival_compare);
	if (!state_file_take_uids(&folder->state, foreign->n, &uid, err))
		return false;
	for (size_t i = 0; i < foreign->n; i++) {
		int directory = foreign->list[i].in_new ? folder->new : folder->cur;

		if (!folder_number_file(folder, directory, foreign->list[i].name, uid, &done, err))
			return false;
		if (done) {
			uid++;
			(*numbered)++;
			mailbox_mark_dirty(mailbox, directory);
		}
	}
	return true;
}

bool
mailbox_number(struct mailbox *mailbox, size_t *numbered, struct err *err)
{
	bool ok;

	*numbered = 0;
	if (!folder_lock(&mailbox->folder, err))
		return false;
	ok = number_locked(mailbox, numbered, err);
	mailbox->passed_over = ok ? mailbox->foreign.n - *numbered : 0;
	folder_unlock(&mailbox->folder);
	return ok;
}
