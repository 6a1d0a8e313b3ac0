#include "tests/unit/rows.h"

#include <arpa/inet.h>

#include "common/dns/dns_list.h"

static struct in_addr
v4(const char *text)
{
	struct in_addr address;

	assert_int_equal(inet_pton(AF_INET, text, &address), 1);
	return address;
}

static void
a_list_has_a_weight_and_a_filter_in_any_order(void **state)
{
	static const struct {
		const char *text, *domain;
		int weight;
		bool has_filter;
	} rows[] = {
	    {"zen.example.test", "zen.example.test", 1, false},
	    {"ZEN.Example.test", "zen.example.test", 1, false},
	    {"zen.example.test*2", "zen.example.test", 2, false},
	    {"zen.example.test*-3", "zen.example.test", -3, false},
	    {"zen.example.test=127.0.0.2", "zen.example.test", 1, true},
	    {"zen.example.test*2=127.0.0.[2..11]", "zen.example.test", 2, true},
	    {"zen.example.test=127.0.0.[2..11]*2", "zen.example.test", 2, true},
	    {"list.example.test=127.0.[0..255].[1..3]*-2", "list.example.test", -2, true},
	    {"a.test=[0;127].[1..2;5].0.[0..255]", "a.test", 1, true},
	    {"a_b.test*0", "a_b.test", 0, false},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct dns_list list;
		struct err err;

		if (!dns_list_parse(str_from(rows[i].text), &list, &err))
			fail_msg("%s: %s", rows[i].text, err.text);
		assert_string_equal(list.domain, rows[i].domain);
		assert_int_equal(list.weight, rows[i].weight);
		assert_int_equal(list.has_filter, rows[i].has_filter);
	}
}

static void
what_is_no_list_is_refused(void **state)
{
	static const char *const rows[] = {"", "zen", "*2", "=127.0.0.2", "zen..test", "zen.test*", "zen.test*x", "zen.test*1001",
	    "zen.test*--1", "zen.test*1*2", "zen.test=", "zen.test=127.0.0", "zen.test=127.0.0.1.2", "zen.test=127.0.0.256",
	    "zen.test=127.0.0.[3..2]", "zen.test=127.0.0.[2", "zen.test=127.0.0.2]", "zen.test=127.0.0.[]", "zen.test=127.0.0.[1;]",
	    "zen.test=127.0.0.1=127.0.0.2", "zen.test=127.0.0.1x", "zen.test 2", "zen.test=127.0.0.1..3", "zen.test=127.0.0.*"};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct dns_list list;
		struct err err;

		if (dns_list_parse(str_from(rows[i]), &list, &err))
			fail_msg("\"%s\" was taken", rows[i]);
		assert_true(strstr(err.text, rows[i]) != NULL);
	}
}

static void
only_what_the_filter_names_counts(void **state)
{
	static const struct {
		const char *list, *answer;
		bool counts;
	} rows[] = {
	    {"a.test", "127.0.0.2", true},
	    {"a.test", "127.1.2.3", true},
	    {"a.test", "127.255.255.254", false}, /* "your resolver is not served" */
	    {"a.test", "127.255.254.1", true},
	    {"a.test", "192.0.2.1", false}, /* a domain that was given up and parked */
	    {"a.test=127.0.0.[2..11;20]", "127.0.0.2", true},
	    {"a.test=127.0.0.[2..11;20]", "127.0.0.11", true},
	    {"a.test=127.0.0.[2..11;20]", "127.0.0.12", false},
	    {"a.test=127.0.0.[2..11;20]", "127.0.0.20", true},
	    {"a.test=127.0.0.[2..11;20]", "127.0.1.2", false},
	    {"a.test=127.0.[0..255].3", "127.0.255.3", true},
	    {"a.test=192.0.2.1", "192.0.2.1", true},
	    {"a.test=127.255.255.254", "127.255.255.254", true},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct dns_list list;

		assert_true(dns_list_parse(str_from(rows[i].list), &list, NULL));
		if (dns_list_counts(&list, v4(rows[i].answer)) != rows[i].counts)
			fail_msg("%s: %s", rows[i].list, rows[i].answer);
	}
}

static void
addresses_are_asked_about_in_reverse(void **state)
{
	char name[DNS_NAME_MAX + 1], domain[DNS_NAME_MAX + 1];
	struct in_addr address = v4("192.0.2.99");
	struct in6_addr v6;

	(void)state;
	assert_true(dns_list_name(name, (struct str){(const char *)&address, 4}, "zen.test"));
	assert_string_equal(name, "99.2.0.192.zen.test");
	assert_int_equal(inet_pton(AF_INET6, "2001:db8:1:2:3:4:567:89ab", &v6), 1);
	assert_true(dns_list_name(name, (struct str){(const char *)&v6, 16}, "ip6.arpa"));
	assert_string_equal(name, "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
	memset(domain, 'a', sizeof domain);
	domain[DNS_NAME_MAX - 63] = '\0';
	assert_false(dns_list_name(name, (struct str){(const char *)&v6, 16}, domain));
	domain[DNS_NAME_MAX - 64] = '\0';
	assert_true(dns_list_name(name, (struct str){(const char *)&v6, 16}, domain));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_list_has_a_weight_and_a_filter_in_any_order),
	    cmocka_unit_test(what_is_no_list_is_refused),
	    cmocka_unit_test(only_what_the_filter_names_counts),
	    cmocka_unit_test(addresses_are_asked_about_in_reverse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
