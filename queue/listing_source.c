#include "queue/listing_source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct listing_opened {
	struct listing_directory directory;
	struct spool_scan scan;
	unsigned users; /* those who read names of it, and the source itself */
};

/* deferred/ stands for what is in its directories; it is taken off when those have been read. */
static const enum spool_place order[] = {SPOOL_ACTIVE, SPOOL_INCOMING, SPOOL_DEFERRED, SPOOL_HOLD, SPOOL_CORRUPT};

void
listing_source_init(struct listing_source *source, const struct spool *spool, unsigned places)
{
	*source = (struct listing_source){.spool = spool, .places = places != 0 ? places : (1U << SPOOL_PLACES) - 1};
}

/* ---- the times of deferred/ -------------------------------------------------------------------------------------- */

static int
time_compare(const void *a, const void *b)
{
	const struct spool_time *x = a, *y = b;

	return strcmp(x->text, y->text);
}

/* False: memory is out. */
static bool
time_add(struct listing_source *source, const struct spool_time *time)
{
	if (source->times == NULL || source->ntimes == source->cap) {
		size_t cap = source->cap * 2 + 64;
		struct spool_time *times = reallocarray(source->times, cap, sizeof *times);

		if (times == NULL)
			return false;
		source->times = times;
		source->cap = cap;
	}
	source->times[source->ntimes++] = *time;
	return true;
}

static bool
times_list(struct listing_source *source, struct err *err)
{
	struct spool_scan scan;
	struct spool_time time;
	const char *name;
	uint64_t time_s;
	bool good = true;

	if (!spool_scan_open(source->spool, &scan, SPOOL_DEFERRED, NULL, err))
		return false;
	while (good && (name = spool_scan_next(&scan)) != NULL)
		if (spool_time_parse(str_from(name), &time, &time_s))
			good = time_add(source, &time) || err_set(err, ERR_TEMP, "out of memory");
	spool_scan_close(&scan);
	if (source->times != NULL)
		qsort(source->times, source->ntimes, sizeof *source->times, time_compare);
	return good;
}

/* ---- directories ------------------------------------------------------------------------------------------------- */

static void
unuse(struct listing_opened *opened)
{
	if (opened == NULL || --opened->users > 0)
		return;
	spool_scan_close(&opened->scan);
	free(opened);
}

/* *gone: it was emptied and removed meanwhile. */
static bool
directory_open(struct listing_source *source, enum spool_place place, const struct spool_time *time, bool *gone,
    struct err *err)
{
	struct listing_opened *opened = calloc(1, sizeof *opened);

	*gone = false;
	if (opened == NULL)
		return err_set(err, ERR_TEMP, "out of memory");
	opened->users = 1;
	opened->directory.place = place;
	if (time != NULL)
		(void)spool_time_parse(str_from(time->text), &opened->directory.time, &opened->directory.due_s);
	if (!spool_scan_open(source->spool, &opened->scan, place, time, err)) {
		*gone = err->errnum == ENOENT;
		free(opened);
		return *gone;
	}
	opened->directory.fd = dirfd(opened->scan.dir);
	source->opened = opened;
	return true;
}

static bool
next_deferred(struct listing_source *source, struct err *err)
{
	bool gone = true;

	if (source->times == NULL && !times_list(source, err))
		return false;
	while (gone && source->next_time < source->ntimes)
		if (!directory_open(source, SPOOL_DEFERRED, &source->times[source->next_time++], &gone, err))
			return false;
	if (gone)
		source->places &= ~(1U << SPOOL_DEFERRED);
	return true;
}

/* Opens the next one; none at the end. */
static bool
next_directory(struct listing_source *source, struct err *err)
{
	for (size_t i = 0; i < sizeof order / sizeof order[0] && source->opened == NULL; i++) {
		bool gone;

		if ((source->places & 1U << order[i]) == 0)
			continue;
		if (order[i] == SPOOL_DEFERRED) {
			if (!next_deferred(source, err))
				return false;
			continue;
		}
		source->places &= ~(1U << order[i]);
		if (!directory_open(source, order[i], NULL, &gone, err))
			return false;
	}
	return true;
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

/* Of the directory that is open; when there are no more in it, it is theirs alone. */
static void
take_names(struct listing_source *source, struct listing_names *names)
{
	struct listing_opened *opened = source->opened;
	const char *name = NULL;

	while (names->n < LISTING_HANDFUL && (name = spool_scan_next(&opened->scan)) != NULL)
		names->n += queue_id_parse(&names->ids[names->n], str_from(name));
	names->opened = opened;
	names->directory = &opened->directory;
	if (name != NULL)
		opened->users++;
	else
		source->opened = NULL;
}

bool
listing_source_next(struct listing_source *source, struct listing_names *names, struct err *err)
{
	names->n = 0;
	names->opened = NULL;
	for (;;) {
		if (source->opened == NULL && !next_directory(source, err))
			return false;
		if (source->opened == NULL)
			return true;
		take_names(source, names);
		if (names->n > 0)
			return true;
		listing_source_release(names);
	}
}

void
listing_source_release(struct listing_names *names)
{
	unuse(names->opened);
	names->opened = NULL;
}

void
listing_source_clear(struct listing_source *source)
{
	unuse(source->opened);
	source->opened = NULL;
	free(source->times);
}
