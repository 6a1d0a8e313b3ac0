#include "tests/unit/rows.h"

#include "queue/relay.h"

static const struct conf_route routes[] = {
    {.name = "*", .relay = "smtp.penyedia.test:587"},
    {.name = ".dua.test", .relay = "[127.0.0.3]:26"},
    {.name = ".sub.dua.test", .relay = "tiga.test"},
    {.name = "dua.test", .relay = ""},
};
static const struct conf conf = {.routes = routes, .nroutes = ROWS(routes)};

static void
the_closest_name_counts(void **state)
{
	static const struct {
		const char *domain, *route;
	} domains[] = {{"dua.test", "dua.test"}, {"DUA.test", "dua.test"}, {"x.dua.test", ".dua.test"}, {"xdua.test", "*"},
	    {"a.sub.dua.test", ".sub.dua.test"}, {"sub.dua.test", ".dua.test"}, {"empat.test", "*"}, {"test", "*"}};
	static const struct conf without = {.routes = routes + 1, .nroutes = ROWS(routes) - 1};

	(void)state;
	for (size_t i = 0; i < ROWS(domains); i++)
		assert_string_equal(relay_find(&conf, str_from(domains[i].domain))->name, domains[i].route);
	assert_null(relay_find(&without, STR("empat.test")));
	assert_ptr_equal(relay_named(&conf, STR(".dua.test")), &routes[1]);
	assert_null(relay_named(&conf, STR("empat.test")));
}

static void
relays_become_next_hops(void **state)
{
	static const char *const next_hops[] = {"[smtp.penyedia.test]:587", "[127.0.0.3]:26", "[tiga.test]", NULL};
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	for (size_t i = 0; i < ROWS(routes); i++) {
		buf_reset(&b);
		assert_int_equal(relay_next_hop(&routes[i], &b), next_hops[i] != NULL);
		if (next_hops[i] != NULL)
			assert_str(buf_str(&b), str_from(next_hops[i]));
	}
	buf_clear(&b);
}

static void
an_lmtp_relay_has_a_prefix(void **state)
{
	static const struct {
		struct conf_route route;
		const char *next_hop; /* NULL: malformed */
		bool is_socket;
	} rows[] = {
	    {{.relay = "lmtp:kotak.test"}, "[kotak.test]:24", false},
	    {{.relay = "LMTP:kotak.test:2003"}, "[kotak.test]:2003", false},
	    {{.relay = "lmtp:[::1]"}, "[::1]:24", false},
	    {{.relay = "lmtp:[127.0.0.3]:26"}, "[127.0.0.3]:26", false},
	    {{.relay = "lmtp:unix:/run/dovecot/lmtp"}, "unix:/run/dovecot/lmtp", true},
	    {{.relay = "lmtp:unix:lmtp"}, NULL, false},
	    {{.relay = "lmtp:"}, NULL, false},
	    {{.relay = "lmtp:kotak.test:0"}, NULL, false},
	};
	struct endpoint endpoint;
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	for (size_t i = 0; i < ROWS(rows); i++) {
		buf_reset(&b);
		assert_int_equal(relay_transport(&rows[i].route), JOB_LMTP);
		assert_int_equal(relay_next_hop(&rows[i].route, &b), rows[i].next_hop != NULL);
		if (rows[i].next_hop != NULL)
			assert_str(buf_str(&b), str_from(rows[i].next_hop));
		assert_int_equal(relay_socket(&rows[i].route, &endpoint), rows[i].is_socket);
	}
	assert_int_equal(relay_transport(&routes[0]), JOB_SMTP);
	assert_false(relay_socket(&routes[0], &endpoint));
	buf_clear(&b);
}

static void
an_own_domain_takes_only_a_route_of_its_name(void **state)
{
	(void)state;
	assert_ptr_equal(relay_of_own(&conf, STR("dua.test")), NULL); /* without a relay */
	assert_ptr_equal(relay_of_own(&conf, STR("x.dua.test")), NULL);
	assert_ptr_equal(relay_of_own(&conf, STR("empat.test")), NULL);
	assert_ptr_equal(relay_of_own(&conf, STR(".dua.test")), &routes[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_closest_name_counts),
	    cmocka_unit_test(relays_become_next_hops),
	    cmocka_unit_test(an_lmtp_relay_has_a_prefix),
	    cmocka_unit_test(an_own_domain_takes_only_a_route_of_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
