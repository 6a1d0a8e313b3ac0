#include "tests/unit/rows.h"

#include "auth/penalty.h"

static struct penalty penalty;

static void
wrong(const char *client, const char *password, uint64_t now_ms)
{
	penalty_wrong(&penalty, str_from(client), STR("baru"), str_from(password), now_ms);
}

/* How long an attempt waits, or -1 when it is refused. */
static int64_t
waits(const char *client, uint64_t now_ms)
{
	uint64_t wait_ms;

	return penalty_begin(&penalty, str_from(client), now_ms, &wait_ms) ? (int64_t)wait_ms : -1;
}

static void
the_wait_doubles_with_each_guess_up_to_the_maximum(void **state)
{
	static const int64_t expected[] = {0, 1000, 2000, 4000, 8000, 15000, 15000, 15000};
	uint64_t now_ms = 1000000;
	char password[20];

	(void)state;
	penalty_init(&penalty, 1000, 15000);
	for (size_t i = 0; i < ROWS(expected); i++) {
		int64_t wait_ms = waits("10.0.0.1", now_ms);

		assert_int_equal(wait_ms, expected[i]);
		now_ms += (uint64_t)wait_ms;
		(void)snprintf(password, sizeof password, "guess %zu", i);
		wrong("10.0.0.1", password, now_ms);
	}
	assert_int_equal(waits("10.0.0.2", now_ms), 0);
}

static void
who_waits_by_himself_waits_no_longer(void **state)
{
	(void)state;
	penalty_init(&penalty, 1000, 15000);
	wrong("a", "1", 0);
	wrong("a", "2", 1000);
	assert_int_equal(waits("a", 2500), 500);
	assert_int_equal(waits("a", 10000), 0);
}

static void
attempts_side_by_side_queue_up_and_are_then_refused(void **state)
{
	(void)state;
	penalty_init(&penalty, 1000, 4000);
	for (int i = 0; i < 4; i++) {
		char password[2] = {(char)('a' + i), '\0'};

		wrong("a", password, 0);
	}
	assert_int_equal(waits("a", 0), 4000);
	assert_int_equal(waits("a", 0), 8000);
	assert_int_equal(waits("a", 0), -1);
	assert_int_equal(waits("a", 4000), 8000);
}

static void
a_quiet_time_is_forgiven(void **state)
{
	(void)state;
	penalty_init(&penalty, 1000, 15000);
	wrong("a", "1", 0);
	wrong("a", "2", 0);
	wrong("a", "3", 0); /* 4 s */
	assert_int_equal(waits("a", 60000), 0);
	wrong("a", "4", 60000); /* two were left, so three again */
	assert_int_equal(waits("a", 60000), 4000);
	assert_int_equal(waits("a", 60000 + 600000), 0);
	wrong("a", "5", 660000);
	assert_int_equal(waits("a", 660000), 1000);
}

static void
the_same_wrong_password_again_is_no_further_guess(void **state)
{
	(void)state;
	penalty_init(&penalty, 1000, 15000);
	for (int i = 0; i < 10; i++)
		wrong("a", "old", 0);
	assert_int_equal(waits("a", 0), 1000);
	penalty_wrong(&penalty, STR("a"), STR("lama"), STR("old"), 0);
	assert_int_equal(waits("a", 1000), 1000);
}

static void
an_ipv6_network_counts_as_one(void **state)
{
	(void)state;
	penalty_init(&penalty, 1000, 15000);
	wrong("2001:db8:1:2:3:4:5:6", "1", 0);
	assert_int_equal(waits("2001:db8:1:2::1", 0), 1000);
	assert_int_equal(waits("2001:db8:1:3::1", 0), 0);
	wrong("::ffff:10.0.0.1", "1", 0);
	assert_int_equal(waits("::ffff:10.0.0.2", 0), 0);
}

static void
without_a_base_nobody_waits(void **state)
{
	(void)state;
	penalty_init(&penalty, 0, 0);
	for (int i = 0; i < 10; i++) {
		char password[2] = {(char)('a' + i), '\0'};

		wrong("a", password, 0);
		assert_int_equal(waits("a", 0), 0);
	}
}

static void
strangers_in_masses_displace_the_quiet_ones_only(void **state)
{
	char client[40];

	(void)state;
	penalty_init(&penalty, 1000, 15000);
	for (int i = 0; i < 100000; i++) {
		(void)snprintf(client, sizeof client, "10.%d.%d.%d", i >> 16, i >> 8 & 255, i & 255);
		wrong(client, "x", (uint64_t)i);
	}
	assert_int_equal(waits(client, 100000), 999);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_wait_doubles_with_each_guess_up_to_the_maximum),
	    cmocka_unit_test(who_waits_by_himself_waits_no_longer),
	    cmocka_unit_test(attempts_side_by_side_queue_up_and_are_then_refused),
	    cmocka_unit_test(a_quiet_time_is_forgiven),
	    cmocka_unit_test(the_same_wrong_password_again_is_no_further_guess),
	    cmocka_unit_test(an_ipv6_network_counts_as_one),
	    cmocka_unit_test(without_a_base_nobody_waits),
	    cmocka_unit_test(strangers_in_masses_displace_the_quiet_ones_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
