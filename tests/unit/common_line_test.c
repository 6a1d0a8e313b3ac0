#include "tests/unit/rows.h"

#include "common/base/line.h"

#define MAX 8

static const struct {
	struct str in;
	enum line what;
	struct str line;
} rows[] = {
    {STR(""), LINE_MORE, STR("")},
    {STR("\r\n"), LINE_WHOLE, STR("")},
    {STR("abc\r\n"), LINE_WHOLE, STR("abc")},
    {STR("a\tb\x01\xff\r\n"), LINE_WHOLE, STR("a\tb\x01\xff")},
    {STR("abcdef\r\n"), LINE_WHOLE, STR("abcdef")},
    {STR("abcdefg\r\n"), LINE_TOO_LONG, STR("")},
    {STR("abcdefgh"), LINE_TOO_LONG, STR("")},
    {STR("abcdefg"), LINE_MORE, STR("")},
    {STR("abcdefg\r"), LINE_TOO_LONG, STR("")},
    {STR("abc\r"), LINE_MORE, STR("")},
    {STR("abc\n"), LINE_BARE_LF, STR("")},
    {STR("\n"), LINE_BARE_LF, STR("")},
    {STR("abc\rd"), LINE_BARE_CR, STR("")},
    {STR("abc\r\r\n"), LINE_BARE_CR, STR("")},
    {STR("ab\0c\r\n"), LINE_NUL, STR("")},
    {STR("ab\r\0\n"), LINE_BARE_CR, STR("")},
    {STR("ab\n\r\n"), LINE_BARE_LF, STR("")},
    {STR("abcdefgh\n"), LINE_TOO_LONG, STR("")},
};

static void
a_line_ends_in_crlf_only(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct line_lexer lexer = {0};
		struct str line = STR("");

		assert_int_equal(line_next(&lexer, rows[i].in, MAX, &line), rows[i].what);
		assert_str(line, rows[i].line);
		if (rows[i].what != LINE_MORE)
			assert_int_equal(lexer.scanned, 0);
	}
}

static void
pieces_give_the_same_as_the_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		for (size_t cut = 0; cut <= rows[i].in.n; cut++) {
			struct line_lexer lexer = {0};
			struct str line = STR("");
			enum line what = line_next(&lexer, str_sub(rows[i].in, 0, cut), MAX, &line);

			for (size_t n = cut + 1; what == LINE_MORE && n <= rows[i].in.n; n++)
				what = line_next(&lexer, str_sub(rows[i].in, 0, n), MAX, &line);
			assert_int_equal(what, rows[i].what);
			assert_str(line, rows[i].line);
		}
	}
}

static void
the_rest_of_a_long_line_is_skipped_up_to_its_true_end(void **state)
{
	static const struct {
		struct str in;
		enum line what;
		size_t taken;
	} skips[] = {
	    {STR("xxxx"), LINE_MORE, 4},
	    {STR("xxxx\r"), LINE_MORE, 4},
	    {STR("xxxx\r\nNOOP\r\n"), LINE_WHOLE, 6},
	    {STR("xx\nNOOP"), LINE_BARE_LF, 0},
	    {STR("xx\rNOOP"), LINE_BARE_CR, 0},
	    {STR(""), LINE_MORE, 0},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(skips); i++) {
		struct line_lexer lexer = {0};
		size_t taken;

		assert_int_equal(line_skip(&lexer, skips[i].in, &taken), skips[i].what);
		assert_int_equal(taken, skips[i].taken);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_line_ends_in_crlf_only),
	    cmocka_unit_test(pieces_give_the_same_as_the_whole),
	    cmocka_unit_test(the_rest_of_a_long_line_is_skipped_up_to_its_true_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
