/*
 * The inner side of common/store/store.h: for the store's modules only.
 */
#ifndef COMMON_STORE_INNER_H
#define COMMON_STORE_INNER_H

#include "common/store/dirents.h"
#include "common/store/folder.h"
#include "common/store/folder_name.h"
#include "common/store/maildir_name.h"
#include "common/store/store.h"

#define STORE_UIDVALIDITY "merpati-uidvalidity"
#define STORE_MAILDIR_FOLDER "maildirfolder" /* Maildir++'s mark of a folder that is not INBOX */
#define STORE_DELETED_PREFIX "..merpati-deleted."
#define STORE_MADE_PREFIX "..merpati-made."

struct store {
	const struct store_host *host;
	int root;	     /* the Maildir */
	char *path;	     /* where it is */
	uint64_t device, inode;
	struct folder inbox; /* for the lock of the whole Maildir; .directory is -1 until it is needed */
	int news;	     /* a socket to send with, or -1 */
	uint32_t names;	     /* unique names made so far */
};

/* Fills err with class PERM and errnum; false. */
bool store_refuse(struct err *err, int errnum, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Appends a new TIME.UNIQUE.HOST. */
void store_unique_name(struct store *store, struct buf *out);

/* The lock of INBOX's state is the Maildir's too. Not to be taken while this process has INBOX locked otherwise. */
bool store_lock(struct store *store, struct err *err);
void store_unlock(struct store *store);

/*
 * UIDVALIDITYs are times for the sake of Maildirs whose files were all lost, but each is greater than all that this
 * Maildir ever gave; the highest is kept in a file of its own. All three under the Maildir's lock.
 *
 * next: a new one, durably noted as given. note: this one is in use and must not be given again.
 * highest: what the folders' state files tell, in case that file is lost.
 */
bool store_next_uidvalidity(struct store *store, uint32_t *uidvalidity, struct err *err);
bool store_note_uidvalidity(struct store *store, uint32_t uidvalidity, struct err *err);
uint32_t store_highest_uidvalidity(struct store *store);
/* For a folder that is locked, INBOX or not: notes `uidvalidity` if it is not 0, else sets it to a new one. */
bool store_settle_uidvalidity(struct folder *folder, uint32_t *uidvalidity, struct err *err);

/* Finds the directory of a folder that exists: *disk gets its name, NUL-terminated ("." for INBOX). */
bool store_find_directory(struct store *store, struct str name, char disk[MAILDIR_NAME_MAX + 1], struct err *err);

/* Makes a file anew under this name with this text, durably: for the small text files of a Maildir. */
bool store_write_file(int directory, const char *name, struct str text, struct err *err);
/* Reads a file of at most out's maximum; false with errnum ENOENT when there is none. */
bool store_read_file(int directory, const char *name, struct buf *out, struct err *err);

/* Appends the names that the account is subscribed to, a line each. */
#define STORE_SUBSCRIPTIONS_BYTES ((size_t)STORE_SUBSCRIPTIONS_MAX * (FOLDER_NAME_MAX + 1))
bool store_read_subscriptions(struct store *store, struct buf *names, struct err *err);

/* Removes the folder's directory that was renamed to this name, with what the store and other servers put there. */
bool store_remove_directory(struct store *store, const char *disk, struct err *err);

#endif
