#include "tests/unit/rows.h"

#include "common/base/crc32c.h"
#include "common/queue/queue_file.h"
#include "common/queue/queue_id.h"

/* ---- helpers --------------------------------------------------------------------------------------------------- */

#define CONTENT "Subject: hello\r\n\r\nw recipient 1:x, 00000000\n\0.\r\n"

static void
append_attempt(struct buf *b, uint64_t recipient, enum queue_state outcome)
{
	struct queue_attempt attempt = {.time_ms = 1700000001234, .recipient = recipient, .outcome = outcome,
	    .code = STR("4.4.1"), .relay = STR("mx1.dua.test[127.0.0.3]:25"), .reply = STR("450 later, please")};
	struct buf value;

	buf_init(&value, 4096);
	queue_attempt_format(&value, &attempt);
	queue_append_record(b, QUEUE_ATTEMPT, buf_str(&value));
	buf_clear(&value);
}

static void
append_tls(struct buf *b, uint64_t recipient, const char *security)
{
	struct buf value;

	buf_init(&value, 1000);
	queue_tls_format(&value, recipient, str_from(security));
	queue_append_record(b, QUEUE_TLS, buf_str(&value));
	buf_clear(&value);
}

static void
append_history(struct buf *b)
{
	append_tls(b, 0, "dane TLSv1.3 with TLS_AES_256_GCM_SHA384");
	append_attempt(b, 0, QUEUE_WAITING);
	queue_append_recipient(b, STR("a@satu.test"));
	queue_append_record(b, QUEUE_ORIGINAL, STR("list@satu.test"));
	queue_append_record(b, QUEUE_RETURN, STR("owner-list@satu.test"));
	queue_append_recipient(b, STR("b@satu.test"));
	queue_append_record(b, QUEUE_EXPANDED, STR("1 2"));
	queue_append_record(b, QUEUE_DEFERRED, STR("1700000001234 1 1700000901234"));
	append_attempt(b, 0, QUEUE_DELIVERED);
}

static void
write_envelope(struct queue_writer *w)
{
	queue_writer_begin(w, 1700000000123, STR("baru@satu.test"));
	queue_writer_record(w, QUEUE_CLIENT, STR("client.test [192.0.2.1]"));
	queue_writer_record(w, QUEUE_BODY, STR("8BITMIME"));
	queue_writer_recipient(w, STR("lama@dua.test"));
	queue_writer_record(w, QUEUE_ORCPT, STR("rfc822;lama@dua.test"));
	queue_writer_recipient(w, STR("list@satu.test"));
}

static void
make_file(struct queue_writer *w)
{
	queue_writer_init(w, 65536);
	write_envelope(w);
	queue_writer_content(w, STR(CONTENT));
	queue_writer_end(w);
	assert_true(queue_writer_ok(w));
	append_history(&w->out);
	assert_true(buf_ok(&w->out));
}

/* What a reading says, as text: one line a record, then how it ended. */
static void
describe(struct buf *out, const struct queue_record *record)
{
	struct str key = queue_key_name(record->key);

	if (record->key == QUEUE_RECIPIENT)
		buf_addf(out, "%c ", (char)record->state);
	buf_addf(out, "%.*s=", STR_FMT(key));
	buf_add(out, record->value);
	buf_addc(out, '\n');
}

/* Feeds `step` bytes more each time the reader wants more. */
static void
read_all(struct str file, size_t step, bool skip, struct buf *out)
{
	struct queue_reader r;
	size_t at = 0, have = 0;
	uint64_t good_end = 0;
	struct queue_record record;
	struct str input = STR_NONE;

	buf_reset(out);
	queue_reader_init(&r);
	for (;;) {
		enum queue_read result;

		if (skip && queue_reader_at_content(&r)) {
			queue_reader_skip_content(&r);
			at = r.offset < file.n ? (size_t)r.offset : file.n;
			have = at;
		}
		input = str_sub(file, at, have - at);
		result = queue_reader_next(&r, &input, &record);
		at = have - input.n;
		if (result != QUEUE_READ_BAD)
			assert_true(r.offset == at);
		if (result == QUEUE_READ_RECORD) {
			describe(out, &record);
			continue;
		}
		if (result != QUEUE_READ_MORE) {
			buf_adds(out, result == QUEUE_READ_BAD ? "BAD" : "UNFINISHED");
			return;
		}
		assert_true(input.n < QUEUE_RECORD_MAX);
		if (have == file.n)
			break;
		have = have + step < file.n ? have + step : file.n;
	}
	if (queue_reader_finish(&r, input, &good_end) == PARSE_OK)
		buf_addf(out, "OK %llu", (unsigned long long)good_end);
	else
		buf_adds(out, "BAD");
}

