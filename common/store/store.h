/*
 * An account's Maildir: opening it, and its tree of folders. One folder with its messages is common/store/mailbox.h.
 *
 * Folder names here are UTF-8 with `/` between the levels (STORE_SEPARATOR); INBOX is the Maildir itself, in any case.
 * What IMAP4rev1 clients write is modified UTF-7: common/mime/mutf7.h. How a name becomes a directory's name is said in
 * common/store/folder_name.h.
 *
 * Errors: class LIMIT when a stated limit was met; PERM with errnum
 *     EEXIST   there is such a folder already (or there is something else in the way)
 *     ENOENT   there is no such folder
 *     EINVAL   no folder can have this name
 *     EPERM    not with this folder (INBOX)
 * and TEMP for everything else (errnum ENOSPC, EDQUOT: no space). What these functions promise to have changed is
 * durable when they return. All of them may block for short disk operations.
 */
#ifndef COMMON_STORE_H
#define COMMON_STORE_H

#include "common/base/err.h"
#include "common/store/mailbox_state.h"
#include "common/base/str.h"

#define STORE_SEPARATOR '/'
#define STORE_FOLDERS_MAX 10000
#define STORE_SUBSCRIPTIONS_MAX 10000

/* What new file names and state files take from the host: read once, before any sandbox. */
struct store_host {
	char name[MAILDIR_HOST_MAX + 1];
	char boot[MAILBOX_BOOT_ID_LENGTH + 1]; /* random where the kernel does not tell */
};

void store_host_read(struct store_host *host, const char *hostname);

struct store;

/*
 * Opens the Maildir at `mail` of the account whose home directory is `home`: below the home with openat2, beneath it,
 * through no symbolic link; elsewhere the parent directory is trusted. Called as the owner. With `make`, what is missing
 * is made, mode 0700 (a home too: virtual accounts have theirs below a directory that belongs to their uid).
 * Without it a Maildir that is not there is PERM with ENOENT. host is borrowed for the store's life.
 * NULL on failure.
 */
struct store *store_open(const struct store_host *host, const char *home, const char *mail, bool make, struct err *err);
/* All mailboxes of it are closed before. */
void store_close(struct store *store);
/* Is the Maildir that was opened still the one at its path? Else it was moved or replaced, and must be opened anew. */
bool store_is_current(const struct store *store);
/* The Maildir's directory, for Landlock rules. */
int store_directory(const struct store *store);

/* --- folders ---------------------------------------------------------------------------------------------------------- */

struct store_folder {
	const char *name;
	bool exists; /* false: only folders below it do, or it is only subscribed to */
	bool has_children;
	bool subscribed;
	unsigned uses; /* enum mailbox_use */
};

struct store_list {
	struct store_folder *folders; /* INBOX first, the others by bytes of their names, parents before children */
	size_t n;
};

/* All folders, with the missing parents of each, and all subscribed names. */
bool store_list(struct store *store, struct store_list *list, struct err *err);
void store_list_clear(struct store_list *list);

/* Parents that are missing stay missing (the list shows them with exists = false). */
bool store_create(struct store *store, struct str name, unsigned uses, struct err *err);
/* With its messages, but without the folders below it. Subscriptions stay (RFC 3501 6.3.4). */
bool store_delete(struct store *store, struct str name, struct err *err);
/* With the folders below it. Of INBOX, its messages go to the new folder, and INBOX stays. */
bool store_rename(struct store *store, struct str from, struct str to, struct err *err);
/* The folder need not exist. */
bool store_subscribe(struct store *store, struct str name, bool on, struct err *err);

/*
 * At an account's first login: makes the usual folders (Drafts, Sent, Trash, Junk, Archive) with their special uses and
 * subscribes to them and to INBOX. Does nothing once the account has a list of subscriptions. That of another server
 * is taken over.
 */
bool store_first_login(struct store *store, struct err *err);

/* Removes what has lain in tmp/ of INBOX for more than 36 hours, and what is left of deleted folders. */
void store_sweep(struct store *store, uint64_t now_seconds);

#endif
