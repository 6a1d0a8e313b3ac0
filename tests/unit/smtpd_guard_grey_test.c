#include "tests/unit/rows.h"

#include <arpa/inet.h>

#include "smtpd/guard_grey.h"

#define MINUTE 60000ULL
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define START 1700000000000ULL
#define SETS 64

static const struct guard_grey_rules rules = {
    .delay_ms = 5 * MINUTE, .window_ms = 2 * DAY, .lifetime_ms = 35 * DAY, .allow_after = 3};
static const struct siphash_key key = {1, 2};
static struct guard_grey_record records[SETS * GUARD_TABLE_WAYS];
static const struct guard_table table = {(unsigned char *)records, sizeof records[0], SETS};
static const struct guard_grey grey = {&rules, &table, &key};

/* 0: accepted; else in how many ms it will be. */
static uint64_t
waits(const char *address, const char *sender, const char *recipient, uint64_t now_ms)
{
	unsigned char bytes[16];
	bool v4 = inet_pton(AF_INET, address, bytes) == 1;
	const struct guard_triplet triplet = {{(const char *)bytes, v4 ? 4 : 16}, str_from(sender), str_from(recipient)};
	uint64_t until_ms = 0;

	if (!v4)
		assert_int_equal(inet_pton(AF_INET6, address, bytes), 1);
	if (guard_grey_ask(&grey, &triplet, now_ms, &until_ms))
		return 0;
	assert_true(until_ms > now_ms);
	return until_ms - now_ms;
}

static int
forget(void **state)
{
	(void)state;
	memset(records, 0, sizeof records);
	return 0;
}

static void
the_second_attempt_is_taken_after_the_delay(void **state)
{
	(void)state;
	assert_int_equal(waits("192.0.2.1", "a@b", "c@d", START), 5 * MINUTE);
	assert_int_equal(waits("192.0.2.1", "a@b", "c@d", START + MINUTE), 4 * MINUTE); /* hurrying does not make it longer */
	assert_int_equal(waits("192.0.2.1", "a@b", "c@d", START + 5 * MINUTE - 1), 1);
	assert_int_equal(waits("192.0.2.1", "a@b", "c@d", START + 5 * MINUTE), 0);
	assert_int_equal(waits("192.0.2.1", "a@b", "c@d", START + 5 * MINUTE + 1), 0);
}

static void
network_sender_and_recipient_are_what_counts(void **state)
{
	static const struct {
		const char *address, *sender, *recipient;
		bool same;
	} rows[] = {
	    {"192.0.2.200", "a@b", "c@d", true},  {"192.0.2.1", "A@B", "C@d", true}, {"192.0.3.1", "a@b", "c@d", false},
	    {"192.0.2.1", "a@bc", "@d", false},	  {"192.0.2.1", "", "c@d", false},   {"192.0.2.1", "a@b", "c@dd", false},
	};

	(void)state;
	(void)waits("192.0.2.1", "a@b", "c@d", START);
	for (size_t i = 0; i < ROWS(rows); i++)
		assert_int_equal(waits(rows[i].address, rows[i].sender, rows[i].recipient, START + MINUTE),
		    rows[i].same ? 4 * MINUTE : 5 * MINUTE);
	(void)waits("2001:db8:1:2::1", "a@b", "c@d", START);
	assert_int_equal(waits("2001:db8:1:2:ffff::1", "a@b", "c@d", START + MINUTE), 4 * MINUTE);
	assert_int_equal(waits("2001:db8:1:3::1", "a@b", "c@d", START + MINUTE), 5 * MINUTE);
}

static void
who_comes_again_too_late_begins_anew(void **state)
{
	(void)state;
	(void)waits("192.0.2.1", "a@b", "c@d", START);
	assert_int_equal(waits("192.0.2.1", "a@b", "c@d", START + 2 * DAY + 1), 5 * MINUTE);
	assert_int_equal(waits("192.0.2.1", "a@b", "c@d", START + 2 * DAY + 1 + 5 * MINUTE), 0);
}

static void
who_was_taken_is_remembered_for_the_lifetime_after_the_last_time(void **state)
{
	uint64_t now = START + 5 * MINUTE;

	(void)state;
	(void)waits("192.0.2.1", "a@b", "c@d", START);
	for (int i = 0; i < 4; i++, now += 34 * DAY)
		assert_int_equal(waits("192.0.2.1", "a@b", "c@d", now), 0);
	assert_int_equal(waits("192.0.2.1", "a@b", "c@d", now + 2 * DAY), 5 * MINUTE);
}

static void
a_network_that_proved_itself_is_not_put_off(void **state)
{
	static const char *const senders[] = {"a@b", "e@f", "g@h"};

	(void)state;
	for (size_t i = 0; i < ROWS(senders); i++) {
		assert_int_equal(waits("192.0.2.1", senders[i], "c@d", START), 5 * MINUTE);
		assert_int_equal(waits("192.0.2.1", "new@b", "c@d", START), 5 * MINUTE);
		assert_int_equal(waits("192.0.2.1", senders[i], "c@d", START + 5 * MINUTE), 0);
		assert_int_equal(waits("192.0.2.1", senders[i], "c@d", START + 6 * MINUTE), 0); /* counts once */
		forget(state);
		for (size_t k = 0; k <= i; k++) {
			(void)waits("192.0.2.1", senders[k], "c@d", START);
			(void)waits("192.0.2.1", senders[k], "c@d", START + 5 * MINUTE);
		}
	}
	assert_int_equal(waits("192.0.2.99", "x@y", "z@d", START + 7 * MINUTE), 0);
	assert_int_equal(waits("192.0.3.1", "x@y", "z@d", START + 7 * MINUTE), 5 * MINUTE);
	assert_int_equal(waits("192.0.2.99", "x@y", "z@d", START + 50 * DAY), 5 * MINUTE); /* and forgets that */
}

static void
a_clock_that_went_back_puts_nobody_off_for_longer(void **state)
{
	(void)state;
	(void)waits("192.0.2.1", "a@b", "c@d", START + DAY);
	assert_int_equal(waits("192.0.2.1", "a@b", "c@d", START), 5 * MINUTE);
	assert_int_equal(waits("192.0.2.1", "a@b", "c@d", START + 5 * MINUTE), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(the_second_attempt_is_taken_after_the_delay, forget),
	    cmocka_unit_test_setup(network_sender_and_recipient_are_what_counts, forget),
	    cmocka_unit_test_setup(who_comes_again_too_late_begins_anew, forget),
	    cmocka_unit_test_setup(who_was_taken_is_remembered_for_the_lifetime_after_the_last_time, forget),
	    cmocka_unit_test_setup(a_network_that_proved_itself_is_not_put_off, forget),
	    cmocka_unit_test_setup(a_clock_that_went_back_puts_nobody_off_for_longer, forget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