static const char good[] = "time=1700000000123\n"
			   "sender=baru@satu.test\n"
			   "client=client.test [192.0.2.1]\n"
			   "body=8BITMIME\n"
			   "w recipient=lama@dua.test\n"
			   "orcpt=rfc822;lama@dua.test\n"
			   "w recipient=list@satu.test\n"
			   "end=0000000000000048 5dc2c65f\n";
static const char good_history[] = "tls=0 dane TLSv1.3 with TLS_AES_256_GCM_SHA384\n"
				   "attempt=1700000001234 0 w 4.4.1 mx1.dua.test[127.0.0.3]:25 450 later, please\n"
				   "w recipient=a@satu.test\n"
				   "original=list@satu.test\n"
				   "return=owner-list@satu.test\n"
				   "w recipient=b@satu.test\n"
				   "expanded=1 2\n"
				   "deferred=1700000001234 1 1700000901234\n"
				   "attempt=1700000001234 0 d 4.4.1 mx1.dua.test[127.0.0.3]:25 450 later, please\n";

static size_t
position(struct str file, const char *text)
{
	size_t at = str_search(file, str_from(text));

	assert_true(at < file.n);
	return at;
}

/* ---- tests ----------------------------------------------------------------------------------------------------- */

static void
the_checksum_is_castagnolis(void **state)
{
	(void)state;
	assert_int_equal(crc32c(0, STR("123456789")), 0xe3069283);
	assert_int_equal(crc32c(crc32c(0, STR("1234")), STR("56789")), 0xe3069283);
	assert_int_equal(crc32c(0, STR("a much longer text, of more than eight bytes")),
	    crc32c(crc32c(crc32c(0, STR("a much longer ")), STR("text, of more than eight")), STR(" bytes")));
	assert_int_equal(crc32c(0, STR_NONE), 0);
}

static void
a_small_message_is_one_output_with_its_head_in_place(void **state)
{
	struct queue_writer w;
	char head[QUEUE_HEAD_BYTES];
	struct str file;

	(void)state;
	make_file(&w);
	file = queue_writer_output(&w);
	assert_false(queue_writer_head(&w, head));
	assert_str(str_sub(file, 0, QUEUE_HEAD_BYTES),
	    STR("merpati-queue 03 0000000336 0000000000000384 0000000000000048 00000002 6459009b\n"));
	assert_str(str_sub(file, 80, 35), STR("time 13:1700000000123, 94a23605\nsen"));
	queue_writer_clear(&w);
}

static void
a_large_message_gets_its_head_at_the_end(void **state)
{
	struct queue_writer w, whole;
	struct buf file;
	char head[QUEUE_HEAD_BYTES];
	struct queue_head parsed;

	(void)state;
	buf_init(&file, 65536);
	queue_writer_init(&w, 65536);
	write_envelope(&w);
	for (size_t i = 0; i < sizeof CONTENT - 1; i++) {
		buf_add(&file, str_sub(queue_writer_output(&w), 0, 7));
		queue_writer_wrote(&w, 7);
		queue_writer_content(&w, str_sub(STR(CONTENT), i, 1));
	}
	assert_int_equal(queue_head_parse(buf_str(&file), &parsed), PARSE_OK);
	assert_false(parsed.complete);
	queue_writer_end(&w);
	buf_add(&file, queue_writer_output(&w));
	assert_true(queue_writer_head(&w, head));
	memcpy(file.p, head, sizeof head);
	append_history(&file);
	make_file(&whole);
	assert_str(buf_str(&file), queue_writer_output(&whole));
	queue_writer_clear(&w);
	queue_writer_clear(&whole);
	buf_clear(&file);
}

