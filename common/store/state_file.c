#include "common/store/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/store/store_inner.h"

#define NEW_NAME STATE_FILE_NAME ".new"

void
state_file_init(struct state_file *file, const struct store_host *host, int directory)
{
	*file = (struct state_file){.host = host, .directory = directory, .fd = -1};
}

static void
drop(struct state_file *file)
{
	if (file->fd >= 0)
		(void)close(file->fd);
	file->fd = -1;
	file->locked = false;
	file->known = false;
	file->damaged_counter = false;
}

void
state_file_clear(struct state_file *file)
{
	drop(file);
}

static bool
adopt(struct state_file *file, int fd, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		(void)close(fd);
		return err_set(err, ERR_TEMP, "%s is not a regular file", STATE_FILE_NAME);
	}
	drop(file);
	file->fd = fd;
	file->device = st.st_dev;
	file->inode = st.st_ino;
	return true;
}

static bool
open_file(struct state_file *file, struct err *err)
{
	int fd = openat(file->directory, STATE_FILE_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);

	if (fd < 0 && errno == ENOENT)
		return store_refuse(err, ENOENT, "the folder is gone");
	if (fd < 0)
		return err_sys(err, "cannot open %s", STATE_FILE_NAME);
	return adopt(file, fd, err);
}

static uint64_t
clock_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Held for a fraction of a millisecond by others, as a rule: so it is tried again soon, then less often. */
static bool
wait_for_lock(int fd, uint64_t deadline_ms, struct err *err)
{
	struct timespec pause = {.tv_nsec = 50 * 1000};

	while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno == EINTR)
			continue;
		if (errno != EWOULDBLOCK)
			return err_sys(err, "cannot lock %s", STATE_FILE_NAME);
		if (clock_ms() >= deadline_ms)
			return err_set(err, ERR_TEMP, "%s has been locked for too long", STATE_FILE_NAME);
		(void)nanosleep(&pause, NULL);
		if (pause.tv_nsec < 10 * 1000 * 1000)
			pause.tv_nsec *= 2;
	}
	return true;
}

