#include "common/daemon/file_watch.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"

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
file_watch_clear(struct file_watch *watch)
{
	free(watch->files);
	*watch = (struct file_watch){0};
}

void
file_watch_begin(struct file_watch *watch, const char *const *paths, size_t n)
{
	file_watch_clear(watch);
	watch->files = calloc(n + 1, sizeof *watch->files);
	if (watch->files == NULL)
		fatal("out of memory for watching %zu files", n);
	watch->n = n;
	for (size_t i = 0; i < n; i++)
		watch->files[i].told = watch->files[i].seen = state_of(paths[i]);
}

bool
file_watch_look(struct file_watch *watch, const char *const *paths, size_t n)
{
	bool changed = false, settled = true;

	for (size_t i = 0; i < n && i < watch->n; i++) {
		struct file_watched *file = &watch->files[i];
		struct stat now = state_of(paths[i]);

		settled = settled && (now.st_ino != 0 || file->told.st_ino == 0) && is_same(&now, &file->seen);
		changed = changed || !is_same(&now, &file->told);
		file->seen = now;
	}
	if (!changed || !settled)
		return false;
	for (size_t i = 0; i < watch->n; i++)
		watch->files[i].told = watch->files[i].seen;
	return true;
}
