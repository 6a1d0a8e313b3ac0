/*
 * The inner side of common/store/mailbox.h: for the store's modules only.
 */
#ifndef COMMON_MAILBOX_INNER_H
#define COMMON_MAILBOX_INNER_H

#include <sys/stat.h>

#include "common/store/mailbox.h"
#include "common/store/store_inner.h"

/* A message's file as a scan found it. name is borrowed from the mailbox's dirents. */
struct seen {
	uint32_t uid;
	bool in_new;
	struct maildir_name parsed;
	struct str name;
};

struct seen_list {
	struct seen *list;
	size_t n, max;
};

/* The names of files of the records, NUL-terminated; a record has the offset of its own. */
struct names {
	char *bytes;
	size_t n, max;
	size_t dead; /* bytes that no record points to any more */
};

struct mailbox {
	struct store *store;
	enum mailbox_rights rights;
	struct folder folder;
	uint32_t uidvalidity, uidnext;
	bool looked; /* at least once */

	struct mailbox_record *records; /* ascending by UID */
	size_t n, max;
	size_t nremoved; /* of them: by this handle; they are taken out all at once, later */
	struct names names;

	struct mailbox_changes pending; /* not yet fetched by mailbox_rescan */

	struct dirents in_new, in_cur;
	struct seen_list seen;	  /* messages with a UID of this folder, ascending, each once */
	struct seen_list foreign; /* those that must get one */
	size_t passed_over;	  /* files that could not be numbered the last time */
	struct timespec new_stamp, cur_stamp;
	bool stamps_hold; /* nothing can have happened that would not have changed a stamp */

	bool dirty_new, dirty_cur; /* changed through this handle and not yet synced */
	int session_lock;	   /* -1: not held */
};

/* --- mailbox_scan.c */

/* Reads new/, then cur/, and sorts what is there into seen and foreign. */
bool mailbox_scan(struct mailbox *mailbox, struct err *err);
/* Numbers the foreign files, under the lock. *numbered: how many. */
bool mailbox_number(struct mailbox *mailbox, size_t *numbered, struct err *err);

/* --- mailbox_look.c */

/* Brings the records up to date and notes in pending what changed. */
bool mailbox_look(struct mailbox *mailbox, struct err *err);
/* An operation found that the file is not where the record says: looks again, whatever the stamps say. NULL: the message
 * is gone (*failed false), or the look failed. */
struct mailbox_record *mailbox_find_again(struct mailbox *mailbox, uint32_t uid, bool *failed, struct err *err);
/* Takes a record out that this handle removed. */
void mailbox_drop_record(struct mailbox *mailbox, struct mailbox_record *record);
void mailbox_squeeze(struct mailbox *mailbox);
void mailbox_set_name(struct mailbox *mailbox, struct mailbox_record *record, struct str name);

/* --- mailbox.c */

struct mailbox_record *mailbox_record(struct mailbox *mailbox, uint32_t uid);
const char *mailbox_record_name(const struct mailbox *mailbox, const struct mailbox_record *record);
int mailbox_record_directory(const struct mailbox *mailbox, const struct mailbox_record *record);
void mailbox_mark_dirty(struct mailbox *mailbox, int directory);
/* Letters a to z that have a name in this folder, as bits. */
uint32_t mailbox_known_keywords(const struct mailbox *mailbox);

#endif
