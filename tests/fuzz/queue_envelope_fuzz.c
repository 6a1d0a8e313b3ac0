/*
 * A queue file of any bytes as an envelope, or (the first byte being 0) of any records with right checksums; and when it
 * is one: what happens to it and is recorded is read again the same.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/crc32c.h"
#include "common/queue/queue_file_line.h"
#include "queue/envelope_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static const struct siphash_key key = {1, 2};

static enum envelope_load
load(struct envelope *e, int fd)
{
	struct envelope_source source;
	enum envelope_load result;
	struct err err;

	envelope_init(e, 1024 * 1024, 1000, &key);
	envelope_source_init(&source, fd);
	do
		result = envelope_load(e, &source, 0, &err);
	while (result == ENVELOPE_MORE);
	return result;
}

static void
write_all(int fd, const void *bytes, size_t n)
{
	if (write(fd, bytes, n) != (ssize_t)n)
		abort();
}

/* Records as the bytes say: a key, a length, a value; a key past the last one changes over to the history. */
static struct str
records_make(struct buf *b, struct str s, size_t *recipients)
{
	while (s.n >= 2 && (uint8_t)s.p[0] < QUEUE_KEY_COUNT) {
		enum queue_key key_of = (enum queue_key)s.p[0];
		size_t length = (uint8_t)s.p[1];

		s = str_skip(s, 2);
		queue_line_format(b, key_of, str_sub(s, 0, length));
		*recipients += key_of == QUEUE_RECIPIENT;
		s = str_skip(s, length);
	}
	return str_skip(s, 1);
}

static void
file_make(int fd, struct str s)
{
	struct queue_head head = {.version = QUEUE_FILE_VERSION, .complete = true, .content_offset = QUEUE_HEAD_BYTES};
	char bytes[QUEUE_HEAD_BYTES], end[26] = "0000000000000004 00000000";
	struct buf b;
	size_t ignored;

	buf_init(&b, 1024 * 1024);
	s = records_make(&b, s, &head.recipients);
	head.content_offset += b.n;
	head.content_end = head.content_offset + 4;
	head.message_size = 4;
	buf_adds(&b, "x\r\n\n");
	queue_put_crc(end + 17, crc32c(0, STR("x\r\n\n")));
	if (s.n > 0 && s.p[0] == QUEUE_PIECES)
		s = records_make(&b, s, &ignored);
	queue_line_format(&b, QUEUE_END, (struct str){end, 25});
	(void)records_make(&b, s, &ignored);
	queue_head_format(bytes, &head);
	write_all(fd, bytes, sizeof bytes);
	write_all(fd, b.p, b.n);
	buf_clear(&b);
}

/* The n-th recipient gets one outcome or another. */
static void
live(struct envelope *e, uint8_t salt)
{
	static const enum queue_state outcomes[] = {QUEUE_WAITING, QUEUE_DELIVERED, QUEUE_FAILED};

	for (size_t i = 0; i < e->nrecipients && i < 20; i++) {
		struct queue_attempt attempt = {.time_ms = salt, .recipient = i, .outcome = outcomes[(i + salt) % 3],
		    .code = STR("4.0.0"), .relay = STR("none"), .reply = STR("x\ny")};

		if (e->recipients[i].state != QUEUE_WAITING)
			continue;
		if ((i + salt) % 4 == 3)
			(void)envelope_expand(e, i, STR("a@b.test,c@d.test,,e"), STR("f.test"), STR_NONE);
		else
			(void)envelope_attempt(e, i, &attempt);
	}
}

static void
compare(const struct envelope *a, const struct envelope *b)
{
	if (a->nrecipients != b->nrecipients || a->end != b->end)
		abort();
	for (size_t i = 0; i < a->nrecipients; i++)
		if (a->recipients[i].state != b->recipients[i].state ||
		    a->recipients[i].offset != b->recipients[i].offset ||
		    a->recipients[i].parent != b->recipients[i].parent ||
		    !str_equal(a->recipients[i].address, b->recipients[i].address))
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct envelope e, again;
	struct buf history;
	int fd = memfd_create("queue", MFD_CLOEXEC);

	if (fd < 0)
		abort();
	if (n > 0 && bytes[0] == 0)
		file_make(fd, (struct str){(const char *)bytes + 1, n - 1});
	else
		write_all(fd, bytes, n);
	buf_init(&history, 1024 * 1024);
	if (load(&e, fd) == ENVELOPE_LOADED) {
		live(&e, bytes[n - 1]);
		envelope_history(&e, &history);
		if (!buf_ok(&history) || ftruncate(fd, (off_t)e.end) != 0 ||
		    pwrite(fd, history.p, history.n, (off_t)e.end) != (ssize_t)history.n)
			abort();
		envelope_written(&e, &history);
		if (load(&again, fd) != ENVELOPE_LOADED)
			abort();
		compare(&e, &again);
		envelope_clear(&again);
	}
	buf_clear(&history);
	envelope_clear(&e);
	(void)close(fd);
	return 0;
}
