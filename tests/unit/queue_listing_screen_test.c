#include "tests/unit/rows.h"

#include "queue/listing_screen.h"

static void
a_picture_goes_over_the_one_before(void **state)
{
	static const struct {
		const char *text;
		size_t lines, columns;
		const char *picture;
	} rows[] = {
	    {"", 24, 80, "\033[H\033[K\033[J"},
	    {"one\ntwo\n", 24, 80, "\033[Hone\033[K\ntwo\033[K\n\033[K\033[J"},
	    {"one\ntwo\nthree", 2, 80, "\033[Hone\033[K\ntwo\033[K\033[J"},
	    {"abcdef", 24, 3, "\033[Habc\033[K\033[J"},
	    {"\033[1mabcdef\033[0m", 24, 3, "\033[H\033[1mabc\033[0m\033[K\033[J"},
	    {"a\033[33mb\033[0mcdef\033[0m", 24, 2, "\033[Ha\033[33mb\033[0m\033[0m\033[K\033[J"},
	    {"\xc3\xa4\xc3\xb6\xc3\xbc", 24, 2, "\033[H\xc3\xa4\xc3\xb6\033[K\033[J"},
	    {"ab\033[", 24, 80, "\033[Hab\033[\033[K\033[J"},
	};
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	for (size_t i = 0; i < ROWS(rows); i++) {
		buf_reset(&b);
		listing_screen_draw(&b, str_from(rows[i].text), rows[i].lines, rows[i].columns);
		assert_str(buf_str(&b), str_from(rows[i].picture));
	}
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_picture_goes_over_the_one_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
