/*
 * LD_PRELOADed into a daemon by tests/system/accidents.py: lets calls fail as on a full, read-only or broken disk, and the
 * clock of the wall leap, when and for as long as a test says so. It says so in a file that it shares with the daemon:
 *
 *     int64 clock_s, then for each kind of call: int32 errnum (0: let it be), int32 pass (so many go well first)
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* In the order of accidents.py. */
enum kind {
	CREATE, /* opening for writing as well */
	RENAME,
	MKDIR,
	REMOVE,
	WRITE, /* and truncating */
	SYNC,
	READ,
	KINDS,
};

struct control {
	int64_t clock_s;
	struct {
		int32_t errnum;
		int32_t pass;
	} kinds[KINDS];
};

static struct control nothing, *control = &nothing;

__attribute__((constructor)) static void
attach(void)
{
	const char *path = getenv("ACCIDENTS");
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *map = fd >= 0 ? mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;

	if (fd >= 0)
		(void)close(fd);
	if (map != MAP_FAILED)
		control = map;
}

static bool
fails(enum kind kind)
{
	int32_t errnum = __atomic_load_n(&control->kinds[kind].errnum, __ATOMIC_SEQ_CST);

	if (errnum == 0 || __atomic_fetch_sub(&control->kinds[kind].pass, 1, __ATOMIC_SEQ_CST) > 0)
		return false;
	errno = errnum;
	return true;
}

/* Neither a socket nor the log. */
static bool
is_file(int fd)
{
	struct stat st;
	int saved = errno;
	bool yes = fd > 2 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);

	errno = saved;
	return yes;
}

#define REAL(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name))

/* ---- files ----------------------------------------------------------------------------------------------------- */

static int
do_openat(const char *name, int dir, const char *path, int flags, mode_t mode)
{
	if ((flags & (O_ACCMODE | O_CREAT)) != 0 && (flags & O_DIRECTORY) == 0 && fails(CREATE))
		return -1;
	return REAL(int, name, int, const char *, int, ...)(dir, path, flags, mode);
}

#define OPENAT(function)                                                       \
	int function(int dir, const char *path, int flags, ...)                \
	{                                                                      \
		va_list ap;                                                    \
		mode_t mode = 0;                                               \
		va_start(ap, flags);                                           \
		if ((flags & O_CREAT) != 0)                                    \
			mode = va_arg(ap, mode_t);                             \
		va_end(ap);                                                    \
		return do_openat(#function, dir, path, flags, mode);           \
	}
OPENAT(openat)
OPENAT(openat64)

#define SIMPLE(kind, function, parameters, arguments, ...)                                 \
	int function parameters                                                            \
	{                                                                                  \
		return fails(kind) ? -1 : REAL(int, #function, __VA_ARGS__) arguments;     \
	}
SIMPLE(RENAME, renameat, (int a, const char *b, int c, const char *d), (a, b, c, d), int, const char *, int, const char *)
SIMPLE(RENAME, renameat2, (int a, const char *b, int c, const char *d, unsigned e), (a, b, c, d, e), int, const char *, int,
    const char *, unsigned)
SIMPLE(MKDIR, mkdirat, (int a, const char *b, mode_t c), (a, b, c), int, const char *, mode_t)
SIMPLE(REMOVE, unlinkat, (int a, const char *b, int c), (a, b, c), int, const char *, int)
SIMPLE(SYNC, fsync, (int a), (a), int)
SIMPLE(SYNC, syncfs, (int a), (a), int)
SIMPLE(WRITE, ftruncate, (int a, off_t b), (a, b), int, off_t)
SIMPLE(WRITE, ftruncate64, (int a, off64_t b), (a, b), int, off64_t)

#define TRANSFER(kind, function, parameters, arguments, ...)                                           \
	ssize_t function parameters                                                                    \
	{                                                                                              \
		return is_file(fd) && fails(kind) ? -1 : REAL(ssize_t, #function, __VA_ARGS__) arguments; \
	}
TRANSFER(WRITE, write, (int fd, const void *p, size_t n), (fd, p, n), int, const void *, size_t)
TRANSFER(WRITE, pwrite, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at), int, const void *, size_t, off_t)
TRANSFER(WRITE, pwrite64, (int fd, const void *p, size_t n, off64_t at), (fd, p, n, at), int, const void *, size_t, off64_t)
TRANSFER(READ, pread, (int fd, void *p, size_t n, off_t at), (fd, p, n, at), int, void *, size_t, off_t)
TRANSFER(READ, pread64, (int fd, void *p, size_t n, off64_t at), (fd, p, n, at), int, void *, size_t, off64_t)

/* ---- the clock ------------------------------------------------------------------------------------------------- */

static bool
is_wall(clockid_t clock)
{
	return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
}

int
clock_gettime(clockid_t clock, struct timespec *ts)
{
	int result = REAL(int, "clock_gettime", clockid_t, struct timespec *)(clock, ts);

	if (result == 0 && is_wall(clock))
		ts->tv_sec += control->clock_s;
	return result;
}

time_t
time(time_t *where)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	if (where != NULL)
		*where = ts.tv_sec;
	return ts.tv_sec;
}

int
gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec ts;

	(void)zone;
	(void)clock_gettime(CLOCK_REALTIME, &ts);
	*tv = (struct timeval){ts.tv_sec, ts.tv_nsec / 1000};
	return 0;
}
