#include "tests/unit/rows.h"

#include "queue/mx.h"

static uint32_t seed;

static uint32_t
uniform(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

/* "10 mx1 20 mx2"; "." is the empty name. */
static size_t
records(const char *text, struct dns_record *list)
{
	struct str rest = str_from(text), word;
	size_t n = 0;

	while (str_word(&rest, &word)) {
		uint64_t preference;

		assert_true(str_to_u64(word, 65535, &preference));
		assert_true(str_word(&rest, &word));
		list[n++] = (struct dns_record){.preference = (unsigned)preference,
		    .text = str_equal(word, STR(".")) ? STR("") : word};
	}
	return n;
}

static void
exchangers_are_ordered_and_cut(void **state)
{
	static const struct {
		const char *records;
		enum mx_result result;
		const char *hosts;
		const char *site;
	} rows[] = {
	    {"10 mx1.test 20 mx2.test", MX_FOUND, "mx1.test mx2.test ", "mx1.test mx2.test"},
	    {"20 mx2.test 10 mx1.test", MX_FOUND, "mx1.test mx2.test ", "mx1.test mx2.test"},
	    {"5 z.test 10 a.test 0 m.test", MX_FOUND, "m.test z.test a.test ", "a.test m.test z.test"},
	    {"", MX_FOUND, "DUA.test ", "dua.test"},
	    {"0 .", MX_NULL, "", ""},
	    {"0 . 10 mx1.test", MX_FOUND, "mx1.test ", "mx1.test"},
	    {"10 mx1.test 20 mx1.test", MX_FOUND, "mx1.test ", "mx1.test"},
	    {"20 mx1.test 15 mx2.test 10 mx1.test", MX_FOUND, "mx1.test mx2.test ", "mx1.test mx2.test"},
	    {"10 mx1.test 20 satu.test 30 mx3.test", MX_FOUND, "mx1.test ", "mx1.test mx3.test satu.test"},
	    {"10 mx1.test 20 satu.test 20 mx3.test", MX_FOUND, "mx1.test ", "mx1.test mx3.test satu.test"},
	    {"10 satu.test 20 mx2.test", MX_LOOP, "", "mx2.test satu.test"},
	    {"10 satu.test 10 mx2.test", MX_LOOP, "", "mx2.test satu.test"},
	    {"1 a 2 b 3 c 4 d 5 e 6 f 7 g 8 h 9 i 10 j 11 k 12 l", MX_FOUND, "a b c d e f g h i j ",
		"a b c d e f g h i j k l"},
	};
	struct dns_record list[DNS_RECORDS_MAX];

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct dns_answer answer = {.records = list, .n = records(rows[i].records, list)};
		struct mx_list found;
		struct arena arena;
		char hosts[256] = "";

		arena_init(&arena, 65536);
		assert_int_equal(mx_make(&answer, STR("DUA.test"), STR("Satu.test"), uniform, 100, &arena, &found),
		    rows[i].result);
		for (size_t j = 0; j < found.n; j++)
			(void)snprintf(hosts + strlen(hosts), sizeof hosts - strlen(hosts), "%.*s ",
			    STR_FMT(found.hosts[j]));
		assert_string_equal(hosts, rows[i].hosts);
		assert_str(found.site, str_from(rows[i].site));
		arena_clear(&arena);
	}
}

static void
equals_are_shuffled_and_the_site_is_not(void **state)
{
	struct dns_record list[DNS_RECORDS_MAX];
	struct dns_answer answer = {.records = list, .n = records("10 a 10 b 10 c 20 d", list)};
	unsigned first[3] = {0};

	(void)state;
	for (int i = 0; i < 300; i++) {
		struct mx_list found;
		struct arena arena;

		arena_init(&arena, 65536);
		assert_int_equal(mx_make(&answer, STR("x"), STR("y"), uniform, 100, &arena, &found), MX_FOUND);
		assert_str(found.site, STR("a b c d"));
		assert_str(found.hosts[3], STR("d"));
		first[found.hosts[0].p[0] - 'a']++;
		arena_clear(&arena);
	}
	for (size_t i = 0; i < ROWS(first); i++)
		assert_in_range(first[i], 60, 140);
}

static void
a_long_site_is_cut_at_a_name(void **state)
{
	struct dns_record list[DNS_RECORDS_MAX];
	struct dns_answer answer = {.records = list, .n = records("10 aaaa 20 bbbb 30 cccc", list)};

	(void)state;
	for (size_t max = 5; max < 20; max++) {
		struct mx_list found;
		struct arena arena;

		arena_init(&arena, 65536);
		assert_int_equal(mx_make(&answer, STR("x"), STR("y"), uniform, max, &arena, &found), MX_FOUND);
		assert_true(found.site.n % 5 == 4 && found.site.n <= max);
		arena_clear(&arena);
	}
}

static void
a_full_arena_gives_an_empty_list(void **state)
{
	struct dns_record list[DNS_RECORDS_MAX];
	struct dns_answer answer = {.records = list, .n = records("10 aaaa 20 bbbb", list)};

	(void)state;
	for (size_t max = 0; max < 200; max += 16) {
		struct mx_list found;
		struct arena arena;

		arena_init(&arena, max);
		assert_int_equal(mx_make(&answer, STR("x"), STR("y"), uniform, 100, &arena, &found), MX_FOUND);
		assert_true(found.n == (arena.failed ? 0 : 2));
		arena_clear(&arena);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(exchangers_are_ordered_and_cut),
	    cmocka_unit_test(equals_are_shuffled_and_the_site_is_not),
	    cmocka_unit_test(a_long_site_is_cut_at_a_name),
	    cmocka_unit_test(a_full_arena_gives_an_empty_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
