/*
 * Noticing that files were replaced or rewritten, by looking at them now and then: certificates are renewed by other
 * programs, which do not tell. Files that belong together (certificates and keys) are told of only when none of them has
 * changed since the look before, so that they are not taken half renewed.
 */
#ifndef COMMON_FILE_WATCH_H
#define COMMON_FILE_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

struct file_watched {
	struct stat told; /* the state that the owner knows */
	struct stat seen; /* of the last look */
};

/* Zeroed before the first use. */
struct file_watch {
	struct file_watched *files;
	size_t n;
};

/* Begins (anew) with these files; how they are now is what the owner knows. */
void file_watch_begin(struct file_watch *watch, const char *const *paths, size_t n);
/* Looks again, with the same paths. True once for each change that has settled; a file that has gone missing has not settled. */
bool file_watch_look(struct file_watch *watch, const char *const *paths, size_t n);
void file_watch_clear(struct file_watch *watch);

#endif
