#include "tests/unit/rows.h"

#include "smtpd/letter.h"

#define OUT_MAX (1024 * 1024)

/* ---- helpers ------------------------------------------------------------------------------------------------------- */

static const struct str recipients[] = {STR("lama@dua.test"), STR("tua@tiga.test")};

/* A queue file up to its content, and the letter that is read from it. */
struct fixture {
	struct queue_writer w;
	struct letter l;
};

static void
field_in(struct fixture *f, const char *raw, bool is_hidden)
{
	uint64_t offset = queue_writer_offset(&f->w);

	queue_writer_content(&f->w, str_from(raw));
	assert_true(letter_field(&f->l, str_from(raw), offset, is_hidden));
}

static void
open_letter(struct fixture *f)
{
	static const struct letter_rules rules = {.size_max = 1000, .header_max = 2000, .domain = STR("satu.test")};
	uint64_t at;

	queue_writer_init(&f->w, OUT_MAX);
	queue_writer_begin(&f->w, 1000, STR("baru@satu.test"));
	for (size_t i = 0; i < ROWS(recipients); i++)
		queue_writer_recipient(&f->w, recipients[i]);
	assert_true(letter_init(&f->l, &rules, recipients, ROWS(recipients)));
	field_in(f, "Received: ours\r\n", true);
	field_in(f, "A: 1\r\n", false);
	field_in(f, "B: 2\r\n folded\r\n", false);
	field_in(f, "a: 3\r\n", false);
	at = queue_writer_offset(&f->w);
	queue_writer_content(&f->w, STR("\r\nbody\r\n"));
	letter_body(&f->l, (struct queue_piece){at, 2}, (struct queue_piece){at + 2, 6});
}

static void
close_letter(struct fixture *f)
{
	letter_clear(&f->l);
	queue_writer_clear(&f->w);
}

static bool
change(struct letter *l, enum milter_change_kind kind, uint32_t index, struct str name, struct str value)
{
	const struct milter_change c = {.kind = kind, .index = index, .name = name, .value = value};
	const char *problem = NULL;
	bool ok = letter_change(l, &c, &problem);

	assert_true(ok || problem != NULL);
	return ok;
}

static void
body(struct fixture *f, struct str piece)
{
	struct buf out;
	const char *problem;

	buf_init(&out, OUT_MAX);
	assert_true(letter_body_replace(&f->l, piece, queue_writer_offset(&f->w), &out, &problem));
	queue_writer_content(&f->w, buf_str(&out));
	buf_clear(&out);
}

static void
body_end(struct fixture *f)
{
	struct buf out;

	buf_init(&out, OUT_MAX);
	letter_body_end(&f->l, &out);
	queue_writer_content(&f->w, buf_str(&out));
	buf_clear(&out);
}

/* Ends the file and reads it again: the message of its pieces, and the records of its closing. */
static void
written(struct fixture *f, struct buf *message, struct buf *closing)
{
	struct queue_reader r;
	struct queue_record record;
	struct queue_piece pieces[QUEUE_PIECES_MAX];
	struct str file, in;
	uint64_t good_end;
	size_t n = 0;
	bool behind = false;

	letter_write(&f->l, &f->w);
	assert_true(queue_writer_ok(&f->w));
	file = in = queue_writer_output(&f->w);
	queue_reader_init(&r);
	buf_reset(message);
	buf_reset(closing);
	while (queue_reader_next(&r, &in, &record) == QUEUE_READ_RECORD) {
		if (record.key == QUEUE_PIECES)
			assert_true(queue_pieces_parse(record.value, &r.head, pieces, QUEUE_PIECES_MAX, &n));
		behind = behind || record.offset >= r.head.content_end;
		if (behind && record.key != QUEUE_PIECES && record.key != QUEUE_END)
			buf_addf(closing, "%.*s=%.*s\n", STR_FMT(queue_key_name(record.key)), STR_FMT(record.value));
	}
	assert_int_equal(queue_reader_finish(&r, in, &good_end), PARSE_OK);
	for (size_t i = 0; i < n; i++)
		buf_add(message, str_sub(file, pieces[i].offset, pieces[i].length));
}

