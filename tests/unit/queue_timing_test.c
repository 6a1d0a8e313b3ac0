#include "tests/unit/rows.h"

#include "queue/timing.h"

#define MINUTE 60000ULL
#define HOUR (60 * MINUTE)

static struct conf_queue
conf_make(void)
{
	static const uint64_t retries[] = {900};

	return (struct conf_queue){.expire_s = 5 * 86400, .delay_warning_s = 4 * 3600, .retry_s = {retries, 1}};
}

static void
age_counts_from_the_release(void **state)
{
	struct conf_queue conf = conf_make();
	struct envelope e = {.time_ms = 100 * HOUR};

	(void)state;
	assert_true(timing_begin_ms(&e) == 100 * HOUR);
	assert_true(timing_end_ms(&e, &conf) == 220 * HOUR);
	assert_true(timing_warn_ms(&e, &conf) == 104 * HOUR);
	e.release_ms = 150 * HOUR;
	assert_true(timing_begin_ms(&e) == 150 * HOUR);
	assert_true(timing_end_ms(&e, &conf) == 270 * HOUR);
	assert_true(timing_warn_ms(&e, &conf) == 154 * HOUR);
	e.release_ms = 50 * HOUR;
	assert_true(timing_begin_ms(&e) == 100 * HOUR);
}

static void
what_is_late_is_returned_on_time(void **state)
{
	struct conf_queue conf = conf_make();
	struct envelope e = {.time_ms = 100 * HOUR, .by = {100 * HOUR + 10 * MINUTE, 'R', false}};

	(void)state;
	assert_false(timing_is_late(&e, 100 * HOUR + 10 * MINUTE - 1));
	assert_true(timing_is_late(&e, 100 * HOUR + 10 * MINUTE));
	assert_true(timing_end_ms(&e, &conf) == 100 * HOUR + 10 * MINUTE);
	/* The try in about 15 minutes would be too late. */
	assert_true(timing_next_ms(&e, &conf, 0, 100 * HOUR, 0) == 100 * HOUR + 10 * MINUTE);
	e.by.time_ms = 400 * HOUR;
	assert_true(timing_end_ms(&e, &conf) == 220 * HOUR);
}

static void
who_asked_is_told_on_time_and_once(void **state)
{
	struct conf_queue conf = conf_make();
	struct envelope e = {.time_ms = 100 * HOUR, .by = {100 * HOUR + 10 * MINUTE, 'N', false}};

	(void)state;
	assert_false(timing_is_late(&e, 200 * HOUR));
	assert_true(timing_warn_ms(&e, &conf) == 100 * HOUR + 10 * MINUTE);
	assert_true(timing_next_ms(&e, &conf, 0, 100 * HOUR, 0) == 100 * HOUR + 10 * MINUTE);
	e.warned_ms = 100 * HOUR + 10 * MINUTE;
	assert_true(timing_warn_ms(&e, &conf) == UINT64_MAX);
	assert_true(timing_next_ms(&e, &conf, 0, 101 * HOUR, 0) > 101 * HOUR + 13 * MINUTE);
	/* The usual warning came before: it is told again. */
	e.by.time_ms = 110 * HOUR;
	e.warned_ms = 0;
	assert_true(timing_warn_ms(&e, &conf) == 104 * HOUR);
	e.warned_ms = 104 * HOUR;
	assert_true(timing_warn_ms(&e, &conf) == 110 * HOUR);
	conf.delay_warning_s = 0;
	e.warned_ms = 0;
	assert_true(timing_warn_ms(&e, &conf) == 110 * HOUR);
	e.by.mode = 0;
	assert_true(timing_warn_ms(&e, &conf) == UINT64_MAX);
}

static void
our_own_fault_is_tried_again_soon(void **state)
{
	struct conf_queue conf = conf_make();
	struct envelope e = {.time_ms = 100 * HOUR};

	(void)state;
	assert_true(timing_next_ms(&e, &conf, 30000, 100 * HOUR, 0) == 100 * HOUR + 30000);
	assert_true(timing_next_ms(&e, &conf, 0, 100 * HOUR, UINT32_MAX / 2) > 100 * HOUR + 14 * MINUTE);
}

static void
what_is_suspended_is_spread_wider(void **state)
{
	struct conf_queue conf = conf_make();
	struct envelope e = {.time_ms = 100 * HOUR, .by = {100 * HOUR + 10 * MINUTE, 'R', false}};

	(void)state;
	assert_true(timing_suspended_ms(&e, &conf, 0, 100 * HOUR, 0) == 100 * HOUR + 15 * MINUTE / 2);
	assert_true(timing_suspended_ms(&e, &conf, 0, 100 * HOUR, UINT32_MAX) == 100 * HOUR + 10 * MINUTE);
	e.by.mode = 0;
	assert_true(timing_suspended_ms(&e, &conf, 0, 100 * HOUR, UINT32_MAX) == 100 * HOUR + 15 * MINUTE * 3 / 2);
}

static void
what_found_no_room_is_as_punctual(void **state)
{
	struct conf_queue conf = conf_make();
	struct envelope e = {.time_ms = 100 * HOUR, .by = {100 * HOUR + 10 * MINUTE, 'R', false}};

	(void)state;
	assert_true(timing_again_max_ms(&e, &conf, 90 * HOUR) == 15 * MINUTE);
	assert_true(timing_again_max_ms(&e, &conf, 101 * HOUR) == 15 * MINUTE);
	assert_true(timing_again_max_ms(&e, &conf, 102 * HOUR) == 30 * MINUTE);
	assert_true(timing_again_max_ms(&e, &conf, 150 * HOUR) == HOUR);
	assert_true(timing_postponed_ms(&e, &conf, 100 * HOUR + MINUTE, 100 * HOUR) == 100 * HOUR + MINUTE);
	assert_true(timing_postponed_ms(&e, &conf, 101 * HOUR, 100 * HOUR) == 100 * HOUR + 10 * MINUTE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(age_counts_from_the_release),
	    cmocka_unit_test(what_is_late_is_returned_on_time),
	    cmocka_unit_test(who_asked_is_told_on_time_and_once),
	    cmocka_unit_test(our_own_fault_is_tried_again_soon),
	    cmocka_unit_test(what_is_suspended_is_spread_wider),
	    cmocka_unit_test(what_found_no_room_is_as_punctual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
