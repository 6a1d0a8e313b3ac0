#include "common/queue/queue_file.h"

#include <string.h>

#include "common/base/crc32c.h"
#include "common/queue/queue_file_line.h"

void
queue_writer_init(struct queue_writer *w, size_t out_max)
{
	*w = (struct queue_writer){.written = 0};
	buf_init(&w->out, out_max);
}

void
queue_writer_clear(struct queue_writer *w)
{
	buf_clear(&w->out);
	queue_writer_reset(w);
}

void
queue_writer_reset(struct queue_writer *w)
{
	struct buf out = w->out;

	buf_reset(&out);
	*w = (struct queue_writer){.out = out};
}

static uint64_t
offset_now(const struct queue_writer *w)
{
	return w->written + w->out.n;
}

void
queue_writer_begin(struct queue_writer *w, uint64_t time_ms, struct str sender)
{
	char head[QUEUE_HEAD_BYTES], digits[13];

	if (offset_now(w) != 0) {
		w->failed = true;
		return;
	}
	queue_head_format(head, &(struct queue_head){.version = QUEUE_FILE_VERSION});
	buf_add(&w->out, (struct str){head, sizeof head});
	queue_put_decimal(digits, sizeof digits, time_ms);
	queue_writer_record(w, QUEUE_TIME, (struct str){digits, sizeof digits});
	queue_writer_record(w, QUEUE_SENDER, sender);
}

static bool
record_fits(const struct queue_writer *w, enum queue_key key)
{
	if (offset_now(w) < QUEUE_HEAD_BYTES || w->ended || (w->content_offset != 0) != (w->content_end != 0))
		return false;
	if (queue_key_is_of_recipient(key) && w->recipients == 0)
		return false;
	return (queue_key_places(key) & (w->content_end != 0 ? IN_CLOSING : IN_ENVELOPE)) != 0;
}

void
queue_writer_record(struct queue_writer *w, enum queue_key key, struct str value)
{
	/* The head counts those of the envelope. */
	bool counts = key == QUEUE_RECIPIENT && w->content_end == 0;

	if (!record_fits(w, key) || (counts && w->recipients++ == QUEUE_RECIPIENTS_MAX)) {
		w->failed = true;
		return;
	}
	queue_line_format(&w->out, key, value);
}

void
queue_writer_recipient(struct queue_writer *w, struct str address)
{
	queue_writer_record(w, QUEUE_RECIPIENT, address);
}

static void
content_begin(struct queue_writer *w)
{
	if (w->recipients == 0 || w->ended)
		w->failed = true;
	else if (w->content_offset == 0)
		w->content_offset = offset_now(w);
}

void
queue_writer_content(struct queue_writer *w, struct str bytes)
{
	content_begin(w);
	w->failed = w->failed || w->content_end != 0;
	if (w->failed)
		return;
	w->content_crc = crc32c(w->content_crc, bytes);
	buf_add(&w->out, bytes);
}

uint64_t
queue_writer_offset(const struct queue_writer *w)
{
	return offset_now(w);
}

bool
queue_writer_head(const struct queue_writer *w, char head[QUEUE_HEAD_BYTES])
{
	struct queue_head values = {.version = QUEUE_FILE_VERSION, .complete = true, .content_offset = w->content_offset,
	    .content_end = w->content_end, .message_size = w->message_size, .recipients = w->recipients};

	queue_head_format(head, &values);
	return w->ended && w->written > 0;
}

/* length and checksum of the content; then the head, if it has not left us yet. */
static void
finish(struct queue_writer *w)
{
	char value[16 + 1 + 8];

	queue_put_decimal(value, 16, w->content_end - w->content_offset);
	value[16] = ' ';
	queue_put_crc(value + 17, w->content_crc);
	queue_line_format(&w->out, QUEUE_END, (struct str){value, sizeof value});
	w->ended = true;
	if (w->written == 0 && queue_writer_ok(w))
		(void)queue_writer_head(w, w->out.p);
}

void
queue_writer_content_end(struct queue_writer *w)
{
	content_begin(w);
	if (w->failed || w->content_end != 0)
		return;
	w->content_end = offset_now(w);
	w->message_size = w->content_end - w->content_offset;
}

/* False: out of order. */
static bool
closing_begin(struct queue_writer *w)
{
	queue_writer_content_end(w);
	return !w->failed;
}

void
queue_writer_hold(struct queue_writer *w, struct str reason)
{
	queue_writer_content_end(w);
	queue_writer_record(w, QUEUE_HOLD, reason);
}

void
queue_writer_end(struct queue_writer *w)
{
	if (closing_begin(w))
		finish(w);
}

void
queue_writer_end_pieces(struct queue_writer *w, const struct queue_piece *pieces, size_t n)
{
	struct buf value;

	if (!closing_begin(w))
		return;
	buf_init(&value, QUEUE_VALUE_MAX);
	w->message_size = 0;
	for (size_t i = 0; i < n; i++) {
		buf_addf(&value, "%s%llu %llu", i == 0 ? "" : " ", (unsigned long long)pieces[i].offset,
		    (unsigned long long)pieces[i].length);
		w->message_size += pieces[i].length;
	}
	if (n == 0 || n > QUEUE_PIECES_MAX || !buf_ok(&value))
		w->failed = true;
	queue_line_format(&w->out, QUEUE_PIECES, buf_str(&value));
	buf_clear(&value);
	finish(w);
}

struct str
queue_writer_output(const struct queue_writer *w)
{
	return buf_str(&w->out);
}

void
queue_writer_wrote(struct queue_writer *w, size_t n)
{
	if (n > w->out.n)
		n = w->out.n;
	w->written += n;
	buf_consume(&w->out, n);
}

bool
queue_writer_ok(const struct queue_writer *w)
{
	return !w->failed && buf_ok(&w->out);
}

void
queue_append_record(struct buf *b, enum queue_key key, struct str value)
{
	if ((queue_key_places(key) & IN_HISTORY) == 0)
		b->failed = true;
	else
		queue_line_format(b, key, value);
}

void
queue_append_recipient(struct buf *b, struct str address)
{
	queue_append_record(b, QUEUE_RECIPIENT, address);
}
