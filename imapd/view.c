#include "imapd/view.h"

#include <stdlib.h>
#include <string.h>

static bool
grow(struct view *view)
{
	size_t max = view->max < 64 ? 64 : view->max * 2;
	struct view_entry *entries = reallocarray(view->entries, max, sizeof *entries);

	if (entries == NULL)
		return false;
	view->entries = entries;
	view->max = max;
	return true;
}

static bool
append(struct view *view, const struct mailbox_record *record, uint32_t recent_above)
{
	if (view->n == view->max && !grow(view))
		return false;
	view->entries[view->n++] = (struct view_entry){
	    .uid = record->uid,
	    .keywords = record->keywords,
	    .flags = record->flags,
	    .recent = record->recent && record->uid > recent_above,
	};
	view->recent += view->entries[view->n - 1].recent;
	return true;
}

bool
view_open(struct view *view, const struct view_source *source)
{
	*view = (struct view){0};
	for (size_t i = 0; i < source->n; i++) {
		if (!append(view, &source->records[i], source->recent_above)) {
			view_close(view);
			return false;
		}
	}
	return true;
}

void
view_close(struct view *view)
{
	free(view->entries);
	*view = (struct view){0};
}

/* ---- looking --------------------------------------------------------------------------------------------------- */

struct view_entry *
view_find(const struct view *view, uint32_t uid)
{
	size_t low = 0, high = view->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (view->entries[middle].uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low < view->n && view->entries[low].uid == uid ? &view->entries[low] : NULL;
}

struct view_entry *
view_at(const struct view *view, uint32_t sequence)
{
	return sequence > 0 && sequence <= view->n ? &view->entries[sequence - 1] : NULL;
}

uint32_t
view_sequence(const struct view *view, const struct view_entry *entry)
{
	return (uint32_t)(entry - view->entries) + 1;
}

uint32_t
view_last_uid(const struct view *view)
{
	return view->n == 0 ? 0 : view->entries[view->n - 1].uid;
}

void
view_write_flags(const struct view_entry *entry, const struct view_source *source, struct buf *out)
{
	const struct respond_flags flags = {
	    .flags = entry->flags,
	    .recent = entry->recent,
	    .keywords = entry->keywords,
	    .name = source->keyword_name,
	    .context = source->context,
	};

	buf_adds(out, "FLAGS (");
	respond_flags(out, &flags);
	buf_addc(out, ')');
}

/* ---- telling --------------------------------------------------------------------------------------------------- */

struct walk {
	struct view *view;
	const struct view_source *source;
	enum view_manner manner;
	struct buf *out;
	size_t record;
	size_t kept; /* entries that stay, moved to the front */
};

static void
say_flags(struct walk *w, const struct view_entry *entry)
{
	buf_addf(w->out, "* %zu FETCH (", w->kept + 1);
	if ((w->manner & VIEW_WITH_UID) != 0)
		buf_addf(w->out, "UID %u ", (unsigned)entry->uid);
	view_write_flags(entry, w->source, w->out);
	buf_adds(w->out, ")\r\n");
}

/* One entry beside its record, if it has one still. Its number takes into account what was said before. */
static void
sync_entry(struct walk *w, struct view_entry entry)
{
	const struct view_source *source = w->source;
	const struct mailbox_record *record = NULL;

	while (w->record < source->n && source->records[w->record].uid < entry.uid)
		w->record++;
	if (w->record < source->n && source->records[w->record].uid == entry.uid)
		record = &source->records[w->record];
	w->view->gone -= entry.gone;
	entry.gone = record == NULL;
	if (entry.gone && (w->manner & VIEW_EXPUNGE) != 0) {
		buf_addf(w->out, "* %zu EXPUNGE\r\n", w->kept + 1);
		w->view->recent -= entry.recent;
		return;
	}
	if (record != NULL && (record->flags != entry.flags || record->keywords != entry.keywords)) {
		entry.flags = record->flags;
		entry.keywords = record->keywords;
		say_flags(w, &entry);
	}
	w->view->gone += entry.gone;
	w->view->entries[w->kept++] = entry;
}

/* A UID below one that is known cannot be shown: numbers would no longer ascend. It shows at the next SELECT. */
static bool
add_new(struct walk *w)
{
	uint32_t last = view_last_uid(w->view);
	size_t recent = w->view->recent, before = w->view->n;
	bool ok = true;

	while (w->record < w->source->n && w->source->records[w->record].uid <= last)
		w->record++;
	while (ok && w->record < w->source->n)
		ok = append(w->view, &w->source->records[w->record++], w->source->recent_above);
	if (w->view->n > before)
		buf_addf(w->out, "* %zu EXISTS\r\n", w->view->n);
	if (w->view->recent != recent)
		buf_addf(w->out, "* %zu RECENT\r\n", w->view->recent);
	return ok;
}

bool
view_sync(struct view *view, const struct view_source *source, enum view_manner manner, struct buf *out,
    size_t out_max)
{
	struct walk w = {.view = view, .source = source, .manner = manner, .out = out};
	size_t i = 0;

	while (i < view->n && out->n <= out_max)
		sync_entry(&w, view->entries[i++]);
	if (w.kept < i && i < view->n)
		memmove(view->entries + w.kept, view->entries + i, (view->n - i) * sizeof *view->entries);
	view->n -= i - w.kept;
	return w.kept == view->n && out->n <= out_max && add_new(&w);
}
