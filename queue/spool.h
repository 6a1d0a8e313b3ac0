/*
 * The directories of the queue (merpati-queue(5)). A message is one file; its directory is its state, and every change
 * of state is one rename, which needs no sync: after a crash the file is in the one or the other, and both are right.
 * Only queued changes anything here, but for smtpd, which creates in incoming/ and can do nothing else.
 */
#ifndef QUEUE_SPOOL_H
#define QUEUE_SPOOL_H

#include <dirent.h>
#include <sys/types.h>

#include "common/base/err.h"
#include "common/queue/queue_id.h"

enum spool_place {
	SPOOL_INCOMING,
	SPOOL_ACTIVE,
	SPOOL_DEFERRED, /* holds one directory for each time at which something is due */
	SPOOL_HOLD,
	SPOOL_CORRUPT,
	SPOOL_PLACES,
};

struct spool {
	int root; /* of all; only for reaching what is in it */
	int fds[SPOOL_PLACES];
};

/* The name of a directory of deferred/: YYYYMMDDThhmmssZ, in UTC. */
#define SPOOL_TIME_LENGTH 16

struct spool_time {
	char text[SPOOL_TIME_LENGTH + 1];
};

const char *spool_place_name(enum spool_place place);

/* They are made by `merpati run` or the package. */
bool spool_open(struct spool *spool, const char *path, struct err *err);
void spool_close(struct spool *spool);

/* -1 fills err; err->errnum tells (ENOENT: it is not there any more). Never follows a link, never blocks. */
int spool_open_file(const struct spool *spool, enum spool_place place, const struct queue_id *id, int flags,
    struct err *err);
/* The same for reading one of deferred/. */
int spool_open_deferred(const struct spool *spool, const struct queue_id *id, const struct spool_time *time,
    struct err *err);
/* A new file in active/, for a notification; EEXIST when the ID is taken. */
int spool_create_file(const struct spool *spool, const struct queue_id *id, struct err *err);

/* One rename; never replaces another file (EEXIST). Not for deferred/. */
bool spool_move(const struct spool *spool, const struct queue_id *id, enum spool_place from, enum spool_place to,
    struct err *err);
/* From active/ into the directory of that time, which is made if need be. */
bool spool_defer(const struct spool *spool, const struct queue_id *id, const struct spool_time *time,
    struct err *err);
/* From there back into active/. */
bool spool_undefer(const struct spool *spool, const struct queue_id *id, const struct spool_time *time,
    struct err *err);
bool spool_remove(const struct spool *spool, const struct queue_id *id, enum spool_place place, struct err *err);
/* It is neither a file nor a directory. */
bool spool_is_special(const struct spool *spool, const struct queue_id *id, enum spool_place place);
bool spool_has_file(const struct spool *spool, const struct queue_id *id, enum spool_place place);
/* Does this errno speak of the whole spool (it is full, read-only, broken) rather than of one file? */
bool spool_is_at_fault(int errnum);
bool spool_remove_deferred(const struct spool *spool, const struct queue_id *id, const struct spool_time *time,
    struct err *err);
/* Finds a message in the directories of deferred/. False: it is in none. */
bool spool_find_deferred(const struct spool *spool, const struct queue_id *id, struct spool_time *time);

/*
 * The directory for what is due at due_ms (since 1970), now being now_ms: rounded up to a second when that is less than
 * a minute ahead, to ten seconds within ten minutes, else to the minute, so that there are never many.
 */
void spool_time_round(struct spool_time *time, uint64_t due_ms, uint64_t now_ms);
/* False when the name is none of ours. */
bool spool_time_parse(struct str name, struct spool_time *time, uint64_t *time_s);
void spool_time_format(struct spool_time *time, uint64_t time_s);

/* Reading a directory, as much at a time as one likes. */
struct spool_scan {
	DIR *dir; /* NULL: not open */
	enum spool_place place;
	struct spool_time time; /* for SPOOL_DEFERRED: which directory of it; "" for deferred/ itself */
};

bool spool_scan_open(const struct spool *spool, struct spool_scan *scan, enum spool_place place,
    const struct spool_time *time, struct err *err);
/* The next name, whatever it is, but `.` and `..`; borrowed until the next call. NULL at the end. */
const char *spool_scan_next(struct spool_scan *scan);
void spool_scan_close(struct spool_scan *scan);
/* Removes a directory of deferred/ if it is empty; false when it is still there. */
bool spool_time_remove(const struct spool *spool, const struct spool_time *time);

#endif
