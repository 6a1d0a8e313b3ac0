#include "imapd/folder.h"

#include <stdlib.h>

#include "common/store/folder_name.h"
#include "common/base/log.h"

static bool
is_same_name(struct str a, struct str b)
{
	return str_equal(a, b) || (folder_name_is_inbox(a) && folder_name_is_inbox(b));
}

struct folder *
folder_find(struct folder_list *list, struct str name, bool writable)
{
	struct folder *folder;

	LIST_FOREACH(folder, list, link)
		if (folder->name.p != NULL && !folder->broken && folder->writable == writable &&
		    is_same_name(folder->name, name))
			return folder;
	return NULL;
}

static struct folder *
open_folder(struct store *store, struct str name, bool writable, struct err *err)
{
	struct mailbox *mailbox = mailbox_open(store, name, writable ? MAILBOX_WRITE : MAILBOX_READ, err);
	struct folder *folder;

	if (mailbox == NULL)
		return NULL;
	folder = calloc(1, sizeof *folder);
	if (folder == NULL)
		fatal("out of memory for a folder");
	folder->mailbox = mailbox;
	folder->writable = writable;
	folder->generation = 1;
	folder->name = (struct str){str_dup(name), name.n};
	return folder;
}

struct folder *
folder_acquire(struct folder_list *list, struct store *store, struct str name, bool writable, struct err *err)
{
	struct folder *folder = folder_find(list, name, writable);

	if (folder != NULL)
		(void)folder_look(folder);
	if (folder == NULL || folder->broken) {
		folder = open_folder(store, name, writable, err);
		if (folder == NULL)
			return NULL;
		LIST_INSERT_HEAD(list, folder, link);
	}
	folder->users++;
	return folder;
}

static void
forget_name(struct folder *folder)
{
	free((void *)(uintptr_t)folder->name.p);
	folder->name = STR_NONE;
}

void
folder_release(struct folder *folder)
{
	if (--folder->users > 0)
		return;
	LIST_REMOVE(folder, link);
	mailbox_close(folder->mailbox);
	forget_name(folder);
	free(folder);
}

void
folder_forget(struct folder_list *list, struct str name)
{
	struct folder *folder;

	LIST_FOREACH(folder, list, link) {
		bool below = folder->name.n > name.n && str_starts(folder->name, name) &&
		    folder->name.p[name.n] == STORE_SEPARATOR;

		if (folder->name.p != NULL && (below || is_same_name(folder->name, name)))
			forget_name(folder);
	}
}

/* ---- changes --------------------------------------------------------------------------------------------------- */

void
folder_changed(struct folder *folder)
{
	folder->generation++;
}

static void
look_failed(struct folder *folder, const struct err *err)
{
	folder->broken = true;
	folder->generation++;
	if (err->class != ERR_PERM)
		log_error("mailbox cannot be read: %s", err->text);
}

bool
folder_look(struct folder *folder)
{
	struct mailbox_changes changes = {0};
	struct err err;
	bool changed;

	if (folder->broken)
		return true;
	if (!mailbox_rescan(folder->mailbox, &changes, &err)) {
		look_failed(folder, &err);
		mailbox_changes_clear(&changes);
		return true;
	}
	changed = changes.added.n > 0 || changes.changed.n > 0 || changes.vanished.n > 0 || changes.replaced;
	folder->broken = changes.replaced;
	if (changed)
		folder->generation++;
	mailbox_changes_clear(&changes);
	return changed;
}

/* ---- views ----------------------------------------------------------------------------------------------------- */

static const char *
keyword_name(const void *context, unsigned i)
{
	return mailbox_keyword_name(context, i);
}

struct view_source
folder_source(const struct folder *folder)
{
	struct view_source source = {
	    .recent_above = folder->recent_above,
	    .keyword_name = keyword_name,
	    .context = folder->mailbox,
	};

	source.records = mailbox_records(folder->mailbox, &source.n);
	return source;
}

void
folder_claim_recent(struct folder *folder)
{
	size_t n;
	const struct mailbox_record *records = mailbox_records(folder->mailbox, &n);

	if (folder->writable && n > 0)
		folder->recent_above = records[n - 1].uid;
}