static void
assert_written(struct fixture *f, struct str message, struct str closing)
{
	struct buf m, c;

	buf_init(&m, OUT_MAX);
	buf_init(&c, OUT_MAX);
	written(f, &m, &c);
	assert_str(buf_str(&m), message);
	assert_str(buf_str(&c), closing);
	buf_clear(&m);
	buf_clear(&c);
}

#define HEAD "Received: ours\r\nA: 1\r\nB: 2\r\n folded\r\na: 3\r\n"
#define BODY "\r\nbody\r\n"

/* ---- fields ---------------------------------------------------------------------------------------------------------- */

static void
filters_see_all_fields_but_ours(void **state)
{
	struct fixture f;
	size_t position = 0;
	struct str name, value;

	(void)state;
	open_letter(&f);
	assert_true(letter_next(&f.l, &position, &name, &value));
	assert_str(name, STR("A"));
	assert_str(value, STR(" 1"));
	assert_true(letter_next(&f.l, &position, &name, &value));
	assert_str(value, STR(" 2\r\n folded"));
	assert_true(letter_next(&f.l, &position, &name, &value));
	assert_false(letter_next(&f.l, &position, &name, &value));
	close_letter(&f);
}

static void
fields_are_added_inserted_changed_and_deleted(void **state)
{
	static const struct {
		enum milter_change_kind kind;
		uint32_t index;
		struct str name, value, message;
	} rows[] = {
	    {MILTER_FIELD_ADD, 0, STR("X"), STR("y"), STR(HEAD "X: y\r\n" BODY)},
	    {MILTER_FIELD_ADD, 0, STR("X"), STR(""), STR(HEAD "X: \r\n" BODY)},
	    {MILTER_FIELD_INSERT, 0, STR("X"), STR("y"), STR("X: y\r\n" HEAD BODY)},
	    {MILTER_FIELD_INSERT, 1, STR("X"), STR("y"),
	        STR("Received: ours\r\nX: y\r\nA: 1\r\nB: 2\r\n folded\r\na: 3\r\n" BODY)},
	    {MILTER_FIELD_INSERT, 2, STR("X"), STR("y"),
	        STR("Received: ours\r\nA: 1\r\nX: y\r\nB: 2\r\n folded\r\na: 3\r\n" BODY)},
	    {MILTER_FIELD_INSERT, 4000000000, STR("X"), STR("y"), STR(HEAD "X: y\r\n" BODY)},
	    {MILTER_FIELD_CHANGE, 1, STR("A"), STR("y"),
	        STR("Received: ours\r\nA: y\r\nB: 2\r\n folded\r\na: 3\r\n" BODY)},
	    {MILTER_FIELD_CHANGE, 0, STR("a"), STR("y"),
	        STR("Received: ours\r\na: y\r\nB: 2\r\n folded\r\na: 3\r\n" BODY)},
	    {MILTER_FIELD_CHANGE, 2, STR("A"), STR("y"),
	        STR("Received: ours\r\nA: 1\r\nB: 2\r\n folded\r\nA: y\r\n" BODY)},
	    {MILTER_FIELD_CHANGE, 3, STR("A"), STR("y"), STR(HEAD "A: y\r\n" BODY)},
	    {MILTER_FIELD_CHANGE, 1, STR("b"), STR(""), STR("Received: ours\r\nA: 1\r\na: 3\r\n" BODY)},
	    {MILTER_FIELD_CHANGE, 9, STR("b"), STR(""), STR(HEAD BODY)},
	    {MILTER_FIELD_CHANGE, 1, STR("Received"), STR(""), STR(HEAD BODY)}, /* ours is not theirs */
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct fixture f;

		open_letter(&f);
		assert_true(change(&f.l, rows[i].kind, rows[i].index, rows[i].name, rows[i].value));
		assert_written(&f, rows[i].message, STR(""));
		close_letter(&f);
	}
}

static void
what_was_deleted_counts_until_the_filter_is_done(void **state)
{
	struct fixture f;
	struct letter copy;

	(void)state;
	open_letter(&f);
	assert_true(change(&f.l, MILTER_FIELD_CHANGE, 1, STR("A"), STR("")));
	assert_true(letter_copy(&copy, &f.l));
	assert_true(change(&f.l, MILTER_FIELD_CHANGE, 2, STR("A"), STR("second")));
	assert_written(&f, STR("Received: ours\r\nB: 2\r\n folded\r\nA: second\r\n" BODY), STR(""));
	close_letter(&f);

	open_letter(&f);
	letter_clear(&f.l);
	f.l = copy;
	assert_true(change(&f.l, MILTER_FIELD_CHANGE, 1, STR("A"), STR("first")));
	assert_true(change(&f.l, MILTER_FIELD_CHANGE, 2, STR("A"), STR("")));
	assert_written(&f, STR("Received: ours\r\nB: 2\r\n folded\r\nA: first\r\n" BODY), STR(""));
	close_letter(&f);
}

