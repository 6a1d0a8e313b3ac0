#include "queue/listing.h"

#include <fcntl.h>
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

bool
listing_read(const struct listing *listing, const struct listing_directory *d, const struct queue_id *id, struct listed *m)
{
	struct envelope_source source;
	struct err err;
	int fd = openat(d->fd, id->text, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

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

static bool
read_deferred(const struct listing *listing, const struct queue_id *id, struct listed *m)
{
	struct listing_directory d = {.place = SPOOL_DEFERRED};
	struct spool_time time;
	bool found;

	if (!spool_find_deferred(&listing->spool, id, &time) ||
	    !spool_time_parse(str_from(time.text), &d.time, &d.due_s))
		return false;
	d.fd = spool_open_time(&listing->spool, &d.time);
	if (d.fd < 0)
		return false;
	found = listing_read(listing, &d, id, m);
	(void)close(d.fd);
	return found;
}

bool
listing_read_anywhere(const struct listing *listing, const struct queue_id *id, struct listed *m)
{
	static const enum spool_place places[] = {SPOOL_ACTIVE, SPOOL_INCOMING, SPOOL_HOLD, SPOOL_CORRUPT};

	/* It may move from one that we have looked into to one that we have not yet; but not for long. */
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
			struct listing_directory d = {.place = places[i], .fd = listing->spool.fds[places[i]]};

			if (listing_read(listing, &d, id, m))
				return true;
		}
		if (read_deferred(listing, id, m))
			return true;
	}
	return false;
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
