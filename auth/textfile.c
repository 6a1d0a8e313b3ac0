#include "auth/textfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define QUIET_MS 300 /* no editor pauses longer in the midst of writing */

void
textfile_init(struct textfile *file, const char *path)
{
	memset(file, 0, sizeof *file);
	file->path = path;
	file->fd = -1;
}

void
textfile_clear(struct textfile *file)
{
	if (file->text != NULL)
		explicit_bzero(file->text, file->n);
	free(file->text);
	if (file->fd >= 0)
		(void)close(file->fd);
	textfile_init(file, file->path);
}

static bool
is_same_version(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* A clock that jumped back makes it look old: then it counts as whole. */
unsigned
textfile_settles_ms(const struct textfile *file)
{
	struct timespec clock;
	int64_t age_ms;

	if (!file->rewritten || clock_gettime(CLOCK_REALTIME, &clock) != 0)
		return 0;
	age_ms = (int64_t)(clock.tv_sec - file->seen.st_mtim.tv_sec) * 1000 +
		 (clock.tv_nsec - file->seen.st_mtim.tv_nsec) / 1000000;
	return age_ms >= 0 && age_ms < QUIET_MS ? QUIET_MS - (unsigned)age_ms : 0;
}

static bool
read_whole(int fd, char *text, size_t n, const char *path, struct err *err)
{
	for (size_t done = 0; done < n;) {
		ssize_t got = read(fd, text + done, n - done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(err, "%s", path);
		if (got == 0)
			return err_set(err, ERR_TEMP, "%s: became shorter while it was read", path);
		done += (size_t)got;
	}
	return true;
}

/* Keeps fd if it succeeds. */
static bool
load(struct textfile *file, int fd, struct err *err)
{
	bool rewritten;
	struct stat st;
	char *text;

	if (fstat(fd, &st) != 0)
		return err_sys(err, "%s", file->path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_PERM, "%s: not a regular file", file->path);
	if (st.st_size > TEXTFILE_MAX_BYTES)
		return err_set(err, ERR_LIMIT, "%s: larger than %d bytes", file->path, TEXTFILE_MAX_BYTES);
	text = malloc((size_t)st.st_size + 1);
	if (text == NULL)
		return err_sys(err, "%s", file->path);
	if (!read_whole(fd, text, (size_t)st.st_size, file->path, err)) {
		free(text);
		return false;
	}
	text[st.st_size] = '\0';
	rewritten = file->fd < 0 || (file->seen.st_ino == st.st_ino && file->seen.st_dev == st.st_dev);
	textfile_clear(file);
	file->rewritten = rewritten;
	file->fd = fd;
	file->text = text;
	file->n = (size_t)st.st_size;
	file->seen = st;
	return true;
}

enum textfile_news
textfile_refresh(struct textfile *file, struct err *err)
{
	struct stat st;
	int fd;

	if (stat(file->path, &st) != 0) {
		(void)err_sys(err, "%s", file->path);
		if (errno != ENOENT)
			return file->text != NULL ? TEXTFILE_SAME : TEXTFILE_UNREADABLE;
		textfile_clear(file);
		return TEXTFILE_MISSING;
	}
	if (file->text != NULL && is_same_version(&file->seen, &st))
		return TEXTFILE_SAME;
	fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		(void)err_sys(err, "%s", file->path);
		return file->text != NULL ? TEXTFILE_SAME : TEXTFILE_UNREADABLE;
	}
	if (load(file, fd, err))
		return TEXTFILE_NEW;
	(void)close(fd);
	return file->text != NULL ? TEXTFILE_SAME : TEXTFILE_UNREADABLE;
}
