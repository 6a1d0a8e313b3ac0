#include "tests/unit/rows.h"

#include "queue/tlsrpt_counts.h"

#define STS "version: STSv1\nmode: testing\nmx: mx.dua.test\nmax_age: 86400\n"

static const struct tlsrpt_outcome good = {.policy = TLSRPT_STS, .domain = STR("dua.test"), .text = STR(STS),
    .host = STR("mx.dua.test")};
static const struct tlsrpt_outcome bad = {.policy = TLSRPT_STS, .result = TLSRPT_CERTIFICATE_EXPIRED, .domain = STR("dua.test"),
    .text = STR(STS), .host = STR("mx.dua.test"), .sending_ip = STR("192.0.2.1"), .receiving_ip = STR("192.0.2.2"),
    .reason = STR("a\tb\nc")};

static const char expected[] = "P\tdua.test\tsts\t3\t2\tversion: STSv1|mode: testing|mx: mx.dua.test|max_age: 86400\n"
                               "F\tcertificate-expired\t2\tmx.dua.test\t192.0.2.1\t192.0.2.2\ta?b|c\n"
                               "P\ttiga.test\tno-policy-found\t1\t0\t\n";

static void
assert_text(const struct tlsrpt_counts *counts, const char *text)
{
	struct buf out;

	buf_init(&out, 1 << 20);
	tlsrpt_counts_format(&out, counts);
	assert_true(buf_ok(&out));
	assert_str(buf_str(&out), str_from(text));
	buf_clear(&out);
}

static void
sessions_are_counted_by_domain_policy_and_failure(void **state)
{
	struct tlsrpt_counts counts;

	(void)state;
	tlsrpt_counts_init(&counts);
	tlsrpt_counts_add(&counts, &(const struct tlsrpt_outcome){.domain = STR("tiga.test")}, 1);
	for (int i = 0; i < 3; i++)
		tlsrpt_counts_add(&counts, &good, 1);
	tlsrpt_counts_add(&counts, &bad, 2);
	assert_text(&counts, expected);
	tlsrpt_counts_clear(&counts);
	assert_int_equal(counts.bytes, 0);
	assert_int_equal(counts.n, 0);
}

static void
what_was_written_can_be_added_up(void **state)
{
	struct tlsrpt_counts counts;

	(void)state;
	tlsrpt_counts_init(&counts);
	tlsrpt_counts_parse(&counts, str_from(expected));
	assert_text(&counts, expected);
	tlsrpt_counts_parse(&counts, str_from(expected));
	tlsrpt_counts_add(&counts, &good, 1);
	assert_text(&counts, "P\tdua.test\tsts\t7\t4\tversion: STSv1|mode: testing|mx: mx.dua.test|max_age: 86400\n"
	                     "F\tcertificate-expired\t4\tmx.dua.test\t192.0.2.1\t192.0.2.2\ta?b|c\n"
	                     "P\ttiga.test\tno-policy-found\t2\t0\t\n");
	tlsrpt_counts_clear(&counts);
}

static void
lines_that_make_no_sense_are_passed_over(void **state)
{
	struct tlsrpt_counts counts;

	(void)state;
	tlsrpt_counts_init(&counts);
	tlsrpt_counts_parse(&counts, STR("F\tcertificate-expired\t2\th\ts\tr\tw\nP\tdua.test\tstst\t1\t1\t\nP\t\tsts\t1\t1\t\n"
	                                 "P\tdua.test\tsts\tx\t1\t\nP\tdua.test\tsts\t-1\t1\t\nP\tdua.test\tsts\t1\nhalf"));
	assert_text(&counts, "");
	tlsrpt_counts_parse(&counts, STR("P\tdua.test\tsts\t1\t1\t\nF\tsuccess\t1\th\ts\tr\tw\nF\tcertificate-expired\tx\th\ts\tr\tw\n"
	                                 "F\tcertificate-expired\t1\th\n"));
	assert_text(&counts, "P\tdua.test\tsts\t1\t1\t\n");
	tlsrpt_counts_clear(&counts);
}

static void
strangers_cannot_make_it_grow_without_end(void **state)
{
	struct tlsrpt_counts counts;
	struct tlsrpt_outcome outcome = bad;
	char name[64];

	(void)state;
	tlsrpt_counts_init(&counts);
	for (int i = 0; i < TLSRPT_FAILURES_MAX + 50; i++) {
		(void)snprintf(name, sizeof name, "mx%d.test", i);
		outcome.host = str_from(name);
		tlsrpt_counts_add(&counts, &outcome, 1);
	}
	assert_int_equal(TAILQ_FIRST(&tlsrpt_counts_first(&counts)->policies)->failures, TLSRPT_FAILURES_MAX + 50);
	assert_int_equal(TAILQ_FIRST(&tlsrpt_counts_first(&counts)->policies)->nlist, TLSRPT_FAILURES_MAX);
	for (int i = 0; i < TLSRPT_POLICIES_MAX + 10; i++) {
		(void)snprintf(name, sizeof name, "3 1 1 %d", i);
		outcome.text = str_from(name);
		tlsrpt_counts_add(&counts, &outcome, 1);
	}
	assert_int_equal(tlsrpt_counts_first(&counts)->npolicies, TLSRPT_POLICIES_MAX);
	for (int i = 0; i < TLSRPT_DOMAINS_MAX + 10; i++) {
		(void)snprintf(name, sizeof name, "d%d.test", i);
		outcome.domain = str_from(name);
		tlsrpt_counts_add(&counts, &outcome, 1);
	}
	assert_int_equal(counts.n, TLSRPT_DOMAINS_MAX);
	assert_true(counts.bytes < TLSRPT_BYTES_MAX + 65536);
	tlsrpt_counts_clear(&counts);
	assert_int_equal(counts.bytes, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sessions_are_counted_by_domain_policy_and_failure),
	    cmocka_unit_test(what_was_written_can_be_added_up),
	    cmocka_unit_test(lines_that_make_no_sense_are_passed_over),
	    cmocka_unit_test(strangers_cannot_make_it_grow_without_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
