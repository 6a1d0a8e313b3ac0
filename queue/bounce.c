#include "queue/bounce.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/daemon/descriptors.h"
#include "common/base/log.h"
#include "common/daemon/sandbox.h"
#include "queue/notice.h"
#include "queue/notice_message.h"

/* The header of a message that is not returned whole: at most this much of it. */
#define HEADER_MAX_BYTES (64 * 1024)
#define PIECE_BYTES (32 * 1024)
#define ARENA_MAX_BYTES (16 * 1024 * 1024)
#define TEXT_MAX_BYTES (32 * 1024 * 1024)

struct bounce {
	struct channel channel;
	struct arena arena;
	uint32_t id;  /* of the notification under way */
	int file_fd; /* the new file; -1: none is under way */
	bool failed;
	int errnum; /* of the file that could not be written; 0: none */
	struct dsn dsn;
	struct dsn_recipient *recipients;
	size_t nrecipients;
	struct queue_writer writer;
	struct buf packet;
};

/* ---- writing the file ------------------------------------------------------------------------------------------ */

static bool
flush(struct bounce *b)
{
	struct str out = queue_writer_output(&b->writer);

	if (!queue_writer_ok(&b->writer))
		return false;
	if (!descriptor_write_all(b->file_fd, out)) {
		b->errnum = errno;
		return false;
	}
	queue_writer_wrote(&b->writer, out.n);
	return true;
}

/* The message as a stream of bytes: piece after piece. */
struct source {
	int fd;
	const struct queue_piece *pieces;
	size_t n;
	uint64_t done; /* bytes of pieces[0] */
};

