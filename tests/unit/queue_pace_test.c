#include "tests/unit/rows.h"

#include "queue/pace.h"

static void
slots_follow_each_other_at_the_pace(void **state)
{
	struct pace pace = {0};

	(void)state;
	assert_int_equal(pace_slot_ms(&pace, 200000, 0, 900000, 5000, 0), 1000);
	assert_int_equal(pace_slot_ms(&pace, 200000, 0, 900000, 5000, 0), 1200);
	assert_int_equal(pace_slot_ms(&pace, 200000, 0, 900000, 5500, 0), 1000);
	assert_int_equal(pace_slot_ms(&pace, 200000, 0, 900000, 5500, 0), 1200);
}

static void
half_of_what_waits_goes_before(void **state)
{
	struct pace pace = {0};

	(void)state;
	assert_int_equal(pace_slot_ms(&pace, 500000, 1000, 900000, 1, 0), 250000);
}

static void
what_is_too_far_ahead_is_spread(void **state)
{
	struct pace pace = {0};

	(void)state;
	assert_int_equal(pace_slot_ms(&pace, 60000000, 1000, 900000, 1, 0), 450000);
	assert_int_equal(pace_slot_ms(&pace, 60000000, 1000, 900000, 1, UINT32_MAX), 900000);
	/* Whatever was measured, nothing wraps. */
	assert_in_range(pace_slot_ms(&pace, UINT64_MAX, 100000, 900000, 1, UINT32_MAX / 2), 450000, 900000);
}

/* Ten thousand refused by a site that takes ten a second: none comes before its turn, and hardly two together. */
static void
a_heap_becomes_a_row(void **state)
{
	static unsigned seconds[2000];
	struct pace pace = {0};

	(void)state;
	for (int i = 0; i < 10000; i++)
		seconds[pace_slot_ms(&pace, 100000, 0, 2000000, 1000, 0) / 1000]++;
	for (int i = 1; i <= 1000; i++)
		assert_int_equal(seconds[i], 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(slots_follow_each_other_at_the_pace),
	    cmocka_unit_test(half_of_what_waits_goes_before),
	    cmocka_unit_test(what_is_too_far_ahead_is_spread),
	    cmocka_unit_test(a_heap_becomes_a_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
