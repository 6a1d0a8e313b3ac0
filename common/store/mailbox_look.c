/*
 * A mailbox's records, and bringing them up to date with what lies in its directories.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/store/mailbox_inner.h"

/* Coarser than any file system's times: a change within this time of another may not show in the stamp. */
#define STAMP_SETTLES_S 2
/* Numbering files of other tools while they go on putting some there. */
#define NUMBERINGS_MAX 5

/* --- what changed ------------------------------------------------------------------------------------------------------- */

static void
uids_add(struct mailbox_uids *uids, uint32_t uid)
{
	if (uids->n == uids->max) {
		uids->max = uids->max * 2 + 64;
		uids->list = reallocarray(uids->list, uids->max, sizeof uids->list[0]);
		if (uids->list == NULL)
			fatal("out of memory for %zu UIDs", uids->n);
	}
	uids->list[uids->n++] = uid;
}

static int
uid_compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void
uids_sort(struct mailbox_uids *uids)
{
	size_t kept = 0;

	if (uids->n < 2)
		return;
	qsort(uids->list, uids->n, sizeof uids->list[0], uid_compare);
	for (size_t i = 0; i < uids->n; i++)
		if (kept == 0 || uids->list[kept - 1] != uids->list[i])
			uids->list[kept++] = uids->list[i];
	uids->n = kept;
}

/* uids must be sorted. */
static bool
uids_remove(struct mailbox_uids *uids, uint32_t uid)
{
	uint32_t *found =
	    uids->n > 0 ? bsearch(&uid, uids->list, uids->n, sizeof uids->list[0], uid_compare) : NULL;
	size_t behind;

	if (found == NULL)
		return false;
	behind = uids->n - (size_t)(found - uids->list) - 1;
	memmove(found, found + 1, behind * sizeof *found);
	uids->n--;
	return true;
}

static void
note_vanished(struct mailbox_changes *pending, uint32_t uid)
{
	if (!uids_remove(&pending->added, uid))
		uids_add(&pending->vanished, uid);
}

static void
pending_sort(struct mailbox_changes *pending)
{
	uids_sort(&pending->added);
	uids_sort(&pending->changed);
	uids_sort(&pending->vanished);
	for (size_t i = 0; i < pending->vanished.n && pending->changed.n > 0; i++)
		(void)uids_remove(&pending->changed, pending->vanished.list[i]);
}

void
mailbox_changes_clear(struct mailbox_changes *changes)
{
	free(changes->added.list);
	free(changes->changed.list);
	free(changes->vanished.list);
	*changes = (struct mailbox_changes){.replaced = false};
}

/* --- names ---------------------------------------------------------------------------------------------------------------- */

static size_t
names_add(struct names *names, struct str name)
{
	size_t place = names->n;

	if (names->max - names->n <= name.n) {
		names->max = names->max * 2 + name.n + 4096;
		names->bytes = realloc(names->bytes, names->max);
		if (names->bytes == NULL)
			fatal("out of memory for %zu bytes of file names", names->max);
	}
	memcpy(names->bytes + place, name.p, name.n);
	names->bytes[place + name.n] = '\0';
	names->n += name.n + 1;
	return place;
}

static void
names_squeeze(struct mailbox *mailbox)
{
	struct names old = mailbox->names, new = {0};

	if (old.dead < 65536 || old.dead < old.n / 2)
		return;
	for (size_t i = 0; i < mailbox->n; i++) {
		struct mailbox_record *record = &mailbox->records[i];

		record->name = names_add(&new, (struct str){old.bytes + record->name, record->name_bytes});
	}
	free(old.bytes);
	mailbox->names = new;
}

void
mailbox_set_name(struct mailbox *mailbox, struct mailbox_record *record, struct str name)
{
	mailbox->names.dead += record->name_bytes;
	record->name = names_add(&mailbox->names, name);
	record->name_bytes = (unsigned short)name.n;
}

/* --- records -------------------------------------------------------------------------------------------------------------- */

static void
record_from(struct mailbox *mailbox, struct mailbox_record *record, const struct seen *seen)
{
	*record = (struct mailbox_record){
	    .uid = seen->uid,
	    .size = seen->parsed.size,
	    .wire_size = seen->parsed.wire_size,
	    .flags = (unsigned char)seen->parsed.flags,
	    .keywords = seen->parsed.keywords,
	    .recent = seen->in_new,
	    .in_new = seen->in_new,
	};
	mailbox_set_name(mailbox, record, seen->name);
}

