/*
 * Directories below a trusted one, reached without leaving it and through no symbolic link (openat2). Paths are
 * NUL-terminated and relative.
 */
#ifndef COMMON_BENEATH_H
#define COMMON_BENEATH_H

#include "common/base/err.h"

/* openat2 with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS; close-on-exec. -1 sets errno. */
int beneath_open(int directory, const char *path, int flags);

/* Opens the directory `path` ("." is the one given) for reading. -1 fills err (errnum tells why). */
int beneath_open_directory(int directory, const char *path, struct err *err);

/* The same, but makes what is missing on the way, mode 0700, durably. */
int beneath_make_directory(int directory, const char *path, struct err *err);

/*
 * Opens an absolute path in which symbolic links may be (it comes from the account database): as O_PATH, for the
 * functions above. With make, missing directories are made as above.
 */
int beneath_open_top(const char *path, bool make, struct err *err);

#endif
