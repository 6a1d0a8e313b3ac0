#include "tests/unit/rows.h"

#include "queue/idn.h"
#include "queue/orcpt.h"

static const struct {
	const char *orcpt;
	const char *parameter; /* NULL: there is none */
	const char *field;     /* in ASCII */
} rows[] = {
    {"rfc822;a@x", "rfc822;a@x", "rfc822;a@x"},
    {"rfc822;a b+c=d\r\n@x", "rfc822;a+20b+2Bc+3Dd+0D+0A@x", "rfc822;a b+c=d\r\n@x"},
    {"rfc822;\xc3\xa9@x", "rfc822;+C3+A9@x", "rfc822;\xc3\xa9@x"},
    {"utf-8;\xc3\xa9@x", "utf-8;\\x{E9}@x", "utf-8;\\x{E9}@x"},
    {"UTF-8;\xe7\x94\xa8\xf0\x9f\x95\x8a@x", "UTF-8;\\x{7528}\\x{1F54A}@x", "UTF-8;\\x{7528}\\x{1F54A}@x"},
    {"utf-8;a b\\+=", "utf-8;a\\x{20}b\\x{5C}\\x{2B}\\x{3D}", "utf-8;a\\x{20}b\\x{5C}\\x{2B}\\x{3D}"},
    /* Cut, too long, a surrogate, beyond the last: each byte is a replacement. */
    {"utf-8;\xc3", "utf-8;\\x{FFFD}", "utf-8;\\x{FFFD}"},
    {"utf-8;\xc0\xaf", "utf-8;\\x{FFFD}\\x{FFFD}", "utf-8;\\x{FFFD}\\x{FFFD}"},
    {"utf-8;\xed\xa0\x80", "utf-8;\\x{FFFD}\\x{FFFD}\\x{FFFD}", "utf-8;\\x{FFFD}\\x{FFFD}\\x{FFFD}"},
    {"utf-8;\xf4\x90\x80\x80", "utf-8;\\x{FFFD}\\x{FFFD}\\x{FFFD}\\x{FFFD}", "utf-8;\\x{FFFD}\\x{FFFD}\\x{FFFD}\\x{FFFD}"},
    {"a@x", NULL, "a@x"},
    {";a@x", NULL, ";a@x"},
    {"rfc822;", NULL, "rfc822;"},
    {"rfc\r\n822;a@x", NULL, "rfc\r\n822;a@x"},
    {"", NULL, ""},
};

static void
original_recipients_are_written_for_each_reader(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct str orcpt = str_from(rows[i].orcpt);

		buf_reset(&b);
		assert_int_equal(orcpt_add_parameter(&b, orcpt), rows[i].parameter != NULL);
		assert_str(buf_str(&b), rows[i].parameter != NULL ? str_from(rows[i].parameter) : STR(""));
		buf_reset(&b);
		orcpt_add_field(&b, orcpt, false);
		assert_str(buf_str(&b), str_from(rows[i].field));
		buf_reset(&b);
		orcpt_add_field(&b, orcpt, true);
		assert_str(buf_str(&b), orcpt);
	}
	buf_clear(&b);
}

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
	    cmocka_unit_test(original_recipients_are_written_for_each_reader),
	    cmocka_unit_test(domains_become_ascii),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
