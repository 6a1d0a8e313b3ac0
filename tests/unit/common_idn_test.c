#include "tests/unit/rows.h"

#include "common/dns/idn.h"

static void
a_domain_has_one_form_in_ascii(void **state)
{
	static const struct {
		struct str domain;
		const char *ascii; /* NULL: none */
	} rows[] = {
	    {STR("Example.TEST"), "example.test"},
	    {STR(""), ""},
	    {STR("\xe4\xbe\x8b\xe5\xad\x90.test"), "xn--fsqu00a.test"},
	    {STR("\xd9\x85\xd8\xab\xd8\xa7\xd9\x84.test"), "xn--mgbh0fb.test"},
	    {STR("B\xc3\x9c" "cher.test"), "xn--bcher-kva.test"}, /* capitals */
	    {STR("bu\xcc\x88" "cher.test"), "xn--bcher-kva.test"}, /* the umlaut on its own */
	    {STR("\xff.test"), NULL},
	    {STR("a\0b"), NULL},
	    {STR("0123456789012345678901234567890123456789"), NULL}, /* does not fit */
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		char ascii[32];

		assert_int_equal(idn_to_ascii(rows[i].domain, ascii, sizeof ascii), rows[i].ascii != NULL);
		if (rows[i].ascii != NULL)
			assert_string_equal(ascii, rows[i].ascii);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_domain_has_one_form_in_ascii),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
