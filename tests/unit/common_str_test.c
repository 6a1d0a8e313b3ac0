#include "tests/unit/rows.h"

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/log.h"

static void
tokens_keep_empty_parts(void **state)
{
	struct str rest = STR("a,,b,"), token;

	(void)state;
	assert_true(str_token(&rest, ',', &token));
	assert_str(token, STR("a"));
	assert_true(str_token(&rest, ',', &token));
	assert_str(token, STR(""));
	assert_true(str_token(&rest, ',', &token));
	assert_str(token, STR("b"));
	assert_true(str_token(&rest, ',', &token));
	assert_str(token, STR(""));
	assert_false(str_token(&rest, ',', &token));
}

static void
words_are_between_blanks(void **state)
{
	struct str rest = STR("  MAIL \t FROM "), word;

	(void)state;
	assert_true(str_word(&rest, &word));
	assert_str(word, STR("MAIL"));
	assert_true(str_word(&rest, &word));
	assert_str(word, STR("FROM"));
	assert_false(str_word(&rest, &word));
}

static void
numbers_are_digits_within_a_maximum(void **state)
{
	static const struct {
		struct str in;
		uint64_t max;
		bool good;
		uint64_t value;
	} rows[] = {
	    {STR("0"), 0, true, 0},
	    {STR("1"), 0, false, 0},
	    {STR("18446744073709551615"), UINT64_MAX, true, UINT64_MAX},
	    {STR("18446744073709551616"), UINT64_MAX, false, 0},
	    {STR("99"), 98, false, 0},
	    {STR(""), 9, false, 0},
	    {STR("-1"), 9, false, 0},
	    {STR("+1"), 9, false, 0},
	    {STR(" 1"), 9, false, 0},
	    {STR("1x"), 9, false, 0},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		uint64_t value = 0;

		assert_int_equal(str_to_u64(rows[i].in, rows[i].max, &value), rows[i].good);
		assert_int_equal(value, rows[i].value);
	}
}

static void
search_finds_the_first_or_says_the_length(void **state)
{
	(void)state;
	assert_int_equal(str_search(STR("a\r\nb\r\n"), STR("\r\n")), 1);
	assert_int_equal(str_search(STR("abc"), STR("x")), 3);
	assert_int_equal(str_find(STR_NONE, 'x'), 0);
	assert_int_equal(str_find_last(STR("a@b@c"), '@'), 3);
	assert_true(str_ends_nocase(STR("mail.Example.TEST"), STR(".example.test")));
	assert_str(str_trim(STR(" \t x y\r\n")), STR("x y"));
}

static void
a_full_buffer_fails_once_and_for_all(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 5);
	buf_adds(&b, "abc");
	buf_adds(&b, "def");
	assert_false(buf_ok(&b));
	buf_addc(&b, 'x');
	assert_str(buf_str(&b), STR("abc"));
	buf_reset(&b);
	buf_addf(&b, "%d%s", 12, "345");
	assert_true(buf_ok(&b));
	buf_consume(&b, 2);
	assert_str(buf_str(&b), STR("345"));
	buf_clear(&b);
}

static void
an_arena_at_its_limit_gives_null_until_reset(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, 64);
	assert_non_null(arena_alloc(&a, 40));
	assert_null(arena_alloc(&a, 40));
	assert_true(a.failed);
	arena_reset(&a);
	assert_false(a.failed);
	assert_str(arena_printf(&a, "%s-%d", "ab", 7), STR("ab-7"));
	assert_null(arena_alloc(&a, SIZE_MAX));
	arena_clear(&a);
}

static void
the_log_escapes_what_could_forge_a_line(void **state)
{
	static const struct {
		struct str in;
		const char *out;
	} rows[] = {
	    {STR("plain text"), "plain text"},
	    {STR("a\nb"), "a\\012b"},
	    {STR("\x1b[31m\x7f"), "\\033[31m\\177"},
	    {STR("nul\0x"), "nul\\000x"},
	    {STR("\xc3\xa9"), "\xc3\xa9"},
	    {STR("\xc3"), "\\303"},
	    {STR("\xc0\xaf"), "\\300\\257"},
	    {STR("\xc2\x85"), "\\302\\205"},
	    {STR("\xed\xa0\x80"), "\\355\\240\\200"},
	};
	char line[64];

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		assert_int_equal(log_escape(line, sizeof line, rows[i].in), strlen(rows[i].out));
		assert_string_equal(line, rows[i].out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(tokens_keep_empty_parts),
	    cmocka_unit_test(words_are_between_blanks),
	    cmocka_unit_test(numbers_are_digits_within_a_maximum),
	    cmocka_unit_test(search_finds_the_first_or_says_the_length),
	    cmocka_unit_test(a_full_buffer_fails_once_and_for_all),
	    cmocka_unit_test(an_arena_at_its_limit_gives_null_until_reset),
	    cmocka_unit_test(the_log_escapes_what_could_forge_a_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