/* 0 at the end, <0 when it cannot be read. */
static ssize_t
source_read(struct source *s, char *dst, size_t size)
{
	while (s->n > 0 && s->done == s->pieces->length) {
		s->pieces++;
		s->n--;
		s->done = 0;
	}
	if (s->n == 0)
		return 0;
	if (size > s->pieces->length - s->done)
		size = (size_t)(s->pieces->length - s->done);
	for (;;) {
		ssize_t n = pread(s->fd, dst, size, (off_t)(s->pieces->offset + s->done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			return -1; /* shorter than it should be */
		if (n > 0)
			s->done += (uint64_t)n;
		return n;
	}
}

/* What follows must begin on a line of its own. */
static void
end_line(struct bounce *b, struct str last)
{
	if (last.n < 2 || last.p[last.n - 1] != '\n')
		queue_writer_content(&b->writer, STR("\r\n"));
}

static bool
copy_whole(struct bounce *b, struct source *s)
{
	char piece[PIECE_BYTES], last[2] = "";
	ssize_t n;

	while ((n = source_read(s, piece, sizeof piece)) > 0) {
		queue_writer_content(&b->writer, (struct str){piece, (size_t)n});
		if (n >= 2)
			memcpy(last, piece + n - 2, 2);
		else
			last[1] = piece[0];
		if (!flush(b))
			return false;
	}
	end_line(b, (struct str){last, 2});
	return n == 0;
}

static bool
copy_header(struct bounce *b, struct source *s)
{
	struct buf header;
	struct str text;
	size_t end;
	ssize_t n = 1;

	buf_init(&header, HEADER_MAX_BYTES);
	while (n > 0 && header.n < HEADER_MAX_BYTES) {
		size_t room = HEADER_MAX_BYTES - header.n < PIECE_BYTES ? HEADER_MAX_BYTES - header.n : PIECE_BYTES;
		char *p = buf_reserve(&header, room);

		n = p != NULL ? source_read(s, p, room) : -1;
		if (n > 0)
			buf_commit(&header, (size_t)n);
		if (str_search(buf_str(&header), STR("\r\n\r\n")) < header.n)
			break;
	}
	text = buf_str(&header);
	end = str_search(text, STR("\r\n\r\n"));
	if (end == text.n) /* no end in what we have: up to the last whole line of it */
		end = str_find_last(text, '\n') == text.n ? 0 : str_find_last(text, '\n') - 1;
	queue_writer_content(&b->writer, str_sub(text, 0, end));
	queue_writer_content(&b->writer, STR("\r\n"));
	buf_clear(&header);
	return n >= 0;
}

static bool
write_notification(struct bounce *b, struct source *s)
{
	char head[QUEUE_HEAD_BYTES], priority[16];
	struct buf text;
	bool good;

	queue_writer_reset(&b->writer);
	queue_writer_begin(&b->writer, b->dsn.now_ms, STR_NONE);
	queue_writer_record(&b->writer, QUEUE_ABOUT, b->dsn.queue_id);
	if (dsn_is_8bit(&b->dsn))
		queue_writer_record(&b->writer, QUEUE_BODY, STR("8BITMIME"));
	/* Of its own header only the field To can be other than ASCII. */
	if (!str_is_ascii(b->dsn.to))
		queue_writer_record(&b->writer, QUEUE_SMTPUTF8, STR_NONE);
	if (b->dsn.requires_tls)
		queue_writer_record(&b->writer, QUEUE_REQUIRETLS, STR(""));
	if (b->dsn.priority != 0) {
		(void)snprintf(priority, sizeof priority, "%d", b->dsn.priority);
		queue_writer_record(&b->writer, QUEUE_PRIORITY, str_from(priority));
	}
	queue_writer_recipient(&b->writer, b->dsn.to);
	buf_init(&text, TEXT_MAX_BYTES);
	dsn_begin(&text, &b->dsn, b->recipients, b->nrecipients);
	queue_writer_content(&b->writer, buf_str(&text));
	good = buf_ok(&text) && flush(b);
	good = good && (b->dsn.returns_whole ? copy_whole(b, s) : copy_header(b, s));
	buf_reset(&text);
	dsn_end(&text, &b->dsn);
	queue_writer_content(&b->writer, buf_str(&text));
	buf_clear(&text);
	queue_writer_end(&b->writer);
	good = good && flush(b);
	if (good && queue_writer_head(&b->writer, head))
		good = pwrite(b->file_fd, head, sizeof head, 0) == (ssize_t)sizeof head;
	return good;
}

/* ---- messages -------------------------------------------------------------------------------------------------- */

static void
reset(struct bounce *b)
{
	if (b->file_fd >= 0)
		(void)close(b->file_fd);
	b->file_fd = -1;
	b->failed = false;
	b->errnum = 0;
	b->nrecipients = 0;
	b->recipients = NULL;
	arena_reset(&b->arena);
}

static void
begin(struct bounce *b, struct msg *m)
{
	reset(b);
	b->id = m->id;
	b->recipients = arena_alloc(&b->arena, NOTICE_RECIPIENTS_MAX * sizeof *b->recipients);
	b->failed = !notice_begin_decode(m, &b->arena, &b->dsn) || b->recipients == NULL;
	b->file_fd = msg_take_fd(m);
}

static void
recipient(struct bounce *b, struct msg *m)
{
	if (b->failed || b->nrecipients == NOTICE_RECIPIENTS_MAX ||
	    !notice_recipient_decode(m, &b->arena, &b->recipients[b->nrecipients]))
		b->failed = true;
	else
		b->nrecipients++;
}

static void
end(struct bounce *b, struct msg *m)
{
	struct queue_piece pieces[QUEUE_PIECES_MAX];
	struct source source = {.fd = m->fd, .pieces = pieces};
	bool good = !b->failed && b->file_fd >= 0 && m->fd >= 0 && b->nrecipients > 0 &&
	    notice_end_decode(m, pieces, &source.n) && write_notification(b, &source);

	notice_done_encode(&b->packet, b->id, good ? 0 : b->errnum != 0 ? b->errnum : EPROTO);
	if (!channel_send(&b->channel, &b->packet, -1))
		fatal("the queue does not read");
	reset(b);
}

static void
received(struct channel *channel, struct msg *m)
{
	struct bounce *b = container_of(channel, struct bounce, channel);

	/* What remains of a predecessor's notification has no beginning. */
	if (m->type == NOTICE_BEGIN)
		begin(b, m);
	else if (b->file_fd < 0 || m->id != b->id)
		return;
	else if (m->type == NOTICE_RECIPIENT)
		recipient(b, m);
	else if (m->type == NOTICE_END)
		end(b, m);
}

static void
closed(struct channel *channel)
{
	(void)channel;
	fatal("the queue is gone");
}

void
bounce_main(struct daemon_self *self)
{
	struct sandbox_spec spec = {.promises = SANDBOX_STDIO | SANDBOX_LOOP | SANDBOX_SERVE};
	struct bounce b = {.file_fd = -1};
	struct loop *loop;

	if (self->npeers != 1)
		fatal("bounce: no connection to the queue");
	daemon_confine(self, &spec);
	loop = loop_new();
	arena_init(&b.arena, ARENA_MAX_BYTES);
	queue_writer_init(&b.writer, TEXT_MAX_BYTES + 2 * QUEUE_RECORD_MAX);
	buf_init(&b.packet, MSG_MAX_BYTES);
	channel_open(&b.channel, loop, self->peers[0], received, closed);
	daemon_self_open(self, loop);
	notice_hello_encode(&b.packet);
	if (!channel_send(&b.channel, &b.packet, -1))
		fatal("the queue does not read");
	loop_run(loop);
}
