#include "common/store/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/str.h"

int
beneath_open(int directory, const char *path, int flags)
{
	struct open_how how = {
	    .flags = (unsigned)(flags | O_CLOEXEC),
	    .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};

	return (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
}

int
beneath_open_directory(int directory, const char *path, struct err *err)
{
	int fd = beneath_open(directory, path, O_RDONLY | O_DIRECTORY);

	if (fd < 0)
		(void)err_sys(err, "cannot open the directory %s", path);
	return fd;
}

/* The new entry is on the disk before anything in it is promised. */
static bool
make_one(int parent, const char *name, struct err *err)
{
	int fd;
	bool ok;

	if (mkdirat(parent, name, 0700) != 0) {
		if (errno == EEXIST)
			return true;
		return err_sys(err, "cannot make the directory %s", name);
	}
	fd = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) /* not readable for us: then it cannot be synced by us either */
		return errno == EACCES || err_sys(err, "cannot open the directory above %s", name);
	ok = fsync(fd) == 0 || err_sys(err, "cannot sync the directory above %s", name);
	(void)close(fd);
	return ok;
}

/* Makes the directories of the path one after the other; path is relative and not longer than PATH_MAX. */
static bool
make_all(int directory, const char *path, bool beneath, struct err *err)
{
	char prefix[PATH_MAX];
	struct str rest = str_from(path), level;
	size_t n = 0;
	int parent = directory;
	bool ok = true;

	while (ok && str_token(&rest, '/', &level)) {
		char name[NAME_MAX + 1];
		int next;

		if (level.n == 0 || str_equal(level, STR(".")))
			continue;
		if (!str_copy(name, sizeof name, level) || level.n + 1 >= sizeof prefix - n) {
			ok = err_set(err, ERR_PERM, "the path %s is too long", path);
			break;
		}
		ok = make_one(parent, name, err);
		if (!ok)
			break;
		memcpy(prefix + n, name, level.n);
		prefix[n + level.n] = '\0';
		next = beneath ? beneath_open(directory, prefix, O_PATH | O_DIRECTORY)
				     : openat(parent, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		prefix[n + level.n] = '/';
		n += level.n + 1;
		if (next < 0)
			ok = err_sys(err, "cannot open the directory %s", name);
		if (parent != directory)
			(void)close(parent);
		parent = next >= 0 ? next : directory;
	}
	if (parent != directory)
		(void)close(parent);
	return ok;
}

int
beneath_make_directory(int directory, const char *path, struct err *err)
{
	int fd = beneath_open(directory, path, O_RDONLY | O_DIRECTORY);

	if (fd >= 0)
		return fd;
	if (errno == ENOENT && !make_all(directory, path, true, err))
		return -1;
	return beneath_open_directory(directory, path, err);
}

int
beneath_open_top(const char *path, bool make, struct err *err)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC), root;

	if (fd < 0 && errno == ENOENT && make && path[0] == '/') {
		root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (root >= 0 && !make_all(root, path + 1, false, err)) {
			(void)close(root);
			return -1;
		}
		if (root >= 0)
			(void)close(root);
		fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	if (fd < 0)
		(void)err_sys(err, "cannot open the directory %s", path);
	return fd;
}
