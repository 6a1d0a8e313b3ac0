#include "tests/unit/rows.h"

#include "queue/doctor_print.h"

static void
print(struct buf *b, const struct doctor_style *style)
{
	struct doctor d;

	doctor_init(&d);
	d.area = DOCTOR_DISK;
	doctor_find(&d, DOCTOR_OK, "room", STR("/spool"), "has %u of %u left", 1U, 2U);
	d.area = DOCTOR_DOMAINS;
	doctor_find(&d, DOCTOR_WARNING, "spf-missing", STR("satu.test"), "has no SPF record: others may send in its name");
	doctor_advise(&d, "Publish: satu.test. TXT \"v=spf1 mx -all\"\nand look again in a while");
	buf_reset(b);
	doctor_print(b, style, &d);
	doctor_clear(&d);
}

static void
what_is_found_stands_under_its_subject(void **state)
{
	struct doctor_style style = {.columns = 0};
	struct buf b;

	(void)state;
	buf_init(&b, 65536);
	print(&b, &style);
	assert_str(buf_str(&b), STR("disk\n"
				    "  ok       /spool has 1 of 2 left\n"
				    "domains\n"
				    "  warning  satu.test has no SPF record: others may send in its name\n"
				    "           Publish: satu.test. TXT \"v=spf1 mx -all\"\n"
				    "           and look again in a while\n"
				    "0 errors, 1 warning, 0 notes\n"));
	style.columns = 40;
	style.least = DOCTOR_WARNING;
	print(&b, &style);
	assert_str(buf_str(&b), STR("domains\n"
				    "  warning  satu.test has no SPF record:\n"
				    "           others may send in its name\n"
				    "           Publish: satu.test. TXT \"v=spf1 mx -all\"\n"
				    "           and look again in a while\n"
				    "0 errors, 1 warning, 0 notes\n"));
	style.least = DOCTOR_ERROR;
	print(&b, &style);
	assert_int_equal(b.n, 0);
	buf_clear(&b);
}

static void
as_json_it_is_an_object_a_line(void **state)
{
	const struct doctor_style style = {.style = {.format = LISTING_JSON}, .columns = 20};
	struct buf b;

	(void)state;
	buf_init(&b, 65536);
	print(&b, &style);
	assert_str(buf_str(&b),
	    STR("{\"area\": \"disk\", \"level\": \"ok\", \"name\": \"room\", \"subject\": \"/spool\", \"text\": \"has 1 of 2 left\"}\n"
		"{\"area\": \"domains\", \"level\": \"warning\", \"name\": \"spf-missing\", \"subject\": \"satu.test\", \"text\": "
		"\"has no SPF record: others may send in its name\", \"remedy\": \"Publish: satu.test. TXT \\\"v=spf1 mx "
		"-all\\\"\\u000aand look again in a while\"}\n"));
	buf_clear(&b);
}

static void
the_status_is_that_of_the_worst(void **state)
{
	struct doctor d;

	(void)state;
	doctor_init(&d);
	doctor_find(&d, DOCTOR_NOTE, "x", STR(""), "is so");
	assert_int_equal(doctor_status(&d), 0);
	doctor_find(&d, DOCTOR_WARNING, "x", STR(""), "is so");
	assert_int_equal(doctor_status(&d), 1);
	doctor_find(&d, DOCTOR_ERROR, "x", STR(""), "is so");
	assert_int_equal(doctor_status(&d), 2);
	doctor_clear(&d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_found_stands_under_its_subject),
	    cmocka_unit_test(as_json_it_is_an_object_a_line),
	    cmocka_unit_test(the_status_is_that_of_the_worst),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
