#include "common/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/store/beneath.h"
#include "common/base/log.h"
#include "common/store/store_inner.h"

bool
store_refuse(struct err *err, int errnum, const char *format, ...)
{
	va_list ap;

	if (err == NULL)
		return false;
	err->class = ERR_PERM;
	err->errnum = errnum;
	va_start(ap, format);
	(void)vsnprintf(err->text, sizeof err->text, format, ap);
	va_end(ap);
	return false;
}

/* Of no use to anyone who wants to trust a counter after a reboot, and that is the point. */
static void
random_boot(char boot[MAILBOX_BOOT_ID_LENGTH + 1])
{
	unsigned r[4];

	arc4random_buf(r, sizeof r);
	(void)snprintf(boot, MAILBOX_BOOT_ID_LENGTH + 1, "%08x-%04x-%04x-%04x-%04x%08x", r[0], r[1] >> 16, r[1] & 0xffff,
	    r[2] >> 16, r[2] & 0xffff, r[3]);
}

void
store_host_read(struct store_host *host, const char *hostname)
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, host->boot, MAILBOX_BOOT_ID_LENGTH);

	if (n != MAILBOX_BOOT_ID_LENGTH)
		random_boot(host->boot);
	host->boot[MAILBOX_BOOT_ID_LENGTH] = '\0';
	if (fd >= 0)
		(void)close(fd);
	(void)str_copy(host->name, sizeof host->name, str_sub(str_from(hostname), 0, MAILDIR_HOST_MAX));
}

/* Where the trusted part of the path ends: the home if the Maildir is in it, else the Maildir's parent. */
static bool
split_path(const char *home, const char *mail, char top[PATH_MAX], const char **below, struct err *err)
{
	struct str path = str_from(mail), base = str_from(home);

	while (base.n > 1 && base.p[base.n - 1] == '/')
		base.n--;
	if (base.n > 1 && str_starts(path, base) && (path.n == base.n || mail[base.n] == '/')) {
		*below = mail + base.n;
	} else {
		base = str_sub(path, 0, str_find_last(path, '/'));
		*below = mail + base.n;
	}
	while (**below == '/')
		(*below)++;
	if (**below == '\0')
		*below = ".";
	if (mail[0] != '/' || !str_copy(top, PATH_MAX, base.n > 0 ? base : STR("/")))
		return err_set(err, ERR_PERM, "%s cannot be a Maildir's path", mail);
	return true;
}

static int
open_root(const char *home, const char *mail, bool make, struct err *err)
{
	char top[PATH_MAX];
	const char *below;
	int directory, root;

	if (!split_path(home, mail, top, &below, err))
		return -1;
	directory = beneath_open_top(top, make, err);
	if (directory < 0)
		return -1;
	root = make ? beneath_make_directory(directory, below, err) : beneath_open_directory(directory, below, err);
	(void)close(directory);
	return root;
}

static bool
has_inbox(int root, bool make, struct err *err)
{
	static const char *const parts[] = {"tmp", "new", "cur"};

	for (size_t i = 0; i < 3; i++) {
		struct stat st;
		int fd;

		if (fstatat(root, parts[i], &st, AT_SYMLINK_NOFOLLOW) == 0)
			continue;
		if (!make)
			return errno == ENOENT ? store_refuse(err, ENOENT, "this is no Maildir: there is no %s", parts[i])
					       : err_sys(err, "cannot look at the Maildir");
		fd = beneath_make_directory(root, parts[i], err);
		if (fd < 0)
			return false;
		(void)close(fd);
	}
	return true;
}

struct store *
store_open(const struct store_host *host, const char *home, const char *mail, bool make, struct err *err)
{
	int root = open_root(home, mail, make, err);
	struct store *store;
	struct stat st;

	if (root < 0) {
		if (!make && err != NULL && err->errnum == ENOENT)
			err->class = ERR_PERM;
		return NULL;
	}
	if (!has_inbox(root, make, err) || fstat(root, &st) != 0) {
		(void)close(root);
		return NULL;
	}
	store = calloc(1, sizeof *store);
	if (store == NULL)
		fatal("out of memory for a mail store");
	store->host = host;
	store->root = root;
	store->path = str_dup(str_from(mail));
	store->device = st.st_dev;
	store->inode = st.st_ino;
	store->inbox.directory = -1;
	/* Now, because a sandbox may come. Without it nobody is told, and pollers find out. */
	store->news = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return store;
}

void
store_close(struct store *store)
{
	if (store == NULL)
		return;
	folder_clear(&store->inbox);
	if (store->news >= 0)
		(void)close(store->news);
	(void)close(store->root);
	free(store->path);
	free(store);
}

bool
store_is_current(const struct store *store)
{
	struct stat st;

	return stat(store->path, &st) == 0 && st.st_dev == store->device && st.st_ino == store->inode;
}

int
store_directory(const struct store *store)
{
	return store->root;
}

