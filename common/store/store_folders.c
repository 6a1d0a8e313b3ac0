/*
 * The tree of folders: directories `.NAME` in the Maildir. Whatever changes the tree does so under the Maildir's lock,
 * and by one rename, so that a folder is there as a whole or not at all.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/store/beneath.h"
#include "common/store/folder_name.h"
#include "common/base/log.h"
#include "common/store/mailbox.h"
#include "common/store/store_inner.h"

static bool
is_directory(struct store *store, const char *disk)
{
	struct stat st;

	return fstatat(store->root, disk, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* One of the two forms of the name on disk; false when the folder cannot have it. */
static bool
disk_name(struct str name, bool (*convert)(struct buf *, struct str), char disk[MAILDIR_NAME_MAX + 1])
{
	struct buf b;
	bool ok;

	buf_init(&b, 4096);
	ok = convert(&b, name) && str_copy(disk, MAILDIR_NAME_MAX + 1, buf_str(&b));
	buf_clear(&b);
	return ok;
}

bool
store_find_directory(struct store *store, struct str name, char disk[MAILDIR_NAME_MAX + 1], struct err *err)
{
	if (folder_name_is_inbox(name))
		return str_copy(disk, MAILDIR_NAME_MAX + 1, STR("."));
	if (!disk_name(name, folder_name_to_disk, disk))
		return store_refuse(err, EINVAL, "no folder can have this name");
	if (is_directory(store, disk))
		return true;
	if (disk_name(name, folder_name_to_disk_mutf7, disk) && is_directory(store, disk))
		return true;
	return store_refuse(err, ENOENT, "there is no such folder");
}

/* --- walking through the folders on disk -------------------------------------------------------------------------------- */

struct walk {
	struct dirents d;
	size_t offset;
	struct buf name; /* of the folder */
};

static bool
walk_begin(struct walk *walk, struct store *store, struct err *err)
{
	*walk = (struct walk){.offset = 0};
	buf_init(&walk->name, 4096);
	return dirents_read(&walk->d, store->root, err);
}

/* The next directory whose name is a folder's. disk is borrowed until the walk's end. */
static bool
walk_next(struct walk *walk, const char **disk)
{
	struct dirent_name entry;

	while (dirents_next(&walk->d, &walk->offset, &entry)) {
		buf_reset(&walk->name);
		if ((entry.type != DT_DIR && entry.type != DT_UNKNOWN) ||
		    !folder_name_from_disk(&walk->name, entry.name))
			continue;
		*disk = entry.name.p;
		return true;
	}
	return false;
}

static void
walk_end(struct walk *walk)
{
	dirents_clear(&walk->d);
	buf_clear(&walk->name);
}

/* What a folder's state file says, without a lock: its parts but for the counter never change in place. */
static bool
peek_state(struct store *store, const char *disk, struct mailbox_state *state)
{
	char path[MAILDIR_NAME_MAX + 32];
	struct buf text;
	bool ok;

	(void)snprintf(path, sizeof path, "%s/%s", disk, STATE_FILE_NAME);
	buf_init(&text, MAILBOX_STATE_MAX_BYTES + 1);
	ok = store_read_file(store->root, path, &text, NULL) && mailbox_state_parse(state, buf_str(&text));
	buf_clear(&text);
	return ok;
}

static bool
is_folder(struct store *store, const char *disk)
{
	char path[MAILDIR_NAME_MAX + 8];

	(void)snprintf(path, sizeof path, "%s/cur", disk);
	return is_directory(store, path);
}

uint32_t
store_highest_uidvalidity(struct store *store)
{
	struct mailbox_state state;
	struct walk walk;
	const char *disk;
	uint32_t highest = 0;

	if (walk_begin(&walk, store, NULL))
		while (walk_next(&walk, &disk))
			if (peek_state(store, disk, &state) && state.uidvalidity > highest)
				highest = state.uidvalidity;
	walk_end(&walk);
	return highest;
}

/* --- listing -------------------------------------------------------------------------------------------------------------- */

static void
list_add(struct store_list *list, struct str name, const struct store_folder *like)
{
	/* Doubled whenever the number is a power of two: no room to be kept beside it. */
	if ((list->n & (list->n - 1)) == 0) {
		list->folders = reallocarray(list->folders, list->n == 0 ? 1 : list->n * 2, sizeof list->folders[0]);
		if (list->folders == NULL)
			fatal("out of memory for a list of %zu folders", list->n);
	}
	list->folders[list->n] = *like;
	list->folders[list->n++].name = str_dup(name);
}

