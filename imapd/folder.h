/*
 * The open folders of a user: one mailbox handle each, however many connections have it selected, so that what one
 * changes the others see at once. A folder that some have selected and others examine has two handles, of which the
 * read-only one looks again when the other has changed something.
 */
#ifndef IMAPD_FOLDER_H
#define IMAPD_FOLDER_H

#include <bsd/sys/queue.h>

#include "imapd/view.h"

struct folder {
	LIST_ENTRY(folder) link;
	struct mailbox *mailbox;
	bool writable;
	unsigned users;
	uint64_t generation;	/* grows with every change */
	uint32_t recent_above;	/* UIDs up to this were recent for somebody */
	bool broken;		/* deleted, replaced, or not readable any more */
	struct str name;	/* UTF-8; .p is NULL once the folder was renamed or deleted. Owned */
};

LIST_HEAD(folder_list, folder);

/* Opens it or takes the one that is open; to be released. NULL on failure. */
struct folder *folder_acquire(struct folder_list *list, struct store *store, struct str name, bool writable,
    struct err *err);
void folder_release(struct folder *folder);
/* NULL when it is not open. */
struct folder *folder_find(struct folder_list *list, struct str name, bool writable);
/* After a rename or deletion: who has it open keeps it, but nobody gets it by this name (nor those below it). */
void folder_forget(struct folder_list *list, struct str name);

/* Looks again. True when something changed (or broke). */
bool folder_look(struct folder *folder);
/* After a change through the handle itself. */
void folder_changed(struct folder *folder);

/* For view_sync; borrowed until the mailbox changes. */
struct view_source folder_source(const struct folder *folder);
/* All messages there are now were recent for somebody. */
void folder_claim_recent(struct folder *folder);

#endif
