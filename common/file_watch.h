/*
 * Noticing that files were replaced or rewritten, by looking at them now and then: certificates are renewed by other
 * programs, which do not tell. Two files that belong together (certificate and key) are told of only when neither has
 * changed since the look before, so that they are not taken half renewed.
 */
#ifndef COMMON_FILE_WATCH_H
#define COMMON_FILE_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#define FILE_WATCH_MAX 2

struct file_watch {
	struct stat told[FILE_WATCH_MAX]; /* the state that the owner knows */
	struct stat seen[FILE_WATCH_MAX]; /* of the last look */
};

/* paths: n of them, at most FILE_WATCH_MAX; how they are now is what the owner knows. */
void file_watch_begin(struct file_watch *watch, const char *const *paths, size_t n);
/* Looks again. True once for each change that has settled; a file that is missing has not settled. */
bool file_watch_look(struct file_watch *watch, const char *const *paths, size_t n);

#endif
