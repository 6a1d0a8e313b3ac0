#include "tests/unit/rows.h"

#include "queue/sts_cache.h"

static char last_dropped[300];
static unsigned ndropped;

static void
dropped(struct sts_cache *cache, const char *domain)
{
	(void)cache;
	(void)snprintf(last_dropped, sizeof last_dropped, "%s", domain);
	ndropped++;
}

static const struct sts_policy *
policy_of(uint64_t max_age_s)
{
	static struct sts_policy policy;

	policy = (struct sts_policy){.mode = STS_MODE_ENFORCE, .max_age_s = max_age_s, .mx = {STR("mx.dua.test")}, .nmx = 1};
	return &policy;
}

static void
a_policy_holds_until_its_time_is_over(void **state)
{
	struct sts_cache cache;
	const struct sts_cache_entry *entry;
	uint64_t next;

	(void)state;
	sts_cache_init(&cache, dropped);
	ndropped = 0;
	assert_null(sts_cache_find(&cache, STR("dua.test"), 1000));
	(void)sts_cache_store(&cache, STR("dua.test"), "1", policy_of(100), 1000);
	entry = sts_cache_find(&cache, STR("dua.test"), 1099);
	assert_non_null(entry);
	assert_string_equal(entry->text, "version: STSv1\nmode: enforce\nmx: mx.dua.test\nmax_age: 100\n");
	assert_string_equal(entry->id, "1");
	assert_null(sts_cache_find(&cache, STR("dua.test"), 1100));
	assert_null(sts_cache_find(&cache, STR("tiga.test"), 1000));
	assert_null(sts_cache_due(&cache, 1100, &next));
	assert_int_equal(ndropped, 1);
	assert_string_equal(last_dropped, "dua.test");
	assert_int_equal(cache.nheld, 0);
	assert_int_equal(cache.bytes, 0);
	sts_cache_clear(&cache);
}

static void
a_failure_leaves_the_policy_that_is_held(void **state)
{
	struct sts_cache cache;

	(void)state;
	sts_cache_init(&cache, dropped);
	(void)sts_cache_store(&cache, STR("dua.test"), "1", policy_of(100000), 1000);
	sts_cache_fail(&cache, STR("dua.test"), "2", 1000);
	assert_true(sts_cache_has_failed(&cache, STR("dua.test"), "2", 1000 + STS_FAILURE_S - 1));
	assert_false(sts_cache_has_failed(&cache, STR("dua.test"), "2", 1000 + STS_FAILURE_S));
	assert_false(sts_cache_has_failed(&cache, STR("dua.test"), "3", 1000));
	assert_non_null(sts_cache_find(&cache, STR("dua.test"), 1000));
	(void)sts_cache_store(&cache, STR("dua.test"), "2", policy_of(100000), 1001);
	assert_false(sts_cache_has_failed(&cache, STR("dua.test"), "2", 1001));

	sts_cache_fail(&cache, STR("tiga.test"), "1", 1000);
	assert_null(sts_cache_find(&cache, STR("tiga.test"), 1000));
	assert_true(sts_cache_has_failed(&cache, STR("tiga.test"), "1", 1000));
	sts_cache_clear(&cache);
}

static void
a_policy_in_use_is_refreshed_before_it_expires(void **state)
{
	struct sts_cache cache;
	struct sts_cache_entry *due;
	uint64_t next, day = STS_REFRESH_S;

	(void)state;
	sts_cache_init(&cache, dropped);
	(void)sts_cache_store(&cache, STR("dua.test"), "1", policy_of(10 * day), 1000);
	(void)sts_cache_store(&cache, STR("tiga.test"), "1", policy_of(100), 1000);
	assert_null(sts_cache_due(&cache, 1049, &next));
	assert_int_equal(next, 1050);
	due = sts_cache_due(&cache, 1050, &next);
	assert_non_null(due);
	assert_string_equal(due->domain, "tiga.test");
	due->refresh_s = 1080;
	assert_null(sts_cache_due(&cache, 1050, &next));
	assert_int_equal(next, 1080);
	due->refresh_s = 2000;
	assert_null(sts_cache_due(&cache, 1050, &next));
	assert_int_equal(next, 1100); /* its end */
	due = sts_cache_due(&cache, 1000 + day, &next); /* tiga.test has expired */
	assert_non_null(due);
	assert_string_equal(due->domain, "dua.test");
	assert_int_equal(cache.nheld, 1);
	sts_cache_clear(&cache);
}

