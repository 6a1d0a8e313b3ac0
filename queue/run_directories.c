#include "queue/run_directories.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/daemon/daemon.h"

/*
 * incoming is a drop box: smtpd, which is neither its owner nor in its group, may create files there, but not list
 * them; they get the directory's group, so that the queue may read them. smtpd comes in by a descriptor of its root
 * parent; nobody else, and so no local user, gets through the spool directory above. As an ordinary user all is that
 * user's.
 */
static const struct directory {
	size_t parent; /* offset of the parameter */
	const char *name;
	const char *owner; /* NULL: root */
	mode_t mode;
	mode_t ordinary_mode;
} directories[] = {
    {offsetof(struct conf, run_directory), "", NULL, 0755, 0755},
    {offsetof(struct conf, cache_directory), "", NULL, 0711, 0700},
    {offsetof(struct conf, cache_directory), "/mta-sts", "_remote", 0700, 0700},
    {offsetof(struct conf, cache_directory), "/tlsrpt", "_remote", 0700, 0700},
    {offsetof(struct conf, spool_directory), "", "_queue", 0700, 0700},
    {offsetof(struct conf, spool_directory), "/incoming", "_queue", 02733, 0700},
    {offsetof(struct conf, spool_directory), "/active", "_queue", 0700, 0700},
    {offsetof(struct conf, spool_directory), "/deferred", "_queue", 0700, 0700},
    {offsetof(struct conf, spool_directory), "/hold", "_queue", 0700, 0700},
    {offsetof(struct conf, spool_directory), "/corrupt", "_queue", 0700, 0700},
};

static const char *
parent_of(const struct directory *d, const struct conf *conf)
{
	return *(const char *const *)(const void *)((const char *)conf + d->parent);
}

/* mkdir -p: what is missing above is made for everybody to pass through. */
static bool
make_with_parents(char *path, struct err *err)
{
	for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		int result;

		*slash = '\0';
		result = mkdir(path, 0755);
		*slash = '/';
		if (result != 0 && errno != EEXIST)
			return err_sys(err, "cannot create a directory above %s", path);
	}
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return err_sys(err, "cannot create %s", path);
	return true;
}

static bool
permit(int fd, const struct directory *d, const char *path, struct err *err)
{
	mode_t mode = daemon_is_privileged() ? d->mode : d->ordinary_mode;
	struct daemon_user owner = {.uid = geteuid(), .gid = getegid()};
	struct stat st;

	if (d->owner != NULL && !daemon_user_find(d->owner, &owner, err))
		return false;
	if (fstat(fd, &st) != 0)
		return err_sys(err, "%s", path);
	if ((st.st_uid != owner.uid || st.st_gid != owner.gid) && fchown(fd, owner.uid, owner.gid) != 0)
		return err_sys(err, "cannot give %s to %s", path, d->owner != NULL ? d->owner : "us");
	if (fchmod(fd, mode) != 0)
		return err_sys(err, "cannot change the mode of %s", path);
	return true;
}

static bool
make_one(const struct directory *d, const struct conf *conf, struct err *err)
{
	char path[PATH_MAX];
	bool ok;
	int n, fd;

	n = snprintf(path, sizeof path, "%s%s", parent_of(d, conf), d->name);
	if (n < 0 || (size_t)n >= sizeof path)
		return err_set(err, ERR_PERM, "the path %s is too long", parent_of(d, conf));
	if (!make_with_parents(path, err))
		return false;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (d->name[0] != '\0' ? O_NOFOLLOW : 0));
	if (fd < 0)
		return err_sys(err, "cannot open the directory %s", path);
	ok = permit(fd, d, path, err);
	(void)close(fd);
	return ok;
}

static void
describe_problem(const struct directory *d, const char *path, const struct stat *st, char *dst, size_t size)
{
	mode_t mode = daemon_is_privileged() ? d->mode : d->ordinary_mode;
	struct daemon_user owner = {.uid = geteuid(), .gid = getegid()};
	const char *name = d->owner != NULL ? d->owner : "root";
	struct err err;

	if (d->owner != NULL && !daemon_user_find(d->owner, &owner, &err))
		return; /* missing users are said elsewhere */
	if (!S_ISDIR(st->st_mode))
		(void)snprintf(dst, size, "%s is not a directory", path);
	else if (st->st_uid != owner.uid && !daemon_is_privileged())
		(void)snprintf(dst, size, "%s belongs to another user, so only that user or root can run this", path);
	else if (st->st_uid != owner.uid)
		(void)snprintf(dst, size, "%s should belong to %s (merpati run sees to that)", path, name);
	else if ((st->st_mode & 07777) != mode)
		(void)snprintf(dst, size, "%s has mode %04o instead of %04o (merpati run sees to that)", path,
		    (unsigned)st->st_mode & 07777, (unsigned)mode);
}

bool
run_directories_problem(const struct conf *conf, size_t number, char *dst, size_t size)
{
	const struct directory *d = &directories[number];
	char path[PATH_MAX];
	struct stat st;

	if (number >= sizeof directories / sizeof directories[0])
		return false;
	dst[0] = '\0';
	(void)snprintf(path, sizeof path, "%s%s", parent_of(d, conf), d->name);
	if (stat(path, &st) == 0)
		describe_problem(d, path, &st, dst, size);
	else if (errno != ENOENT)
		(void)snprintf(dst, size, "%s: %s", path, strerror(errno));
	return true;
}

bool
run_directories_make(const struct conf *conf, struct err *err)
{
	for (size_t i = 0; i < sizeof directories / sizeof directories[0]; i++)
		if (!make_one(&directories[i], conf, err))
			return false;
	return true;
}

/* The holder's number is in the file, for the one who finds it taken. */
static bool
is_taken(int fd, const char *path, struct err *err)
{
	char pid[24];
	ssize_t n = pread(fd, pid, sizeof pid - 1, 0);

	pid[n > 0 ? n : 0] = '\0';
	pid[strcspn(pid, "\n")] = '\0';
	return err_set(err, ERR_PERM, "another \"merpati run\" (process %s) holds %s", pid[0] != '\0' ? pid : "unknown", path);
}

bool
run_directories_lock(const struct conf *conf, struct err *err)
{
	char path[PATH_MAX], pid[24];
	int fd, n;

	n = snprintf(path, sizeof path, "%s/lock", conf->run_directory);
	if (n < 0 || (size_t)n >= sizeof path)
		return err_set(err, ERR_PERM, "the path %s is too long", conf->run_directory);
	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, "cannot open %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		bool taken = errno == EWOULDBLOCK;

		(void)(taken ? is_taken(fd, path, err) : err_sys(err, "cannot lock %s", path));
		(void)close(fd);
		return false;
	}
	n = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
	if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)n, 0) != n) {
		(void)err_sys(err, "cannot write %s", path);
		(void)close(fd);
		return false;
	}
	return true;
}
