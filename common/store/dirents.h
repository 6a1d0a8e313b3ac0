/*
 * The names in a directory, read with one system call whenever the buffer is large enough, and it is made so: the
 * kernel holds the directory's lock during a call, so that one call sees every file exactly once, whatever is renamed
 * meanwhile. Several calls may miss some.
 */
#ifndef COMMON_DIRENTS_H
#define COMMON_DIRENTS_H

#include "common/base/err.h"
#include "common/base/str.h"

#define DIRENTS_MAX_BYTES ((size_t)512 * 1024 * 1024)

/* All zero to begin with; the memory is kept for the next reading. */
struct dirents {
	char *bytes;
	size_t n, size;
};

struct dirent_name {
	struct str name; /* NUL-terminated; borrowed from the dirents */
	unsigned char type; /* DT_REG, ...; DT_UNKNOWN where the file system does not tell */
};

/* fd: a directory opened for reading; its offset is moved. Class LIMIT: too large. */
bool dirents_read(struct dirents *d, int fd, struct err *err);
/* The next name from *offset (0 at first) on, without `.` and `..`. */
bool dirents_next(const struct dirents *d, size_t *offset, struct dirent_name *entry);
void dirents_clear(struct dirents *d);

#endif
