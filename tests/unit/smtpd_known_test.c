#include "tests/unit/rows.h"

#include "smtpd/known.h"

static struct known known;

static void
a_recipient_is_known_for_a_while(void **state)
{
	(void)state;
	known_init(&known);
	assert_false(known_has(&known, STR("baru@satu.test"), 1000));
	known_add(&known, STR("baru@satu.test"), 1000);
	assert_true(known_has(&known, STR("baru@satu.test"), 1000));
	assert_true(known_has(&known, STR("baru@satu.test"), 1000 + KNOWN_MS - 1));
	assert_false(known_has(&known, STR("baru@satu.test"), 1000 + KNOWN_MS));
	assert_false(known_has(&known, STR("baru@satu.tes"), 1000));
	assert_false(known_has(&known, STR("Baru@satu.test"), 1000));
	assert_false(known_has(&known, STR(""), 1000));
}

static void
many_recipients_take_no_more_room(void **state)
{
	char name[32];
	unsigned found = 0;

	(void)state;
	known_init(&known);
	for (unsigned i = 0; i < 10000; i++) {
		(void)snprintf(name, sizeof name, "u%u@satu.test", i);
		known_add(&known, str_from(name), 1000);
		assert_true(known_has(&known, str_from(name), 1000));
	}
	for (unsigned i = 0; i < 10000; i++) {
		(void)snprintf(name, sizeof name, "u%u@satu.test", i);
		found += known_has(&known, str_from(name), 1000);
	}
	assert_true(found > 0 && found <= KNOWN_SLOTS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_recipient_is_known_for_a_while),
	    cmocka_unit_test(many_recipients_take_no_more_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
