/*
 * A folder whose state file is missing or damaged.
 *
 * Without any state, and with no UID of ours in the names, the folder is new to us: what another server knew of it is
 * taken over, else it begins at UID 1.
 *
 * With UIDs in the names, the folder was ours. The UIDs of the messages that are there are known, but nobody can tell
 * which higher ones were given to messages that have been removed since; going on behind the highest name might give
 * such a UID again, and a client would show an old message in place of a new one. So the folder gets a new UIDVALIDITY.
 * UIDs, flags and the TAG stay as they are, no file is renamed, and clients fetch the folder once more. The same when only
 * the counter is damaged; keywords and special uses are then kept. The damaged file is kept aside.
 */
#include "common/store/folder.h"

#include <stdlib.h>
#include <string.h>

#include "common/store/store_inner.h"
#include "common/store/uidlist.h"

#define TAGS_MAX 64
#define UIDLIST_MAX_BYTES ((size_t)256 * 1024 * 1024)

struct tag_use {
	char tag[MAILDIR_TAG_LENGTH + 1];
	size_t count;
	uint32_t highest;
};

struct tag_uses {
	struct tag_use list[TAGS_MAX];
	size_t n;
};

static void
tag_count(struct tag_uses *uses, const struct maildir_name *n)
{
	size_t i = 0;

	while (i < uses->n && strcmp(uses->list[i].tag, n->tag) != 0)
		i++;
	if (i == TAGS_MAX)
		return;
	if (i == uses->n) {
		uses->list[i] = (struct tag_use){0};
		(void)str_copy(uses->list[i].tag, sizeof uses->list[i].tag, str_from(n->tag));
		uses->n++;
	}
	uses->list[i].count++;
	if (n->uid > uses->list[i].highest)
		uses->list[i].highest = n->uid;
}

static bool
count_directory(struct tag_uses *uses, int directory, struct err *err)
{
	struct dirents d = {0};
	struct dirent_name entry;
	struct maildir_name n;
	size_t offset = 0;
	bool ok = dirents_read(&d, directory, err);

	while (ok && dirents_next(&d, &offset, &entry))
		if (maildir_name_parse(&n, entry.name) && n.uid != 0)
			tag_count(uses, &n);
	dirents_clear(&d);
	return ok;
}

/* The wanted tag's use; without a wish that of most files. NULL: there is none. */
static const struct tag_use *
tag_choose(const struct tag_uses *uses, const char *wanted)
{
	const struct tag_use *best = NULL;

	for (size_t i = 0; i < uses->n; i++) {
		const struct tag_use *use = &uses->list[i];

		if (wanted[0] != '\0' ? strncmp(use->tag, wanted, MAILDIR_TAG_LENGTH) == 0
				      : best == NULL || use->count > best->count)
			best = use;
	}
	return best;
}

/* The first of the sources that makes sense. */
static void
find_origin(struct folder *folder, struct mailbox_state *state)
{
	static const struct {
		const char *name;
		enum mailbox_origin origin;
	} sources[] = {
	    {"dovecot-uidlist", MAILBOX_ORIGIN_DOVECOT},
	    {"courierimapuiddb", MAILBOX_ORIGIN_COURIER},
	    {".uidvalidity", MAILBOX_ORIGIN_MBSYNC},
	};
	struct uidlist list;
	struct buf text;

	buf_init(&text, UIDLIST_MAX_BYTES);
	for (size_t i = 0; i < 3 && state->taking_over == MAILBOX_ORIGIN_NONE; i++) {
		buf_reset(&text);
		if (!store_read_file(folder->directory, sources[i].name, &text, NULL))
			continue;
		if (sources[i].origin == MAILBOX_ORIGIN_MBSYNC) {
			if (!uidlist_parse_mbsync(buf_str(&text), &state->uidvalidity, &state->next))
				continue;
		} else {
			if (!uidlist_open(&list, buf_str(&text)))
				continue;
			state->uidvalidity = list.uidvalidity;
			state->next = list.next;
		}
		state->taking_over = sources[i].origin;
	}
	buf_clear(&text);
}

static void
find_keywords(struct folder *folder, struct mailbox_state *state)
{
	struct buf text;

	buf_init(&text, 65536);
	if (store_read_file(folder->directory, "dovecot-keywords", &text, NULL))
		uidlist_parse_keywords(state, buf_str(&text));
	buf_clear(&text);
}

static bool
choose_numbers(struct folder *folder, const struct tag_use *use, struct err *err)
{
	struct mailbox_state *state = &folder->state.state;
	bool ours = use != NULL || folder->state.damaged_counter;

	state->uidvalidity = 0;
	state->next = 1;
	if (state->id[0] == '\0')
		folder_make_id(state, use ? use->tag : NULL);
	if (ours) {
		state->taking_over = MAILBOX_ORIGIN_NONE;
		if (use != NULL)
			state->next = use->highest < UINT32_MAX ? use->highest + 1 : UINT32_MAX;
	} else {
		find_origin(folder, state);
		find_keywords(folder, state);
	}
	state->reserved = state->next;
	(void)str_copy(state->boot, sizeof state->boot, str_from(folder->store->host->boot));
	return store_settle_uidvalidity(folder, &state->uidvalidity, err);
}

bool
folder_rebuild(struct folder *folder, struct err *err)
{
	struct tag_uses uses = {.n = 0};

	if (!state_file_keep_aside(&folder->state, err))
		return false;
	if (!folder->state.damaged_counter)
		folder->state.state = (struct mailbox_state){0};
	if (!count_directory(&uses, folder->new, err) || !count_directory(&uses, folder->cur, err))
		return false;
	if (!choose_numbers(folder, tag_choose(&uses, folder->state.state.id), err))
		return false;
	return state_file_write(&folder->state, err);
}
