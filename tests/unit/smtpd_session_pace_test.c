#include "tests/unit/rows.h"

#include "smtpd/session_pace.h"

#define STEP 500

static size_t
index_of(const char *verb)
{
	size_t n, i = 0;
	const struct smtp_command *commands = smtp_server_commands(&n);

	while (!str_equal(commands[i].verb, str_from(verb)))
		assert_true(++i < n);
	return i;
}

static void
each_error_after_the_first_three_is_answered_later(void **state)
{
	static const uint64_t expected[] = {0, 0, 0, 1, 2, 3, 4};
	struct smtp_counters counters = {.errors = 0};
	struct session_pace pace;

	(void)state;
	session_pace_init(&pace, false, 1000);
	for (size_t i = 0; i < ROWS(expected); i++) {
		counters.errors++;
		assert_int_equal(session_pace_delay(&pace, &counters, STEP), expected[i] * STEP);
		assert_int_equal(session_pace_delay(&pace, &counters, STEP), 0); /* no new one */
	}
	for (int i = 0; i < 100; i++) {
		counters.errors++;
		(void)session_pace_delay(&pace, &counters, STEP);
	}
	counters.errors++;
	assert_int_equal(session_pace_delay(&pace, &counters, STEP), PACE_STEPS_MAX * STEP);
	assert_int_equal(pace.errors, ROWS(expected) + 101);
}

static void
a_message_between_does_not_wash_errors_away(void **state)
{
	struct smtp_counters counters = {.errors = 3};
	struct session_pace pace;

	(void)state;
	session_pace_init(&pace, false, 1000);
	assert_int_equal(session_pace_delay(&pace, &counters, STEP), 0);
	counters.errors = 0; /* the core forgets them with each message */
	assert_int_equal(session_pace_delay(&pace, &counters, STEP), 0);
	counters.errors = 1;
	assert_int_equal(session_pace_delay(&pace, &counters, STEP), STEP);
}

static void
errors_of_earlier_sessions_count_a_little(void **state)
{
	static const struct {
		uint64_t earlier, delay_ms;
	} rows[] = {{0, 0}, {49, 0}, {149, 0}, {150, STEP}, {499, 7 * STEP}, {1000000, 8 * STEP}};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct smtp_counters counters = {.errors = 1};
		struct session_pace pace;

		session_pace_init(&pace, false, 1000);
		session_pace_earlier(&pace, rows[i].earlier);
		assert_int_equal(session_pace_delay(&pace, &counters, STEP), rows[i].delay_ms);
	}
}

/* A client that sends `bytes` every `every_ms`, for two minutes: is it ended? */
static bool
is_too_slow(size_t bytes, uint64_t every_ms, size_t buffered, bool receiving, bool exempt)
{
	struct session_pace pace;

	session_pace_init(&pace, exempt, 1000);
	for (uint64_t now_ms = 1000; now_ms < 121000; now_ms += every_ms)
		if (session_pace_input(&pace, bytes, buffered, receiving, 50, now_ms) != PACE_FINE)
			return true;
	return false;
}

static void
a_client_that_dribbles_is_ended(void **state)
{
	static const struct {
		size_t bytes;
		uint64_t every_ms;
		size_t buffered;
		bool receiving, exempt, ended;
	} rows[] = {
	    {1, 1000, 0, true, false, true},	 /* a message, a byte a second */
	    {1, 1000, 7, false, false, true},	 /* a command */
	    {49, 1000, 0, true, false, true},
	    {51, 1000, 0, true, false, false},
	    {6000, 60000, 0, true, false, false}, /* rarely, but enough */
	    {1, 1000, 0, false, false, false},	 /* whole commands one after the other */
	    {1, 1000, 0, true, true, false},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		if (is_too_slow(rows[i].bytes, rows[i].every_ms, rows[i].buffered, rows[i].receiving, rows[i].exempt) !=
		    rows[i].ended)
			fail_msg("row %zu", i);
}

static void
what_came_at_once_does_not_pay_for_dribbling_later(void **state)
{
	struct session_pace pace;
	enum session_pace_end end = PACE_FINE;

	(void)state;
	session_pace_init(&pace, false, 1000);
	for (uint64_t now_ms = 1000; now_ms < 100000 && end == PACE_FINE; now_ms += 1000)
		end = session_pace_input(&pace, now_ms == 1000 ? 1000000 : 1, 0, true, 50, now_ms);
	assert_int_equal(end, PACE_TOO_SLOW);
}

static void
a_link_that_was_down_for_a_while_is_no_dribble(void **state)
{
	struct session_pace pace;

	(void)state;
	session_pace_init(&pace, false, 1000);
	assert_int_equal(session_pace_input(&pace, 1000, 0, true, 50, 1000), PACE_FINE);
	assert_int_equal(session_pace_input(&pace, 1400, 0, true, 50, 101000), PACE_FINE);
	for (uint64_t now_ms = 101100; now_ms < 200000; now_ms += 100)
		assert_int_equal(session_pace_input(&pace, 1400, 0, true, 50, now_ms), PACE_FINE);
}

static void
time_in_which_the_client_waits_does_not_count(void **state)
{
	struct session_pace pace;

	(void)state;
	session_pace_init(&pace, false, 1000);
	for (uint64_t now_ms = 1000; now_ms < 200000; now_ms += 20000) {
		assert_int_equal(session_pace_input(&pace, 1, 0, true, 50, now_ms), PACE_FINE);
		session_pace_rest(&pace);
	}
}

static void
who_stays_too_long_or_guesses_recipients_is_ended(void **state)
{
	const struct conf_smtpd conf = {.session_time_limit_ms = 60000, .timeout_ms = 20000, .refused_recipients_per_session = 5};
	struct smtp_counters counters = {.errors = 0};
	struct session_pace pace;

	(void)state;
	session_pace_init(&pace, false, 1000);
	assert_int_equal(session_pace_check(&pace, &counters, &conf, 61000), PACE_FINE);
	assert_int_equal(session_pace_check(&pace, &counters, &conf, 61001), PACE_TOO_LONG);
	assert_int_equal(session_pace_wait(&pace, &conf, 1000), 20000);
	assert_int_equal(session_pace_wait(&pace, &conf, 51000), 10001);
	assert_int_equal(session_pace_wait(&pace, &conf, 70000), 20000); /* a message is still under way */
	counters.commands[index_of("RCPT")].total = 105;
	counters.commands[index_of("RCPT")].accepted = 100;
	assert_int_equal(session_pace_recipients(&counters), 100);
	assert_int_equal(session_pace_check(&pace, &counters, &conf, 2000), PACE_FINE);
	counters.commands[index_of("RCPT")].total++;
	assert_int_equal(session_pace_check(&pace, &counters, &conf, 2000), PACE_GUESSES);
	pace.exempt = true;
	assert_int_equal(session_pace_check(&pace, &counters, &conf, 100000), PACE_FINE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_error_after_the_first_three_is_answered_later),
	    cmocka_unit_test(a_message_between_does_not_wash_errors_away),
	    cmocka_unit_test(errors_of_earlier_sessions_count_a_little),
	    cmocka_unit_test(a_client_that_dribbles_is_ended),
	    cmocka_unit_test(what_came_at_once_does_not_pay_for_dribbling_later),
	    cmocka_unit_test(a_link_that_was_down_for_a_while_is_no_dribble),
	    cmocka_unit_test(time_in_which_the_client_waits_does_not_count),
	    cmocka_unit_test(who_stays_too_long_or_guesses_recipients_is_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
