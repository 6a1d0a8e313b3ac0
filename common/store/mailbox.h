/*
 * One folder of a Maildir, opened: its messages and what may be done with them. A handle carries its rights. Several
 * handles, in one process or in many, may work on a folder at once; other tools may too.
 *
 * The records are this handle's view: they change only in the calls that say so, never by themselves. UIDs ascend in
 * the order in which messages become visible. Nothing here opens a message's file in order to list it; only what
 * another tool put there is read once, when it gets its number.
 *
 * What is durable: UIDs are never given twice, whatever crashes. Flag changes and removals are visible to all processes
 * at once, and durable after mailbox_sync. New messages: see below. Errors are those of common/store/store.h.
 */
#ifndef COMMON_MAILBOX_H
#define COMMON_MAILBOX_H

#include <time.h>

#include "common/store/store.h"

#define MAILBOX_MESSAGES_MAX 2000000

struct mailbox;

enum mailbox_rights {
	MAILBOX_ADD,	/* for appending and as the target of a copy: has no records, costs no scan */
	MAILBOX_READ,	/* EXAMINE: no flag, no message is changed, new/ stays */
	MAILBOX_REMOVE, /* POP3: may also remove; new/ stays */
	MAILBOX_WRITE,	/* SELECT: everything; what lies in new/ moves to cur/ at every scan */
};

struct mailbox_record {
	uint32_t uid;
	uint32_t keywords; /* bit i: mailbox_keyword_name(mailbox, i) */
	uint64_t size;	   /* of the file */
	uint64_t wire_size; /* with CRLF: RFC822.SIZE, and what POP3 says */
	unsigned char flags; /* enum maildir_flag */
	bool recent; /* it lay in new/ when this handle saw it first (with MAILBOX_WRITE: no other process did) */
	/* The store's own. */
	bool in_new;
	bool has_date;
	bool seen_now;
	bool removed;
	unsigned short name_bytes;
	size_t name;
	int64_t date;
};

/* A scan is made at once, except with MAILBOX_ADD. NULL on failure. */
struct mailbox *mailbox_open(struct store *store, struct str folder, enum mailbox_rights rights, struct err *err);
/* Harmless with NULL. */
void mailbox_close(struct mailbox *mailbox);

uint32_t mailbox_uidvalidity(const struct mailbox *mailbox);
/* Greater than the UID of every record, and not above that of any message that comes later. As of the last scan. */
uint32_t mailbox_uidnext(const struct mailbox *mailbox);
/* MAILBOX_ID_LENGTH letters and digits (RFC 8474 MAILBOXID); changes never, also not by renaming. */
const char *mailbox_id(const struct mailbox *mailbox);

/* Ascending by UID. Borrowed until the next call with a mailbox that is not const. */
const struct mailbox_record *mailbox_records(struct mailbox *mailbox, size_t *n);
/* NULL when it is not there (any more). */
const struct mailbox_record *mailbox_find(const struct mailbox *mailbox, uint32_t uid);

/* --- looking again ------------------------------------------------------------------------------------------------------ */

struct mailbox_uids {
	uint32_t *list; /* ascending */
	size_t n, max;
};

/* What happened since the last mailbox_rescan (or since opening) by others' hands; own calls' effects are not in it. */
struct mailbox_changes {
	struct mailbox_uids added;
	struct mailbox_uids changed; /* flags or keywords */
	struct mailbox_uids vanished;
	bool replaced; /* another UIDVALIDITY: nothing that was known holds. Close it */
};

/*
 * Brings the records up to date. Costs two system calls when nothing happened. changes is set anew: the caller's, to be
 * cleared. Class PERM with ENOENT: the folder was deleted.
 */
bool mailbox_rescan(struct mailbox *mailbox, struct mailbox_changes *changes, struct err *err);
void mailbox_changes_clear(struct mailbox_changes *changes);

/* --- reading ------------------------------------------------------------------------------------------------------------- */

enum mailbox_done {
	MAILBOX_DONE,
	MAILBOX_GONE,	/* somebody removed it: its record is away, and the next rescan tells */
	MAILBOX_FAILED, /* err is filled */
};

/* Opens the message's file (LF lines; common/smtp/crlf.h) for reading; *fd is the caller's. */
enum mailbox_done mailbox_open_message(struct mailbox *mailbox, uint32_t uid, int *fd, struct err *err);
/* The internal date, in seconds since 1970: the file's mtime. */
enum mailbox_done mailbox_date(struct mailbox *mailbox, uint32_t uid, int64_t *date, struct err *err);

/* --- flags and keywords ------------------------------------------------------------------------------------------------- */

enum mailbox_how {
	MAILBOX_SET, /* exactly these */
	MAILBOX_INCLUDE,
	MAILBOX_EXCLUDE,
};

/*
 * Changes the flags; the record then shows the new ones (which may differ from what was expected: another process may
 * have changed them meanwhile). May rescan. MAILBOX_WRITE only.
 */
