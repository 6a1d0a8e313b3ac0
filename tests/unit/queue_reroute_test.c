#include "tests/unit/rows.h"

#include "queue/reroute.h"

static void
a_way_is_a_route_or_a_host_in_brackets(void **state)
{
	static const struct conf_route routes[] = {{.name = "cadangan.test"}, {.name = "*"}};
	static const struct conf conf = {.routes = routes, .nroutes = ROWS(routes)};
	static const struct {
		const char *way;
		bool is_way, is_host;
	} rows[] = {
	    {"cadangan.test", true, false},
	    {"*", true, false},
	    {"tiada.test", false, false},
	    {"[mx1.dua.test]", true, true},
	    {"[mx1.dua.test]:2525", true, true},
	    {"[127.0.0.3]:26", true, true},
	    {"[IPv6:::1]", true, true},
	    {"[::1]:25", true, true},
	    {"127.0.0.3:26", false, false},
	    {"mx1.dua.test:26", false, false},
	    {"[mx1.dua.test", false, false},
	    {"[mx1.dua.test]:0", false, false},
	    {"[mx1.dua.test]:99999", false, false},
	    {"[mx1 dua.test]", false, false},
	    {"[mx1\ndua.test]", false, false},
	    {"[]", false, false},
	    {"", false, false},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		if (reroute_is_way(&conf, str_from(rows[i].way)) != rows[i].is_way ||
		    reroute_is_host(str_from(rows[i].way)) != rows[i].is_host)
			fail_msg("%s", rows[i].way);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_way_is_a_route_or_a_host_in_brackets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
