#include "tests/unit/rows.h"

#include "queue/listing_filter.h"

#define NOW_S 1800000000ULL

static void
ranges_are_read(void **state)
{
	static const struct {
		const char *text;
		bool is_age, good;
		uint64_t min, max;
	} rows[] = {
	    {"4h", true, true, 14400, 0},
	    {"4h..", true, true, 14400, 0},
	    {"..30m", true, true, 0, 1800},
	    {"1h..2d", true, true, 3600, 172800},
	    {"90s", true, true, 90, 0},
	    {"1W", true, true, 604800, 0},
	    {"10", true, false, 0, 0},
	    {"", true, false, 0, 0},
	    {"h", true, false, 0, 0},
	    {"1h..x", true, false, 0, 0},
	    {"-1h", true, false, 0, 0},
	    {"99999999999999999999h", true, false, 0, 0},
	    {"9999999999999999d", true, false, 0, 0},
	    {"10M", false, true, 10485760, 0},
	    {"..64k", false, true, 0, 65536},
	    {"100..1G", false, true, 100, 1073741824},
	    {"10X", false, false, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct listing_filter f = {.places = 0};
		const char *problem;
		bool good = rows[i].is_age ? listing_filter_age(&f, str_from(rows[i].text), &problem)
					   : listing_filter_size(&f, str_from(rows[i].text), &problem);

		if (good != rows[i].good)
			print_error("row %zu: %s\n", i, rows[i].text);
		assert_int_equal(good, rows[i].good);
		if (!good)
			continue;
		assert_int_equal(rows[i].is_age ? f.age_min_s : f.size_min, rows[i].min);
		assert_int_equal(rows[i].is_age ? f.age_max_s : f.size_max, rows[i].max);
	}
}

static void
states_are_read(void **state)
{
	struct listing_filter f = {.places = 0};
	const char *problem;

	(void)state;
	assert_true(listing_filter_state(&f, STR("hold,Deferred"), &problem));
	assert_int_equal(f.places, 1U << SPOOL_HOLD | 1U << SPOOL_DEFERRED);
	assert_false(listing_filter_state(&f, STR("hold,"), &problem));
	assert_false(listing_filter_state(&f, STR("held"), &problem));
	assert_false(listing_filter_state(&f, STR(""), &problem));
}

static void
addresses_match_in_four_ways(void **state)
{
	static const struct {
		const char *pattern, *address;
		bool matches;
	} rows[] = {
	    {"<>", "", true},
	    {"<>", "a@b", false},
	    {"@dua.test", "baru@Dua.test", true},
	    {"@dua.test", "baru@x.dua.test", false},
	    {"@dua.test", "baru@satu.test", false},
	    {"baru@dua.test", "BARU@dua.test", true},
	    {"baru@dua.test", "xbaru@dua.test", false},
	    {"aru", "baru@dua.test", true},
	    {"dua", "baru@Dua.test", true},
	    {"tiga", "baru@dua.test", false},
	    {"b*@*.test", "baru@dua.test", true},
	    {"b*@*.test", "baru@dua.example", false},
	    {"b?ru@dua.test", "baru@dua.test", true},
	    {"*", "", true},
	    {"**a**b", "xxaxxb", true},
	    {"a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
	    {"?", "", false},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		bool matches = listing_filter_address(str_from(rows[i].pattern), str_from(rows[i].address));

		if (matches != rows[i].matches)
			print_error("row %zu: %s %s\n", i, rows[i].pattern, rows[i].address);
		assert_int_equal(matches, rows[i].matches);
	}
}

static void
all_conditions_hold_for_one_recipient(void **state)
{
	struct recipient recipients[] = {
	    {.address = STR("lama@dua.test"), .state = QUEUE_WAITING, .relay = STR("mx1.dua.test[127.0.0.3]:25"),
		.reply = STR("450 4.2.0 Later, please")},
	    {.address = STR("tua@x.tiga.test"), .state = QUEUE_WAITING},
	    {.address = STR("sudah@empat.test"), .state = QUEUE_DELIVERED, .reply = STR("250 ok")},
	};
	struct listed m = {.place = SPOOL_DEFERRED,
	    .envelope = {.sender = STR("baru@satu.test"), .head = {.message_size = 1000}, .recipients = recipients,
		.nrecipients = ROWS(recipients)}};
	const struct {
		struct listing_filter filter;
		bool matches;
	} rows[] = {
	    {{.places = 0}, true},
	    {{.sender = STR("baru@satu.test")}, true},
	    {{.sender = STR("lama")}, false},
	    {{.recipient = STR("lama@dua.test")}, true},
	    {{.recipient = STR("sudah@empat.test")}, false}, /* waits no more */
	    {{.site = STR("dua.test")}, true},
	    {{.site = STR("mx1.dua.test")}, true},
	    {{.site = STR("tiga.test")}, false},
	    {{.site = STR("@tiga.test")}, true},
	    {{.site = STR("@iga.test")}, false},
	    {{.reason = STR("later")}, true},
	    {{.reason = STR("later"), .site = STR("@tiga.test")}, false}, /* not of the same recipient */
	    {{.reason = STR("250")}, false},
	    {{.size_min = 1000, .size_max = 1000}, true},
	    {{.size_min = 1001}, false},
	    {{.size_max = 999}, false},
	    {{.places = 1U << SPOOL_HOLD}, false},
	    {{.places = 1U << SPOOL_HOLD | 1U << SPOOL_DEFERRED}, true},
	    {{.age_min_s = 3600}, true},
	    {{.age_min_s = 3601}, false},
	    {{.age_max_s = 3600}, true},
	    {{.age_max_s = 3599}, false},
	};

	(void)state;
	queue_id_make(&m.id, (NOW_S - 3600) * 1000000, 1);
	for (size_t i = 0; i < ROWS(rows); i++) {
		if (listing_filter_matches(&rows[i].filter, &m, NOW_S) != rows[i].matches)
			print_error("row %zu\n", i);
		assert_int_equal(listing_filter_matches(&rows[i].filter, &m, NOW_S), rows[i].matches);
		assert_int_equal(listing_filter_is_empty(&rows[i].filter), i == 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ranges_are_read),
	    cmocka_unit_test(states_are_read),
	    cmocka_unit_test(addresses_match_in_four_ways),
	    cmocka_unit_test(all_conditions_hold_for_one_recipient),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
