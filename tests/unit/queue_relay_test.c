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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_closest_name_counts),
	    cmocka_unit_test(relays_become_next_hops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
