/*
 * The names of files in a Maildir (merpati-maildir(5)):
 *
 *     TIME.UNIQUE.HOST,S=1234,W=1260,u=17.kq3X:2,FSab
 *     '------------- base -------------------'   '' flags, then keyword letters
 *
 * S is the size of the file, W the size with every line ended by CRLF, u the UID and the TAG of the folder that gave
 * it. The base never changes once it has a u field of its folder; flags change by renaming.
 *
 * Pure. Names made by other tools are read as they are; whatever they hold besides is kept.
 */
#ifndef COMMON_MAILDIR_NAME_H
#define COMMON_MAILDIR_NAME_H

#include "common/base/buf.h"

#define MAILDIR_NAME_MAX 255   /* bytes, as file systems have it */
#define MAILDIR_TAG_LENGTH 4
#define MAILDIR_KEYWORDS_MAX 26 /* a letter each: a folder cannot have more */
#define MAILDIR_HOST_MAX 64	/* bytes of the host's name that go into a file name */

/* X(constant, letter); in the order in which the letters stand. */
#define MAILDIR_FLAGS(X)     \
	X(MAILDIR_DRAFT, 'D')   \
	X(MAILDIR_FLAGGED, 'F') \
	X(MAILDIR_PASSED, 'P')  \
	X(MAILDIR_REPLIED, 'R') \
	X(MAILDIR_SEEN, 'S')    \
	X(MAILDIR_TRASHED, 'T')

enum maildir_flag_bit {
#define X(constant, letter) constant##_BIT,
	MAILDIR_FLAGS(X)
#undef X
	MAILDIR_FLAG_COUNT
};

enum maildir_flag {
#define X(constant, letter) constant = 1 << constant##_BIT,
	MAILDIR_FLAGS(X)
#undef X
};

struct maildir_name {
	struct str base; /* up to the colon of the flags, or all */
	struct str letters; /* behind ":2,", as they stand */
	bool has_size;
	bool has_wire_size;
	uint64_t size;
	uint64_t wire_size;
	uint32_t uid; /* 0: no u field */
	char tag[MAILDIR_TAG_LENGTH + 1];
	uint32_t mbsync_uid; /* of mbsync's U field; 0: none */
	unsigned flags;	     /* of enum maildir_flag */
	uint32_t keywords;   /* bit 0 is the letter a */
};

/*
 * Borrows from name. False when no message can have this name: empty, with a dot in front, too long, or with a slash
 * or NUL. A field that is malformed or stands twice counts as not there.
 */
bool maildir_name_parse(struct maildir_name *n, struct str name);

/* What makes a new name unique on its host and in the world. */
struct maildir_unique {
	uint64_t seconds;
	uint32_t microseconds;
	uint32_t pid;
	uint32_t counter; /* of names that this process made */
	uint32_t random;
	struct str host; /* any bytes: those that may not stand in a name are replaced */
};

/* Appends TIME.UNIQUE.HOST; at most 120 bytes. */
void maildir_name_unique(struct buf *out, const struct maildir_unique *unique);
/* Appends a base; at most 60 bytes more than unique. Of tag the first MAILDIR_TAG_LENGTH bytes count. */
void maildir_name_base(struct buf *out, struct str unique, uint64_t size, uint64_t wire_size, uint32_t uid,
    const char *tag);
/* Appends a base as maildir_name_base makes it from what is left of an existing one without its S, W and u fields. */
void maildir_name_rebase(struct buf *out, struct str base, uint64_t size, uint64_t wire_size, uint32_t uid,
    const char *tag);
/*
 * Appends the whole name of a file in cur/. Of the letters that the name had before, those that are neither flag nor
 * keyword are kept: they belong to some other tool.
 */
void maildir_name_format(struct buf *out, struct str base, unsigned flags, uint32_t keywords, struct str old_letters);

#endif
