#include "tests/unit/rows.h"

#include "common/conf/rule_set.h"

static void
fill(struct rule_set *set, enum rule_set_kind kind, const char *text, struct buf *problems)
{
	rule_set_init(set, kind);
	buf_init(problems, 4096);
	assert_true(rule_set_parse(set, str_from(text), "/f", problems));
}

static void
clients_are_addresses_networks_and_names(void **state)
{
	static const struct {
		const char *address;
		bool is_in;
	} rows[] = {
	    {"192.0.2.1", true}, {"192.0.2.2", false}, {"10.1.2.3", true}, {"11.1.2.3", false}, {"198.51.100.129", true},
	    {"198.51.100.127", false}, {"2001:db8::1", true}, {"2001:db9::1", false}, {"::ffff:192.0.2.1", true},
	};
	struct rule_set set;
	struct buf problems;

	(void)state;
	fill(&set, RULE_SET_CLIENTS,
	    "# ours\n192.0.2.1\n10.0.0.0/8 # all\r\n198.51.100.128/25\n2001:db8::/32\n\nmx.a.test\n*.dyn.test\n.cable.test\n", &problems);
	assert_int_equal(problems.n, 0);
	assert_int_equal(set.n, 7);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct endpoint endpoint;

		assert_true(endpoint_parse_address(str_from(rows[i].address), 0, &endpoint));
		if (rule_set_has_client(&set, &endpoint.address.any) != rows[i].is_in)
			fail_msg("%s", rows[i].address);
	}
	assert_true(rule_set_has_name(&set, STR("mx.a.test")));
	assert_false(rule_set_has_name(&set, STR("x.mx.a.test")));
	assert_true(rule_set_has_name(&set, STR("1.2.dyn.test")));
	assert_false(rule_set_has_name(&set, STR("dyn.test")));
	assert_true(rule_set_has_name(&set, STR("a.cable.test")));
	assert_false(rule_set_has_name(&set, STR("")));
	rule_set_clear(&set);
	assert_false(rule_set_has_name(&set, STR("mx.a.test")));
	buf_clear(&problems);
}

static void
addresses_are_found_by_domain_and_by_local_part(void **state)
{
	static const struct {
		const char *local, *domain;
		bool is_in;
	} rows[] = {
	    {"a", "one.test", true}, {"b", "one.test", false}, {"b", "two.test", true}, {"b", "x.two.test", false},
	    {"b", "x.three.test", true}, {"b", "y.x.three.test", true}, {"b", "three.test", false}, {"spam", "any.test", true},
	    {"spam2", "any.test", false}, {"b", "four.test", true}, {"a@one.test", "evil.test", false}, {"b", "x.xn--bcher-kva.test", true},
	};
	struct rule_set set;
	struct buf problems;

	(void)state;
	fill(&set, RULE_SET_ADDRESSES, "A@One.test\ntwo.test\n*.three.test\nspam@*\n@four.test\n*.b\303\274cher.test\n", &problems);
	assert_int_equal(problems.n, 0);
	for (size_t i = 0; i < ROWS(rows); i++)
		if (rule_set_has_address(&set, str_from(rows[i].local), str_from(rows[i].domain)) != rows[i].is_in)
			fail_msg("%s@%s", rows[i].local, rows[i].domain);
	rule_set_clear(&set);
	buf_clear(&problems);
}

static void
a_bad_line_is_told_and_the_others_count(void **state)
{
	struct rule_set set;
	struct buf problems;

	(void)state;
	fill(&set, RULE_SET_ADDRESSES, "*@*\na b@c.test\nx@*.y.*.z\ngood@c.test\n", &problems);
	assert_str(buf_str(&problems),
	    STR("/f:1: \"*@*\" is not an address or a domain, such as a@example.org, example.org or *.example.org\n"
		"/f:2: \"a b@c.test\" is not an address or a domain, such as a@example.org, example.org or *.example.org\n"
		"/f:3: \"x@*.y.*.z\" is not an address or a domain, such as a@example.org, example.org or *.example.org\n"));
	assert_true(rule_set_has_address(&set, STR("good"), STR("c.test")));
	rule_set_clear(&set);
	buf_clear(&problems);
}

static void
a_long_file_is_found_through(void **state)
{
	struct rule_set set;
	struct buf problems, text;
	char name[32];

	(void)state;
	buf_init(&text, 1 << 22);
	for (unsigned i = 0; i < 50000; i++)
		buf_addf(&text, "h%u.test\n", i);
	rule_set_init(&set, RULE_SET_NAMES);
	buf_init(&problems, 4096);
	assert_true(rule_set_parse(&set, buf_str(&text), "/f", &problems));
	assert_true(rule_set_parse(&set, buf_str(&text), "/f", &problems)); /* again: nothing twice */
	assert_int_equal(set.n, 50000);
	for (unsigned i = 0; i < 50000; i += 7) {
		(void)snprintf(name, sizeof name, "h%u.test", i);
		assert_true(rule_set_has_name(&set, str_from(name)));
	}
	assert_false(rule_set_has_name(&set, STR("h50000.test")));
	rule_set_clear(&set);
	buf_clear(&text);
	buf_clear(&problems);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(clients_are_addresses_networks_and_names),
	    cmocka_unit_test(addresses_are_found_by_domain_and_by_local_part),
	    cmocka_unit_test(a_bad_line_is_told_and_the_others_count),
	    cmocka_unit_test(a_long_file_is_found_through),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
