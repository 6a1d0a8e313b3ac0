#include "queue/listing.h"

#include <fcntl.h>
#include <stdio.h>
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

void
listed_init(struct listed *m, const struct listing *listing)
{
	*m = (struct listed){.load = ENVELOPE_MORE};
	envelope_init(&m->envelope, MESSAGE_ENVELOPE_MAX_BYTES, MESSAGE_RECIPIENTS_MAX, &listing->key);
}

void
listed_clear(struct listed *m)
{
	envelope_clear(&m->envelope);
}

/* What smtpd leaves of a message that it refused in the middle; swept later. */
static bool
is_void(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_size == 0;
}

/* path: below the directory's descriptor. */
static bool
read_file(const struct listing *listing, const struct listing_directory *d, const char *path, const struct queue_id *id,
    struct listed *m)
{
	struct envelope_source source;
	struct err err;
	int fd = openat(d->fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return false;
	m->id = *id;
	m->place = d->place;
	m->time = d->time;
	m->due_s = d->due_s;
	m->load = ENVELOPE_UNFINISHED;
	envelope_reset(&m->envelope);
	if (d->place != SPOOL_INCOMING || !is_void(fd)) {
		envelope_source_init(&source, fd);
		source.skips_content = true;
		source.saw = listing->saw;
		m->load = envelope_load(&m->envelope, &source, SIZE_MAX - 1, &err);
	}
	(void)close(fd);
	return m->load != ENVELOPE_UNFINISHED;
}

bool
listing_read(const struct listing *listing, const struct listing_directory *directory, const struct queue_id *id,
    struct listed *m)
{
	return read_file(listing, directory, id->text, id, m);
}

static bool
read_deferred(const struct listing *listing, const struct queue_id *id, const struct spool_time *time, struct listed *m)
{
	struct listing_directory d = {.place = SPOOL_DEFERRED, .fd = listing->spool.fds[SPOOL_DEFERRED]};
	char path[SPOOL_TIME_LENGTH + 1 + QUEUE_ID_LENGTH + 1];

	if (!spool_time_parse(str_from(time->text), &d.time, &d.due_s))
		return false;
	(void)snprintf(path, sizeof path, "%s/%s", d.time.text, id->text);
	return read_file(listing, &d, path, id, m);
}

static bool
read_at(const struct listing *listing, const struct queue_id *id, enum spool_place place, struct listed *m)
{
	struct listing_directory d = {.place = place, .fd = listing->spool.fds[place]};

	return listing_read(listing, &d, id, m);
}

bool
listing_read_anywhere(const struct listing *listing, const struct queue_id *id, struct listed *m)
{
	static const enum spool_place places[] = {SPOOL_ACTIVE, SPOOL_INCOMING, SPOOL_HOLD, SPOOL_CORRUPT};

	/* It may move from one that we have looked into to one that we have not yet; but not for long. */
	for (int round = 0; round < 3; round++) {
		struct spool_time time;

		for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
			if (read_at(listing, id, places[i], m))
				return true;
		if (spool_find_deferred(&listing->spool, id, &time) && read_deferred(listing, id, &time, m))
			return true;
	}
	return false;
}

bool
listing_read_again(const struct listing *listing, const struct listing_seen *seen, struct listed *m)
{
	if (seen->place == SPOOL_DEFERRED ? read_deferred(listing, &seen->id, &seen->time, m)
					  : read_at(listing, &seen->id, seen->place, m))
		return true;
	return listing_read_anywhere(listing, &seen->id, m);
}

bool
listing_find(struct listing *listing, const struct queue_id *id)
{
	struct listed m;
	bool found;

	listed_init(&m, listing);
	found = listing_read_anywhere(listing, id, &m);
	if (found)
		listing->visit(listing, &m);
	listed_clear(&m);
	return found;
}
