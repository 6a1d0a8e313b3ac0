/*
 * New messages: from tmp/ to new/ or cur/.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/smtp/crlf.h"
#include "common/base/log.h"
#include "common/store/mailbox_inner.h"

#define PIECE_BYTES ((size_t)128 * 1024)
/* From this many files on one syncfs costs less than syncing each. */
#define SYNCFS_FROM 8

struct mailbox_file {
	struct mailbox *mailbox;
	int fd; /* -1: a link */
	char unique[160]; /* the name in tmp/ */
	bool in_tmp;
	struct crlf to_disk, to_wire;
	uint64_t size, wire_size;
	struct buf piece;
	unsigned flags;
	uint32_t keywords;
	uint32_t uid;
};

static struct mailbox_file *
file_alloc(struct mailbox *mailbox)
{
	struct mailbox_file *file = calloc(1, sizeof *file);
	struct buf name;

	if (file == NULL)
		fatal("out of memory for a message");
	file->mailbox = mailbox;
	file->fd = -1;
	buf_init(&name, sizeof file->unique - 1);
	store_unique_name(mailbox->store, &name);
	(void)str_copy(file->unique, sizeof file->unique, buf_str(&name));
	buf_clear(&name);
	buf_init(&file->piece, PIECE_BYTES);
	return file;
}

struct mailbox_file *
mailbox_file_new(struct mailbox *mailbox, struct err *err)
{
	struct mailbox_file *file = file_alloc(mailbox);

	file->fd = openat(mailbox->folder.tmp, file->unique, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (file->fd < 0) {
		(void)err_sys(err, "cannot make a file in tmp");
		mailbox_file_free(file);
		return NULL;
	}
	file->in_tmp = true;
	return file;
}

static bool
flush(struct mailbox_file *file, struct err *err)
{
	struct str rest = buf_str(&file->piece);

	while (rest.n > 0) {
		ssize_t n = write(file->fd, rest.p, rest.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "cannot write a message");
		rest = str_skip(rest, (size_t)n);
	}
	file->size += file->piece.n;
	buf_reset(&file->piece);
	return true;
}

/* Counts what was put behind the first `from` bytes of the piece. */
static void
count_wire(struct mailbox_file *file, size_t from)
{
	struct str fresh = str_skip(buf_str(&file->piece), from);

	file->wire_size += fresh.n + crlf_wire_extra(&file->to_wire, fresh);
}

/* Room for a byte that was held back is always left. */
static char *
make_room(struct mailbox_file *file, size_t wanted, size_t *room, struct err *err)
{
	char *p;

	if (PIECE_BYTES - file->piece.n < 16 && !flush(file, err))
		return NULL;
	*room = PIECE_BYTES - file->piece.n - 8;
	if (*room > wanted)
		*room = wanted;
	p = buf_reserve(&file->piece, *room);
	if (p == NULL)
		(void)err_set(err, ERR_TEMP, "no memory for a message");
	return p;
}

bool
mailbox_file_write(struct mailbox_file *file, struct str wire, struct err *err)
{
	while (wire.n > 0) {
		size_t from, room, written, taken;
		char *p = make_room(file, wire.n + 4, &room, err);

		if (p == NULL)
			return false;
		from = file->piece.n;
		taken = crlf_to_disk(&file->to_disk, wire, p, room, &written);
		buf_commit(&file->piece, written);
		count_wire(file, from);
		wire = str_skip(wire, taken);
	}
	return true;
}

bool
mailbox_file_write_lines(struct mailbox_file *file, struct str lines, struct err *err)
{
	while (lines.n > 0) {
		size_t from, room;
		char *p = make_room(file, lines.n, &room, err);

		if (p == NULL)
			return false;
		from = file->piece.n;
		memcpy(p, lines.p, room);
		buf_commit(&file->piece, room);
		count_wire(file, from);
		lines = str_skip(lines, room);
	}
	return true;
}

bool
mailbox_file_finish(struct mailbox_file *file, const struct mailbox_file_attributes *attributes, struct err *err)
{
	size_t from = file->piece.n;
	char held[1];

	buf_add(&file->piece, (struct str){held, crlf_to_disk_end(&file->to_disk, held)});
	count_wire(file, from);
	if (!flush(file, err))
		return false;
	buf_clear(&file->piece);
	if (attributes == NULL)
		return true;
	file->flags = attributes->flags;
	file->keywords = attributes->keywords & mailbox_known_keywords(file->mailbox);
	if (attributes->has_date) {
		struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = (time_t)attributes->date}};

		if (futimens(file->fd, times) != 0)
			return err_sys(err, "cannot set a message's date");
	}
	return true;
}

