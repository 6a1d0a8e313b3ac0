#include "tests/unit/rows.h"

#include "queue/site_health.h"

static const uint64_t dead_s[] = {60, 120, 300};
static const struct site_limits limits = {
    .window_start = 2, .window = 20, .dead_after = 3, .dead_s = dead_s, .ndead = 3, .dead_max_ms = 200000};

static void
good(struct site_health *h, int n)
{
	for (int i = 0; i < n; i++)
		site_health_good(h, &limits, true);
}

static void
a_window_begins_small_and_grows_to_its_maximum(void **state)
{
	struct site_health h;

	(void)state;
	site_health_init(&h, &limits);
	assert_true(site_health_has_room(&h, 1) && !site_health_has_room(&h, 2));
	good(&h, 7);
	assert_true(h.window > 4 && h.window < 5);
	good(&h, 1000);
	assert_true(h.window == 20);
}

static void
it_does_not_grow_when_it_is_not_used(void **state)
{
	struct site_health h;

	(void)state;
	site_health_init(&h, &limits);
	for (int i = 0; i < 100; i++)
		site_health_good(&h, &limits, false);
	assert_true(h.window == 2);
}

/* A server that takes four connections and answers a fifth with 421. */
static void
a_ceiling_is_tried_less_and_less(void **state)
{
	struct site_health h;
	unsigned refused[2] = {0, 0};

	(void)state;
	site_health_init(&h, &limits);
	for (int i = 0; i < 20000; i++) {
		if (site_health_has_room(&h, 4)) {
			assert_false(site_health_trouble(&h, &limits, 1));
			refused[i >= 10000]++;
		} else {
			good(&h, 1);
		}
	}
	assert_true(h.window >= 4 && h.window < 5.1);
	/* One in 200 or fewer. */
	assert_true(refused[1] > 0 && refused[1] <= 50);
	assert_true(refused[0] <= 70);
}

static void
a_ceiling_that_was_wrong_is_forgotten(void **state)
{
	struct site_health h;

	(void)state;
	site_health_init(&h, &limits);
	good(&h, 50);
	(void)site_health_trouble(&h, &limits, 1);
	good(&h, 1000);
	assert_true(h.window == 20);
}

static void
a_row_of_trouble_is_death_and_the_times_grow(void **state)
{
	static const uint64_t after_ms[] = {60000, 120000, 200000, 200000};
	struct site_health h;
	uint64_t now_ms = 1000;

	(void)state;
	site_health_init(&h, &limits);
	assert_false(site_health_trouble(&h, &limits, now_ms));
	assert_false(site_health_trouble(&h, &limits, now_ms));
	assert_true(site_health_trouble(&h, &limits, now_ms));
	for (size_t i = 0; i < ROWS(after_ms); i++) {
		assert_int_equal(h.dead_until_ms, now_ms + after_ms[i]);
		assert_true(site_health_is_dead(&h, now_ms + after_ms[i] - 1));
		now_ms += after_ms[i];
		assert_false(site_health_is_dead(&h, now_ms));
		site_health_probe(&h);
		assert_true(site_health_has_room(&h, 0) && !site_health_has_room(&h, 1));
		assert_true(site_health_trouble(&h, &limits, now_ms));
	}
	/* What ran when it died changes nothing; one good ending revives it, and it is as new. */
	assert_false(site_health_trouble(&h, &limits, now_ms));
	good(&h, 1);
	assert_true(h.deaths == 0 && h.dead_until_ms == 0 && h.window >= 1);
}

static void
as_many_must_fail_as_were_open(void **state)
{
	struct site_health h;
	unsigned n = 0;

	(void)state;
	site_health_init(&h, &limits);
	good(&h, 1000);
	while (!site_health_trouble(&h, &limits, 1))
		n++;
	assert_in_range(n, 8, 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_window_begins_small_and_grows_to_its_maximum),
	    cmocka_unit_test(it_does_not_grow_when_it_is_not_used),
	    cmocka_unit_test(a_ceiling_is_tried_less_and_less),
	    cmocka_unit_test(a_ceiling_that_was_wrong_is_forgotten),
	    cmocka_unit_test(a_row_of_trouble_is_death_and_the_times_grow),
	    cmocka_unit_test(as_many_must_fail_as_were_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
