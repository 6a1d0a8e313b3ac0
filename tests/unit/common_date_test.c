#include "tests/unit/rows.h"

#include "common/base/date.h"

static void
formatted_dates_are_those_of_the_standards(void **state)
{
	static const struct {
		struct date date;
		const char *rfc5322, *imap;
	} rows[] = {
	    {{0, 0}, "Thu, 1 Jan 1970 00:00:00 +0000", " 1-Jan-1970 00:00:00 +0000"},
	    {{1795489200, 420}, "Tue, 24 Nov 2026 10:00:00 +0700", "24-Nov-2026 10:00:00 +0700"},
	    {{951782400, -480}, "Mon, 28 Feb 2000 16:00:00 -0800", "28-Feb-2000 16:00:00 -0800"},
	    {{951868799, 0}, "Tue, 29 Feb 2000 23:59:59 +0000", "29-Feb-2000 23:59:59 +0000"},
	    {{-1, 0}, "Wed, 31 Dec 1969 23:59:59 +0000", "31-Dec-1969 23:59:59 +0000"},
	    {{1, -90}, "Wed, 31 Dec 1969 22:30:01 -0130", "31-Dec-1969 22:30:01 -0130"},
	    {{4102444800, 345}, "Fri, 1 Jan 2100 05:45:00 +0545", " 1-Jan-2100 05:45:00 +0545"},
	    {{INT64_MAX, INT32_MAX}, "Fri, 31 Dec 9999 23:59:59 +2359", "31-Dec-9999 23:59:59 +2359"},
	    {{INT64_MIN, INT32_MIN}, "Mon, 1 Jan 0001 00:00:00 -2359", " 1-Jan-0001 00:00:00 -2359"},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		char rfc5322[DATE_RFC5322_SIZE], imap[DATE_IMAP_SIZE];

		assert_string_equal(date_format_rfc5322(rfc5322, rows[i].date), rows[i].rfc5322);
		assert_string_equal(date_format_imap(imap, rows[i].date), rows[i].imap);
	}
}

static void
every_day_of_nine_centuries_counts_one_more(void **state)
{
	static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int64_t expected = date_days(1600, 1, 1);

	(void)state;
	assert_int_equal(date_days(1970, 1, 1), 0);
	assert_int_equal(expected, -135140);
	for (int year = 1600; year < 2500; year++) {
		bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

		for (int month = 1; month <= 12; month++) {
			for (int day = 1; day <= lengths[month - 1] + (month == 2 && leap); day++) {
				char text[DATE_IMAP_SIZE];
				struct date date = {expected * 86400, 0}, back;

				assert_int_equal(date_days(year, month, day), expected);
				assert_true(date_parse_imap(str_from(date_format_imap(text, date)), &back));
				assert_int_equal(back.seconds, date.seconds);
				assert_int_equal(date_day(date), expected);
				expected++;
			}
		}
	}
}