static void
a_good_file_reads_the_same_however_it_comes(void **state)
{
	struct queue_writer w;
	struct buf out, expected;
	struct str file;

	(void)state;
	make_file(&w);
	file = queue_writer_output(&w);
	buf_init(&out, 65536);
	buf_init(&expected, 65536);
	buf_addf(&expected, "%s%sOK %zu", good, good_history, file.n);
	for (size_t step = 1; step <= file.n; step++) {
		read_all(file, step, false, &out);
		assert_str(buf_str(&out), buf_str(&expected));
		read_all(file, step, true, &out);
		assert_str(buf_str(&out), buf_str(&expected));
	}
	queue_writer_clear(&w);
	buf_clear(&out);
	buf_clear(&expected);
}

static void
a_file_cut_before_its_end_is_bad_and_a_cut_history_is_what_stood_before(void **state)
{
	struct queue_writer w;
	struct buf out;
	struct str file;
	size_t end, confirmed;

	(void)state;
	make_file(&w);
	file = queue_writer_output(&w);
	buf_init(&out, 65536);
	end = position(file, "tls ");
	for (size_t n = 0; n < end; n++) {
		read_all(str_sub(file, 0, n), 1 + n % 50, false, &out);
		assert_true(str_ends_nocase(buf_str(&out), STR("BAD")));
	}
	/* The two recipients out of the alias do not count before the word that confirms them. */
	confirmed = position(file, "w recipient 11:a@satu.test");
	for (size_t n = end; n <= file.n; n++) {
		unsigned long long good_end = 0;

		read_all(str_sub(file, 0, n), 1 + n % 50, false, &out);
		buf_addc(&out, '\0');
		assert_int_equal(sscanf(strstr(out.p, "OK"), "OK %llu", &good_end), 1);
		assert_true(good_end <= n);
		assert_true(n == good_end || n - good_end < 250);
		if (n >= confirmed && n < position(file, "deferred "))
			assert_int_equal(good_end, confirmed);
	}
	queue_writer_clear(&w);
	buf_clear(&out);
}

/* Whatever byte is changed: the reading says BAD, or differs only in what the change hit: a state, the last record. */
static void
a_changed_byte_shows(void **state)
{
	struct queue_writer w;
	struct buf out, expected;
	struct str file;
	size_t last, states[4] = {0}, nstates = 0;

	(void)state;
	make_file(&w);
	file = queue_writer_output(&w);
	buf_init(&out, 65536);
	buf_init(&expected, 65536);
	last = str_search(file, STR("deferred "));
	last += position(str_skip(file, last), "attempt ");
	for (size_t i = 0; i + 12 < file.n; i++)
		if (memcmp(file.p + i, "\nw recipient", 12) == 0 && (i < 336 || i > 384))
			states[nstates++] = i + 1;
	assert_int_equal(nstates, 4);
	buf_addf(&expected, "OK %zu", last);
	for (size_t i = 0; i < file.n; i++) {
		char was = w.out.p[i];

		for (int change = 1; change < 256; change++) {
			bool is_state = false;

			w.out.p[i] = (char)(was ^ change);
			for (size_t k = 0; k < nstates; k++)
				is_state = is_state || states[k] == i;
			if (is_state && strchr("dfe", w.out.p[i]) != NULL && w.out.p[i] != '\0')
				continue;
			read_all(file, 1000, false, &out);
			assert_true(str_ends_nocase(buf_str(&out), i >= last ? buf_str(&expected) : STR("BAD")));
		}
		w.out.p[i] = was;
	}
	queue_writer_clear(&w);
	buf_clear(&out);
	buf_clear(&expected);
}

static void
a_state_is_overwritten_in_place(void **state)
{
	static const char states[] = "dfe";
	struct queue_writer w;
	struct buf out;
	struct str file;

	(void)state;
	make_file(&w);
	file = queue_writer_output(&w);
	buf_init(&out, 65536);
	for (size_t i = 0; i < 3; i++) {
		char expected[64];

		w.out.p[position(file, " recipient 13:lama") - 1] = states[i];
		read_all(file, 100, false, &out);
		buf_addc(&out, '\0');
		(void)snprintf(expected, sizeof expected, "%c recipient=lama@dua.test\n", states[i]);
		assert_non_null(strstr(out.p, expected));
		assert_non_null(strstr(out.p, "OK"));
	}
	queue_writer_clear(&w);
	buf_clear(&out);
}

