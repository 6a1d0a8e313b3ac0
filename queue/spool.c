#include "queue/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *const names[SPOOL_PLACES] = {
    [SPOOL_INCOMING] = "incoming",
    [SPOOL_ACTIVE] = "active",
    [SPOOL_DEFERRED] = "deferred",
    [SPOOL_HOLD] = "hold",
    [SPOOL_CORRUPT] = "corrupt",
};

const char *
spool_place_name(enum spool_place place)
{
	return names[place];
}

bool
spool_open(struct spool *spool, const char *path, struct err *err)
{
	bool good = true;
	int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	spool->root = root;
	for (int i = 0; i < SPOOL_PLACES; i++)
		spool->fds[i] = -1;
	if (root < 0)
		return err_sys(err, "cannot open the spool directory %s", path);
	for (int i = 0; good && i < SPOOL_PLACES; i++) {
		spool->fds[i] = openat(root, names[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		good = spool->fds[i] >= 0 || err_sys(err, "cannot open %s/%s", path, names[i]);
	}
	if (!good)
		spool_close(spool);
	return good;
}

void
spool_close(struct spool *spool)
{
	for (int i = 0; i < SPOOL_PLACES; i++) {
		if (spool->fds[i] >= 0)
			(void)close(spool->fds[i]);
		spool->fds[i] = -1;
	}
	if (spool->root >= 0)
		(void)close(spool->root);
	spool->root = -1;
}

/* ---- one file -------------------------------------------------------------------------------------------------- */

int
spool_open_file(const struct spool *spool, enum spool_place place, const struct queue_id *id, int flags,
    struct err *err)
{
	/* O_NONBLOCK: a FIFO of a captured smtpd must not stop us. */
	int fd = openat(spool->fds[place], id->text, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		(void)err_sys(err, "cannot open %s/%s", names[place], id->text);
	return fd;
}

int
spool_create_file(const struct spool *spool, const struct queue_id *id, struct err *err)
{
	int fd = openat(spool->fds[SPOOL_ACTIVE], id->text, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		(void)err_sys(err, "cannot create active/%s", id->text);
	return fd;
}

/* renameat2 that does without the flag where the file system does not know it. */
static bool
rename_new(int from_fd, const char *from, int to_fd, const char *to)
{
	if (renameat2(from_fd, from, to_fd, to, RENAME_NOREPLACE) == 0)
		return true;
	if (errno != EINVAL && errno != ENOSYS)
		return false;
	if (faccessat(to_fd, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return false;
	}
	return errno == ENOENT && renameat(from_fd, from, to_fd, to) == 0;
}

bool
spool_move(const struct spool *spool, const struct queue_id *id, enum spool_place from, enum spool_place to,
    struct err *err)
{
	if (rename_new(spool->fds[from], id->text, spool->fds[to], id->text))
		return true;
	return err_sys(err, "cannot move %s from %s to %s", id->text, names[from], names[to]);
}

struct deferred_path {
	char text[SPOOL_TIME_LENGTH + 1 + QUEUE_ID_LENGTH + 1];
};

static struct deferred_path
deferred_path(const struct spool_time *time, const struct queue_id *id)
{
	struct deferred_path path;

	(void)snprintf(path.text, sizeof path.text, "%s/%s", time->text, id->text);
	return path;
}

int
spool_open_deferred(const struct spool *spool, const struct queue_id *id, const struct spool_time *time, struct err *err)
{
	struct deferred_path path = deferred_path(time, id);
	int fd = openat(spool->fds[SPOOL_DEFERRED], path.text, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		(void)err_sys(err, "cannot open deferred/%s", path.text);
	return fd;
}

bool
spool_defer(const struct spool *spool, const struct queue_id *id, const struct spool_time *time, struct err *err)
{
	struct deferred_path path = deferred_path(time, id);
	int active = spool->fds[SPOOL_ACTIVE], deferred = spool->fds[SPOOL_DEFERRED];

	if (rename_new(active, id->text, deferred, path.text))
		return true;
	if (errno == ENOENT && (mkdirat(deferred, time->text, 0700) == 0 || errno == EEXIST) &&
	    rename_new(active, id->text, deferred, path.text))
		return true;
	return err_sys(err, "cannot move %s from active to deferred/%s", id->text, time->text);
}

bool
spool_undefer(const struct spool *spool, const struct queue_id *id, const struct spool_time *time, struct err *err)
{
	struct deferred_path path = deferred_path(time, id);

	if (rename_new(spool->fds[SPOOL_DEFERRED], path.text, spool->fds[SPOOL_ACTIVE], id->text))
		return true;
	return err_sys(err, "cannot move deferred/%s to active", path.text);
}

bool
spool_remove(const struct spool *spool, const struct queue_id *id, enum spool_place place, struct err *err)
{
	if (unlinkat(spool->fds[place], id->text, 0) == 0)
		return true;
	return err_sys(err, "cannot remove %s/%s", names[place], id->text);
}

bool
spool_is_special(const struct spool *spool, const struct queue_id *id, enum spool_place place)
{
	struct stat st;

	return fstatat(spool->fds[place], id->text, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode) &&
	    !S_ISDIR(st.st_mode);
}

bool
spool_has_file(const struct spool *spool, const struct queue_id *id, enum spool_place place)
{
	return faccessat(spool->fds[place], id->text, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

bool
spool_is_at_fault(int errnum)
{
	return errnum == ENOSPC || errnum == EDQUOT || errnum == EROFS || errnum == EIO;
}

bool
spool_remove_deferred(const struct spool *spool, const struct queue_id *id, const struct spool_time *time, struct err *err)
{
	struct deferred_path path = deferred_path(time, id);

	if (unlinkat(spool->fds[SPOOL_DEFERRED], path.text, 0) == 0)
		return true;
	return err_sys(err, "cannot remove deferred/%s", path.text);
}

bool
spool_find_deferred(const struct spool *spool, const struct queue_id *id, struct spool_time *time)
{
	struct spool_scan scan;
	struct err err;
	const char *name;
	bool found = false;

	if (!spool_scan_open(spool, &scan, SPOOL_DEFERRED, NULL, &err))
		return false;
	while (!found && (name = spool_scan_next(&scan)) != NULL) {
		uint64_t time_s;

		if (!spool_time_parse(str_from(name), time, &time_s))
			continue;
		found = faccessat(spool->fds[SPOOL_DEFERRED], deferred_path(time, id).text, F_OK,
			    AT_SYMLINK_NOFOLLOW) == 0;
	}
	spool_scan_close(&scan);
	return found;
}

/* ---- times ----------------------------------------------------------------------------------------------------- */

void
spool_time_format(struct spool_time *time, uint64_t time_s)
{
	time_t t = (time_t)time_s;
	struct tm tm;

	time->text[0] = '\0';
	if (gmtime_r(&t, &tm) != NULL)
		(void)strftime(time->text, sizeof time->text, "%Y%m%dT%H%M%SZ", &tm);
}

void
spool_time_round(struct spool_time *time, uint64_t due_ms, uint64_t now_ms)
{
	uint64_t ahead_ms = due_ms > now_ms ? due_ms - now_ms : 0;
	uint64_t step_ms = ahead_ms < 60 * 1000 ? 1000 : ahead_ms < 600 * 1000 ? 10 * 1000 : 60 * 1000;

	spool_time_format(time, (due_ms + step_ms - 1) / step_ms * step_ms / 1000);
}

bool
spool_time_parse(struct str name, struct spool_time *time, uint64_t *time_s)
{
	static const char shape[] = "dddddddd" "T" "dddddd" "Z";
	struct spool_time again;
	struct tm tm = {.tm_isdst = 0};
	time_t t;

	if (name.n != SPOOL_TIME_LENGTH)
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (shape[i] == 'd' ? !ascii_is_digit(name.p[i]) : name.p[i] != shape[i])
			return false;
	if (!str_copy(time->text, sizeof time->text, name) || strptime(time->text, "%Y%m%dT%H%M%SZ", &tm) == NULL)
		return false;
	t = timegm(&tm);
	if (t < 0)
		return false;
	*time_s = (uint64_t)t;
	spool_time_format(&again, *time_s);
	return strcmp(again.text, time->text) == 0;
}

/* ---- directories ----------------------------------------------------------------------------------------------- */

bool
spool_scan_open(const struct spool *spool, struct spool_scan *scan, enum spool_place place,
    const struct spool_time *time, struct err *err)
{
	const char *name = time != NULL ? time->text : ".";
	int fd = openat(spool->fds[place], name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	*scan = (struct spool_scan){.place = place};
	if (time != NULL)
		scan->time = *time;
	if (fd < 0)
		return err_sys(err, "cannot open %s/%s", names[place], name);
	scan->dir = fdopendir(fd);
	if (scan->dir == NULL) {
		(void)err_sys(err, "cannot read %s/%s", names[place], name);
		(void)close(fd);
		return false;
	}
	return true;
}

const char *
spool_scan_next(struct spool_scan *scan)
{
	const struct dirent *entry;

	if (scan->dir == NULL)
		return NULL;
	do
		entry = readdir(scan->dir);
	while (entry != NULL && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
	return entry != NULL ? entry->d_name : NULL;
}

void
spool_scan_close(struct spool_scan *scan)
{
	if (scan->dir != NULL)
		(void)closedir(scan->dir);
	scan->dir = NULL;
}

bool
spool_time_remove(const struct spool *spool, const struct spool_time *time)
{
	return unlinkat(spool->fds[SPOOL_DEFERRED], time->text, AT_REMOVEDIR) == 0 || errno == ENOENT;
}