void
store_unique_name(struct store *store, struct buf *out)
{
	struct timespec now;
	struct maildir_unique unique = {
	    .pid = (uint32_t)getpid(),
	    .counter = store->names++,
	    .random = arc4random(),
	    .host = str_from(store->host->name),
	};

	(void)clock_gettime(CLOCK_REALTIME, &now);
	unique.seconds = (uint64_t)now.tv_sec;
	unique.microseconds = (uint32_t)(now.tv_nsec / 1000);
	maildir_name_unique(out, &unique);
}

bool
store_lock(struct store *store, struct err *err)
{
	if (store->inbox.directory < 0 && !folder_open(&store->inbox, store, ".", true, err))
		return false;
	return folder_lock(&store->inbox, err);
}

void
store_unlock(struct store *store)
{
	folder_unlock(&store->inbox);
}

static bool
last_uidvalidity(struct store *store, uint32_t *last, struct err *err)
{
	struct err why = {ERR_NONE, 0, ""};
	uint64_t number = 0;
	struct buf text;
	bool ok;

	buf_init(&text, 64);
	ok = store_read_file(store->root, STORE_UIDVALIDITY, &text, &why) || why.errnum == ENOENT;
	if (!ok && err != NULL)
		*err = why;
	if (!str_to_u64(str_trim(buf_str(&text)), UINT32_MAX, &number) || number == 0)
		number = store_highest_uidvalidity(store);
	buf_clear(&text);
	*last = (uint32_t)number;
	return ok;
}

static bool
write_last_uidvalidity(struct store *store, uint32_t last, struct err *err)
{
	struct buf text;
	bool ok;

	buf_init(&text, 64);
	buf_addf(&text, "%u\n", last);
	ok = store_write_file(store->root, STORE_UIDVALIDITY, buf_str(&text), err);
	buf_clear(&text);
	return ok;
}

bool
store_next_uidvalidity(struct store *store, uint32_t *uidvalidity, struct err *err)
{
	time_t now = time(NULL);
	uint32_t last;

	if (!last_uidvalidity(store, &last, err))
		return false;
	if (last == UINT32_MAX)
		return err_set(err, ERR_LIMIT, "the Maildir has used up its UIDVALIDITYs");
	*uidvalidity = now > (time_t)last && now <= (time_t)UINT32_MAX ? (uint32_t)now : last + 1;
	return write_last_uidvalidity(store, *uidvalidity, err);
}

bool
store_note_uidvalidity(struct store *store, uint32_t uidvalidity, struct err *err)
{
	uint32_t last;

	if (!last_uidvalidity(store, &last, err))
		return false;
	return uidvalidity <= last || write_last_uidvalidity(store, uidvalidity, err);
}

bool
store_settle_uidvalidity(struct folder *folder, uint32_t *uidvalidity, struct err *err)
{
	struct store *store = folder->store;
	bool ok;

	if (!folder->inbox && !store_lock(store, err))
		return false;
	ok = *uidvalidity != 0 ? store_note_uidvalidity(store, *uidvalidity, err)
			       : store_next_uidvalidity(store, uidvalidity, err);
	if (!folder->inbox)
		store_unlock(store);
	return ok;
}

bool
store_write_file(int directory, const char *name, struct str text, struct err *err)
{
	char new_name[MAILDIR_NAME_MAX + 1];
	int fd;
	bool ok = true;

	(void)snprintf(new_name, sizeof new_name, "%.200s.new", name);
	fd = openat(directory, new_name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, "cannot make %s", new_name);
	while (ok && text.n > 0) {
		ssize_t n = write(fd, text.p, text.n);

		if (n < 0)
			ok = errno == EINTR || err_sys(err, "cannot write %s", new_name);
		else
			text = str_skip(text, (size_t)n);
	}
	if (ok && fsync(fd) != 0)
		ok = err_sys(err, "cannot sync %s", new_name);
	if (close(fd) != 0 && ok)
		ok = err_sys(err, "cannot write %s", new_name);
	if (ok && renameat(directory, new_name, directory, name) != 0)
		ok = err_sys(err, "cannot rename %s", new_name);
	if (ok && fsync(directory) != 0)
		return err_sys(err, "cannot sync the directory of %s", name);
	if (!ok)
		(void)unlinkat(directory, new_name, 0);
	return ok;
}

static bool
read_all(int fd, const char *name, struct buf *out, struct err *err)
{
	for (;;) {
		size_t room = out->max - out->n;
		char *p = buf_reserve(out, room < 16384 ? room : 16384);
		ssize_t n;

		if (p == NULL || room == 0)
			return err_set(err, ERR_LIMIT, "%s is too large", name);
		n = read(fd, p, room < 16384 ? room : 16384);
		if (n < 0 && errno != EINTR)
			return err_sys(err, "cannot read %s", name);
		if (n == 0)
			return true;
		if (n > 0)
			buf_commit(out, (size_t)n);
	}
}

bool
store_read_file(int directory, const char *name, struct buf *out, struct err *err)
{
	int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	bool ok;

	if (fd < 0)
		return err_sys(err, "cannot open %s", name);
	ok = read_all(fd, name, out, err);
	(void)close(fd);
	return ok;
}