static void
skipped_content_is_not_checked_but_all_else_is(void **state)
{
	struct queue_writer w;
	struct buf out;

	(void)state;
	make_file(&w);
	buf_init(&out, 65536);
	w.out.p[350] ^= 1;
	read_all(queue_writer_output(&w), 4096, false, &out);
	assert_true(str_ends_nocase(buf_str(&out), STR("BAD")));
	read_all(queue_writer_output(&w), 4096, true, &out);
	assert_false(str_ends_nocase(buf_str(&out), STR("BAD")));
	queue_writer_clear(&w);
	buf_clear(&out);
}

static void
an_unfinished_file_says_so(void **state)
{
	struct queue_writer w;
	struct buf out;

	(void)state;
	queue_writer_init(&w, 65536);
	write_envelope(&w);
	buf_init(&out, 65536);
	read_all(queue_writer_output(&w), 10, false, &out);
	assert_str(buf_str(&out), STR("UNFINISHED"));
	queue_writer_clear(&w);
	buf_clear(&out);
}

static void
zeros_behind_the_end_are_a_cut_and_do_not_hide_a_record(void **state)
{
	struct queue_writer w;
	struct buf out, expected;
	size_t end;

	(void)state;
	make_file(&w);
	buf_init(&out, 65536);
	end = position(queue_writer_output(&w), "attempt ");
	buf_truncate(&w.out, end);
	for (int i = 0; i < 5000; i++)
		buf_addc(&w.out, '\0');
	read_all(queue_writer_output(&w), 100, false, &out);
	buf_init(&expected, 64);
	buf_addf(&expected, "\nOK %zu", end);
	assert_true(str_ends_nocase(buf_str(&out), buf_str(&expected)));
	buf_clear(&expected);
	buf_addc(&w.out, '\n');
	append_attempt(&w.out, 0, QUEUE_WAITING);
	read_all(queue_writer_output(&w), 100, false, &out);
	assert_true(str_ends_nocase(buf_str(&out), STR("BAD")));
	queue_writer_clear(&w);
	buf_clear(&out);
}

static void
a_message_may_be_pieces_of_its_content(void **state)
{
	struct queue_writer w;
	struct queue_piece pieces[2], read[2];
	struct queue_head head;
	struct buf out;
	struct str value = STR("9 1");
	size_t n;

	(void)state;
	buf_init(&out, 65536);
	queue_writer_init(&w, 65536);
	write_envelope(&w);
	pieces[1] = (struct queue_piece){queue_writer_offset(&w), 11};
	queue_writer_content(&w, STR("original.\r\nwith a signature behind it\r\n"));
	pieces[0] = (struct queue_piece){queue_writer_offset(&w), 16};
	queue_writer_content(&w, STR("DKIM: is first\r\n"));
	queue_writer_end_pieces(&w, pieces, 2);
	assert_true(queue_writer_ok(&w));
	read_all(queue_writer_output(&w), 100, false, &out);
	buf_addc(&out, '\0');
	assert_non_null(strstr(out.p, "pieces=375 16 336 11\n"));
	assert_non_null(strstr(out.p, "\nOK "));
	assert_int_equal(queue_head_parse(queue_writer_output(&w), &head), PARSE_OK);
	assert_int_equal(head.message_size, 27);
	assert_true(queue_pieces_parse(STR("375 16 336 11"), &head, read, 2, &n));
	assert_int_equal(n, 2);
	assert_memory_equal(pieces, read, sizeof read);
	assert_false(queue_pieces_parse(STR("375 16 336 11"), &head, read, 1, &n));
	assert_false(queue_pieces_parse(STR("375 17 336 10"), &head, read, 2, &n));
	assert_false(queue_pieces_parse(STR("375 16 335 11"), &head, read, 2, &n));
	assert_false(queue_pieces_parse(STR("375 16 336"), &head, read, 2, &n));
	assert_false(queue_pieces_parse(STR("375 16"), &head, read, 2, &n));
	assert_false(queue_pieces_parse(STR(""), &head, read, 2, &n));
	assert_false(queue_pieces_parse(value, &head, read, 2, &n));
	queue_writer_clear(&w);
	buf_clear(&out);
}

