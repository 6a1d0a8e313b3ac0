#include "tests/unit/rows.h"

#include "queue/clock_watch.h"

static void
only_a_leap_is_told_and_only_once(void **state)
{
	static const struct {
		uint64_t wall_ms, steady_ms;
		int64_t leap_s;
	} rows[] = {
	    {1700000000000, 5000, 0},			       /* the first look tells nothing */
	    {1700000005000, 10000, 0},			       /* both go on */
	    {1700000005000 + 86400000, 10000, 86400},	       /* a day forth */
	    {1700000010000 + 86400000, 15000, 0},	       /* and on */
	    {1700000020000, 25000, -86400},		       /* back */
	    {1700000020000 + 7200000, 25000 + 7200000, 0},     /* the machine slept */
	    {1700000020000 + 7259000, 25000 + 7200000, 0},     /* less than a minute is no leap */
	    {1700000020000 + 7259000 + 60000, 25000 + 7200000, 60},
	    {1000, 25000 + 7201000, -1700007339},	       /* a clock that lost its battery */
	};
	struct clock_watch watch = {0, 0};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_int_equal(clock_watch_leap_s(&watch, rows[i].wall_ms, rows[i].steady_ms), rows[i].leap_s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(only_a_leap_is_told_and_only_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
