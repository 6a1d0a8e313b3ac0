#include "tests/unit/rows.h"

#include "common/smtp/enhanced_status.h"

static void
a_code_has_three_numbers_and_the_class_of_its_reply(void **state)
{
	static const struct {
		struct str text;
		unsigned code;
		bool good;
	} rows[] = {
	    {STR("5.7.1"), 550, true},
	    {STR("4.7.1"), 450, true},
	    {STR("2.0.0"), 250, true},
	    {STR("5.100.999"), 550, true},
	    {STR("4.7.1"), 550, false},
	    {STR("05.7.1"), 550, false},
	    {STR("55.7.1"), 550, false},
	    {STR("5.7"), 550, false},
	    {STR("5.7."), 550, false},
	    {STR("5..1"), 550, false},
	    {STR("5.7.1.1"), 550, false},
	    {STR("5.7.1 "), 550, false},
	    {STR("5.1000.1"), 550, false},
	    {STR("5.0001.1"), 550, false},
	    {STR("5.x.1"), 550, false},
	    {STR(""), 550, false},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		assert_int_equal(enhanced_status_is(rows[i].text, rows[i].code), rows[i].good);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_code_has_three_numbers_and_the_class_of_its_reply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