static void
a_writer_refuses_what_a_reader_would(void **state)
{
	static char large[QUEUE_VALUE_MAX + 1];
	struct queue_writer w;

	(void)state;
	memset(large, 'x', sizeof large);
	queue_writer_init(&w, 1024 * 1024);
	queue_writer_recipient(&w, STR("too@early.test"));
	assert_false(queue_writer_ok(&w));
	queue_writer_reset(&w);
	queue_writer_begin(&w, 1, STR_NONE);
	queue_writer_record(&w, QUEUE_ORCPT, STR("rfc822;nobody"));
	assert_false(queue_writer_ok(&w));
	queue_writer_reset(&w);
	queue_writer_begin(&w, 1, STR_NONE);
	queue_writer_content(&w, STR("no recipient"));
	assert_false(queue_writer_ok(&w));
	queue_writer_reset(&w);
	queue_writer_begin(&w, 1, (struct str){large, sizeof large});
	assert_false(queue_writer_ok(&w));
	queue_writer_reset(&w);
	queue_writer_begin(&w, 1, (struct str){large, sizeof large - 1});
	queue_writer_recipient(&w, STR("a@b.test"));
	queue_writer_content(&w, STR("x"));
	assert_true(queue_writer_ok(&w));
	queue_writer_recipient(&w, STR("too@late.test"));
	assert_false(queue_writer_ok(&w));
	queue_writer_clear(&w);
}

static void
attempts_survive_their_own_text(void **state)
{
	static const struct {
		struct str value;
		bool good;
	} rows[] = {
	    {STR("1 0 d 2.0.0 none ok"), true},
	    {STR("1 0 w 4.4.1 none "), true},
	    {STR("1 0 f 5.1.1 mx[::1]:25 550 5.1.1 no \n such, 5:user,"), true},
	    {STR("1 0 w 4.4.1 none"), false},
	    {STR("1 0 w 4.4.1"), false},
	    {STR("1 0 x 4.4.1 none t"), false},
	    {STR("1 0 dd 4.4.1 none t"), false},
	    {STR("1 -1 d 4.4.1 none t"), false},
	    {STR(""), false},
	};
	struct queue_attempt attempt;
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	for (size_t i = 0; i < ROWS(rows); i++) {
		assert_int_equal(queue_attempt_parse(rows[i].value, &attempt), rows[i].good);
		if (!rows[i].good)
			continue;
		buf_reset(&b);
		queue_attempt_format(&b, &attempt);
		assert_str(buf_str(&b), rows[i].value);
	}
	buf_reset(&b);
	queue_attempt_format(&b, &(struct queue_attempt){.outcome = QUEUE_WAITING, .relay = STR("a b")});
	assert_str(buf_str(&b), STR("0 0 w 4.0.0 none "));
	buf_clear(&b);
}

static void
what_a_filter_holds_says_why_behind_the_content(void **state)
{
	struct queue_writer w;
	struct buf out;

	(void)state;
	queue_writer_init(&w, 65536);
	write_envelope(&w);
	queue_writer_content(&w, STR("x\r\n"));
	queue_writer_hold(&w, STR("looks odd"));
	queue_writer_end(&w);
	assert_true(queue_writer_ok(&w));
	buf_init(&out, 65536);
	read_all(queue_writer_output(&w), 4096, false, &out);
	assert_true(str_search(buf_str(&out), STR("hold=looks odd")) < out.n);
	assert_false(str_ends_nocase(buf_str(&out), STR("BAD")));
	queue_writer_reset(&w);
	write_envelope(&w);
	queue_writer_content(&w, STR("x\r\n"));
	queue_writer_hold(&w, STR("looks odd"));
	queue_writer_content(&w, STR("more"));
	assert_false(queue_writer_ok(&w));
	queue_writer_clear(&w);
	buf_clear(&out);
}

