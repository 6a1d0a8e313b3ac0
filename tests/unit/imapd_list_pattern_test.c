#include "tests/unit/rows.h"

#include "common/base/buf.h"
#include "imapd/list_pattern.h"

static void
patterns_match_as_rfc_3501_says(void **state)
{
	static const struct {
		struct str reference, mailbox, name;
		bool match;
	} rows[] = {
	    {STR(""), STR("*"), STR("INBOX"), true},
	    {STR(""), STR("*"), STR("a/b/c"), true},
	    {STR(""), STR("%"), STR("a"), true},
	    {STR(""), STR("%"), STR("a/b"), false},
	    {STR(""), STR("%/%"), STR("a/b"), true},
	    {STR(""), STR("%/%"), STR("a/b/c"), false},
	    {STR("a/"), STR("%"), STR("a/b"), true},
	    {STR("a"), STR("/b"), STR("a/b"), true},
	    {STR("a/"), STR("b"), STR("a/bc"), false},
	    {STR(""), STR("inbox"), STR("INBOX"), true},
	    {STR(""), STR("InB%"), STR("INBOX"), true},
	    {STR(""), STR("inbox/x"), STR("INBOX/x"), true},
	    {STR(""), STR("inbox/X"), STR("INBOX/x"), false},
	    {STR(""), STR("sent"), STR("Sent"), false},
	    {STR(""), STR("a*c"), STR("abbc"), true},
	    {STR(""), STR("a*c"), STR("abbcd"), false},
	    {STR(""), STR("a%c"), STR("ac"), true},
	    {STR(""), STR("a%c"), STR("a/c"), false},
	    {STR(""), STR("*%*"), STR("a/b"), true},
	    {STR(""), STR("%%"), STR("a/b"), false},
	    {STR("%"), STR("*"), STR("a/b"), true},
	    {STR(""), STR(""), STR(""), true},
	    {STR(""), STR("%"), STR(""), true},
	    {STR(""), STR("a"), STR(""), false},
	};
	struct arena arena;

	(void)state;
	arena_init(&arena, 65536);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct str pattern = list_pattern_make(&arena, rows[i].reference, rows[i].mailbox);

		assert_non_null(pattern.p);
		assert_int_equal(list_pattern_matches(pattern, rows[i].name), rows[i].match);
	}
	arena_clear(&arena);
}

static void
a_pattern_full_of_stars_takes_no_longer(void **state)
{
	struct arena arena;
	struct buf pattern, name;

	(void)state;
	arena_init(&arena, 65536);
	buf_init(&pattern, LIST_PATTERN_MAX + 1);
	buf_init(&name, 1000);
	for (int i = 0; i < LIST_PATTERN_MAX / 2; i++)
		buf_adds(&pattern, "a*");
	for (int i = 0; i < 1000; i++)
		buf_addc(&name, 'a');
	assert_true(list_pattern_matches(list_pattern_make(&arena, STR(""), buf_str(&pattern)), buf_str(&name)));
	buf_truncate(&pattern, pattern.n - 1);
	buf_addc(&pattern, 'b');
	for (int i = 0; i < 100; i++)
		assert_false(list_pattern_matches(list_pattern_make(&arena, STR(""), buf_str(&pattern)), buf_str(&name)));
	buf_addc(&pattern, 'b');
	assert_null(list_pattern_make(&arena, STR(""), buf_str(&pattern)).p);
	buf_clear(&pattern);
	buf_clear(&name);
	arena_clear(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(patterns_match_as_rfc_3501_says),
	    cmocka_unit_test(a_pattern_full_of_stars_takes_no_longer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
