#include "queue/listing_body.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/base/json.h"
#include "common/base/log.h"
#include "queue/listing_view.h"

#define CHUNK 16384

struct body {
	struct buf *out;
	struct buf *whole; /* for JSON; else NULL */
	bool is_shown;
	bool after_cr; /* of which it is not yet known whether it ends a line */
};

/* ---- as text ----------------------------------------------------------------------------------------------------------- */

static void
add_byte(struct body *body, char c)
{
	char escaped[16];

	if (body->is_shown && c != '\n' && c != '\t' && !ascii_is_print(c) && (unsigned char)c < 128) {
		(void)log_escape(escaped, sizeof escaped, (struct str){&c, 1});
		buf_adds(body->out, escaped);
	} else {
		buf_addc(body->out, c);
	}
}

static void
add_text(struct body *body, struct str bytes)
{
	for (size_t i = 0; i < bytes.n; i++) {
		bool is_cr = bytes.p[i] == '\r';

		if (body->after_cr && bytes.p[i] != '\n')
			add_byte(body, '\r');
		body->after_cr = is_cr;
		if (!is_cr)
			add_byte(body, bytes.p[i]);
	}
	listing_view_put(body->out);
}

/* ---- from the file -------------------------------------------------------------------------------------------------------- */

/* Where it was a moment ago, or wherever it is by now: what is open stays readable. */
static int
open_file(const struct listing *listing, const struct listed *m, struct err *err)
{
	struct spool_time time;
	int fd;

	for (unsigned i = 0; i <= SPOOL_PLACES; i++) {
		enum spool_place place = i == 0 ? m->place : (enum spool_place)(i - 1);

		if (place != SPOOL_DEFERRED)
			fd = spool_open_file(&listing->spool, place, &m->id, O_RDONLY, err);
		else
			fd = spool_find_deferred(&listing->spool, &m->id, &time)
			    ? spool_open_deferred(&listing->spool, &m->id, &time, err)
			    : -1;
		if (fd >= 0)
			return fd;
	}
	(void)err_set(err, ERR_TEMP, "%s is not there any more", m->id.text);
	return -1;
}

static bool
read_piece(struct body *body, int fd, struct queue_piece piece, struct err *err)
{
	static char chunk[CHUNK];

	while (piece.length > 0) {
		size_t wanted = piece.length < sizeof chunk ? (size_t)piece.length : sizeof chunk;
		ssize_t n = pread(fd, chunk, wanted, (off_t)piece.offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0 ? err_set(err, ERR_TEMP, "the file is cut short") : err_sys(err, "cannot read the file");
		if (body->whole != NULL)
			buf_add(body->whole, (struct str){chunk, (size_t)n});
		else
			add_text(body, (struct str){chunk, (size_t)n});
		piece.offset += (uint64_t)n;
		piece.length -= (uint64_t)n;
	}
	return true;
}

static bool
read_all(struct body *body, const struct listing *listing, const struct listed *m, struct err *err)
{
	int fd = open_file(listing, m, err);
	bool good = fd >= 0;

	for (size_t i = 0; good && i < m->envelope.npieces; i++)
		good = read_piece(body, fd, m->envelope.pieces[i], err);
	if (fd >= 0)
		(void)close(fd);
	return good;
}

bool
listing_body_add(struct buf *b, const struct listing_style *style, const struct listing *listing,
    const struct listed *message, bool is_shown, struct err *err)
{
	struct body body = {.out = b, .is_shown = is_shown};
	struct buf whole;
	bool good;

	if (message->load != ENVELOPE_LOADED)
		return err_set(err, ERR_PERM, "%s is damaged: its content is not shown", message->id.text);
	if (style->format != LISTING_JSON) {
		buf_addc(b, '\n');
		return read_all(&body, listing, message, err);
	}
	buf_init(&whole, LISTING_BODY_MAX);
	body.whole = &whole;
	good = read_all(&body, listing, message, err) &&
	    (buf_ok(&whole) || err_set(err, ERR_LIMIT, "%s is too large to be shown as JSON", message->id.text));
	if (good) {
		buf_truncate(b, b->n - 2); /* the end of the object */
		json_add_member(b, "content", buf_str(&whole));
		buf_adds(b, "}\n");
	}
	buf_clear(&whole);
	return good;
}
