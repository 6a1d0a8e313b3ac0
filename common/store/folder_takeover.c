/*
 * Taking over the UIDs that another server gave: each message that its record names gets its UID into its name. The
 * state file says that this is under way until it is done and durable; a process that dies in between is followed by one
 * that goes on. The other server's record is left as it is.
 */
#include "common/store/folder.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/store/store_inner.h"
#include "common/store/uidlist.h"

#define UIDLIST_MAX_BYTES ((size_t)256 * 1024 * 1024)

struct known {
	struct str base;
	uint32_t uid;
};

/* What the record says, sorted by base. */
struct record {
	struct buf text;
	struct known *list;
	size_t n;
	uint32_t next; /* above all UIDs in it */
};

static int
known_compare(const void *a, const void *b)
{
	const struct known *x = a, *y = b;

	return str_compare(x->base, y->base);
}

static bool
record_add(struct record *record, size_t *max, uint32_t uid, struct str base)
{
	if (record->n == *max) {
		struct known *list = reallocarray(record->list, *max * 2 + 1024, sizeof *list);

		if (list == NULL)
			return false;
		record->list = list;
		*max = *max * 2 + 1024;
	}
	record->list[record->n++] = (struct known){base, uid};
	if (uid >= record->next)
		record->next = uid < UINT32_MAX ? uid + 1 : uid;
	return true;
}

/* A record that went away meanwhile is an empty one. */
static bool
record_read(struct record *record, struct folder *folder, struct err *err)
{
	const char *name =
	    folder->state.state.taking_over == MAILBOX_ORIGIN_DOVECOT ? "dovecot-uidlist" : "courierimapuiddb";
	struct uidlist list;
	struct str base;
	size_t max = 0;
	uint32_t uid;

	if (folder->state.state.taking_over == MAILBOX_ORIGIN_MBSYNC ||
	    !store_read_file(folder->directory, name, &record->text, NULL) ||
	    !uidlist_open(&list, buf_str(&record->text)))
		return true;
	while (uidlist_next(&list, &uid, &base))
		if (!record_add(record, &max, uid, base))
			return err_sys(err, "no memory for the UIDs in %s", name);
	if (record->n > 0)
		qsort(record->list, record->n, sizeof record->list[0], known_compare);
	return true;
}

static uint32_t
record_uid(const struct record *record, enum mailbox_origin origin, const struct maildir_name *n)
{
	struct known key = {.base = n->base}, *found;

	if (origin == MAILBOX_ORIGIN_MBSYNC)
		return n->mbsync_uid;
	if (record->n == 0)
		return 0;
	found = bsearch(&key, record->list, record->n, sizeof record->list[0], known_compare);
	return found ? found->uid : 0;
}

/* One file that has a UID of ours already, or is to get one. */
struct candidate {
	uint32_t uid;
	bool ours;
	int directory;
	struct str name;
};

struct candidates {
	struct candidate *list;
	size_t n, max;
};

/* By UID; those that have theirs already first. */
static int
candidate_compare(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->uid != y->uid)
		return x->uid < y->uid ? -1 : 1;
	return x->ours != y->ours ? (x->ours ? -1 : 1) : str_compare(x->name, y->name);
}

static bool
candidates_collect(struct candidates *c, struct folder *folder, const struct record *record, const struct dirents *d,
    int directory, struct err *err)
{
	struct dirent_name entry;
	struct maildir_name n;
	size_t offset = 0;

	while (dirents_next(d, &offset, &entry)) {
		struct candidate one = {.directory = directory, .name = entry.name};

		if (!maildir_name_parse(&n, entry.name))
			continue;
		one.ours = n.uid != 0 && strncmp(n.tag, folder_tag(folder), MAILDIR_TAG_LENGTH) == 0;
		one.uid = one.ours ? n.uid : record_uid(record, folder->state.state.taking_over, &n);
		if (one.uid == 0)
			continue;
		if (c->n == c->max) {
			struct candidate *list = reallocarray(c->list, c->max * 2 + 1024, sizeof *list);

			if (list == NULL)
				return err_sys(err, "no memory for the names of a folder");
			c->list = list;
			c->max = c->max * 2 + 1024;
		}
		c->list[c->n++] = one;
	}
	return true;
}

/* Each UID once: of two files with the same the later one is left to be numbered anew. */
static bool
candidates_number(struct candidates *c, struct folder *folder, struct err *err)
{
	uint32_t last = 0;
	bool done;

	if (c->n > 0)
		qsort(c->list, c->n, sizeof c->list[0], candidate_compare);
	for (size_t i = 0; i < c->n; i++) {
		struct candidate *one = &c->list[i];

		if (one->uid == last)
			continue;
		last = one->uid;
		if (!one->ours && !folder_number_file(folder, one->directory, one->name, one->uid, &done, err))
			return false;
	}
	return true;
}

static bool
finish(struct folder *folder, uint32_t next, struct err *err)
{
	struct mailbox_state *state = &folder->state.state;

	if (fsync(folder->new) != 0 || fsync(folder->cur) != 0)
		return err_sys(err, "cannot sync the folder");
	if (!state_file_skip_uids(&folder->state, next, err))
		return false;
	state->taking_over = MAILBOX_ORIGIN_NONE;
	return state_file_write(&folder->state, err);
}

bool
folder_take_over(struct folder *folder, struct err *err)
{
	struct record record = {.next = 1};
	struct candidates c = {0};
	struct dirents in_new = {0}, in_cur = {0};
	uint32_t next = 1;
	bool ok;

	buf_init(&record.text, UIDLIST_MAX_BYTES);
	ok = record_read(&record, folder, err) && dirents_read(&in_new, folder->new, err) &&
	     dirents_read(&in_cur, folder->cur, err) &&
	     candidates_collect(&c, folder, &record, &in_new, folder->new, err) &&
	     candidates_collect(&c, folder, &record, &in_cur, folder->cur, err) && candidates_number(&c, folder, err);
	if (ok && c.n > 0)
		next = c.list[c.n - 1].uid < UINT32_MAX ? c.list[c.n - 1].uid + 1 : UINT32_MAX;
	ok = ok && finish(folder, next > record.next ? next : record.next, err);
	dirents_clear(&in_new);
	dirents_clear(&in_cur);
	free(c.list);
	free(record.list);
	buf_clear(&record.text);
	return ok;
}