static void
a_field_stays_one_field_whatever_is_in_it(void **state)
{
	static const struct {
		struct str value, field;
	} rows[] = {
	    {STR("one\n two"), STR("X: one\r\n two\r\n")},
	    {STR("one\r\n\ttwo"), STR("X: one\r\n\ttwo\r\n")},
	    {STR("one\r two"), STR("X: one\r\n two\r\n")},
	    {STR("one\nEvil: yes"), STR("X: one\r\n\tEvil: yes\r\n")},
	    {STR("one\rEvil: yes"), STR("X: one\r\n\tEvil: yes\r\n")},
	    {STR("one\n\nbody"), STR("X: one\r\n\tbody\r\n")},
	    {STR("one\r\n\r\nbody"), STR("X: one\r\n\tbody\r\n")},
	    {STR("one\n \n\t\n two"), STR("X: one\r\n two\r\n")},
	    {STR("one\r\n.\r\nMAIL FROM:<>"), STR("X: one\r\n\t.\r\n\tMAIL FROM:<>\r\n")},
	    {STR("one\n"), STR("X: one\r\n")},
	    {STR("\n one"), STR("X: \r\n one\r\n")},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct fixture f;
		struct buf expected;

		buf_init(&expected, OUT_MAX);
		buf_add(&expected, rows[i].field);
		buf_adds(&expected, HEAD BODY);
		open_letter(&f);
		assert_true(change(&f.l, MILTER_FIELD_INSERT, 0, STR("X"), rows[i].value));
		assert_written(&f, buf_str(&expected), STR(""));
		close_letter(&f);
		buf_clear(&expected);
	}
}

static void
a_value_with_its_own_space_gets_no_other(void **state)
{
	const struct milter_change c = {.kind = MILTER_FIELD_INSERT, .name = STR("X"), .value = STR("\ty"), .has_space = true};
	const char *problem;
	struct fixture f;

	(void)state;
	open_letter(&f);
	assert_true(letter_change(&f.l, &c, &problem));
	assert_written(&f, STR("X:\ty\r\n" HEAD BODY), STR(""));
	close_letter(&f);
}

static void
what_is_no_field_is_refused(void **state)
{
	static char large[2000 + 65536];
	static const struct {
		struct str name, value;
	} rows[] = {
	    {STR(""), STR("x")},
	    {STR("A B"), STR("x")},
	    {STR("A:"), STR("x")},
	    {STR("A\r\nB"), STR("x")},
	    {STR("\xc3\xa4"), STR("x")},
	    {STR("A"), STR("x\0y")},
	    {STR("A"), {large, sizeof large}},
	};

	(void)state;
	memset(large, 'x', sizeof large);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct fixture f;

		open_letter(&f);
		assert_false(change(&f.l, MILTER_FIELD_ADD, 0, rows[i].name, rows[i].value));
		close_letter(&f);
	}
}

static void
a_header_in_too_many_pieces_is_written_anew(void **state)
{
	static const struct letter_rules rules = {.size_max = 1000, .header_max = 100000};
	struct fixture f;
	struct buf m, c, expected;

	(void)state;
	open_letter(&f);
	letter_clear(&f.l);
	buf_init(&m, OUT_MAX);
	buf_init(&c, OUT_MAX);
	buf_init(&expected, OUT_MAX);
	assert_true(letter_init(&f.l, &rules, recipients, ROWS(recipients)));
	for (int i = 0; i < 400; i++)
		field_in(&f, i % 2 == 0 ? "Keep: x\r\n" : "Go: y\r\n", false);
	letter_body(&f.l, (struct queue_piece){queue_writer_offset(&f.w), 2}, (struct queue_piece){0, 0});
	queue_writer_content(&f.w, STR("\r\n"));
	for (uint32_t i = 1; i <= 200; i++) {
		assert_true(change(&f.l, MILTER_FIELD_CHANGE, i, STR("Go"), STR("")));
		buf_adds(&expected, "Keep: x\r\n");
	}
	buf_adds(&expected, "\r\n");
	written(&f, &m, &c);
	assert_str(buf_str(&m), buf_str(&expected));
	buf_clear(&m);
	buf_clear(&c);
	buf_clear(&expected);
	close_letter(&f);
}