static void
times_of_delivery_and_priorities_are_read_strictly(void **state)
{
	static const struct {
		const char *text;
		uint64_t time_ms;
		char mode;
		bool trace;
	} rows[] = {{"1700000000123 R", 1700000000123, 'R', false}, {"5 NT", 5, 'N', true}};
	static const char *const bad[] = {"", "R", "5", "5 X", "5 RTT", "5 R T", "5 Rt", "5  R", "-5 R"};
	static const char *const not_priorities[] = {"", "-", "10", "-10", "+1", "1 ", "--1"};
	struct queue_deliver_by by;
	struct buf b;
	int priority;

	(void)state;
	buf_init(&b, 100);
	for (size_t i = 0; i < ROWS(rows); i++) {
		assert_true(queue_deliver_by_parse(str_from(rows[i].text), &by));
		assert_true(by.time_ms == rows[i].time_ms && by.mode == rows[i].mode && by.trace == rows[i].trace);
		buf_reset(&b);
		queue_deliver_by_format(&b, &by);
		assert_str(buf_str(&b), str_from(rows[i].text));
	}
	for (size_t i = 0; i < ROWS(bad); i++)
		assert_false(queue_deliver_by_parse(str_from(bad[i]), &by));
	assert_true(queue_priority_parse(STR("-9"), &priority) && priority == -9);
	assert_true(queue_priority_parse(STR("4"), &priority) && priority == 4);
	for (size_t i = 0; i < ROWS(not_priorities); i++)
		assert_false(queue_priority_parse(str_from(not_priorities[i]), &priority));
	buf_clear(&b);
}

static void
files_of_the_versions_before_are_read(void **state)
{
	static const char *const heads[] = {
	    "merpati-queue 01 0000000336 0000000000000384 0000000000000048 00000002 5d20cd9a\n",
	    "merpati-queue 02 0000000336 0000000000000384 0000000000000048 00000002 fa13dd63\n"};
	struct queue_writer w;
	struct buf out;

	(void)state;
	buf_init(&out, 65536);
	make_file(&w);
	for (size_t i = 0; i < ROWS(heads); i++) {
		memcpy(w.out.p, heads[i], QUEUE_HEAD_BYTES);
		read_all(queue_writer_output(&w), 4096, false, &out);
		assert_true(str_starts(buf_str(&out), str_from(good)));
	}
	queue_writer_clear(&w);
	buf_clear(&out);
}

static void
the_tls_of_an_attempt_is_a_recipient_and_words(void **state)
{
	uint64_t index;
	struct str security;

	(void)state;
	assert_true(queue_tls_parse(STR("7 may"), &index, &security));
	assert_int_equal(index, 7);
	assert_str(security, STR("may"));
	assert_true(queue_tls_parse(STR("0 sts TLSv1.3 with X"), &index, &security));
	assert_str(security, STR("sts TLSv1.3 with X"));
	assert_false(queue_tls_parse(STR("7"), &index, &security));
	assert_false(queue_tls_parse(STR("7 "), &index, &security));
	assert_false(queue_tls_parse(STR("may"), &index, &security));
}

static void
filters_change_the_envelope_in_the_closing(void **state)
{
	struct queue_writer w;
	struct buf out;

	(void)state;
	buf_init(&out, 65536);
	queue_writer_init(&w, 65536);
	write_envelope(&w);
	queue_writer_content(&w, STR(CONTENT));
	queue_writer_content_end(&w);
	queue_writer_record(&w, QUEUE_SENDER, STR("new@satu.test"));
	queue_writer_record(&w, QUEUE_REMOVED, STR("0"));
	queue_writer_record(&w, QUEUE_REMOVED, STR("1"));
	queue_writer_recipient(&w, STR("more@satu.test"));
	queue_writer_record(&w, QUEUE_NOTIFY, STR("NEVER"));
	queue_writer_recipient(&w, STR("yet@satu.test"));
	queue_writer_end(&w);
	assert_true(queue_writer_ok(&w));
	for (size_t step = 1; step < 400; step++) {
		read_all(queue_writer_output(&w), step, step % 2 == 0, &out);
		assert_true(str_search(buf_str(&out),
		    STR("sender=new@satu.test\nremoved=0\nremoved=1\nw recipient=more@satu.test\nnotify=NEVER\n"
		        "w recipient=yet@satu.test\nend=0000000000000048 5dc2c65f\nOK ")) < out.n);
	}
	queue_writer_clear(&w);
	buf_clear(&out);
}