/* Is the locked file still the one of that name? */
static bool
is_current(const struct state_file *file)
{
	struct stat st;

	return fstatat(file->directory, STATE_FILE_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_dev == file->device &&
	       st.st_ino == file->inode;
}

static bool
read_whole(struct state_file *file, struct err *err)
{
	char text[MAILBOX_STATE_MAX_BYTES + 1];
	ssize_t n = pread(file->fd, text, sizeof text, 0);

	if (n < 0)
		return err_sys(err, "cannot read %s", STATE_FILE_NAME);
	file->known = mailbox_state_parse(&file->state, (struct str){text, (size_t)n});
	file->damaged_counter = file->known && file->state.next == 0;
	if (file->damaged_counter)
		file->known = false;
	return true;
}

/* Everything but the counter is as it was when the file was opened. */
static bool
read_counter(struct state_file *file, struct err *err)
{
	char line[MAILBOX_COUNTER_BYTES];
	ssize_t n = pread(file->fd, line, sizeof line, MAILBOX_COUNTER_OFFSET);

	if (n < 0)
		return err_sys(err, "cannot read %s", STATE_FILE_NAME);
	file->known = mailbox_counter_parse(&file->state, (struct str){line, (size_t)n});
	file->damaged_counter = !file->known;
	return true;
}

bool
state_file_lock(struct state_file *file, struct err *err)
{
	uint64_t deadline_ms = clock_ms() + STATE_LOCK_WAIT_MS;

	for (;;) {
		if (file->fd < 0 && !open_file(file, err))
			return false;
		if (!wait_for_lock(file->fd, deadline_ms, err))
			return false;
		if (is_current(file))
			break;
		drop(file);
	}
	file->locked = true;
	if (file->known ? read_counter(file, err) : read_whole(file, err))
		return true;
	state_file_unlock(file);
	return false;
}

void
state_file_unlock(struct state_file *file)
{
	if (file->locked)
		(void)flock(file->fd, LOCK_UN);
	file->locked = false;
}

static bool
write_at(int fd, struct str s, off_t offset, struct err *err)
{
	while (s.n > 0) {
		ssize_t n = pwrite(fd, s.p, s.n, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "cannot write %s", STATE_FILE_NAME);
		s = str_skip(s, (size_t)n);
		offset += n;
	}
	return true;
}

static bool
counter_write(struct state_file *file, bool sync, struct err *err)
{
	struct buf line;
	bool ok;

	buf_init(&line, MAILBOX_COUNTER_BYTES);
	mailbox_counter_format(&line, &file->state);
	ok = write_at(file->fd, buf_str(&line), MAILBOX_COUNTER_OFFSET, err);
	if (ok && sync && fdatasync(file->fd) != 0)
		ok = err_sys(err, "cannot sync %s", STATE_FILE_NAME);
	buf_clear(&line);
	if (!ok)
		file->known = false; /* what the file says now is found out at the next lock */
	return ok;
}

/* After a reboot the counter may be an old one: what was reserved counts. */
static void
counter_trust(struct state_file *file)
{
	if (strcmp(file->state.boot, file->host->boot) == 0)
		return;
	file->state.next = file->state.reserved;
	(void)str_copy(file->state.boot, sizeof file->state.boot, str_from(file->host->boot));
}

/* The counter grows before the UIDs are used, so that a process that is killed in between only skips some. */
static bool
counter_advance(struct state_file *file, uint64_t next, struct err *err)
{
	bool block = next > file->state.reserved;

	if (next > UINT32_MAX)
		return err_set(err, ERR_LIMIT, "the folder has used up its UIDs");
	if (block)
		file->state.reserved =
		    next > UINT32_MAX - STATE_UID_BLOCK ? UINT32_MAX : (uint32_t)next + STATE_UID_BLOCK;
	file->state.next = (uint32_t)next;
	return counter_write(file, block, err);
}

bool
state_file_take_uids(struct state_file *file, size_t n, uint32_t *first, struct err *err)
{
	counter_trust(file);
	*first = file->state.next;
	if (n > UINT32_MAX)
		return err_set(err, ERR_LIMIT, "too many messages at once");
	return counter_advance(file, (uint64_t)file->state.next + n, err);
}

bool
state_file_skip_uids(struct state_file *file, uint32_t next, struct err *err)
{
	counter_trust(file);
	return next <= file->state.next || counter_advance(file, next, err);
}

/* The new file is locked before it gets its name, so that nobody comes between. */
static bool
replace_by(struct state_file *file, int fd, struct err *err)
{
	if (fsync(fd) != 0)
		return err_sys(err, "cannot sync %s", NEW_NAME);
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		return err_sys(err, "cannot lock %s", NEW_NAME);
	if (renameat(file->directory, NEW_NAME, file->directory, STATE_FILE_NAME) != 0)
		return err_sys(err, "cannot rename %s", NEW_NAME);
	if (fsync(file->directory) != 0)
		return err_sys(err, "cannot sync the folder's directory");
	return true;
}

bool
state_file_write(struct state_file *file, struct err *err)
{
	struct mailbox_state state = file->state;
	struct buf text;
	int fd = openat(file->directory, NEW_NAME, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	bool ok;

	if (fd < 0)
		return err_sys(err, "cannot make %s", NEW_NAME);
	buf_init(&text, MAILBOX_STATE_MAX_BYTES);
	mailbox_state_format(&text, &state);
	ok = buf_ok(&text) ? write_at(fd, buf_str(&text), 0, err) : err_set(err, ERR_LIMIT, "the folder's state is too long");
	ok = ok && replace_by(file, fd, err);
	buf_clear(&text);
	if (!ok) {
		file->known = false;
		(void)unlinkat(file->directory, NEW_NAME, 0);
		(void)close(fd);
		return false;
	}
	if (!adopt(file, fd, err))
		return false;
	file->state = state;
	file->locked = true;
	file->known = true;
	return true;
}

bool
state_file_keep_aside(struct state_file *file, struct err *err)
{
	char text[MAILBOX_STATE_MAX_BYTES * 2], name[64];
	ssize_t n = pread(file->fd, text, sizeof text, 0);
	int fd;
	bool ok;

	if (n < 0)
		return err_sys(err, "cannot read %s", STATE_FILE_NAME);
	if (n == 0)
		return true;
	(void)snprintf(name, sizeof name, STATE_FILE_NAME ".damaged.%lld", (long long)time(NULL));
	fd = openat(file->directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, "cannot make %s", name);
	ok = write_at(fd, (struct str){text, (size_t)n}, 0, err);
	if (close(fd) != 0 && ok)
		ok = err_sys(err, "cannot write %s", name);
	return ok;
}