/* ---- the body ---------------------------------------------------------------------------------------------------------- */

static void
a_new_body_takes_the_place_of_the_old_in_any_pieces(void **state)
{
	static const struct {
		struct str in, out;
	} rows[] = {
	    {STR("new\r\n"), STR("new\r\n")},
	    {STR("no end"), STR("no end\r\n")},
	    {STR("a\nb\rc\r\nd"), STR("a\r\nb\r\nc\r\nd\r\n")},
	    {STR("a\r\r\nb\n\r"), STR("a\r\n\r\nb\r\n\r\n")},
	    {STR("a\n.\nMAIL FROM:<>\n"), STR("a\r\n.\r\nMAIL FROM:<>\r\n")},
	    {STR("a\r.\r\nb"), STR("a\r\n.\r\nb\r\n")},
	    {STR("\xc3\xa4"), STR("\xc3\xa4\r\n")},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		for (size_t step = 1; step <= rows[i].in.n; step++) {
			struct fixture f;
			struct buf expected;

			buf_init(&expected, OUT_MAX);
			buf_adds(&expected, HEAD "\r\n");
			buf_add(&expected, rows[i].out);
			open_letter(&f);
			for (struct str rest = rows[i].in; rest.n > 0; rest = str_skip(rest, step))
				body(&f, str_sub(rest, 0, step));
			body_end(&f);
			assert_written(&f, buf_str(&expected), f.l.has_8bit ? STR("body=8BITMIME\n") : STR(""));
			close_letter(&f);
			buf_clear(&expected);
		}
}

static void
a_body_may_be_replaced_by_nothing_and_again_by_another_filter(void **state)
{
	struct fixture f;
	struct letter copy;

	(void)state;
	open_letter(&f);
	body(&f, STR(""));
	body_end(&f);
	assert_true(letter_copy(&copy, &f.l));
	letter_clear(&f.l);
	f.l = copy;
	body(&f, STR("second"));
	body_end(&f);
	assert_written(&f, STR(HEAD "\r\nsecond\r\n"), STR(""));
	close_letter(&f);
}

static void
a_body_with_nul_or_past_its_limit_is_refused(void **state)
{
	static char large[1001];
	struct fixture f;
	struct buf out;
	const char *problem = NULL;

	(void)state;
	memset(large, 'x', sizeof large);
	buf_init(&out, OUT_MAX);
	open_letter(&f);
	assert_false(letter_body_replace(&f.l, STR("a\0b"), queue_writer_offset(&f.w), &out, &problem));
	assert_non_null(problem);
	buf_reset(&out);
	assert_false(letter_body_replace(&f.l, (struct str){large, sizeof large}, queue_writer_offset(&f.w), &out, &problem));
	close_letter(&f);
	buf_clear(&out);
}

/* ---- the envelope -------------------------------------------------------------------------------------------------------- */

static void
the_envelope_changes_in_the_closing(void **state)
{
	struct fixture f;

	(void)state;
	open_letter(&f);
	assert_true(change(&f.l, MILTER_RECIPIENT_REMOVE, 0, STR("<Lama@dua.test>"), STR_NONE));
	assert_true(change(&f.l, MILTER_RECIPIENT_REMOVE, 0, STR("nobody@dua.test"), STR_NONE));
	assert_true(change(&f.l, MILTER_RECIPIENT_ADD, 0, STR("more@satu.test"),
	    STR("NOTIFY=success,DELAY ORCPT=rfc822;a+2Bb@x.test FOO=bar")));
	assert_true(change(&f.l, MILTER_RECIPIENT_ADD, 0, STR("<root>"), STR_NONE));
	assert_true(change(&f.l, MILTER_RECIPIENT_ADD, 0, STR("<root>"), STR_NONE));
	assert_true(change(&f.l, MILTER_RECIPIENT_ADD, 0, STR("gone@satu.test"), STR_NONE));
	assert_true(change(&f.l, MILTER_RECIPIENT_REMOVE, 0, STR("gone@satu.test"), STR_NONE));
	assert_true(change(&f.l, MILTER_SENDER_CHANGE, 0, STR("<>"), STR("RET=HDRS ENVID=x+3D1")));
	assert_true(change(&f.l, MILTER_HOLD, 0, STR_NONE, STR("looks\nodd")));
	assert_false(letter_has_recipient(&f.l, 0));
	assert_true(letter_has_recipient(&f.l, 1));
	assert_written(&f, STR(HEAD BODY),
	    STR("sender=\nret=HDRS\nenvid=x=1\nhold=looks?odd\nremoved=0\nrecipient=more@satu.test\norcpt=rfc822;a+b@x.test\n"
	        "notify=success,DELAY\nrecipient=root@satu.test\n"));
	close_letter(&f);
}

static void
one_that_was_removed_may_come_back(void **state)
{
	struct fixture f;

	(void)state;
	open_letter(&f);
	for (size_t i = 0; i < ROWS(recipients); i++)
		assert_true(change(&f.l, MILTER_RECIPIENT_REMOVE, 0, recipients[i], STR_NONE));
	assert_false(letter_has_recipients(&f.l));
	assert_true(change(&f.l, MILTER_RECIPIENT_ADD, 0, recipients[1], STR_NONE));
	assert_true(letter_has_recipients(&f.l));
	assert_written(&f, STR(HEAD BODY), STR("removed=0\n"));
	close_letter(&f);
}

static void
malformed_envelopes_are_refused(void **state)
{
	static const struct {
		enum milter_change_kind kind;
		struct str name, value;
	} rows[] = {
	    {MILTER_RECIPIENT_ADD, STR("a b@x.test"), STR_NONE},
	    {MILTER_RECIPIENT_ADD, STR("<a@x.test"), STR_NONE},
	    {MILTER_RECIPIENT_ADD, STR("<a@x.test> NOTIFY=NEVER"), STR_NONE},
	    {MILTER_RECIPIENT_ADD, STR("a@x.test\r\nDATA"), STR_NONE},
	    {MILTER_RECIPIENT_ADD, STR("<>"), STR_NONE},
	    {MILTER_RECIPIENT_ADD, STR("a@x.test"), STR("NOTIFY=SOMETIMES")},
	    {MILTER_RECIPIENT_ADD, STR("a@x.test"), STR("NOTIFY=")},
	    {MILTER_RECIPIENT_ADD, STR("a@x.test"), STR("ORCPT=a@x.test")},
	    {MILTER_RECIPIENT_ADD, STR("a@x.test"), STR("ORCPT=rfc822;+0D+0A")},
	    {MILTER_SENDER_CHANGE, STR("x y"), STR_NONE},
	    {MILTER_SENDER_CHANGE, STR("a@x.test"), STR("RET=ALL")},
	    {MILTER_SENDER_CHANGE, STR("a@x.test"), STR("ENVID=+")},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct fixture f;

		open_letter(&f);
		if (change(&f.l, rows[i].kind, 0, rows[i].name, rows[i].value)) {
			print_error("row %zu was taken\n", i);
			fail();
		}
		close_letter(&f);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(filters_see_all_fields_but_ours),
	    cmocka_unit_test(fields_are_added_inserted_changed_and_deleted),
	    cmocka_unit_test(what_was_deleted_counts_until_the_filter_is_done),
	    cmocka_unit_test(a_field_stays_one_field_whatever_is_in_it),
	    cmocka_unit_test(a_value_with_its_own_space_gets_no_other),
	    cmocka_unit_test(what_is_no_field_is_refused),
	    cmocka_unit_test(a_header_in_too_many_pieces_is_written_anew),
	    cmocka_unit_test(a_new_body_takes_the_place_of_the_old_in_any_pieces),
	    cmocka_unit_test(a_body_may_be_replaced_by_nothing_and_again_by_another_filter),
	    cmocka_unit_test(a_body_with_nul_or_past_its_limit_is_refused),
	    cmocka_unit_test(the_envelope_changes_in_the_closing),
	    cmocka_unit_test(one_that_was_removed_may_come_back),
	    cmocka_unit_test(malformed_envelopes_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
