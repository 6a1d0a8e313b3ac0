#include "queue/listing_view.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/base/loop.h"
#include "queue/listing_body.h"
#include "queue/listing_progress.h"
#include "queue/listing_walk.h"

#define OUTPUT_MAX_BYTES (256UL * 1024 * 1024)

int
listing_view_fail(const struct err *err)
{
	(void)fprintf(stderr, "merpati queue: %s\n", err->text);
	if (err->errnum == EACCES || err->errnum == EPERM)
		return EX_NOPERM;
	return err->errnum == ENOENT || err->errnum == ECONNREFUSED ? EX_UNAVAILABLE : EX_TEMPFAIL;
}

void
listing_view_put(struct buf *b)
{
	if (b->n > 0)
		(void)fwrite(b->p, 1, b->n, stdout);
	buf_reset(b);
}

/* ---- a list ---------------------------------------------------------------------------------------------------- */

struct view {
	struct listing_walk walk;
	const struct listing_options *options;
	struct listing_sort sort;
	size_t next_sorted;
	struct buf out; /* what stands above the first message, and below the last */
	uint64_t now_s;
	uint64_t messages, bytes; /* listed */
	uint64_t looked_at;
	struct listing_progress progress;
	bool no_memory;
};

static bool
wants(struct listing_walk *walk, const struct queue_id *id)
{
	const struct view *view = container_of(walk, struct view, walk);

	return listing_filter_may_match(&view->options->filter, id, view->now_s);
}

static bool
matches(const struct view *view, const struct listed *message)
{
	return listing_filter_matches(&view->options->filter, message, view->now_s);
}

static void
show_progress(struct view *view, const struct listing_batch *batch)
{
	view->looked_at += batch->looked_at;
	if (listing_progress_is_due(&view->progress))
		listing_progress_show(&view->progress, "%llu messages looked at, %llu listed", (unsigned long long)view->looked_at,
		    (unsigned long long)view->messages);
}

static void
visit_printed(struct listing_walk *walk, struct listing_batch *batch, const struct listed *message)
{
	const struct view *view = container_of(walk, struct view, walk);

	if (view->walk.next == NULL && !matches(view, message))
		return;
	listing_print(&batch->out, &view->options->style, message);
	listing_batch_add(batch, message);
}

/* False: the reader of a list has seen enough, or is gone. */
static bool
take_printed(struct listing_walk *walk, struct listing_batch *batch)
{
	struct view *view = container_of(walk, struct view, walk);
	uint64_t limit = view->options->limit > 0 ? view->options->limit : UINT64_MAX;
	size_t n = batch->n < limit - view->messages ? batch->n : (size_t)(limit - view->messages);

	for (size_t i = 0; i < n; i++)
		view->bytes += batch->sizes[i];
	view->messages += n;
	if (n > 0) {
		listing_progress_hide(&view->progress);
		listing_view_put(&view->out);
		buf_truncate(&batch->out, batch->ends[n - 1]);
		listing_view_put(&batch->out);
		(void)fflush(stdout);
	}
	show_progress(view, batch);
	return ferror(stdout) == 0 && view->messages < limit;
}

/* ---- in order ---- */

static void
visit_sorted(struct listing_walk *walk, struct listing_batch *batch, const struct listed *message)
{
	const struct view *view = container_of(walk, struct view, walk);
	struct listing_entry entry;

	if (!matches(view, message))
		return;
	entry = listing_sort_entry(view->sort.key, message);
	buf_add(&batch->out, (struct str){(const char *)&entry, sizeof entry});
	listing_batch_add(batch, message);
}

static bool
take_sorted(struct listing_walk *walk, struct listing_batch *batch)
{
	struct view *view = container_of(walk, struct view, walk);

	for (size_t i = 0; i < batch->n && !view->no_memory; i++) {
		struct listing_entry entry;

		memcpy(&entry, batch->out.p + i * sizeof entry, sizeof entry);
		view->no_memory = !listing_sort_add(&view->sort, &entry);
	}
	show_progress(view, batch);
	return !view->no_memory;
}

static const struct listing_seen *
next_sorted(struct listing_walk *walk)
{
	struct view *view = container_of(walk, struct view, walk);

	return view->next_sorted < view->sort.n ? &view->sort.entries[view->next_sorted++].seen : NULL;
}