static void
record_update(struct mailbox *mailbox, struct mailbox_record *record, const struct seen *seen)
{
	record->in_new = seen->in_new;
	if (str_equal(str_from(mailbox_record_name(mailbox, record)), seen->name))
		return;
	mailbox_set_name(mailbox, record, seen->name);
	if (record->flags == seen->parsed.flags && record->keywords == seen->parsed.keywords)
		return;
	record->flags = (unsigned char)seen->parsed.flags;
	record->keywords = seen->parsed.keywords;
	uids_add(&mailbox->pending.changed, record->uid);
}

/* Marks the records that the scan has seen; how many it has not. */
static size_t
count_missing(struct mailbox *mailbox)
{
	size_t missing = 0, j = 0;

	for (size_t i = 0; i < mailbox->n; i++) {
		struct mailbox_record *record = &mailbox->records[i];

		while (j < mailbox->seen.n && mailbox->seen.list[j].uid < record->uid)
			j++;
		record->seen_now = j < mailbox->seen.n && mailbox->seen.list[j].uid == record->uid;
		missing += !record->seen_now;
	}
	return missing;
}

static void
records_make_room(struct mailbox *mailbox, size_t n)
{
	if (n <= mailbox->max)
		return;
	mailbox->max = n + n / 4 + 64;
	mailbox->records = reallocarray(mailbox->records, mailbox->max, sizeof mailbox->records[0]);
	if (mailbox->records == NULL)
		fatal("out of memory for %zu messages", n);
}

/*
 * New messages come behind all known ones: anything else was called foreign by the scan. A record that the last scan
 * did not see, but the one before did, stays for now.
 */
static void
merge(struct mailbox *mailbox)
{
	size_t kept = 0, j = 0, old_n = mailbox->n;

	for (size_t i = 0; i < old_n; i++) {
		struct mailbox_record *record = &mailbox->records[i];
		bool there;

		while (j < mailbox->seen.n && mailbox->seen.list[j].uid < record->uid)
			j++;
		there = j < mailbox->seen.n && mailbox->seen.list[j].uid == record->uid;
		if (there) {
			record_update(mailbox, record, &mailbox->seen.list[j++]);
		} else if (!record->seen_now) {
			mailbox->names.dead += record->name_bytes;
			note_vanished(&mailbox->pending, record->uid);
			continue;
		} else {
			mailbox->stamps_hold = false;
		}
		mailbox->records[kept++] = *record;
	}
	mailbox->n = kept;
	records_make_room(mailbox, kept + mailbox->seen.n - j);
	for (; j < mailbox->seen.n; j++) {
		record_from(mailbox, &mailbox->records[mailbox->n++], &mailbox->seen.list[j]);
		uids_add(&mailbox->pending.added, mailbox->seen.list[j].uid);
	}
}

/* --- the look ------------------------------------------------------------------------------------------------------------- */

static bool
same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Takes the directories' stamps. *same: they are as at the last look, and that tells something. */
static bool
take_stamps(struct mailbox *mailbox, bool *same, struct err *err)
{
	struct stat in_new, in_cur;
	struct timespec now;

	if (fstat(mailbox->folder.new, &in_new) != 0 || fstat(mailbox->folder.cur, &in_cur) != 0)
		return err_sys(err, "cannot look at the folder");
	if (in_cur.st_nlink == 0)
		return store_refuse(err, ENOENT, "the folder is gone");
	*same = mailbox->stamps_hold && same_time(&in_new.st_mtim, &mailbox->new_stamp) &&
		same_time(&in_cur.st_mtim, &mailbox->cur_stamp);
	mailbox->new_stamp = in_new.st_mtim;
	mailbox->cur_stamp = in_cur.st_mtim;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	mailbox->stamps_hold = now.tv_sec - in_new.st_mtim.tv_sec > STAMP_SETTLES_S &&
			       now.tv_sec - in_cur.st_mtim.tv_sec > STAMP_SETTLES_S;
	return true;
}

/* Whatever has a UID below *next is visible by now, because numbering and renaming happen under one lock. */
static bool
read_state(struct mailbox *mailbox, uint32_t *next, struct err *err)
{
	const struct mailbox_state *state = &mailbox->folder.state.state;

	if (!folder_lock(&mailbox->folder, err))
		return false;
	*next = strcmp(state->boot, mailbox->store->host->boot) == 0 ? state->next : state->reserved;
	mailbox->pending.replaced |= state->uidvalidity != mailbox->uidvalidity;
	folder_unlock(&mailbox->folder);
	return true;
}

