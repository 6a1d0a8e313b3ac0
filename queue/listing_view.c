#include "queue/listing_view.h"

#include <errno.h>
#include <stdio.h>
#include <sysexits.h>
#include <time.h>

#include "common/base/loop.h"

#define OUTPUT_MAX_BYTES (256UL * 1024 * 1024)
#define OUTPUT_AT_ONCE_BYTES 60000

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
	struct listing listing;
	const struct listing_options *options;
	struct listing_sort sort;
	struct buf out, history, security;
	uint64_t now_s;
	uint64_t messages, bytes;
	bool no_memory;
};

/* The view that is open, for the records that a source shows. */
static struct view *seeing;

static bool
wants(struct listing *listing, const struct queue_id *id)
{
	struct view *view = container_of(listing, struct view, listing);

	return listing_filter_may_match(&view->options->filter, id, view->now_s);
}

/* False: the reader of a list has seen enough, or is gone. */
static bool
print(struct view *view, const struct listed *message)
{
	view->messages++;
	view->bytes += message->envelope.head.message_size;
	listing_print(&view->out, &view->options->style, message);
	if (view->out.n > OUTPUT_AT_ONCE_BYTES)
		listing_view_put(&view->out);
	return ferror(stdout) == 0 && view->messages != view->options->limit;
}

static bool
visit_listed(struct listing *listing, const struct listed *message)
{
	struct view *view = container_of(listing, struct view, listing);

	if (!listing_filter_matches(&view->options->filter, message, view->now_s))
		return true;
	if (view->sort.key == LISTING_KEY_NONE)
		return print(view, message);
	view->no_memory = !listing_sort_add(&view->sort, message);
	return !view->no_memory;
}

/* Once more, in its turn. What has left meanwhile is left out. */
static bool
visit_sorted(struct listing *listing, const struct listed *message)
{
	return print(container_of(listing, struct view, listing), message);
}

static void
print_sorted(struct view *view)
{
	uint64_t limit = view->options->limit;

	listing_sort_do(&view->sort);
	view->listing.visit = visit_sorted;
	for (size_t i = 0; i < view->sort.n && (limit == 0 || view->messages < limit) && ferror(stdout) == 0; i++) {
		const struct listing_entry *entry = &view->sort.entries[i];

		(void)listing_again(&view->listing, &entry->id, entry->place, &entry->time);
	}
}

static bool
view_open(struct view *view, const struct listing_options *options, struct err *err)
{
	*view = (struct view){.options = options, .now_s = (uint64_t)time(NULL),
	    .sort = {.key = options->key, .reverse = options->reverse}};
	buf_init(&view->out, OUTPUT_MAX_BYTES);
	buf_init(&view->history, OUTPUT_MAX_BYTES);
	buf_init(&view->security, QUEUE_VALUE_MAX);
	seeing = view;
	return listing_open(&view->listing, options->conf->spool_directory, err);
}

static void
view_close(struct view *view)
{
	listing_close(&view->listing);
	listing_sort_clear(&view->sort);
	buf_clear(&view->out);
	buf_clear(&view->history);
	buf_clear(&view->security);
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
	view.listing.visit = visit_listed;
	view.listing.wants = wants;
	view.listing.places = options->filter.places;
	listing_print_head(&view.out, &options->style);
	if (!listing_walk(&view.listing, &err))
		status = listing_view_fail(&err);
	if (view.no_memory) {
		(void)fprintf(stderr, "merpati queue: there is not enough memory to sort so many messages\n");
		status = EX_OSERR;
	}
	print_sorted(&view);
	listing_print_end(&view.out, &options->style, view.messages, view.bytes);
	listing_view_put(&view.out);
	view_close(&view);
	return status;
}

/* ---- one of them ----------------------------------------------------------------------------------------------- */

static bool
visit_shown(struct listing *listing, const struct listed *message)
{
	struct view *view = container_of(listing, struct view, listing);

	listing_print_whole(&view->out, view->options->style.format, message, &view->history);
	buf_reset(&view->history);
	listing_view_put(&view->out);
	return true;
}

static void
saw_record(struct envelope_source *source, const struct queue_record *record)
{
	(void)source;
	listing_print_record(&seeing->history, &seeing->security, seeing->options->style.format, record);
}

int
listing_view_show(const struct listing_options *options, char **ids)
{
	struct view view;
	struct err err;
	int status = EX_OK;

	if (!view_open(&view, options, &err))
		return listing_view_fail(&err);
	view.listing.visit = visit_shown;
	view.listing.saw = saw_record;
	for (; *ids != NULL; ids++) {
		struct queue_id id;

		if (queue_id_parse(&id, str_from(*ids)) && listing_find(&view.listing, &id))
			continue;
		(void)fprintf(stderr, "merpati queue: %s: there is no such message\n", *ids);
		status = EX_DATAERR;
	}
	view_close(&view);
	return status;
}