/* Those that come first are found, then printed, until there are no more. */
static bool
walk_sorted(struct view *view, struct err *err)
{
	uint64_t limit = view->options->limit;

	view->sort.most = limit > 0 && limit < LISTING_SORT_MAX ? (size_t)limit : LISTING_SORT_MAX;
	do {
		view->walk.next = NULL;
		view->walk.visit = visit_sorted;
		view->walk.take = take_sorted;
		if (!listing_walk(&view->walk, err))
			return false;
		if (view->no_memory)
			return err_set(err, ERR_TEMP, "there is not enough memory to sort so many messages");
		listing_sort_do(&view->sort);
		view->next_sorted = 0;
		view->walk.next = next_sorted;
		view->walk.visit = visit_printed;
		view->walk.take = take_printed;
		if (!listing_walk(&view->walk, err))
			return false;
	} while (ferror(stdout) == 0 && (limit == 0 || view->messages < limit) && listing_sort_again(&view->sort));
	return true;
}

/* ---- the command ---- */

static bool
view_open(struct view *view, const struct listing_options *options, struct err *err)
{
	*view = (struct view){.options = options, .now_s = (uint64_t)time(NULL),
	    .sort = {.key = options->key, .reverse = options->reverse},
	    .walk = {.wants = wants, .visit = visit_printed, .take = take_printed, .places = options->filter.places}};
	buf_init(&view->out, OUTPUT_MAX_BYTES);
	listing_progress_init(&view->progress);
	return listing_open(&view->walk.listing, options->conf->spool_directory, err);
}

static void
view_close(struct view *view)
{
	listing_close(&view->walk.listing);
	listing_sort_clear(&view->sort);
	buf_clear(&view->out);
}

int
listing_view_list(const struct listing_options *options, char **ids)
{
	struct view view;
	struct err err;
	int status = EX_OK;

	(void)ids;
	if (!view_open(&view, options, &err))
		return listing_view_fail(&err);
	listing_print_head(&view.out, &options->style);
	if (!(options->key == LISTING_KEY_NONE ? listing_walk(&view.walk, &err) : walk_sorted(&view, &err)))
		status = listing_view_fail(&err);
	listing_progress_hide(&view.progress);
	listing_print_end(&view.out, &options->style, view.messages, view.bytes);
	listing_view_put(&view.out);
	view_close(&view);
	return status;
}

/* ---- one of them ----------------------------------------------------------------------------------------------- */

struct shown {
	struct listing listing;
	const struct listing_options *options;
	struct buf out, history, security;
	int status;
};

/* What is being shown, for the records that a source shows. */
static struct shown *showing;

static void
visit_shown(struct listing *listing, const struct listed *message)
{
	struct shown *shown = container_of(listing, struct shown, listing);
	struct err err;

	listing_print_whole(&shown->out, shown->options->style.format, message, &shown->history);
	buf_reset(&shown->history);
	if (shown->options->with_body && !listing_body_add(&shown->out, &shown->options->style, listing, message,
	    isatty(STDOUT_FILENO) != 0, &err))
		shown->status = listing_view_fail(&err);
	listing_view_put(&shown->out);
}

static void
saw_record(struct envelope_source *source, const struct queue_record *record)
{
	(void)source;
	listing_print_record(&showing->history, &showing->security, showing->options->style.format, record);
}

int
listing_view_show(const struct listing_options *options, char **ids)
{
	struct shown shown = {.options = options, .listing = {.visit = visit_shown, .saw = saw_record}};
	struct err err;

	if (!listing_open(&shown.listing, options->conf->spool_directory, &err))
		return listing_view_fail(&err);
	buf_init(&shown.out, OUTPUT_MAX_BYTES);
	buf_init(&shown.history, OUTPUT_MAX_BYTES);
	buf_init(&shown.security, QUEUE_VALUE_MAX);
	showing = &shown;
	for (; *ids != NULL; ids++) {
		struct queue_id id;

		if (queue_id_parse(&id, str_from(*ids)) && listing_find(&shown.listing, &id))
			continue;
		(void)fprintf(stderr, "merpati queue: %s: there is no such message\n", *ids);
		shown.status = EX_DATAERR;
	}
	listing_close(&shown.listing);
	buf_clear(&shown.out);
	buf_clear(&shown.history);
	buf_clear(&shown.security);
	return shown.status;
}
