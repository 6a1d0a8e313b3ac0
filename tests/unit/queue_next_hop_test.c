#include "tests/unit/rows.h"

#include <arpa/inet.h>

#include "queue/next_hop.h"

static void
next_hops_are_read(void **state)
{
	static const struct {
		struct str in;
		enum job_transport transport;
		bool good;
		enum next_hop_kind kind;
		struct str name;
		uint16_t port;
	} rows[] = {
	    {STR("dua.test"), JOB_SMTP, true, NEXT_HOP_DOMAIN, STR("dua.test"), 25},
	    {STR("dua.test:2525"), JOB_SMTP, true, NEXT_HOP_DOMAIN, STR("dua.test"), 2525},
	    {STR("[mx1.dua.test]"), JOB_SMTP, true, NEXT_HOP_HOST, STR("mx1.dua.test"), 25},
	    {STR("[mx1.dua.test]:587"), JOB_SMTP, true, NEXT_HOP_HOST, STR("mx1.dua.test"), 587},
	    {STR("[127.0.0.3]"), JOB_SMTP, true, NEXT_HOP_ADDRESS, STR("127.0.0.3"), 25},
	    {STR("[127.0.0.3]:26"), JOB_SMTP, true, NEXT_HOP_ADDRESS, STR("127.0.0.3"), 26},
	    {STR("[IPv6:::1]"), JOB_SMTP, true, NEXT_HOP_ADDRESS, STR("IPv6:::1"), 25},
	    {STR("[ipv6:2001:db8::1]:26"), JOB_SMTP, true, NEXT_HOP_ADDRESS, STR("ipv6:2001:db8::1"), 26},
	    {STR("[::1]"), JOB_SMTP, true, NEXT_HOP_ADDRESS, STR("::1"), 25},
	    {STR("lmtp"), JOB_LMTP, true, NEXT_HOP_SOCKET, STR("lmtp"), 25},
	    {STR("[127.0.0.3]:24"), JOB_LMTP, true, NEXT_HOP_ADDRESS, STR("127.0.0.3"), 24},
	    {STR("unix:/run/x/lmtp"), JOB_LMTP, true, NEXT_HOP_PATH, STR("unix:/run/x/lmtp"), 25},
	    {STR("unix:lmtp"), JOB_LMTP, false, 0, STR(""), 0},
	    {STR("unix:/run/x y"), JOB_LMTP, false, 0, STR(""), 0},
	    {STR("unix:/run/x"), JOB_SMTP, false, 0, STR(""), 0},
	    {STR("lmtp"), JOB_SMTP, true, NEXT_HOP_DOMAIN, STR("lmtp"), 25},
	    {STR("../lmtp"), JOB_LMTP, false, 0, STR(""), 0},
	    {STR("/lmtp"), JOB_LMTP, false, 0, STR(""), 0},
	    {STR(""), JOB_LMTP, false, 0, STR(""), 0},
	    {STR(""), JOB_SMTP, false, 0, STR(""), 0},
	    {STR(":25"), JOB_SMTP, false, 0, STR(""), 0},
	    {STR("dua.test:"), JOB_SMTP, false, 0, STR(""), 0},
	    {STR("dua.test:0"), JOB_SMTP, false, 0, STR(""), 0},
	    {STR("dua.test:65536"), JOB_SMTP, false, 0, STR(""), 0},
	    {STR("[]"), JOB_SMTP, false, 0, STR(""), 0},
	    {STR("["), JOB_SMTP, false, 0, STR(""), 0},
	    {STR("[mx1.dua.test"), JOB_SMTP, false, 0, STR(""), 0},
	    {STR("[mx1.dua.test]x"), JOB_SMTP, false, 0, STR(""), 0},
	    {STR("[IPv6:127.0.0.1]"), JOB_SMTP, false, 0, STR(""), 0},
	    {STR("[IPv6:zz]"), JOB_SMTP, false, 0, STR(""), 0},
	    {STR("[2001:zz::]"), JOB_SMTP, false, 0, STR(""), 0},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct next_hop next_hop;

		assert_int_equal(next_hop_parse(rows[i].in, rows[i].transport, 25, &next_hop), rows[i].good);
		for (size_t cut = 0; cut < rows[i].in.n; cut++) {
			struct next_hop other;

			(void)next_hop_parse(str_sub(rows[i].in, 0, cut), rows[i].transport, 25, &other);
		}
		if (!rows[i].good)
			continue;
		assert_int_equal(next_hop.kind, rows[i].kind);
		assert_str(next_hop.name, rows[i].name);
		assert_int_equal(next_hop.port, rows[i].port);
		if (next_hop.kind == NEXT_HOP_ADDRESS)
			assert_int_equal(next_hop.address.address.v4.sin_port, htons(rows[i].port));
	}
}

static void
addresses_are_written(void **state)
{
	struct endpoint endpoint;
	struct sockaddr local = {.sa_family = AF_UNIX};
	char text[INET6_ADDRSTRLEN];

	(void)state;
	assert_true(endpoint_parse_address(STR("127.0.0.3"), 25, &endpoint));
	next_hop_address_text(&endpoint.address.any, text, sizeof text);
	assert_string_equal(text, "127.0.0.3");
	assert_true(endpoint_parse_address(STR("2001:DB8::0:1"), 25, &endpoint));
	next_hop_address_text(&endpoint.address.any, text, sizeof text);
	assert_string_equal(text, "2001:db8::1");
	next_hop_address_text(&local, text, sizeof text);
	assert_string_equal(text, "local");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(next_hops_are_read),
	    cmocka_unit_test(addresses_are_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
