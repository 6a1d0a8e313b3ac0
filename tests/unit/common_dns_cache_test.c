#include "tests/unit/rows.h"

#include "common/dns/dns_cache.h"

static struct dns_record exchangers[] = {
    {.preference = 10, .text = {"mx1.dua.test", 12}},
    {.preference = 20, .text = {"", 0}},
};

static struct dns_answer
found(uint32_t ttl_s)
{
	return (struct dns_answer){.status = DNS_FOUND, .ttl_s = ttl_s, .name = STR("dua.test"), .records = exchangers,
	    .n = ROWS(exchangers)};
}

static struct dns_question
ask(const char *name, enum dns_type type)
{
	struct dns_question question;

	assert_true(dns_question_set(&question, str_from(name), type));
	return question;
}

static void
an_answer_is_found_for_as_long_as_it_holds(void **state)
{
	struct dns_cache *cache = dns_cache_new(65536);
	struct dns_question question = ask("dua.test", DNS_MX), other = ask("dua.test", DNS_A);
	struct dns_answer answer = found(10);

	(void)state;
	dns_cache_store(cache, &question, 1000, &answer);
	memset(&answer, 0, sizeof answer);
	assert_true(dns_cache_find(cache, &question, 3500, &answer));
	assert_int_equal(answer.status, DNS_FOUND);
	assert_int_equal(answer.ttl_s, 8);
	assert_int_equal(answer.n, 2);
	assert_int_equal(answer.records[0].preference, 10);
	assert_str(answer.records[0].text, STR("mx1.dua.test"));
	assert_str(answer.records[1].text, STR(""));
	assert_str(answer.name, STR("dua.test"));
	assert_false(dns_cache_find(cache, &other, 3500, &answer));
	assert_false(dns_cache_find(cache, &question, 11000, &answer));
	assert_false(dns_cache_find(cache, &question, 3500, &answer));
	dns_cache_free(cache);
}

static void
a_newer_answer_takes_the_place_of_the_older(void **state)
{
	struct dns_cache *cache = dns_cache_new(65536);
	struct dns_question question = ask("dua.test", DNS_MX);
	struct dns_answer answer = found(10), none = {.status = DNS_NXDOMAIN, .ttl_s = 10};

	(void)state;
	dns_cache_store(cache, &question, 0, &answer);
	dns_cache_store(cache, &question, 0, &none);
	assert_true(dns_cache_find(cache, &question, 1, &answer));
	assert_int_equal(answer.status, DNS_NXDOMAIN);
	answer = found(0);
	dns_cache_store(cache, &question, 0, &answer);
	assert_false(dns_cache_find(cache, &question, 1, &answer));
	dns_cache_free(cache);
}

static void
times_have_an_upper_bound_and_failures_are_not_kept(void **state)
{
	static const struct {
		enum dns_status status;
		uint32_t ttl_s, kept_s;
	} rows[] = {
	    {DNS_FOUND, UINT32_MAX, DNS_CACHE_TTL_MAX_S},
	    {DNS_NODATA, 100000, DNS_CACHE_NEGATIVE_TTL_MAX_S},
	    {DNS_NXDOMAIN, 100000, DNS_CACHE_NEGATIVE_TTL_MAX_S},
	    {DNS_NXDOMAIN, 5, 5},
	    {DNS_TEMP, 100, 0},
	    {DNS_BAD_NAME, 100, 0},
	};
	struct dns_cache *cache = dns_cache_new(65536);
	struct dns_question question = ask("dua.test", DNS_MX);

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct dns_answer answer = {.status = rows[i].status, .ttl_s = rows[i].ttl_s};

		dns_cache_store(cache, &question, 0, &answer);
		assert_int_equal(dns_cache_find(cache, &question, 0, &answer), rows[i].kept_s > 0);
		if (rows[i].kept_s > 0)
			assert_int_equal(answer.ttl_s, rows[i].kept_s);
	}
	dns_cache_free(cache);
}

static void
the_least_recently_used_makes_room(void **state)
{
	struct dns_cache *cache = dns_cache_new(4096);
	struct dns_question first = ask("first.test", DNS_MX), question;
	struct dns_answer answer = found(100);
	char name[32];
	unsigned kept = 0;

	(void)state;
	dns_cache_store(cache, &first, 0, &answer);
	for (unsigned i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof name, "n%u.test", i);
		question = ask(name, DNS_MX);
		answer = found(100);
		dns_cache_store(cache, &question, 0, &answer);
		assert_true(dns_cache_find(cache, &first, 0, &answer));
	}
	for (unsigned i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof name, "n%u.test", i);
		question = ask(name, DNS_MX);
		kept += dns_cache_find(cache, &question, 0, &answer) ? 1 : 0;
	}
	assert_true(kept > 1 && kept < 20);
	assert_true(dns_cache_find(cache, &question, 0, &answer));
	dns_cache_free(cache);
}

static void
what_is_larger_than_the_cache_is_not_kept(void **state)
{
	struct dns_question question = ask("dua.test", DNS_MX);

	(void)state;
	for (size_t max = 0; max < 2048; max += 16) {
		struct dns_cache *cache = dns_cache_new(max);
		struct dns_answer answer = found(100);

		dns_cache_store(cache, &question, 0, &answer);
		(void)dns_cache_find(cache, &question, 0, &answer);
		dns_cache_free(cache);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_answer_is_found_for_as_long_as_it_holds),
	    cmocka_unit_test(a_newer_answer_takes_the_place_of_the_older),
	    cmocka_unit_test(times_have_an_upper_bound_and_failures_are_not_kept),
	    cmocka_unit_test(the_least_recently_used_makes_room),
	    cmocka_unit_test(what_is_larger_than_the_cache_is_not_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