static void
what_makes_no_sense_in_the_closing_is_damage(void **state)
{
	static const struct {
		enum queue_key key;
		struct str value;
	} rows[] = {
	    {QUEUE_REMOVED, STR("2")},
	    {QUEUE_REMOVED, STR("0 1")},
	    {QUEUE_REMOVED, STR("")},
	    {QUEUE_NOTIFY, STR("NEVER")}, /* of whom? */
	};
	struct buf out;

	(void)state;
	buf_init(&out, 65536);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct queue_writer w;

		queue_writer_init(&w, 65536);
		write_envelope(&w);
		queue_writer_content(&w, STR(CONTENT));
		queue_writer_content_end(&w);
		queue_writer_record(&w, rows[i].key, rows[i].value);
		queue_writer_end(&w);
		read_all(queue_writer_output(&w), 4096, false, &out);
		assert_true(str_ends_nocase(buf_str(&out), STR("BAD")));
		queue_writer_clear(&w);
	}
	buf_clear(&out);
}

static void
ids_are_time_and_randomness(void **state)
{
	static const char *const wrong[] = {"", "3", "4XvRfg4LbYz0000", "4XvRfg4LbYz000000", "4XvRfg4Lbaz00000",
	    "4XvRfg4Lbcy00000", "../../../etc/pas", "4XvRfgzzzzz00000"};
	struct queue_id a, b;

	(void)state;
	queue_id_make(&a, 1700000000123456, 0xffffffff);
	assert_int_equal(strlen(a.text), QUEUE_ID_LENGTH);
	assert_int_equal(queue_id_time_us(&a), 1700000000123456);
	assert_int_equal(a.text[10], 'z');
	assert_true(queue_id_parse(&b, queue_id_str(&a)));
	assert_string_equal(a.text, b.text);
	queue_id_make(&b, 1700000000123457, 0);
	assert_true(strcmp(a.text, b.text) < 0);
	queue_id_make(&b, 1700000001000000, 0);
	assert_true(strcmp(a.text, b.text) < 0);
	for (size_t i = 0; i < ROWS(wrong); i++)
		assert_false(queue_id_parse(&b, str_from(wrong[i])));
	assert_false(queue_id_parse(&b, STR_NONE));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_checksum_is_castagnolis),
	    cmocka_unit_test(a_small_message_is_one_output_with_its_head_in_place),
	    cmocka_unit_test(a_large_message_gets_its_head_at_the_end),
	    cmocka_unit_test(a_good_file_reads_the_same_however_it_comes),
	    cmocka_unit_test(a_file_cut_before_its_end_is_bad_and_a_cut_history_is_what_stood_before),
	    cmocka_unit_test(a_changed_byte_shows),
	    cmocka_unit_test(a_state_is_overwritten_in_place),
	    cmocka_unit_test(skipped_content_is_not_checked_but_all_else_is),
	    cmocka_unit_test(an_unfinished_file_says_so),
	    cmocka_unit_test(zeros_behind_the_end_are_a_cut_and_do_not_hide_a_record),
	    cmocka_unit_test(a_message_may_be_pieces_of_its_content),
	    cmocka_unit_test(a_writer_refuses_what_a_reader_would),
	    cmocka_unit_test(attempts_survive_their_own_text),
	    cmocka_unit_test(what_a_filter_holds_says_why_behind_the_content),
	    cmocka_unit_test(times_of_delivery_and_priorities_are_read_strictly),
	    cmocka_unit_test(files_of_the_versions_before_are_read),
	    cmocka_unit_test(the_tls_of_an_attempt_is_a_recipient_and_words),
	    cmocka_unit_test(filters_change_the_envelope_in_the_closing),
	    cmocka_unit_test(what_makes_no_sense_in_the_closing_is_damage),
	    cmocka_unit_test(ids_are_time_and_randomness),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