bool
mailbox_file_sync(struct mailbox_file *file, struct err *err)
{
	return file->fd < 0 || fsync(file->fd) == 0 || err_sys(err, "cannot sync a message");
}

/* A disk's error may have been told to another process's syncfs already, but each open file remembers its own. */
static bool
sync_file_system(struct mailbox_file *const *files, size_t n, struct err *err)
{
	if (syncfs(files[0]->mailbox->folder.tmp) != 0)
		return err_sys(err, "cannot sync the file system");
	for (size_t i = 0; i < n; i++)
		if (files[i]->fd >= 0 && sync_file_range(files[i]->fd, 0, 0, SYNC_FILE_RANGE_WAIT_AFTER) != 0)
			return err_sys(err, "cannot sync a message");
	return true;
}

bool
mailbox_files_sync(struct mailbox_file *const *files, size_t n, struct err *err)
{
	if (n >= SYNCFS_FROM)
		return sync_file_system(files, n, err);
	for (size_t i = 0; i < n; i++)
		if (!mailbox_file_sync(files[i], err))
			return false;
	return true;
}

int
mailbox_file_fd(const struct mailbox_file *file)
{
	return file->fd;
}

struct mailbox_file *
mailbox_file_link(struct mailbox_file *file, struct err *err)
{
	struct mailbox_file *other = file_alloc(file->mailbox);
	int tmp = file->mailbox->folder.tmp;

	if (linkat(tmp, file->unique, tmp, other->unique, 0) != 0) {
		(void)err_sys(err, "cannot link a message");
		mailbox_file_free(other);
		return NULL;
	}
	other->in_tmp = true;
	other->size = file->size;
	other->wire_size = file->wire_size;
	other->flags = file->flags;
	other->keywords = file->keywords;
	return other;
}

uint32_t
mailbox_file_uid(const struct mailbox_file *file)
{
	return file->uid;
}

void
mailbox_file_free(struct mailbox_file *file)
{
	if (file == NULL)
		return;
	if (file->fd >= 0)
		(void)close(file->fd);
	if (file->in_tmp)
		(void)unlinkat(file->mailbox->folder.tmp, file->unique, 0);
	buf_clear(&file->piece);
	free(file);
}

static bool
publish_one(struct mailbox *mailbox, struct mailbox_file *file, uint32_t uid, struct buf *name, struct err *err)
{
	bool marked = file->flags != 0 || file->keywords != 0;
	int directory = marked ? mailbox->folder.cur : mailbox->folder.new;
	size_t base_n;

	buf_reset(name);
	maildir_name_base(name, str_from(file->unique), file->size, file->wire_size, uid, folder_tag(&mailbox->folder));
	base_n = name->n;
	if (marked) {
		struct buf full;

		buf_init(&full, 1024);
		maildir_name_format(&full, str_sub(buf_str(name), 0, base_n), file->flags, file->keywords, STR_NONE);
		buf_reset(name);
		buf_add(name, buf_str(&full));
		buf_clear(&full);
	}
	buf_addc(name, '\0');
	if (!buf_ok(name) || renameat(mailbox->folder.tmp, file->unique, directory, name->p) != 0)
		return err_sys(err, "cannot rename a message into its place");
	file->in_tmp = false;
	file->uid = uid;
	mailbox_mark_dirty(mailbox, directory);
	return true;
}

bool
mailbox_publish(struct mailbox *mailbox, struct mailbox_file *const *files, size_t n, struct err *err)
{
	struct buf name;
	uint32_t uid;
	bool ok;

	if (!folder_lock(&mailbox->folder, err))
		return false;
	ok = state_file_take_uids(&mailbox->folder.state, n, &uid, err);
	buf_init(&name, 1024);
	for (size_t i = 0; ok && i < n; i++)
		ok = publish_one(mailbox, files[i], uid++, &name, err);
	buf_clear(&name);
	folder_unlock(&mailbox->folder);
	return ok;
}

bool
mailbox_append(struct mailbox *mailbox, struct str wire, const struct mailbox_file_attributes *attributes, uint32_t *uid,
    struct err *err)
{
	struct mailbox_file *file = mailbox_file_new(mailbox, err);
	bool ok;

	if (file == NULL)
		return false;
	ok = mailbox_file_write(file, wire, err) && mailbox_file_finish(file, attributes, err) &&
	     mailbox_file_sync(file, err) && mailbox_publish(mailbox, &file, 1, err) && mailbox_sync(mailbox, err);
	if (uid != NULL)
		*uid = mailbox_file_uid(file);
	mailbox_file_free(file);
	return ok;
}
