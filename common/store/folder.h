/*
 * One folder's directories and its locked state, without messages. For the store's modules only.
 */
#ifndef COMMON_FOLDER_H
#define COMMON_FOLDER_H

#include "common/store/state_file.h"

struct store;

struct folder {
	struct store *store;
	bool inbox;
	int directory, tmp, new, cur; /* -1: not open */
	struct state_file state;
};

/* disk: the directory's name in the Maildir ("." for INBOX). Missing tmp, new and cur are made if `make` or if cur is
 * there; else the folder does not exist. */
bool folder_open(struct folder *folder, struct store *store, const char *disk, bool make, struct err *err);
/* Harmless when it is not open. */
void folder_clear(struct folder *folder);

/* Locks the state. One that is missing or damaged is rebuilt first: see common/store/folder_rebuild.c. */
bool folder_lock(struct folder *folder, struct err *err);
void folder_unlock(struct folder *folder);

/* Under the lock, when there is no usable state. */
bool folder_rebuild(struct folder *folder, struct err *err);
/* Under the lock, when state.taking_over says so: gives files the UIDs that another server gave them. */
bool folder_take_over(struct folder *folder, struct err *err);

/* What begins with the TAG. */
const char *folder_tag(const struct folder *folder);

struct mailbox_state;
/* A new id; with `tag` that begins with this one (may be NULL or empty). */
void folder_make_id(struct mailbox_state *state, const char *tag);

/*
 * Gives the file `name` in the directory from (new or cur of this folder) this UID: adds size, wire size and UID to its
 * base. The file is read when its name does not tell W. True with *done false: it is not there any more, is no regular
 * file, or may not be read.
 */
bool folder_number_file(struct folder *folder, int directory, struct str name, uint32_t uid, bool *done, struct err *err);

#endif
