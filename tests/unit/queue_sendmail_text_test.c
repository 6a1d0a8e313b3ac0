#include "tests/unit/rows.h"

#include "queue/sendmail_text.h"

static void
lines_leave_as_crlf_and_a_lone_dot_ends(void **state)
{
	static const struct {
		struct str in;
		bool ignore_dots;
		struct str out;
	} rows[] = {
	    {STR(""), false, STR("")},
	    {STR("a\nb\n"), false, STR("a\r\nb\r\n")},
	    {STR("a\r\nb\r\n"), false, STR("a\r\nb\r\n")},
	    {STR("a\nb"), false, STR("a\r\nb\r\n")},
	    {STR("a\rb\n"), false, STR("a\r\nb\r\n")},
	    {STR("\n\n\r\r\n"), false, STR("\r\n\r\n\r\n\r\n")},
	    {STR("a\n.\nb\n"), false, STR("a\r\n")},
	    {STR("a\r\n.\r\nb\r\n"), false, STR("a\r\n")},
	    {STR("a\n."), false, STR("a\r\n")},
	    {STR("a\n.\nb\n"), true, STR("a\r\n.\r\nb\r\n")},
	    {STR("a\n."), true, STR("a\r\n.\r\n")},
	    {STR("..\n.x\nx.\n. \n"), false, STR("..\r\n.x\r\nx.\r\n. \r\n")},
	    {STR("nul\0\xff\n"), false, STR("nul\0\xff\r\n")},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		for (size_t step = 1; step <= rows[i].in.n + 1; step++) {
			struct sendmail_lines lines = {.ignore_dots = rows[i].ignore_dots};
			struct buf out;

			buf_init(&out, 4096);
			for (size_t at = 0; at < rows[i].in.n; at += step)
				sendmail_lines_feed(&lines, str_sub(rows[i].in, at, step), &out);
			sendmail_lines_end(&lines, &out);
			assert_str(buf_str(&out), rows[i].out);
			buf_clear(&out);
		}
}

static void
the_header_is_completed_and_asked_for_recipients(void **state)
{
	static const struct {
		bool takes;
		struct str in, out;
		const char *recipients;
	} rows[] = {
	    {false, STR("Subject: x\r\nFrom: a@b.test\r\n\r\n"), STR("Subject: x\r\nFrom: a@b.test\r\n\r\n"), ""},
	    {false, STR("Subject: x\r\n\r\n"), STR("Subject: x\r\nFrom: \"B. A.\" <baru@satu.test>\r\n\r\n"), ""},
	    {false, STR("no header\r\nat all\r\n"),
	        STR("From: \"B. A.\" <baru@satu.test>\r\n\r\nno header\r\nat all\r\n"), ""},
	    {false, STR(""), STR("From: \"B. A.\" <baru@satu.test>\r\n\r\n"), ""},
	    {false, STR("From baru Mon Jan 1\r\nFrom: x@y.test\r\n\r\n"), STR("From: x@y.test\r\n\r\n"), ""},
	    {true, STR("From: x@y.test\r\nTo: lama, \"T, M\" <tua@dua.test>\r\nBcc: diam@dua.test,\r\n lain\r\nCc: z@y.test\r\n\r\n"),
	        STR("From: x@y.test\r\nTo: lama, \"T, M\" <tua@dua.test>\r\nCc: z@y.test\r\n\r\n"),
	        "lama@satu.test tua@dua.test diam@dua.test lain@satu.test z@y.test "},
	    {true, STR("From: x@y.test\r\nTo: nobody@dua.test\r\nResent-To: lama@dua.test\r\n\r\n"),
	        STR("From: x@y.test\r\nTo: nobody@dua.test\r\nResent-To: lama@dua.test\r\n\r\n"), "lama@dua.test "},
	    {false, STR("From: x@y.test\r\nBcc: a@b.test\r\n\r\n"), STR("From: x@y.test\r\nBcc: a@b.test\r\n\r\n"), ""},
	    {true, STR("From: x@y.test\r\nTo: friends: a@b.test, c@d.test;\r\n\r\n"),
	        STR("From: x@y.test\r\nTo: friends: a@b.test, c@d.test;\r\n\r\n"), "a@b.test c@d.test "},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct sendmail_header_rules rules = {.takes_recipients = rows[i].takes, .from = STR("baru@satu.test"),
		    .full_name = STR("B. A."), .domain = STR("satu.test")};
		struct sendmail_recipients r = {.list = NULL};
		struct arena arena;
		struct buf out, all;

		arena_init(&arena, 65536);
		buf_init(&out, 4096);
		buf_init(&all, 4096);
		assert_true(sendmail_header(&rules, rows[i].in, &arena, &r, &out));
		assert_str(buf_str(&out), rows[i].out);
		for (size_t k = 0; k < r.n; k++)
			buf_addf(&all, "%.*s ", STR_FMT(r.list[k]));
		assert_str(buf_str(&all), str_from(rows[i].recipients));
		buf_clear(&out);
		buf_clear(&all);
		sendmail_recipients_clear(&r);
		arena_clear(&arena);
	}
}

static void
where_the_header_ends_shows_as_soon_as_it_can(void **state)
{
	static const struct {
		struct str in;
		bool ends;
		size_t n;
	} rows[] = {
	    {STR(""), false, 0},
	    {STR("\r\n"), true, 2},
	    {STR("\r"), false, 1},
	    {STR("A: b\r\n\r\nbody"), true, 8},
	    {STR("A: b\r\n c\r\n\td: e\r\n\r\n"), true, 19},
	    {STR("A: b\r\n"), false, 6},
	    {STR("A: b\r\nB"), false, 7},
	    {STR("A: b\r\nB :c\r\n\r\n"), true, 14},
	    {STR("A: b\r\nno field\r\n\r\n"), true, 6},
	    {STR("no field"), true, 0},
	    {STR(" folded at once\r\n"), true, 0},
	    {STR(": x\r\n"), true, 0},
	    {STR("From baru Mon Jan 1\r\nA: b\r\n\r\n"), true, 29},
	    {STR("From baru Mon Jan 1"), false, 19},
	    {STR("\x01\x02"), true, 0},
	};
	char wide[SENDMAIL_FIELD_NAME_MAX + 1];
	size_t n;

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		assert_int_equal(sendmail_header_ends(rows[i].in, &n), rows[i].ends);
		assert_int_equal(n, rows[i].n);
	}
	memset(wide, 'x', sizeof wide);
	assert_false(sendmail_header_ends((struct str){wide, sizeof wide - 1}, &n));
	assert_true(sendmail_header_ends((struct str){wide, sizeof wide}, &n));
	assert_int_equal(n, 0);
}

static void
what_is_no_address_is_counted(void **state)
{
	struct sendmail_recipients r = {.list = NULL};
	struct arena arena;

	(void)state;
	arena_init(&arena, 65536);
	assert_true(sendmail_recipients_add(&r, &arena, STR("a@b.test, Name <c@d.test>, x@bad..domain, e@f.test"), STR("s.test")));
	assert_str(r.list[0], STR("a@b.test"));
	assert_str(r.list[1], STR("c@d.test"));
	assert_true(r.bad >= 1);
	sendmail_recipients_clear(&r);
	arena_clear(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lines_leave_as_crlf_and_a_lone_dot_ends),
	    cmocka_unit_test(the_header_is_completed_and_asked_for_recipients),
	    cmocka_unit_test(where_the_header_ends_shows_as_soon_as_it_can),
	    cmocka_unit_test(what_is_no_address_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
