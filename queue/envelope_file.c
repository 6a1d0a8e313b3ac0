#include "queue/envelope_file.h"

#include <errno.h>
#include <unistd.h>

/* Bytes of a file that are read at a time: most messages are one such piece. */
#define CHUNK (64 * 1024)
/* Who skips the content begins with less: mostly it holds the envelope, or all of a small message. */
#define FIRST_CHUNK 4096

void
envelope_source_init(struct envelope_source *source, int fd)
{
	*source = (struct envelope_source){.fd = fd};
	queue_reader_init(&source->reader);
}

static enum envelope_load
damaged(struct err *err, const char *problem)
{
	/* Without words it was a limit of the envelope. */
	(void)err_set(err, ERR_PERM, "%s", problem != NULL ? problem : "an envelope that is too large");
	return ENVELOPE_DAMAGED;
}

static bool
is_newer(const struct queue_reader *r, struct err *err)
{
	if (r->head.version <= QUEUE_FILE_VERSION)
		return false;
	(void)err_set(err, ERR_TEMP, "written by a newer Merpati (version %u of the format; this program reads up to %u)",
	    r->head.version, QUEUE_FILE_VERSION);
	return true;
}

/* All records of a piece of the file; MORE when they are used up. *input: what is left. */
static enum envelope_load
load_records(struct envelope *e, struct envelope_source *source, struct str *input, struct err *err)
{
	struct queue_record record;
	const char *problem;

	for (;;)
		switch (queue_reader_next(&source->reader, input, &record)) {
		case QUEUE_READ_RECORD:
			/* What comes later needs the head's offsets. */
			e->head = source->reader.head;
			if (source->saw != NULL)
				source->saw(source, &record);
			if (!envelope_add(e, &record, &problem))
				return damaged(err, problem);
			break;
		case QUEUE_READ_MORE:
			return ENVELOPE_MORE;
		case QUEUE_READ_UNFINISHED:
			return ENVELOPE_UNFINISHED;
		case QUEUE_READ_BAD:
			return is_newer(&source->reader, err) ? ENVELOPE_NEWER : damaged(err, source->reader.problem);
		}
}

static enum envelope_load
load_end(struct envelope *e, struct envelope_source *source, struct str rest, struct err *err)
{
	uint64_t size = source->reader.offset + rest.n, good_end;
	const char *problem;

	if (size == 0)
		return ENVELOPE_UNFINISHED;
	if (queue_reader_finish(&source->reader, rest, &good_end) != PARSE_OK)
		return damaged(err, source->reader.problem);
	if (!envelope_finish(e, &source->reader, good_end, size, &problem))
		return damaged(err, problem);
	return ENVELOPE_LOADED;
}

enum envelope_load
envelope_load(struct envelope *e, struct envelope_source *source, size_t budget_bytes, struct err *err)
{
	static _Thread_local char chunk[CHUNK];
	size_t done = 0;

	while (done <= budget_bytes) {
		size_t want = source->skips_content && source->reader.offset == 0 ? FIRST_CHUNK : sizeof chunk;
		ssize_t n;
		struct str input;
		enum envelope_load result;

		if (source->skips_content)
			queue_reader_skip_content(&source->reader);
		n = pread(source->fd, chunk, want, (off_t)source->reader.offset);
		input = (struct str){chunk, n > 0 ? (size_t)n : 0};
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			bool is_no_file = errno == ESPIPE || errno == EISDIR;

			(void)err_sys(err, "cannot read the file");
			return is_no_file ? ENVELOPE_DAMAGED : ENVELOPE_UNREADABLE;
		}
		result = load_records(e, source, &input, err);
		if (result != ENVELOPE_MORE)
			return result;
		if ((size_t)n < want)
			return load_end(e, source, input, err);
		done += (size_t)n;
	}
	return ENVELOPE_MORE;
}
