#include "tests/unit/rows.h"

#include <arpa/inet.h>

#include "common/dns/resolv_conf.h"

static void
name_servers_are_read_and_everything_else_is_passed_over(void **state)
{
	static const struct {
		struct str text;
		size_t n;
	} rows[] = {
	    {STR(""), 0},
	    {STR("nameserver 127.0.0.53"), 1},
	    {STR("nameserver 127.0.0.53\n"), 1},
	    {STR("nameserver\t127.0.0.53\r\nnameserver ::1\n"), 2},
	    {STR("# nameserver 1.2.3.4\n;nameserver 1.2.3.4\nsearch test\noptions edns0\n"), 0},
	    {STR("nameserver\nnameserver dns.test\nnameserver 300.1.1.1\nnameserver fe80::1%eth0\n"), 0},
	    {STR("xnameserver 1.2.3.4\nNAMESERVER 1.2.3.4\n"), 0},
	    {STR("nameserver 1.1.1.1\nnameserver 1.1.1.2\nnameserver 1.1.1.3\nnameserver 1.1.1.4\nnameserver 1.1.1.5\n"
		 "nameserver 1.1.1.6\nnameserver 1.1.1.7\nnameserver 1.1.1.8\nnameserver 1.1.1.9\n"), 8},
	};
	struct endpoint servers[RESOLV_CONF_SERVERS_MAX];
	bool trust;

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		assert_int_equal(resolv_conf_parse(rows[i].text, servers, &trust), rows[i].n);
		for (size_t cut = 0; cut < rows[i].text.n; cut++)
			assert_true(resolv_conf_parse(str_sub(rows[i].text, 0, cut), servers, &trust) <= RESOLV_CONF_SERVERS_MAX);
	}
	assert_int_equal(resolv_conf_parse(STR("nameserver 127.0.0.53\n"), servers, &trust), 1);
	assert_int_equal(servers[0].address.v4.sin_port, htons(53));
	assert_int_equal(servers[0].address.v4.sin_addr.s_addr, htonl(0x7f000035));
}

static void
resolv_conf_may_say_that_they_are_trusted(void **state)
{
	static const struct {
		struct str text;
		bool trust;
	} rows[] = {{STR("nameserver ::1\noptions edns0 trust-ad\n"), true}, {STR("options trust-ad\r\nnameserver ::1"), true},
	    {STR("nameserver ::1\n#options trust-ad\n"), false}, {STR("options trust-adx\noptions no-trust-ad\n"), false}};
	struct endpoint servers[RESOLV_CONF_SERVERS_MAX];
	bool trust;

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		(void)resolv_conf_parse(rows[i].text, servers, &trust);
		assert_int_equal(trust, rows[i].trust);
	}
}

static void
a_host_has_always_a_server(void **state)
{
	struct endpoint servers[RESOLV_CONF_SERVERS_MAX];
	bool trust;

	(void)state;
	assert_true(resolv_conf_read(servers, &trust) >= 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(name_servers_are_read_and_everything_else_is_passed_over),
	    cmocka_unit_test(resolv_conf_may_say_that_they_are_trusted),
	    cmocka_unit_test(a_host_has_always_a_server),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
