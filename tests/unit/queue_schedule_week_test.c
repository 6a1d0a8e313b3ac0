#include "tests/unit/rows.h"

#include "tests/simulation/schedule_week.h"

/* Two days instead of seven, and all of it smaller; `make bench BENCH=schedule` plays the whole week. */
static struct week_figures f;

static int
play(void **state)
{
	static const struct week_setup setup = {.days = 2, .letters = 60000, .contended = 1200, .dead_burst = 3000, .limited_burst = 2000,
	    .recipients = 20000, .down_hours = 4, .active_limit = 2000, .workers = 250, .seed = 88172645463325252ULL};

	(void)state;
	week_run(&setup, &f);
	return 0;
}

static void
a_letter_to_a_healthy_site_never_waits(void **state)
{
	(void)state;
	assert_in_range(f.healthy, 40000, 60000);
	assert_true(f.healthy_mean_s < 0.1);
	assert_true(f.healthy_worst_s < 5);
	assert_true(f.behind_list_worst_s < 2);
}

static void
what_a_standstill_has_heaped_up_starves_nobody(void **state)
{
	(void)state;
	assert_true(f.due_at_once > 3000);
	assert_true(f.after_down_worst_s < 5);
}

static void
senders_have_equal_parts_of_a_slow_site(void **state)
{
	(void)state;
	assert_true(f.jain > 0.9);
	assert_true(f.greatest_part < 0.25);
}

static void
windows_find_what_a_site_takes(void **state)
{
	(void)state;
	assert_true(f.limit_window >= 2 && f.limit_window < WEEK_LIMIT + 2);
	assert_true(f.limit_refused < 0.02);
	assert_true(f.slow_window > 19);
}

static void
retries_do_not_come_in_waves(void **state)
{
	(void)state;
	assert_true(f.wave > 0 && f.wave < 0.15);
}

static void
a_dead_site_costs_few_tries_and_comes_back(void **state)
{
	(void)state;
	/* A day and a half, ten minutes each, and the first ones. */
	assert_in_range(f.dead_tries, 100, 4000);
	assert_true(f.dead_revived_s > 0 && f.dead_revived_s < 1800);
}

static void
what_waits_in_memory_is_bounded(void **state)
{
	(void)state;
	assert_true(f.peak_active <= 2000);
	assert_true(f.postponed > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_letter_to_a_healthy_site_never_waits),
	    cmocka_unit_test(what_a_standstill_has_heaped_up_starves_nobody),
	    cmocka_unit_test(senders_have_equal_parts_of_a_slow_site),
	    cmocka_unit_test(windows_find_what_a_site_takes),
	    cmocka_unit_test(retries_do_not_come_in_waves),
	    cmocka_unit_test(a_dead_site_costs_few_tries_and_comes_back),
	    cmocka_unit_test(what_waits_in_memory_is_bounded),
	};

	return cmocka_run_group_tests(tests, play, NULL);
}
