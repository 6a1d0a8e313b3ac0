/*
 * Getting rid of what is not needed any more: the directories of deleted folders, and what deliveries that were cut off
 * left in tmp/.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/store/beneath.h"
#include "common/store/store_inner.h"

/* Deeper than anything that belongs to a folder. */
#define DEPTH_MAX 4
/* The Maildir convention: nobody writes to a file in tmp/ for longer. */
#define TMP_AGE_MAX_S (36 * 3600)
#define SWEEP_EVERY_S (24 * 3600)
#define SWEPT_NAME "merpati-swept"

static bool
is_directory_entry(int parent, const struct dirent_name *entry)
{
	struct stat st;

	if (entry->type != DT_UNKNOWN)
		return entry->type == DT_DIR;
	return fstatat(parent, entry->name.p, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static bool
remove_tree(int parent, const char *name, unsigned depth, struct err *err)
{
	int directory = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirents d = {0};
	struct dirent_name entry;
	size_t offset = 0;
	bool ok;

	if (directory < 0)
		return errno == ENOENT || err_sys(err, "cannot open %s", name);
	ok = dirents_read(&d, directory, err);
	while (ok && dirents_next(&d, &offset, &entry)) {
		if (is_directory_entry(directory, &entry))
			ok = depth < DEPTH_MAX ? remove_tree(directory, entry.name.p, depth + 1, err)
					       : err_set(err, ERR_LIMIT, "%s is too deep", name);
		else
			ok = unlinkat(directory, entry.name.p, 0) == 0 || errno == ENOENT ||
			     err_sys(err, "cannot remove %s", entry.name.p);
	}
	dirents_clear(&d);
	(void)close(directory);
	return ok && (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT || err_sys(err, "cannot remove %s", name));
}

bool
store_remove_directory(struct store *store, const char *disk, struct err *err)
{
	return remove_tree(store->root, disk, 0, err);
}

static bool
is_older(int directory, const char *name, uint64_t now_s, uint64_t age_s)
{
	struct stat st;

	return fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_mtim.tv_sec >= 0 &&
	       (uint64_t)st.st_mtim.tv_sec + age_s < now_s;
}

static void
sweep_tmp(int parent, const char *path, uint64_t now_s)
{
	int tmp = beneath_open(parent, path, O_RDONLY | O_DIRECTORY);
	struct dirents d = {0};
	struct dirent_name entry;
	size_t offset = 0;

	if (tmp < 0)
		return;
	if (dirents_read(&d, tmp, NULL))
		while (dirents_next(&d, &offset, &entry))
			if (is_older(tmp, entry.name.p, now_s, TMP_AGE_MAX_S))
				(void)unlinkat(tmp, entry.name.p, 0);
	dirents_clear(&d);
	(void)close(tmp);
}

static bool
may_sweep(struct store *store, uint64_t now_s)
{
	struct stat st;

	if (fstatat(store->root, SWEPT_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_mtim.tv_sec >= 0 &&
	    (uint64_t)st.st_mtim.tv_sec + SWEEP_EVERY_S > now_s && (uint64_t)st.st_mtim.tv_sec <= now_s)
		return false;
	return store_write_file(store->root, SWEPT_NAME, STR(""), NULL);
}

static void
sweep_entry(struct store *store, const char *name, uint64_t now_s)
{
	char path[MAILDIR_NAME_MAX + 8];
	struct str s = str_from(name);

	if (str_starts(s, STR(STORE_DELETED_PREFIX)) ||
	    (str_starts(s, STR(STORE_MADE_PREFIX)) && is_older(store->root, name, now_s, TMP_AGE_MAX_S))) {
		(void)store_remove_directory(store, name, NULL);
		return;
	}
	if (s.n + 5 > sizeof path || !str_copy(path, sizeof path, s))
		return;
	memcpy(path + s.n, "/tmp", 5);
	sweep_tmp(store->root, path, now_s);
}

void
store_sweep(struct store *store, uint64_t now_seconds)
{
	struct dirents d = {0};
	struct dirent_name entry;
	size_t offset = 0;

	if (!may_sweep(store, now_seconds))
		return;
	sweep_tmp(store->root, "tmp", now_seconds);
	if (dirents_read(&d, store->root, NULL))
		while (dirents_next(&d, &offset, &entry))
			if (entry.name.p[0] == '.' && entry.type != DT_REG)
				sweep_entry(store, entry.name.p, now_seconds);
	dirents_clear(&d);
}