static void
list_add_parents(struct store_list *list, struct str name)
{
	for (size_t i = 1; i < name.n; i++)
		if (name.p[i] == STORE_SEPARATOR)
			list_add(list, str_sub(name, 0, i), &(struct store_folder){.has_children = true});
}

static int
folder_compare(const void *a, const void *b)
{
	const struct store_folder *x = a, *y = b;
	bool x_inbox = strcmp(x->name, "INBOX") == 0, y_inbox = strcmp(y->name, "INBOX") == 0;

	if (x_inbox != y_inbox)
		return x_inbox ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* The same name may stand there as a folder, a parent, a subscription. */
static void
list_join(struct store_list *list)
{
	size_t kept = 0;

	qsort(list->folders, list->n, sizeof list->folders[0], folder_compare);
	for (size_t i = 0; i < list->n; i++) {
		struct store_folder *folder = &list->folders[i], *last = kept > 0 ? &list->folders[kept - 1] : NULL;

		if (last == NULL || strcmp(last->name, folder->name) != 0) {
			list->folders[kept++] = *folder;
			continue;
		}
		last->exists |= folder->exists;
		last->has_children |= folder->has_children;
		last->subscribed |= folder->subscribed;
		last->uses |= folder->uses;
		free((void *)(uintptr_t)folder->name);
	}
	list->n = kept;
}

static bool
list_folders(struct store *store, struct store_list *list, struct err *err)
{
	struct walk walk;
	const char *disk;
	size_t count = 0;
	bool ok = walk_begin(&walk, store, err);

	while (ok && walk_next(&walk, &disk)) {
		struct store_folder folder = {.exists = true};
		struct mailbox_state state;

		if (peek_state(store, disk, &state))
			folder.uses = state.uses;
		else if (!is_folder(store, disk))
			continue;
		if (++count > STORE_FOLDERS_MAX)
			ok = err_set(err, ERR_LIMIT, "there are more than %d folders", STORE_FOLDERS_MAX);
		list_add(list, buf_str(&walk.name), &folder);
		list_add_parents(list, buf_str(&walk.name));
	}
	walk_end(&walk);
	return ok;
}

static bool
list_subscriptions(struct store *store, struct store_list *list, struct err *err)
{
	struct buf names;
	struct str rest, name;
	bool ok;

	buf_init(&names, STORE_SUBSCRIPTIONS_BYTES);
	ok = store_read_subscriptions(store, &names, err);
	rest = buf_str(&names);
	while (ok && rest.n > 0 && str_token(&rest, '\n', &name))
		if (folder_name_is_good(name))
			list_add(list, folder_name_is_inbox(name) ? STR("INBOX") : name,
			    &(struct store_folder){.subscribed = true});
	buf_clear(&names);
	return ok;
}

bool
store_list(struct store *store, struct store_list *list, struct err *err)
{
	*list = (struct store_list){0};
	list_add(list, STR("INBOX"), &(struct store_folder){.exists = true});
	if (!list_folders(store, list, err) || !list_subscriptions(store, list, err)) {
		store_list_clear(list);
		return false;
	}
	list_join(list);
	return true;
}

void
store_list_clear(struct store_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free((void *)(uintptr_t)list->folders[i].name);
	free(list->folders);
	*list = (struct store_list){0};
}

/* --- making --------------------------------------------------------------------------------------------------------------- */

static bool
make_state(struct store *store, int directory, unsigned uses, struct err *err)
{
	struct mailbox_state state = {.next = 1, .reserved = 1, .uses = uses};
	struct buf text;
	bool ok;

	if (!store_next_uidvalidity(store, &state.uidvalidity, err))
		return false;
	folder_make_id(&state, NULL);
	(void)str_copy(state.boot, sizeof state.boot, str_from(store->host->boot));
	buf_init(&text, MAILBOX_STATE_MAX_BYTES);
	mailbox_state_format(&text, &state);
	ok = store_write_file(directory, STATE_FILE_NAME, buf_str(&text), err);
	buf_clear(&text);
	return ok;
}

/* Everything a folder has, in a directory that is not one yet. */
static bool
make_contents(struct store *store, const char *made, unsigned uses, struct err *err)
{
	static const char *const parts[] = {"tmp", "new", "cur"};
	int directory = beneath_make_directory(store->root, made, err), part;
	bool ok = directory >= 0;

	for (size_t i = 0; ok && i < 3; i++) {
		part = beneath_make_directory(directory, parts[i], err);
		ok = part >= 0;
		if (ok)
			(void)close(part);
	}
	ok = ok && store_write_file(directory, STORE_MAILDIR_FOLDER, STR(""), err) &&
	     make_state(store, directory, uses, err);
	if (directory >= 0)
		(void)close(directory);
	return ok;
}

static void
unique_directory(struct store *store, const char *prefix, char name[MAILDIR_NAME_MAX + 1])
{
	struct buf b;

	buf_init(&b, MAILDIR_NAME_MAX);
	buf_adds(&b, prefix);
	store_unique_name(store, &b);
	(void)str_copy(name, MAILDIR_NAME_MAX + 1, buf_str(&b));
	buf_clear(&b);
}

static bool
sync_root(struct store *store, struct err *err)
{
	return fsync(store->root) == 0 || err_sys(err, "cannot sync the Maildir");
}

static bool
rename_new(struct store *store, const char *from, const char *to, struct err *err)
{
	if (renameat2(store->root, from, store->root, to, RENAME_NOREPLACE) == 0)
		return true;
	/* Where the flag is not known: rename itself refuses to replace a directory that is not empty. */
	if (errno == EINVAL && !is_directory(store, to) && renameat(store->root, from, store->root, to) == 0)
		return true;
	if (errno == EEXIST || errno == ENOTEMPTY)
		return store_refuse(err, EEXIST, "there is such a folder already");
	return err_sys(err, "cannot rename a folder");
}

static bool
below_limit(struct store *store, struct err *err)
{
	struct walk walk;
	const char *disk;
	size_t count = 0;
	bool ok = walk_begin(&walk, store, err);

	while (ok && walk_next(&walk, &disk))
		count++;
	walk_end(&walk);
	if (ok && count >= STORE_FOLDERS_MAX)
		return err_set(err, ERR_LIMIT, "there are %zu folders already", count);
	return ok;
}

static bool
create_locked(struct store *store, struct str name, unsigned uses, struct err *err)
{
	char disk[MAILDIR_NAME_MAX + 1], made[MAILDIR_NAME_MAX + 1];
	struct err why;

	if (store_find_directory(store, name, disk, &why))
		return store_refuse(err, EEXIST, "there is such a folder already");
	if (!disk_name(name, folder_name_to_disk, disk))
		return store_refuse(err, EINVAL, "no folder can have this name");
	if (!below_limit(store, err))
		return false;
	unique_directory(store, STORE_MADE_PREFIX, made);
	if (make_contents(store, made, uses, err) && rename_new(store, made, disk, err))
		return sync_root(store, err);
	(void)store_remove_directory(store, made, NULL);
	return false;
}

bool
store_create(struct store *store, struct str name, unsigned uses, struct err *err)
{
	bool ok;

	if (folder_name_is_inbox(name))
		return store_refuse(err, EEXIST, "INBOX is always there");
	if (!store_lock(store, err))
		return false;
	ok = create_locked(store, name, uses, err);
	store_unlock(store);
	return ok;
}

/* --- removing and renaming ------------------------------------------------------------------------------------------------ */

/* A folder that gets this name later must not have the UIDVALIDITY of the one that has it now. */
static bool
note_uidvalidity(struct store *store, const char *disk, struct err *err)
{
	struct mailbox_state state;

	return !peek_state(store, disk, &state) || store_note_uidvalidity(store, state.uidvalidity, err);
}

static bool
delete_locked(struct store *store, struct str name, char gone[MAILDIR_NAME_MAX + 1], struct err *err)
{
	char disk[MAILDIR_NAME_MAX + 1];

	if (!store_find_directory(store, name, disk, err) || !note_uidvalidity(store, disk, err))
		return false;
	unique_directory(store, STORE_DELETED_PREFIX, gone);
	return rename_new(store, disk, gone, err) && sync_root(store, err);
}

bool
store_delete(struct store *store, struct str name, struct err *err)
{
	char gone[MAILDIR_NAME_MAX + 1];
	bool ok;

	if (folder_name_is_inbox(name))
		return store_refuse(err, EPERM, "INBOX cannot be deleted");
	if (!store_lock(store, err))
		return false;
	ok = delete_locked(store, name, gone, err);
	store_unlock(store);
	if (ok) /* deleted it is; what cannot be removed now is swept later */
		(void)store_remove_directory(store, gone, NULL);
	return ok;
}

/* One of the renames that make up that of a folder with those below it. */
struct renaming {
	char from[MAILDIR_NAME_MAX + 1];
	char to[MAILDIR_NAME_MAX + 1];
};

struct renamings {
	struct renaming *list;
	size_t n;
};

static bool
is_below(struct str name, struct str top)
{
	return name.n > top.n && str_starts(name, top) && name.p[top.n] == STORE_SEPARATOR;
}

static bool
renamings_add(struct renamings *r, const char *disk, struct str name, struct str from, struct str to, struct err *err)
{
	struct renaming *list = reallocarray(r->list, r->n + 1, sizeof *list);
	struct buf target;
	bool ok;

	if (list == NULL)
		fatal("out of memory for %zu folders", r->n);
	r->list = list;
	buf_init(&target, 2 * MAILDIR_NAME_MAX);
	buf_add(&target, to);
	buf_add(&target, str_skip(name, from.n));
	ok = buf_ok(&target) && disk_name(buf_str(&target), folder_name_to_disk, r->list[r->n].to);
	buf_clear(&target);
	if (!ok)
		return store_refuse(err, EINVAL, "no folder can have this name");
	(void)str_copy(r->list[r->n].from, sizeof r->list[r->n].from, str_from(disk));
	r->n++;
	return true;
}

/* The folder itself and all below it. A parent that is missing can be renamed too: those below it move. */
static bool
renamings_collect(struct renamings *r, struct store *store, struct str from, struct str to, struct err *err)
{
	struct walk walk;
	const char *disk;
	bool ok = walk_begin(&walk, store, err);

	while (ok && walk_next(&walk, &disk)) {
		struct str name = buf_str(&walk.name);

		if (str_equal(name, to) || is_below(name, to))
			ok = store_refuse(err, EEXIST, "there is such a folder already");
		else if (str_equal(name, from) || is_below(name, from))
			ok = renamings_add(r, disk, name, from, to, err);
	}
	walk_end(&walk);
	if (ok && r->n == 0)
		return store_refuse(err, ENOENT, "there is no such folder");
	return ok;
}

static bool
rename_locked(struct store *store, struct str from, struct str to, struct err *err)
{
	struct renamings r = {0};
	size_t done = 0;
	bool ok = renamings_collect(&r, store, from, to, err);

	for (size_t i = 0; ok && i < r.n; i++)
		ok = note_uidvalidity(store, r.list[i].from, err);
	while (ok && done < r.n) {
		ok = rename_new(store, r.list[done].from, r.list[done].to, err);
		done += ok;
	}
	if (!ok)
		while (done > 0) {
			done--;
			(void)renameat(store->root, r.list[done].to, store->root, r.list[done].from);
		}
	free(r.list);
	return ok && sync_root(store, err);
}

/* RFC 3501 6.3.5: the messages go, INBOX stays. */
static bool
rename_inbox(struct store *store, struct str to, struct err *err)
{
	struct mailbox *source, *target = NULL;
	const struct mailbox_record *records;
	uint32_t *uids;
	size_t n;
	bool ok;

	if (!store_create(store, to, 0, err))
		return false;
	source = mailbox_open(store, STR("INBOX"), MAILBOX_WRITE, err);
	if (source != NULL)
		target = mailbox_open(store, to, MAILBOX_ADD, err);
	if (target == NULL) {
		mailbox_close(source);
		return false;
	}
	records = mailbox_records(source, &n);
	uids = calloc(2 * n + 1, sizeof *uids);
	if (uids == NULL)
		fatal("out of memory for %zu UIDs", n);
	for (size_t i = 0; i < n; i++)
		uids[i] = records[i].uid;
	ok = mailbox_move(source, uids, n, target, uids + n, err) && mailbox_sync(target, err) &&
	     mailbox_sync(source, err);
	free(uids);
	mailbox_close(target);
	mailbox_close(source);
	return ok;
}

bool
store_rename(struct store *store, struct str from, struct str to, struct err *err)
{
	char disk[MAILDIR_NAME_MAX + 1];
	bool ok;

	if (folder_name_is_inbox(to))
		return store_refuse(err, EEXIST, "INBOX is always there");
	if (!disk_name(to, folder_name_to_disk, disk) || is_below(to, from))
		return store_refuse(err, EINVAL, "the folder cannot get this name");
	if (folder_name_is_inbox(from))
		return rename_inbox(store, to, err);
	if (!store_lock(store, err))
		return false;
	ok = rename_locked(store, from, to, err);
	store_unlock(store);
	return ok;
}
