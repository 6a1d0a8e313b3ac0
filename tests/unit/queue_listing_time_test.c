#include "tests/unit/rows.h"

#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "queue/listing_time.h"

/* The C library's words for it. */
static void
expect(uint64_t time_s)
{
	time_t t = (time_t)time_s;
	char plain[64], classic[64];
	struct buf b;
	struct tm tm;

	assert_non_null(localtime_r(&t, &tm));
	assert_true(strftime(plain, sizeof plain, "%Y-%m-%d %H:%M:%S", &tm) > 0);
	assert_true(strftime(classic, sizeof classic, "%a %b %e %H:%M:%S", &tm) > 0);
	buf_init(&b, 128);
	listing_time_add(&b, time_s);
	assert_str(buf_str(&b), str_from(plain));
	buf_reset(&b);
	listing_time_add_classic(&b, time_s);
	assert_str(buf_str(&b), str_from(classic));
	buf_clear(&b);
}

/* What is kept is of one zone: each has a process of its own. */
static void
times_are_those_of_the_zone(void **state)
{
	/* Around a change of summer time, the turn of a year, and now and then. */
	static const uint64_t begins[] = {0, 951782400, 1711846800, 1729990800, 1798761600 - 1800, 4102444800, 16725225600};

	(void)state;
	for (size_t i = 0; i < ROWS(begins); i++)
		for (uint64_t s = 0; s < 3 * 3600; s += 61)
			expect(begins[i] + s);
	for (uint64_t s = 0; s < 2000000000; s += 86399 * 7)
		expect(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(times_are_those_of_the_zone)};
	static const char *const zones[] = {"UTC0", "WIB-7", "NPT-5:45", "NST3:30NDT,M3.2.0,M11.1.0", "XXX0:44:30",
	    "CET-1CEST,M3.5.0,M10.5.0/3"};
	bool good = true;

	for (size_t i = 0; i < ROWS(zones); i++) {
		pid_t pid = fork();
		int status = 0;

		if (pid == 0) {
			(void)setenv("TZ", zones[i], 1);
			tzset();
			exit(cmocka_run_group_tests(tests, NULL, NULL));
		}
		good = waitpid(pid, &status, 0) == pid && status == 0 && good;
	}
	return good ? 0 : 1;
}
