#include "queue/listing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "queue/message.h"

bool
listing_open(struct listing *listing, const char *spool_directory, struct err *err)
{
	listing->key = siphash_key_new();
	return spool_open(&listing->spool, spool_directory, err);
}

void
listing_close(struct listing *listing)
{
	spool_close(&listing->spool);
}

/* What smtpd leaves of a message that it refused in the middle; swept later. */
static bool
is_void(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_size == 0;
}

/* False when it is not there (any more), or the visitor has seen enough: *go_on tells. */
static bool
visit_file(struct listing *listing, enum spool_place place, const struct spool_time *time, int directory_fd,
    const struct queue_id *id, bool *go_on)
{
	struct listed message = {.id = *id, .place = place};
	struct envelope_source source;
	struct err err;
	int fd = openat(directory_fd, id->text, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	*go_on = true;
	if (fd < 0)
		return false;
	if (time != NULL)
		(void)spool_time_parse(str_from(time->text), &message.time, &message.due_s);
	if (place == SPOOL_INCOMING && is_void(fd)) {
		(void)close(fd);
		return true;
	}
	envelope_source_init(&source, fd);
	source.skips_content = true;
	source.saw = listing->saw;
	envelope_init(&message.envelope, MESSAGE_ENVELOPE_MAX_BYTES, MESSAGE_RECIPIENTS_MAX, &listing->key);
	message.load = envelope_load(&message.envelope, &source, SIZE_MAX - 1, &err);
	(void)close(fd);
	/* Not a message yet, or never: smtpd leaves an empty file of what it refused after all. */
	if (message.load != ENVELOPE_UNFINISHED)
		*go_on = listing->visit(listing, &message);
	envelope_clear(&message.envelope);
	return message.load != ENVELOPE_UNFINISHED;
}

static bool
walk_directory(struct listing *listing, enum spool_place place, const struct spool_time *time, struct err *err)
{
	struct spool_scan scan;
	const char *name;
	bool go_on = true;

	if (!spool_scan_open(&listing->spool, &scan, place, time, err))
		return err->errnum == ENOENT; /* emptied and removed meanwhile */
	while (go_on && (name = spool_scan_next(&scan)) != NULL) {
		struct queue_id id;

		if (queue_id_parse(&id, str_from(name)) && (listing->wants == NULL || listing->wants(listing, &id)))
			(void)visit_file(listing, place, time, dirfd(scan.dir), &id, &go_on);
	}
	spool_scan_close(&scan);
	return go_on || err_set(err, ERR_NONE, "ended");
}

static int
time_compare(const void *a, const void *b)
{
	const struct spool_time *x = a, *y = b;

	return strcmp(x->text, y->text);
}

/* The times of deferred/, in order; the caller frees. */
static struct spool_time *
deferred_times(struct listing *listing, size_t *n, struct err *err)
{
	struct spool_time *times = NULL;
	struct spool_scan scan;
	const char *name;
	size_t cap = 0;

	*n = 0;
	if (!spool_scan_open(&listing->spool, &scan, SPOOL_DEFERRED, NULL, err))
		return NULL;
	while ((name = spool_scan_next(&scan)) != NULL) {
		struct spool_time time;
		uint64_t time_s;

		if (!spool_time_parse(str_from(name), &time, &time_s))
			continue;
		if (*n == cap) {
			struct spool_time *more = reallocarray(times, cap + 64, sizeof *times);

			if (more == NULL)
				break;
			times = more;
			cap += 64;
		}
		times[(*n)++] = time;
	}
	spool_scan_close(&scan);
	if (*n > 0)
		qsort(times, *n, sizeof *times, time_compare);
	return times;
}

static bool
walk_deferred(struct listing *listing, struct err *err)
{
	bool good = true;
	size_t n;
	struct spool_time *times = deferred_times(listing, &n, err);

	for (size_t i = 0; good && i < n; i++)
		good = walk_directory(listing, SPOOL_DEFERRED, &times[i], err);
	free(times);
	return good;
}

bool
listing_walk(struct listing *listing, struct err *err)
{
	static const enum spool_place order[] = {SPOOL_ACTIVE, SPOOL_INCOMING, SPOOL_DEFERRED, SPOOL_HOLD, SPOOL_CORRUPT};
	bool good = true;

	for (size_t i = 0; good && i < sizeof order / sizeof order[0]; i++) {
		if (listing->places != 0 && (listing->places & 1U << order[i]) == 0)
			continue;
		good = order[i] == SPOOL_DEFERRED ? walk_deferred(listing, err) : walk_directory(listing, order[i], NULL, err);
	}
	return good || err->class == ERR_NONE;
}

static bool
visit_deferred(struct listing *listing, const struct queue_id *id, const struct spool_time *time)
{
	int fd = openat(listing->spool.fds[SPOOL_DEFERRED], time->text, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	bool found, go_on;

	if (fd < 0)
		return false;
	found = visit_file(listing, SPOOL_DEFERRED, time, fd, id, &go_on);
	(void)close(fd);
	return found;
}

static bool
find_deferred(struct listing *listing, const struct queue_id *id)
{
	struct spool_time time;

	return spool_find_deferred(&listing->spool, id, &time) && visit_deferred(listing, id, &time);
}

bool
listing_again(struct listing *listing, const struct queue_id *id, enum spool_place place, const struct spool_time *time)
{
	bool go_on;

	if (place == SPOOL_DEFERRED ? visit_deferred(listing, id, time)
				    : visit_file(listing, place, NULL, listing->spool.fds[place], id, &go_on))
		return true;
	return listing_find(listing, id);
}

bool
listing_find(struct listing *listing, const struct queue_id *id)
{
	static const enum spool_place places[] = {SPOOL_ACTIVE, SPOOL_INCOMING, SPOOL_HOLD, SPOOL_CORRUPT};
	bool go_on;

	/* It may move from one that we have looked into to one that we have not yet; but not for long. */
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
			if (visit_file(listing, places[i], NULL, listing->spool.fds[places[i]], id, &go_on))
				return true;
		if (find_deferred(listing, id))
			return true;
	}
	return false;
}