enum mailbox_done mailbox_store(struct mailbox *mailbox, uint32_t uid, enum mailbox_how how, unsigned flags,
    uint32_t keywords, struct err *err);

/* NULL: no such keyword in this folder. Borrowed until the next call that is not const. */
const char *mailbox_keyword_name(const struct mailbox *mailbox, unsigned i);
/* Index of the keyword (any case), or -1. */
int mailbox_keyword_find(const struct mailbox *mailbox, struct str name);
/* The same, made if need be (durably). -1: class LIMIT when all letters are used (\* is then not in PERMANENTFLAGS),
 * PERM when it cannot be a keyword. */
int mailbox_keyword_make(struct mailbox *mailbox, struct str name, struct err *err);
bool mailbox_can_make_keywords(const struct mailbox *mailbox);

/* --- removing ------------------------------------------------------------------------------------------------------------ */

/* Removes the message and its record. GONE is as good. MAILBOX_REMOVE and MAILBOX_WRITE. */
enum mailbox_done mailbox_remove(struct mailbox *mailbox, uint32_t uid, struct err *err);
/* Blocks until all changes made through this handle are durable. */
bool mailbox_sync(struct mailbox *mailbox, struct err *err);

/*
 * POP3's lock: one session at a time. Held until the mailbox is closed or the process ends. False with class LIMIT
 * when another has it ([IN-USE]).
 */
bool mailbox_lock_session(struct mailbox *mailbox, struct err *err);

/* --- new messages --------------------------------------------------------------------------------------------------------
 *
 * A message is written into tmp/ (mailbox_file_new, _write, _finish), made durable (mailbox_file_sync, or what
 * mailbox_file_fd gives by other means), then numbered and put into its place together with others (mailbox_publish).
 * Only when the directories are durable too (mailbox_sync, or what mailbox_dirty_fds gives by other means) may it be
 * acknowledged. mailbox_append is all of it for one message.
 */

struct mailbox_file;

struct mailbox_file *mailbox_file_new(struct mailbox *mailbox, struct err *err);
/* wire: CRLF lines, in pieces of any size. Buffers. */
bool mailbox_file_write(struct mailbox_file *file, struct str wire, struct err *err);
/* lines: LF lines, as `deliver -d` gets them. Not to be mixed with the other within a message. */
bool mailbox_file_write_lines(struct mailbox_file *file, struct str lines, struct err *err);

struct mailbox_file_attributes {
	unsigned flags;
	uint32_t keywords;
	bool has_date; /* else now */
	int64_t date;
};

/* The end of the message. attributes may be NULL: none. Without flags and keywords it will go to new/, else to cur/. */
bool mailbox_file_finish(struct mailbox_file *file, const struct mailbox_file_attributes *attributes, struct err *err);
/* Blocking. */
bool mailbox_file_sync(struct mailbox_file *file, struct err *err);
/* Of many at once, which costs less each. Blocking. All or none counts. */
bool mailbox_files_sync(struct mailbox_file *const *files, size_t n, struct err *err);
/* For those who make it durable by other means; the file's own. */
int mailbox_file_fd(const struct mailbox_file *file);
/* A further message with the same bytes and attributes, as a hard link: after _finish, before publishing. What makes
 * the one durable serves both. NULL on failure. */
struct mailbox_file *mailbox_file_link(struct mailbox_file *file, struct err *err);
/* Not 0 once it is published. */
uint32_t mailbox_file_uid(const struct mailbox_file *file);
/* What was not published is removed. Harmless with NULL. */
void mailbox_file_free(struct mailbox_file *file);

/*
 * Numbers files of this mailbox in their order, and makes them visible. False when at least one was not (its uid is 0).
 * The records do not show them: a rescan does, as added.
 */
bool mailbox_publish(struct mailbox *mailbox, struct mailbox_file *const *files, size_t n, struct err *err);
/* The directories that changed through this handle since the last call, for those who make them durable by other
 * means: at most two, the mailbox's own. Returns how many. */
size_t mailbox_dirty_fds(struct mailbox *mailbox, int fds[2]);

/* Of one whole message: durable when it returns. *uid may be NULL. */
bool mailbox_append(struct mailbox *mailbox, struct str wire, const struct mailbox_file_attributes *attributes,
    uint32_t *uid, struct err *err);

/*
 * Copies messages with flags, keywords (as far as the target has letters left) and date, by hard links. uids: ascending;
 * new_uids[i] gets the copy's, or 0 when the message was gone. All or nothing. Durable after mailbox_sync(to).
 */
bool mailbox_copy(struct mailbox *from, const uint32_t *uids, size_t n, struct mailbox *to, uint32_t *new_uids,
    struct err *err);
/*
 * The same, but the messages leave `from` (and its records): each is at every moment in exactly one of the two. On
 * failure those with a new UID have moved. Durable after mailbox_sync(to), then mailbox_sync(from).
 */
bool mailbox_move(struct mailbox *from, const uint32_t *uids, size_t n, struct mailbox *to, uint32_t *new_uids,
    struct err *err);

#endif