static void
dates_of_messages_are_read_as_they_are_met(void **state)
{
	static const struct {
		struct str in;
		bool good;
		int64_t seconds;
		int zone;
	} rows[] = {
	    {STR("Tue, 24 Nov 2026 10:00:00 +0700"), true, 1795489200, 420},
	    {STR(" Tue,  24 Nov 2026 10:00:00 +0700 (WIB)"), true, 1795489200, 420},
	    {STR("24 Nov 2026 10:00 +0700"), true, 1795489200, 420},
	    {STR("Tue, 24 Nov 2026\r\n 10:00:00\r\n\t+0700"), true, 1795489200, 420},
	    {STR("Mon, 24 nov 2026 10:00:00 +0700"), true, 1795489200, 420},
	    {STR("Thu, 13 Feb 1969 23:32 -0330"), true, -27723480, -210},
	    {STR("Fri, 21 Nov 97 09(comment):   55  :  06 -0600"), true, 880127706, -360},
	    {STR("21 Nov 05 09:55:06 GMT"), true, 1132566906, 0},
	    {STR("21 Nov 105 09:55:06 GMT"), true, 1132566906, 0},
	    {STR("(a (nested\\)) one) 21 Nov 05 09:55:06 EST"), true, 1132566906 + 5 * 3600, -300},
	    {STR("21 Nov 05 09:55:06 Z"), true, 1132566906, 0},
	    {STR("21 Nov 05 09:55:06"), true, 1132566906, 0},
	    {STR("21 Nov 05 09:55:06 +99"), true, 1132566906, 0},
	    {STR("21-Nov-2005 09:55:06 -0000"), true, 1132566906, 0},
	    {STR("31 Dec 2016 23:59:60 +0000"), true, 1483228799, 0},
	    {STR("29 Feb 2024 00:00:00 +0000"), true, 1709164800, 0},
	    {STR("29 Feb 2023 00:00:00 +0000"), false, 0, 0},
	    {STR("31 Apr 2023 00:00:00 +0000"), false, 0, 0},
	    {STR("0 Apr 2023 00:00:00 +0000"), false, 0, 0},
	    {STR("1 Apr 2023 24:00:00 +0000"), false, 0, 0},
	    {STR("1 Apr 2023 10:60:00 +0000"), false, 0, 0},
	    {STR("1 Foo 2023 10:00:00 +0000"), false, 0, 0},
	    {STR("1 Apr 0000 10:00:00 +0000"), false, 0, 0},
	    {STR("1 Apr 2023"), false, 0, 0},
	    {STR("yesterday"), false, 0, 0},
	    {STR("(unclosed"), false, 0, 0},
	    {STR(""), false, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct date date = {0, 0};

		if (date_parse_rfc5322(rows[i].in, &date) != rows[i].good)
			fail_msg("%.*s", STR_FMT(rows[i].in));
		assert_int_equal(date.seconds, rows[i].seconds);
		assert_int_equal(date.zone_minutes, rows[i].zone);
		for (size_t cut = 0; cut <= rows[i].in.n; cut++)
			(void)date_parse_rfc5322(str_sub(rows[i].in, 0, cut), &date);
	}
}

static void
internal_dates_have_one_form(void **state)
{
	static const struct {
		struct str in;
		bool good;
		int64_t seconds;
	} rows[] = {
	    {STR("17-Jul-1996 02:44:25 -0700"), true, 837596665},
	    {STR(" 7-Jul-1996 02:44:25 -0700"), true, 836732665},
	    {STR("07-jul-1996 02:44:25 -0700"), true, 836732665},
	    {STR("7-Jul-1996 02:44:25 -0700"), true, 836732665},
	    {STR("17-Jul-96 02:44:25 -0700"), false, 0},
	    {STR("17-Jul-1996 2:44:25 -0700"), false, 0},
	    {STR("17-Jul-1996 02:44:25"), false, 0},
	    {STR("17-Jul-1996 02:44:25 GMT"), false, 0},
	    {STR("17-Jul-1996 02:44:25 -07000"), false, 0},
	    {STR("17-Jul-1996 02:44:25 -2400"), false, 0},
	    {STR("31-Jun-1996 02:44:25 +0000"), false, 0},
	    {STR(""), false, 0},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct date date = {0, 0};

		if (date_parse_imap(rows[i].in, &date) != rows[i].good)
			fail_msg("%.*s", STR_FMT(rows[i].in));
		assert_int_equal(date.seconds, rows[i].seconds);
		for (size_t cut = 0; rows[i].good && cut < rows[i].in.n; cut++)
			assert_false(date_parse_imap(str_sub(rows[i].in, 0, cut), &date));
	}
}

static void
the_day_is_that_of_the_date_s_own_zone(void **state)
{
	(void)state;
	assert_int_equal(date_day((struct date){86399, 0}), 0);
	assert_int_equal(date_day((struct date){86399, 1}), 1);
	assert_int_equal(date_day((struct date){0, -1}), -1);
}

static void
rfc3339_is_read_and_written(void **state)
{
	static const struct {
		struct str in;
		bool good;
		int64_t seconds;
		const char *out;
	} rows[] = {
	    {STR("1970-01-01T00:00:00Z"), true, 0, "1970-01-01T00:00:00Z"},
	    {STR("2026-11-24T10:00:00+07:00"), true, 1795489200, "2026-11-24T03:00:00Z"},
	    {STR("2026-11-24t03:00:00.125z"), true, 1795489200, "2026-11-24T03:00:00Z"},
	    {STR("2026-11-23T23:30:00-03:30"), true, 1795489200, "2026-11-24T03:00:00Z"},
	    {STR("2026-02-29T00:00:00Z"), false, 0, NULL},
	    {STR("2026-11-24 03:00:00Z"), false, 0, NULL},
	    {STR("2026-11-24T03:00:00"), false, 0, NULL},
	    {STR("2026-11-24T03:00:00.Z"), false, 0, NULL},
	    {STR("2026-11-24T03:00:00Z "), false, 0, NULL},
	    {STR("2026-11-24T03:00:00+24:00"), false, 0, NULL},
	    {STR("2026-11-24T24:00:00Z"), false, 0, NULL},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct date date = {0};
		char text[DATE_RFC3339_SIZE];

		if (date_parse_rfc3339(rows[i].in, &date) != rows[i].good)
			fail_msg("%.*s", STR_FMT(rows[i].in));
		if (!rows[i].good)
			continue;
		for (size_t cut = 0; cut < rows[i].in.n; cut++)
			assert_false(date_parse_rfc3339(str_sub(rows[i].in, 0, cut), &(struct date){0}));
		assert_int_equal(date.seconds, rows[i].seconds);
		assert_string_equal(date_format_rfc3339(text, date), rows[i].out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(formatted_dates_are_those_of_the_standards),
	    cmocka_unit_test(every_day_of_nine_centuries_counts_one_more),
	    cmocka_unit_test(dates_of_messages_are_read_as_they_are_met),
	    cmocka_unit_test(internal_dates_have_one_form),
	    cmocka_unit_test(the_day_is_that_of_the_date_s_own_zone),
	    cmocka_unit_test(rfc3339_is_read_and_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
