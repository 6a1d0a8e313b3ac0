#include "tests/unit/rows.h"

#include "imapd/view.h"

static const char *
keyword_name(const void *context, unsigned i)
{
	(void)context;
	return i == 0 ? "kata" : NULL;
}

/* A mailbox in a word: "1 2S 3R!" is three messages, 2 seen, 3 answered and recent. */
static size_t
make_records(struct mailbox_record *records, const char *text)
{
	struct str rest = str_from(text), word;
	size_t n = 0;

	while (str_word(&rest, &word)) {
		records[n] = (struct mailbox_record){.uid = 0};
		for (size_t i = 0; i < word.n; i++) {
			if (ascii_is_digit(word.p[i]))
				records[n].uid = records[n].uid * 10 + (uint32_t)(word.p[i] - '0');
			else if (word.p[i] == '!')
				records[n].recent = true;
			else if (word.p[i] == 'k')
				records[n].keywords = 1;
			else
				records[n].flags |= word.p[i] == 'S' ? MAILDIR_SEEN : MAILDIR_REPLIED;
		}
		n++;
	}
	return n;
}

static struct view_source
source_of(struct mailbox_record *records, const char *text)
{
	return (struct view_source){
	    .records = records, .n = make_records(records, text), .keyword_name = keyword_name};
}

static void
what_changed_is_said_once(void **state)
{
	static const struct {
		const char *before, *after;
		enum view_manner manner;
		const char *said, *said_later; /* said_later: with EXPUNGE, on the next occasion */
	} rows[] = {
	    {"", "", VIEW_EXPUNGE, "", ""},
	    {"1 2 3", "1 2 3", VIEW_EXPUNGE, "", ""},
	    {"", "1 2", VIEW_EXPUNGE, "* 2 EXISTS\r\n", ""},
	    {"1", "1 2! 3!", 0, "* 3 EXISTS\r\n* 2 RECENT\r\n", ""},
	    {"1 2 3", "1 2S 3kR", 0,
		"* 2 FETCH (FLAGS (\\Seen))\r\n* 3 FETCH (FLAGS (\\Answered kata))\r\n", ""},
	    {"1 20", "1 20S", VIEW_WITH_UID, "* 2 FETCH (UID 20 FLAGS (\\Seen))\r\n", ""},
	    {"1 2 3 4", "2S 4", VIEW_EXPUNGE, "* 1 EXPUNGE\r\n* 1 FETCH (FLAGS (\\Seen))\r\n* 2 EXPUNGE\r\n", ""},
	    {"1 2 3 4", "2S 4", 0, "* 2 FETCH (FLAGS (\\Seen))\r\n", "* 1 EXPUNGE\r\n* 2 EXPUNGE\r\n"},
	    {"1 2", "3", 0, "* 3 EXISTS\r\n", "* 1 EXPUNGE\r\n* 1 EXPUNGE\r\n"},
	    {"1 2", "3", VIEW_EXPUNGE, "* 1 EXPUNGE\r\n* 1 EXPUNGE\r\n* 1 EXISTS\r\n", ""},
	    {"1! 2!", "2!", VIEW_EXPUNGE, "* 1 EXPUNGE\r\n", ""},
	    /* What appears below a known UID waits for the next SELECT. */
	    {"5", "4 5", VIEW_EXPUNGE, "", ""},
	};
	struct mailbox_record records[8];
	struct buf out;

	(void)state;
	buf_init(&out, 10000);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct view_source source = source_of(records, rows[i].before);
		struct view view;

		assert_true(view_open(&view, &source));
		source = source_of(records, rows[i].after);
		assert_true(view_sync(&view, &source, rows[i].manner, &out, 10000));
		assert_str(buf_str(&out), str_from(rows[i].said));
		buf_reset(&out);
		assert_true(view_sync(&view, &source, VIEW_EXPUNGE, &out, 10000));
		assert_str(buf_str(&out), str_from(rows[i].said_later));
		buf_reset(&out);
		assert_true(view_sync(&view, &source, VIEW_EXPUNGE, &out, 10000));
		assert_str(buf_str(&out), STR(""));
		assert_int_equal(view.gone, 0);
		view_close(&view);
	}
	buf_clear(&out);
}

/* The client takes a few bytes at a time: in the end it has heard the same. */
static void
what_does_not_fit_is_said_later(void **state)
{
	struct mailbox_record records[8];
	struct view_source source = source_of(records, "1 2 3 4 5 6");
	struct buf out, all;
	struct view view;
	bool done;

	(void)state;
	buf_init(&out, 10000);
	buf_init(&all, 10000);
	assert_true(view_open(&view, &source));
	source = source_of(records, "2S 4S 6S 7");
	do {
		done = view_sync(&view, &source, VIEW_EXPUNGE, &out, 0);
		buf_add(&all, buf_str(&out));
		buf_reset(&out);
	} while (!done);
	assert_str(buf_str(&all), STR("* 1 EXPUNGE\r\n* 1 FETCH (FLAGS (\\Seen))\r\n* 2 EXPUNGE\r\n"
				      "* 2 FETCH (FLAGS (\\Seen))\r\n* 3 EXPUNGE\r\n* 3 FETCH (FLAGS (\\Seen))\r\n"
				      "* 4 EXISTS\r\n"));
	view_close(&view);
	buf_clear(&out);
	buf_clear(&all);
}

static void
entries_are_found_by_uid_and_by_number(void **state)
{
	struct mailbox_record records[8];
	struct view_source source = source_of(records, "3 5 9");
	struct view view;

	(void)state;
	assert_true(view_open(&view, &source));
	assert_int_equal(view_sequence(&view, view_find(&view, 5)), 2);
	assert_null(view_find(&view, 4));
	assert_null(view_find(&view, 10));
	assert_int_equal(view_at(&view, 3)->uid, 9);
	assert_null(view_at(&view, 0));
	assert_null(view_at(&view, 4));
	assert_int_equal(view_last_uid(&view), 9);
	view_close(&view);
	assert_int_equal(view_last_uid(&view), 0);
}

/* What one connection has taken as recent is not so for the next. */
static void
a_message_is_recent_once(void **state)
{
	struct mailbox_record records[8];
	struct view_source source = source_of(records, "1! 2!");
	struct view view;

	(void)state;
	source.recent_above = 1;
	assert_true(view_open(&view, &source));
	assert_int_equal(view.recent, 1);
	assert_false(view_at(&view, 1)->recent);
	assert_true(view_at(&view, 2)->recent);
	view_close(&view);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_changed_is_said_once),
	    cmocka_unit_test(what_does_not_fit_is_said_later),
	    cmocka_unit_test(entries_are_found_by_uid_and_by_number),
	    cmocka_unit_test(a_message_is_recent_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
