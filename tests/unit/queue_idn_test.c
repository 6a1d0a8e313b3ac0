#include "tests/unit/rows.h"

#include "queue/idn.h"

static void
domains_become_ascii(void **state)
{
	static const struct {
		const char *domain, *ascii;
	} domains[] = {
	    {"surat.test", "surat.test"},
	    {"\xe4\xbe\x8b\xe5\xad\x90.\xe6\xb5\x8b\xe8\xaf\x95", "xn--fsqu00a.xn--0zwm56d"},
	    {"B\xc3\x9c" "CHER.test", "xn--bcher-kva.test"},
	    {"stra\xc3\x9f" "e.test", "xn--strae-oqa.test"},
	    {"\xc3\xa9..test", "xn--9ca..test"}, /* DNS will not have it */
	    {"\xff.test", NULL},
	};
	struct arena arena;

	(void)state;
	arena_init(&arena, 4096);
	for (size_t i = 0; i < ROWS(domains); i++) {
		struct str ascii = idn_domain_to_ascii(&arena, str_from(domains[i].domain));

		print_message("    %s\n", domains[i].domain);
		assert_int_equal(ascii.p == NULL, domains[i].ascii == NULL);
		if (ascii.p != NULL)
			assert_str(ascii, str_from(domains[i].ascii));
	}
	assert_str(idn_address_to_ascii(&arena, STR("a@\xc3\xa9.test")), STR("a@xn--9ca.test"));
	assert_null(idn_address_to_ascii(&arena, STR("\xc3\xa9@x.test")).p);
	assert_null(idn_address_to_ascii(&arena, STR("nobody")).p);
	arena_clear(&arena);
	arena_init(&arena, 0);
	assert_null(idn_domain_to_ascii(&arena, STR("\xc3\xa9.test")).p);
	arena_clear(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(domains_become_ascii),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
