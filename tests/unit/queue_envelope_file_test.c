/*
 * Stored files of each version of the format, as they were written by the program of their day: they are read, and whatever
 * happens to their bytes, nobody gets another's mail or other words.
 */
#include "tests/unit/rows.h"

#include <sys/mman.h>
#include <unistd.h>

#include "common/queue/queue_file_line.h"
#include "queue/envelope_file.h"

#define PLACE "tests/unit/queue-files/"
#define FILE_MAX 4096

static const struct siphash_key key = {1, 2};

struct sample {
	const char *path;
	char bytes[FILE_MAX];
	size_t n;
	size_t finished; /* behind its `end`: what follows is history */
	struct envelope envelope;
	struct buf content;
};

/* ---- helpers --------------------------------------------------------------------------------------------------- */

static enum envelope_load
load_from(struct envelope *e, struct str file)
{
	static int fd = -1;
	struct envelope_source source;
	enum envelope_load result;
	struct err err;

	if (fd < 0)
		fd = memfd_create("queue", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(pwrite(fd, file.p, file.n, 0), file.n);
	envelope_init(e, 1024 * 1024, 1000, &key);
	envelope_source_init(&source, fd);
	result = envelope_load(e, &source, SIZE_MAX - 1, &err);
	assert_int_not_equal(result, ENVELOPE_UNREADABLE);
	return result;
}

/* What remote would read of it. */
static void
content_of(const struct envelope *e, struct str file, struct buf *content)
{
	buf_reset(content);
	for (size_t i = 0; i < e->npieces; i++)
		buf_add(content, str_sub(file, (size_t)e->pieces[i].offset, (size_t)e->pieces[i].length));
}

static void
sample_open(struct sample *s, const char *path)
{
	FILE *file = fopen(path, "rb");
	struct str bytes;

	assert_non_null(file);
	*s = (struct sample){.path = path};
	s->n = fread(s->bytes, 1, sizeof s->bytes, file);
	(void)fclose(file);
	bytes = (struct str){s->bytes, s->n};
	assert_int_equal(load_from(&s->envelope, bytes), ENVELOPE_LOADED);
	s->finished = (size_t)s->envelope.head.content_end - 1;
	s->finished += str_search(str_skip(bytes, s->finished), STR("\nend ")) + 1;
	s->finished += str_find(str_skip(bytes, s->finished), '\n') + 1;
	buf_init(&s->content, FILE_MAX);
	content_of(&s->envelope, bytes, &s->content);
}

static void
sample_close(struct sample *s)
{
	envelope_clear(&s->envelope);
	buf_clear(&s->content);
}

static const char *const paths[] = {PLACE "version-1", PLACE "version-2", PLACE "version-3"};

/* The same mail to the same people, of whom some may have to get it still because the last record is lost. */
static bool
is_the_same_but_for_the_last_record(const struct sample *s, const struct envelope *e, struct str file)
{
	const struct envelope *was = &s->envelope;
	struct buf content;
	bool same;

	buf_init(&content, FILE_MAX);
	content_of(e, file, &content);
	same = str_equal(e->sender, was->sender) && str_equal(buf_str(&content), buf_str(&s->content)) &&
	    e->requires_tls == was->requires_tls && e->is_8bit == was->is_8bit && e->is_smtputf8 == was->is_smtputf8 &&
	    e->priority == was->priority && e->by.time_ms == was->by.time_ms && e->nrecipients <= was->nrecipients &&
	    e->written >= was->head.recipients;
	buf_clear(&content);
	for (size_t i = 0; same && i < e->nrecipients; i++) {
		const struct recipient *is = &e->recipients[i], *r = &was->recipients[i];

		same = str_equal(is->address, r->address) && str_equal(is->notify, r->notify) &&
		    str_equal(envelope_return_path(e, is), envelope_return_path(was, r)) &&
		    (is->state == r->state || is->state == QUEUE_WAITING);
	}
	return same;
}

/* ---- tests ----------------------------------------------------------------------------------------------------- */

static void
files_of_each_version_are_read(void **state)
{
	struct sample s;

	(void)state;
	sample_open(&s, paths[0]);
	assert_int_equal(s.envelope.head.version, 1);
	assert_int_equal(s.envelope.nrecipients, 2);
	assert_int_equal(s.envelope.deferrals, 1);
	assert_str(s.envelope.recipients[1].reply, STR("connect to mx.dua.test[192.0.2.9]:25: Connection refused"));
	sample_close(&s);

	sample_open(&s, paths[1]);
	assert_int_equal(s.envelope.head.version, 2);
	assert_str(s.envelope.sender, STR("lain@satu.test"));
	assert_int_equal(envelope_waiting(&s.envelope), 2);
	assert_str(s.envelope.recipients[2].address, STR("arsip@satu.test"));
	assert_true(s.envelope.requires_tls);
	assert_int_equal(s.envelope.priority, -3);
	assert_int_equal(s.envelope.by.mode, 'R');
	assert_str(s.envelope.hold, STR("a filter wants it"));
	assert_str(buf_str(&s.content),
	    STR("DKIM-Signature: v=1;\r\nSubject: Halo\r\n\r\nw recipient 1:x, 00000000\r\nHalo!\r\n"));
	sample_close(&s);

	sample_open(&s, paths[2]);
	assert_int_equal(s.envelope.head.version, 3);
	assert_int_equal(s.envelope.nrecipients, 5);
	assert_int_equal(envelope_waiting(&s.envelope), 2);
	assert_int_equal(s.envelope.recipients[0].settled, QUEUE_DELIVERED);
	assert_int_equal(s.envelope.recipients[2].state, QUEUE_FAILED);
	assert_int_equal(s.envelope.recipients[2].settled, QUEUE_WAITING);
	assert_str(envelope_return_path(&s.envelope, &s.envelope.recipients[4]), STR("owner-semua@satu.test"));
	assert_str(s.envelope.reroute, STR("lain"));
	sample_close(&s);
}

static void
a_changed_byte_anywhere_is_damage_or_changes_nothing(void **state)
{
	static const char changes[] = {1, 2, 4, 8, 16, 32, 64, (char)128, 0x13, 0x33, 0x77, (char)255};

	(void)state;
	for (size_t p = 0; p < ROWS(paths); p++) {
		struct sample s;
		struct str file;

		sample_open(&s, paths[p]);
		file = (struct str){s.bytes, s.n};
		for (size_t i = 0; i < s.n; i++)
			for (size_t c = 0; c < sizeof changes; c++) {
				char was = s.bytes[i];
				struct envelope e;
				enum envelope_load result;

				s.bytes[i] = (char)(was ^ changes[c]);
				result = load_from(&e, file);
				if (result != ENVELOPE_DAMAGED &&
				    (result != ENVELOPE_LOADED || !is_the_same_but_for_the_last_record(&s, &e, file)))
					fail_msg("%s: byte %zu from %#x to %#x", s.path, i, (unsigned char)was,
					    (unsigned char)s.bytes[i]);
				envelope_clear(&e);
				s.bytes[i] = was;
			}
		sample_close(&s);
	}
}

static void
a_file_cut_anywhere_is_damage_or_lacks_history(void **state)
{
	(void)state;
	for (size_t p = 0; p < ROWS(paths); p++) {
		struct sample s;

		sample_open(&s, paths[p]);
		for (size_t n = 0; n < s.n; n++) {
			struct str file = {s.bytes, n};
			struct envelope e;
			enum envelope_load result = load_from(&e, file);

			if (n < s.finished)
				assert_int_equal(result, n == 0 ? ENVELOPE_UNFINISHED : ENVELOPE_DAMAGED);
			else if (result == ENVELOPE_LOADED)
				assert_true(is_the_same_but_for_the_last_record(&s, &e, file));
			else /* the state byte tells that something of weight is lost */
				assert_int_equal(result, ENVELOPE_DAMAGED);
			envelope_clear(&e);
		}
		sample_close(&s);
	}
}

static void
a_newer_version_is_not_damage(void **state)
{
	struct sample s;
	struct queue_head head;
	struct envelope e;

	(void)state;
	sample_open(&s, paths[2]);
	head = s.envelope.head;
	head.version = QUEUE_FILE_VERSION + 1;
	queue_head_format(s.bytes, &head);
	assert_int_equal(load_from(&e, (struct str){s.bytes, s.n}), ENVELOPE_NEWER);
	envelope_clear(&e);
	/* But only as long as its head is whole. */
	s.bytes[14] ^= 1;
	assert_int_equal(load_from(&e, (struct str){s.bytes, s.n}), ENVELOPE_DAMAGED);
	envelope_clear(&e);
	sample_close(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(files_of_each_version_are_read),
	    cmocka_unit_test(a_changed_byte_anywhere_is_damage_or_changes_nothing),
	    cmocka_unit_test(a_file_cut_anywhere_is_damage_or_lacks_history),
	    cmocka_unit_test(a_newer_version_is_not_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
