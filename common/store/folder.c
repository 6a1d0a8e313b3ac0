#include "common/store/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/store/beneath.h"
#include "common/smtp/crlf.h"
#include "common/store/store_inner.h"

static void
close_one(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

void
folder_clear(struct folder *folder)
{
	if (folder->directory < 0)
		return;
	state_file_clear(&folder->state);
	close_one(&folder->cur);
	close_one(&folder->new);
	close_one(&folder->tmp);
	close_one(&folder->directory);
}

static int
open_part(int directory, const char *name, bool make, struct err *err)
{
	int fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT && make)
		return beneath_make_directory(directory, name, err);
	if (fd < 0 && errno == ENOENT)
		(void)store_refuse(err, ENOENT, "there is no such folder");
	else if (fd < 0)
		(void)err_sys(err, "cannot open the directory %s", name);
	return fd;
}

bool
folder_open(struct folder *folder, struct store *store, const char *disk, bool make, struct err *err)
{
	*folder = (struct folder){.store = store, .inbox = strcmp(disk, ".") == 0, .tmp = -1, .new = -1, .cur = -1};
	folder->directory = beneath_open(store->root, disk, O_RDONLY | O_DIRECTORY);
	if (folder->directory < 0 && errno == ENOENT)
		return store_refuse(err, ENOENT, "there is no such folder");
	if (folder->directory < 0)
		return err_sys(err, "cannot open the folder %s", disk);
	state_file_init(&folder->state, store->host, folder->directory);
	folder->cur = open_part(folder->directory, "cur", make, err);
	if (folder->cur >= 0)
		folder->new = open_part(folder->directory, "new", true, err);
	if (folder->new >= 0)
		folder->tmp = open_part(folder->directory, "tmp", true, err);
	if (folder->tmp >= 0)
		return true;
	folder_clear(folder);
	return false;
}

bool
folder_lock(struct folder *folder, struct err *err)
{
	if (!state_file_lock(&folder->state, err))
		return false;
	if ((folder->state.known || folder_rebuild(folder, err)) &&
	    (folder->state.state.taking_over == MAILBOX_ORIGIN_NONE || folder_take_over(folder, err)))
		return true;
	state_file_unlock(&folder->state);
	return false;
}

void
folder_unlock(struct folder *folder)
{
	state_file_unlock(&folder->state);
}

const char *
folder_tag(const struct folder *folder)
{
	return folder->state.state.id;
}

void
folder_make_id(struct mailbox_state *state, const char *tag)
{
	static const char letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	size_t kept = tag ? strlen(tag) : 0;

	for (size_t i = 0; i < MAILBOX_ID_LENGTH; i++)
		state->id[i] = i < kept ? tag[i] : letters[arc4random_uniform(sizeof letters - 1)];
	state->id[MAILBOX_ID_LENGTH] = '\0';
}

/* A file that cannot be had is passed over; one that somebody locked away must not close the whole folder. */
static bool
is_passed_over(int errnum)
{
	return errnum == ENOENT || errnum == EACCES || errnum == EPERM || errnum == ELOOP || errnum == ENXIO;
}

/* Reads the file through once. True with *readable false: passed over. */
static bool
count_wire_size(int directory, const char *name, uint64_t size, uint64_t *wire_size, bool *readable, struct err *err)
{
	int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct crlf crlf = {0};
	char piece[65536];
	ssize_t n;

	*readable = fd >= 0;
	if (fd < 0)
		return is_passed_over(errno) || err_sys(err, "cannot open %s", name);
	*wire_size = size;
	while ((n = read(fd, piece, sizeof piece)) > 0)
		*wire_size += crlf_wire_extra(&crlf, (struct str){piece, (size_t)n});
	if (n < 0)
		(void)err_sys(err, "cannot read %s", name);
	(void)close(fd);
	return n == 0;
}

/* A name with so long a base leaves no room for flags: such a file gets a name of ours. */
#define BASE_MAX (MAILDIR_NAME_MAX - 64)

static void
numbered_name(struct folder *folder, struct buf *out, const struct maildir_name *n, uint64_t size, uint64_t wire_size,
    uint32_t uid)
{
	maildir_name_rebase(out, n->base, size, wire_size, uid, folder_tag(folder));
	if (out->n <= BASE_MAX)
		return;
	buf_reset(out);
	store_unique_name(folder->store, out);
	maildir_name_base(out, STR(""), size, wire_size, uid, folder_tag(folder));
}

static bool
is_told(const struct maildir_name *n, uint64_t size)
{
	/* Each LF may have become two bytes, nothing else. */
	return n->has_wire_size && n->has_size && n->size == size && n->wire_size >= size && n->wire_size / 2 <= size;
}

bool
folder_number_file(struct folder *folder, int directory, struct str name, uint32_t uid, bool *done, struct err *err)
{
	struct maildir_name n;
	struct buf base, full;
	struct stat st;
	uint64_t size, wire_size;
	bool ok, readable = true;

	*done = false;
	if (fstatat(directory, name.p, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT || err_sys(err, "cannot look at %s", name.p);
	if (!S_ISREG(st.st_mode) || !maildir_name_parse(&n, name))
		return true;
	size = (uint64_t)st.st_size;
	wire_size = n.wire_size;
	if (!is_told(&n, size) && !count_wire_size(directory, name.p, size, &wire_size, &readable, err))
		return false;
	if (!readable)
		return true;
	buf_init(&base, 1024);
	buf_init(&full, 1024);
	numbered_name(folder, &base, &n, size, wire_size, uid);
	if (directory == folder->cur || n.letters.n > 0)
		maildir_name_format(&full, buf_str(&base), n.flags, n.keywords, n.letters);
	else
		buf_add(&full, buf_str(&base));
	buf_addc(&full, '\0');
	*done = buf_ok(&full) && renameat(directory, name.p, directory, full.p) == 0;
	ok = *done || errno == ENOENT || err_sys(err, "cannot rename %s", name.p);
	buf_clear(&base);
	buf_clear(&full);
	return ok;
}
