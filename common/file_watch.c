#include "common/file_watch.h"

#include <string.h>

/* All zero when it is missing. */
static struct stat
state_of(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		memset(&st, 0, sizeof st);
	return st;
}

static bool
is_same(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
	    a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

void
file_watch_begin(struct file_watch *watch, const char *const *paths, size_t n)
{
	for (size_t i = 0; i < n; i++)
		watch->told[i] = watch->seen[i] = state_of(paths[i]);
}

bool
file_watch_look(struct file_watch *watch, const char *const *paths, size_t n)
{
	bool changed = false, settled = true;

	for (size_t i = 0; i < n; i++) {
		struct stat now = state_of(paths[i]);

		settled = settled && now.st_ino != 0 && is_same(&now, &watch->seen[i]);
		changed = changed || !is_same(&now, &watch->told[i]);
		watch->seen[i] = now;
	}
	if (!changed || !settled)
		return false;
	memcpy(watch->told, watch->seen, n * sizeof watch->told[0]);
	return true;
}