/* Names may tell of UIDs that the state does not know of: after a backup was put back, for one. */
static bool
heed_highest(struct mailbox *mailbox, uint32_t *next, struct err *err)
{
	uint32_t highest = mailbox->seen.n > 0 ? mailbox->seen.list[mailbox->seen.n - 1].uid : 0;
	bool ok;

	if (highest < *next)
		return true;
	if (!folder_lock(&mailbox->folder, err))
		return false;
	ok = highest == UINT32_MAX || state_file_skip_uids(&mailbox->folder.state, highest + 1, err);
	folder_unlock(&mailbox->folder);
	*next = highest < UINT32_MAX ? highest + 1 : highest;
	return ok;
}

/* Scans until there is nothing left to number. */
static bool
scan_and_number(struct mailbox *mailbox, uint32_t *next, struct err *err)
{
	size_t numbered;

	for (int i = 0; i < NUMBERINGS_MAX; i++) {
		if (!read_state(mailbox, next, err) || !mailbox_scan(mailbox, err))
			return false;
		if (mailbox->foreign.n <= mailbox->passed_over)
			return true;
		if (!mailbox_number(mailbox, &numbered, err))
			return false;
	}
	return read_state(mailbox, next, err) && mailbox_scan(mailbox, err);
}

/* A message in new/ that this handle moves has not been shown to anybody yet. */
static void
move_new(struct mailbox *mailbox)
{
	struct buf name;

	buf_init(&name, 1024);
	for (size_t i = 0; i < mailbox->n; i++) {
		struct mailbox_record *record = &mailbox->records[i];
		const char *old = mailbox_record_name(mailbox, record);
		struct maildir_name n;

		if (!record->in_new || !maildir_name_parse(&n, str_from(old)))
			continue;
		buf_reset(&name);
		maildir_name_format(&name, n.base, n.flags, n.keywords, n.letters);
		buf_addc(&name, '\0');
		if (!buf_ok(&name) || renameat(mailbox->folder.new, old, mailbox->folder.cur, name.p) != 0) {
			record->recent = false; /* another process was faster; the next look finds it in cur/ */
			mailbox->stamps_hold = false;
			continue;
		}
		record->in_new = false;
		mailbox_set_name(mailbox, record, (struct str){name.p, name.n - 1});
		mailbox->dirty_new = mailbox->dirty_cur = true;
	}
	buf_clear(&name);
}

static bool
look_now(struct mailbox *mailbox, struct err *err)
{
	uint32_t next;

	pending_sort(&mailbox->pending);
	mailbox_squeeze(mailbox);
	if (!scan_and_number(mailbox, &next, err))
		return false;
	if (count_missing(mailbox) > 0 && !mailbox_scan(mailbox, err))
		return false;
	if (!heed_highest(mailbox, &next, err))
		return false;
	merge(mailbox);
	pending_sort(&mailbox->pending);
	mailbox->uidnext = next;
	mailbox->looked = true;
	if (mailbox->rights == MAILBOX_WRITE)
		move_new(mailbox);
	names_squeeze(mailbox);
	return true;
}

bool
mailbox_look(struct mailbox *mailbox, struct err *err)
{
	bool same = false;

	if (!take_stamps(mailbox, &same, err))
		return false;
	if (same)
		return true;
	if (look_now(mailbox, err))
		return true;
	mailbox->stamps_hold = false;
	return false;
}

struct mailbox_record *
mailbox_find_again(struct mailbox *mailbox, uint32_t uid, bool *failed, struct err *err)
{
	mailbox->stamps_hold = false;
	*failed = !mailbox_look(mailbox, err);
	return *failed ? NULL : mailbox_record(mailbox, uid);
}

/* Moving up all that follow, at each of many removals, would take time that grows with the square. */
void
mailbox_drop_record(struct mailbox *mailbox, struct mailbox_record *record)
{
	pending_sort(&mailbox->pending);
	(void)uids_remove(&mailbox->pending.added, record->uid);
	(void)uids_remove(&mailbox->pending.changed, record->uid);
	mailbox->names.dead += record->name_bytes;
	record->removed = true;
	mailbox->nremoved++;
}

void
mailbox_squeeze(struct mailbox *mailbox)
{
	size_t kept = 0;

	if (mailbox->nremoved == 0)
		return;
	for (size_t i = 0; i < mailbox->n; i++)
		if (!mailbox->records[i].removed)
			mailbox->records[kept++] = mailbox->records[i];
	mailbox->n = kept;
	mailbox->nremoved = 0;
}

bool
mailbox_rescan(struct mailbox *mailbox, struct mailbox_changes *changes, struct err *err)
{
	*changes = (struct mailbox_changes){.replaced = false};
	if (!mailbox_look(mailbox, err))
		return false;
	*changes = mailbox->pending;
	mailbox->pending = (struct mailbox_changes){.replaced = false};
	return true;
}
