#include "common/base/cache_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* Until it is whole; of this process, as another one may write here as well. */
#define NEW_PREFIX ".new."
#define NEW_SIZE (sizeof NEW_PREFIX + 11)

static bool
read_all(int fd, size_t size, struct buf *out)
{
	while (size > 0) {
		char *p = buf_reserve(out, size);
		ssize_t n = p != NULL ? read(fd, p, size) : -1;

		if (n < 0 && p != NULL && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		if (n == 0)
			break;
		buf_commit(out, (size_t)n);
		size -= (size_t)n;
	}
	return true;
}

bool
cache_file_read(int directory, const char *name, struct buf *out, struct err *err)
{
	int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	bool good;

	if (fd < 0)
		return err_sys(err, "cannot open %s", name);
	good = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size <= out->max - out->n &&
	    read_all(fd, (size_t)st.st_size, out);
	(void)close(fd);
	return good || err_set(err, ERR_PERM, "%s cannot be read, or is too large", name);
}

static bool
write_all(int fd, struct str text)
{
	while (text.n > 0) {
		ssize_t n = write(fd, text.p, text.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		text = str_skip(text, (size_t)n);
	}
	return fdatasync(fd) == 0;
}

bool
cache_file_replace(int directory, const char *name, struct str text, struct err *err)
{
	char new_name[NEW_SIZE];
	int fd;
	bool good;

	(void)snprintf(new_name, sizeof new_name, "%s%d", NEW_PREFIX, (int)getpid());
	(void)unlinkat(directory, new_name, 0);
	fd = openat(directory, new_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, "cannot create the new %s", name);
	good = write_all(fd, text) || err_sys(err, "cannot write %s", name);
	if (close(fd) != 0 && good)
		good = err_sys(err, "cannot write %s", name);
	if (good && renameat(directory, new_name, directory, name) != 0)
		good = err_sys(err, "cannot replace %s", name);
	if (!good)
		(void)unlinkat(directory, new_name, 0);
	return good;
}

void
cache_file_remove(int directory, const char *name)
{
	(void)unlinkat(directory, name, 0);
}

bool
cache_file_list(int directory, void (*found)(void *owner, const char *name), void *owner, struct err *err)
{
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (list == NULL) {
		(void)err_sys(err, "cannot list the directory");
		if (fd >= 0)
			(void)close(fd);
		return false;
	}
	while ((entry = readdir(list)) != NULL)
		if (entry->d_name[0] != '.')
			found(owner, entry->d_name);
		else if (str_starts(str_from(entry->d_name), STR(NEW_PREFIX)))
			(void)unlinkat(directory, entry->d_name, 0);
	(void)closedir(list);
	return true;
}
