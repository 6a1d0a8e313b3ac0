#include "tests/unit/rows.h"

#include "common/base/siphash.h"

/* The vectors of the reference implementation: key 00 01 ... 0f, message 00 01 ... of each length. */
static void
the_reference_vectors_come_out(void **state)
{
	static const struct {
		size_t n;
		uint64_t hash;
	} rows[] = {
	    {0, 0x726fdb47dd0e0e31U}, {1, 0x74f839c593dc67fdU}, {2, 0x0d6c8009d9a94f5aU}, {7, 0xab0200f58b01d137U},
	    {8, 0x93f5f5799a932462U}, {15, 0xa129ca6149be45e5U}, {63, 0x958a324ceb064572U},
	};
	struct siphash_key key = {0x0706050403020100U, 0x0f0e0d0c0b0a0908U};
	char message[64];

	(void)state;
	for (size_t i = 0; i < sizeof message; i++)
		message[i] = (char)i;
	for (size_t i = 0; i < ROWS(rows); i++)
		assert_true(siphash(&key, (struct str){message, rows[i].n}) == rows[i].hash);
}

static void
keys_differ(void **state)
{
	struct siphash_key a = siphash_key_new(), b = siphash_key_new();

	(void)state;
	assert_true(siphash(&a, STR("x")) != siphash(&b, STR("x")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_reference_vectors_come_out),
	    cmocka_unit_test(keys_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