static void
a_policy_that_nobody_uses_is_left_to_expire(void **state)
{
	struct sts_cache cache;
	uint64_t next, at = 1000;

	(void)state;
	sts_cache_init(&cache, dropped);
	(void)sts_cache_store(&cache, STR("dua.test"), "1", policy_of(STS_AGE_MAX_S), at);
	/* Refreshes do not count as use. */
	while (at < 1000 + STS_UNUSED_S) {
		assert_non_null(sts_cache_due(&cache, at + STS_REFRESH_S - 1 + 1, &next));
		at += STS_REFRESH_S;
		if (at < 1000 + STS_UNUSED_S)
			(void)sts_cache_store(&cache, STR("dua.test"), "1", policy_of(STS_AGE_MAX_S), at);
		if (at + STS_REFRESH_S >= 1000 + STS_UNUSED_S)
			break;
	}
	assert_null(sts_cache_due(&cache, 1000 + STS_UNUSED_S + STS_REFRESH_S, &next));
	assert_non_null(sts_cache_use(&cache, STR("dua.test"), 1000 + STS_UNUSED_S + STS_REFRESH_S));
	assert_non_null(sts_cache_due(&cache, 1000 + STS_UNUSED_S + STS_REFRESH_S, &next));
	sts_cache_clear(&cache);
}

static void
the_least_recently_used_goes_first(void **state)
{
	struct sts_cache cache;
	char domain[32];

	(void)state;
	sts_cache_init(&cache, dropped);
	ndropped = 0;
	for (int i = 0; i < STS_CACHE_POLICIES_MAX; i++) {
		(void)snprintf(domain, sizeof domain, "d%d.test", i);
		(void)sts_cache_store(&cache, str_from(domain), "1", policy_of(100000), 1000);
	}
	assert_int_equal(ndropped, 0);
	assert_non_null(sts_cache_use(&cache, STR("d0.test"), 1001));
	(void)sts_cache_store(&cache, STR("one.more.test"), "1", policy_of(100000), 1000);
	assert_int_equal(ndropped, 1);
	assert_string_equal(last_dropped, "d1.test");
	assert_non_null(sts_cache_find(&cache, STR("d0.test"), 1001));
	for (int i = 0; i < STS_CACHE_FAILURES_MAX + 10; i++) {
		(void)snprintf(domain, sizeof domain, "f%d.test", i);
		sts_cache_fail(&cache, str_from(domain), "1", 1000);
	}
	assert_int_equal(cache.nfailed, STS_CACHE_FAILURES_MAX);
	assert_int_equal(cache.nheld, STS_CACHE_POLICIES_MAX);
	assert_int_equal(ndropped, 1);
	sts_cache_clear(&cache);
}

static void
a_file_is_read_as_it_was_written(void **state)
{
	static const struct str bad[] = {
	    STR(""),
	    STR("id: 1\n"),
	    STR("id: 1\nfetched: x\nused: 1\nversion: STSv1\nmode: none\nmax_age: 99999\n"),
	    STR("id: 1\nfetched: 1\nversion: STSv1\nmode: none\nmax_age: 99999\n"),
	    STR("id: 1\nfetched: 1\nused: 1\nversion: STSv1\nmode: none\n"),
	    STR("id: 123456789012345678901234567890123\nfetched: 1\nused: 1\nversion: STSv1\nmode: none\nmax_age: 99999\n"),
	    STR("id: 1\nfetched: 1\nused: 1\nversion: STSv1\nmode: none\nmax_age: 1000\n"), /* expired */
	};
	struct sts_cache cache;
	const struct sts_cache_entry *entry;
	struct buf text;

	(void)state;
	sts_cache_init(&cache, dropped);
	buf_init(&text, 1000);
	sts_cache_entry_format(&text, sts_cache_store(&cache, STR("dua.test"), "abc", policy_of(5000), 1000));
	assert_str(buf_str(&text), STR("id: abc\nfetched: 1000\nused: 1000\nversion: STSv1\nmode: enforce\nmx: mx.dua.test\n"
	                               "max_age: 5000\n"));
	sts_cache_clear(&cache);
	sts_cache_init(&cache, dropped);
	assert_true(sts_cache_entry_parse(&cache, STR("dua.test"), buf_str(&text), 2000));
	entry = sts_cache_find(&cache, STR("dua.test"), 5999);
	assert_non_null(entry);
	assert_string_equal(entry->id, "abc");
	assert_null(sts_cache_find(&cache, STR("dua.test"), 6000));
	/* The clock was set back since. */
	assert_true(sts_cache_entry_parse(&cache, STR("dua.test"), buf_str(&text), 500));
	assert_null(sts_cache_find(&cache, STR("dua.test"), 5500));
	for (size_t i = 0; i < ROWS(bad); i++)
		if (sts_cache_entry_parse(&cache, STR("tiga.test"), bad[i], 1001))
			fail_msg("row %zu", i);
	buf_clear(&text);
	sts_cache_clear(&cache);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_policy_holds_until_its_time_is_over),
	    cmocka_unit_test(a_failure_leaves_the_policy_that_is_held),
	    cmocka_unit_test(a_policy_in_use_is_refreshed_before_it_expires),
	    cmocka_unit_test(a_policy_that_nobody_uses_is_left_to_expire),
	    cmocka_unit_test(the_least_recently_used_goes_first),
	    cmocka_unit_test(a_file_is_read_as_it_was_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
