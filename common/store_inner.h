/*
 * The inner side of common/store.h: for the store's modules only.
 */
#ifndef COMMON_STORE_INNER_H
#define COMMON_STORE_INNER_H

#include "common/dirents.h"
#include "common/folder.h"
#include "common/folder_name.h"
#include "common/maildir_name.h"
#include "common/store.h"

#define STORE_MAILDIR_FOLDER "maildirfolder" /* Maildir++'s mark of a folder that is not INBOX */
#define STORE_DELETED_PREFIX "..merpati-deleted."
#define STORE_MADE_PREFIX "..merpati-made."

struct store {
	const struct store_host *host;
	int root;	     /* the Maildir */
	struct folder inbox; /* for the lock of the whole Maildir; .directory is -1 until it is needed */
	int news;	     /* a socket to send with, or -1 */
	uint32_t names;	     /* unique names made so far */
};

/* Fills err with class PERM and errnum; false. */
bool store_refuse(struct err *err, int errnum, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Appends a new TIME.UNIQUE.HOST. */
void store_unique_name(struct store *store, struct buf *out);

/* INBOX's state is the Maildir's: locks it. NULL on failure. Not while an INBOX of this store is locked otherwise. */
struct folder *store_lock(struct store *store, struct err *err);
void store_unlock(struct store *store);

/*
 * A UIDVALIDITY that no folder of this Maildir ever had, durably noted as given. folder: the one that it is for, locked;
 * NULL: none that exists yet.
 */
bool store_new_uidvalidity(struct store *store, struct folder *folder, uint32_t *uidvalidity, struct err *err);
/* The same under the Maildir's lock; inbox is what store_lock gave. */
bool store_next_uidvalidity(struct folder *inbox, uint32_t *uidvalidity, struct err *err);
/* The highest UIDVALIDITY that any state file in this Maildir tells of. */
uint32_t store_highest_uidvalidity(struct store *store);

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
