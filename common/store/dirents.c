#include "common/store/dirents.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_BYTES ((size_t)32 * 1024)
#define ENTRY_MAX_BYTES ((size_t)512) /* more than any entry takes */

static bool
grow(struct dirents *d, struct err *err)
{
	size_t size = d->size == 0 ? FIRST_BYTES : d->size * 2;
	char *bytes;

	if (size > DIRENTS_MAX_BYTES)
		return err_set(err, ERR_LIMIT, "a directory has too many files");
	bytes = realloc(d->bytes, size);
	if (bytes == NULL)
		return err_sys(err, "no memory for the names of a directory");
	d->bytes = bytes;
	d->size = size;
	return true;
}

/* One call that gets all, and another that gets nothing: only then was it all. */
static bool
read_whole(struct dirents *d, int fd, bool *whole, struct err *err)
{
	ssize_t n, more;

	*whole = false;
	if (lseek(fd, 0, SEEK_SET) != 0)
		return err_sys(err, "cannot rewind a directory");
	n = getdents64(fd, d->bytes, d->size);
	if (n < 0)
		return err_sys(err, "cannot read a directory");
	d->n = (size_t)n;
	if (d->size - d->n < ENTRY_MAX_BYTES)
		return true;
	more = getdents64(fd, d->bytes + d->n, d->size - d->n);
	if (more < 0)
		return err_sys(err, "cannot read a directory");
	*whole = more == 0;
	return true;
}

bool
dirents_read(struct dirents *d, int fd, struct err *err)
{
	bool whole;

	if (d->size == 0 && !grow(d, err))
		return false;
	for (;;) {
		if (!read_whole(d, fd, &whole, err))
			return false;
		if (whole)
			return true;
		if (!grow(d, err))
			return false;
	}
}

bool
dirents_next(const struct dirents *d, size_t *offset, struct dirent_name *entry)
{
	while (*offset < d->n) {
		const char *p = d->bytes + *offset;
		unsigned short length;
		const char *name = p + offsetof(struct dirent64, d_name);

		memcpy(&length, p + offsetof(struct dirent64, d_reclen), sizeof length);
		*offset += length;
		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		entry->name = str_from(name);
		entry->type = (unsigned char)p[offsetof(struct dirent64, d_type)];
		return true;
	}
	return false;
}

void
dirents_clear(struct dirents *d)
{
	free(d->bytes);
	*d = (struct dirents){0};
}
