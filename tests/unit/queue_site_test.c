#include "tests/unit/rows.h"

#include "queue/site.h"

static const char text[] =
    "[site google]\nexchangers = .google.test, aspmx.test\nconnections = 50\nrate = 100/1m\ndead = 5m 1h\n"
    "[site slow]\ndomains = .slow.test lama.test\nconnections = 1\nmessages_per_connection = 3\nretry = 2h 4h\n";

static struct conf *
conf_make(void)
{
	struct buf problems;
	struct conf *conf;

	buf_init(&problems, CONF_PROBLEMS_MAX_BYTES);
	conf = conf_parse(str_from(text), "conf", "mail.example.org", &problems);
	assert_str(buf_str(&problems), STR(""));
	buf_clear(&problems);
	return conf;
}

static void
a_site_is_found_by_exchangers_and_domains(void **state)
{
	static const struct {
		const char *key, *domain, *name;
	} rows[] = {
	    {"mx1.google.test mx2.google.test", "a.test", "google"},
	    {"a.test MX.Google.test", "b.test", "google"},
	    {"aspmx.test", "a.test", "google"},
	    {"google.test", "a.test", ""},
	    {"notgoogle.test", "a.test", ""},
	    {"x.aspmx.test", "a.test", ""},
	    {"mx.any.test", "lama.test", "slow"},
	    {"mx.any.test", "x.lama.test", ""},
	    {"mx.any.test", "a.b.SLOW.test", "slow"},
	    {"mx.any.test", "slow.test", ""},
	    {"mx1.google.test", "lama.test", "google"},
	    {"", "", ""},
	};
	struct conf *conf = conf_make();

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct conf_site *section = site_section(conf, str_from(rows[i].key), str_from(rows[i].domain));

		assert_string_equal(section != NULL ? section->name : "", rows[i].name);
	}
	conf_free(conf);
}

static void
what_a_section_does_not_say_is_as_usual(void **state)
{
	struct conf *conf = conf_make();
	struct site_limits google, slow, usual;

	(void)state;
	site_limits_usual(&usual, &conf->queue);
	site_limits_special(&google, &conf->queue, &conf->sites[0]);
	site_limits_special(&slow, &conf->queue, &conf->sites[1]);
	assert_int_equal(usual.window, 20);
	assert_int_equal(usual.rate_ms, 0);
	assert_false(usual.special);
	assert_int_equal(google.window, 50);
	assert_int_equal(google.window_start, usual.window_start);
	assert_int_equal(google.rate, 100);
	assert_int_equal(google.rate_ms, 60000);
	assert_int_equal(google.ndead, 2);
	assert_int_equal(google.dead_s[1], 3600);
	assert_true(google.special && slow.special);
	assert_int_equal(slow.window, 1);
	assert_int_equal(slow.window_start, 1);
	assert_ptr_equal(slow.dead_s, usual.dead_s);
	/* Never later than the mail itself would find out. */
	assert_int_equal(slow.dead_max_ms, 15 * 60000 / 4 * 3);
	conf_free(conf);
}

static void
the_shorter_list_of_retries_counts(void **state)
{
	static const uint64_t first[] = {60, 7200}, second[] = {600};
	static const struct conf_times a = {first, 2}, b = {second, 1};
	struct conf *conf = conf_make();

	(void)state;
	assert_ptr_equal(site_retry_shorter(&a, NULL, 0), &a);
	assert_ptr_equal(site_retry_shorter(&a, &b, 0), &a);
	assert_ptr_equal(site_retry_shorter(&a, &b, 1), &b);
	assert_ptr_equal(site_retry_shorter(&a, &b, 100), &b);
	assert_int_equal(site_retry_longest_s(conf), 4 * 3600);
	conf_free(conf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_site_is_found_by_exchangers_and_domains),
	    cmocka_unit_test(what_a_section_does_not_say_is_as_usual),
	    cmocka_unit_test(the_shorter_list_of_retries_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
