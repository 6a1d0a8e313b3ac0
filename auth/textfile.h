/*
 * A text file that is read whole and again when it has changed.
 */
#ifndef AUTH_TEXTFILE_H
#define AUTH_TEXTFILE_H

#include <sys/stat.h>

#include "common/base/err.h"
#include "common/base/str.h"

#define TEXTFILE_MAX_BYTES (64 * 1024 * 1024)

struct textfile {
	const char *path;
	struct stat seen; /* of the version in text */
	int fd;		  /* of that version, or -1: while it is open its inode number belongs to no other file */
	bool rewritten;	  /* in place, rather than renamed into its place: perhaps not quite, yet */
	char *text;	  /* may be changed in place by its reader; NULL when there is none */
	size_t n;
};

enum textfile_news {
	TEXTFILE_SAME,	     /* as at the last call; also when there was trouble and the old version serves on */
	TEXTFILE_NEW,	     /* text was replaced: nothing may point into the old one any more */
	TEXTFILE_MISSING,    /* there is no such file; text is NULL */
	TEXTFILE_UNREADABLE, /* it cannot be read, and there is no old version */
};

void textfile_init(struct textfile *file, const char *path);
void textfile_clear(struct textfile *file);
/* Reads the file if it has changed. err is filled when unreadable. */
enum textfile_news textfile_refresh(struct textfile *file, struct err *err);

/*
 * An editor that writes in place may have been caught half way: until the file has been quiet for a moment, what is not
 * in it may be in it soon. How long that is from now, in ms; 0: it is whole.
 */
unsigned textfile_settles_ms(const struct textfile *file);

#endif
