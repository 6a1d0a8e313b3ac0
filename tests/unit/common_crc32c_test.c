#include "tests/unit/rows.h"

#include "common/base/crc32c.h"

/* RFC 3720 B.4, and the usual check value. */
static void
the_known_sums_come_out(void **state)
{
	char zeros[32] = {0}, ones[32], up[32];

	(void)state;
	for (size_t i = 0; i < 32; i++) {
		ones[i] = (char)0xff;
		up[i] = (char)i;
	}
	assert_int_equal(crc32c(0, STR("123456789")), 0xe3069283);
	assert_int_equal(crc32c(0, (struct str){zeros, 32}), 0x8a9136aa);
	assert_int_equal(crc32c(0, (struct str){ones, 32}), 0x62a8ab43);
	assert_int_equal(crc32c(0, (struct str){up, 32}), 0x46dd794e);
	assert_int_equal(crc32c(0, STR("")), 0);
}

static void
the_processor_and_the_tables_agree_at_every_length_and_cut(void **state)
{
	char text[200];

	(void)state;
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (char)(i * 37 + 11);
	for (size_t n = 0; n <= sizeof text; n++) {
		uint32_t sum = crc32c_by_tables(0, (struct str){text, n});

		assert_int_equal(crc32c(0, (struct str){text, n}), sum);
		for (size_t cut = 0; cut <= n; cut += 7)
			assert_int_equal(crc32c(crc32c(0, (struct str){text, cut}), (struct str){text + cut, n - cut}), sum);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_known_sums_come_out),
	    cmocka_unit_test(the_processor_and_the_tables_agree_at_every_length_and_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
