#include "tests/unit/rows.h"

#include "common/base/base64.h"

/* RFC 4648 10, and every kind of byte. */
static const struct {
	struct str clear, encoded;
} pairs[] = {
    {STR(""), STR("")},
    {STR("f"), STR("Zg==")},
    {STR("fo"), STR("Zm8=")},
    {STR("foo"), STR("Zm9v")},
    {STR("foob"), STR("Zm9vYg==")},
    {STR("fooba"), STR("Zm9vYmE=")},
    {STR("foobar"), STR("Zm9vYmFy")},
    {STR("\0baru\0rahasia"), STR("AGJhcnUAcmFoYXNpYQ==")},
    {STR("\xff\xfe\xfd"), STR("//79")},
    {STR("\xfb\xef\xbe"), STR("++++")},
};

static void
encoding_and_decoding_are_inverse(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(pairs); i++) {
		struct buf out;

		buf_init(&out, 100);
		base64_encode(&out, pairs[i].clear);
		assert_str(buf_str(&out), pairs[i].encoded);
		buf_reset(&out);
		assert_true(base64_is_good(pairs[i].encoded));
		assert_true(base64_decode(&out, pairs[i].encoded));
		assert_str(buf_str(&out), pairs[i].clear);
		buf_clear(&out);
	}
}

static void
what_is_not_base64_is_refused_and_leaves_nothing(void **state)
{
	static const struct str rows[] = {
	    STR("Z"), STR("Zg"), STR("Zg="), STR("Zg==="), STR("===="), STR("="), STR("Z==="), STR("Zg==Zg=="),
	    STR("Zm9v "), STR("Zm9 "), STR("Zm\n9"), STR("Zm9v\r\n"), STR("Zm-_"), STR("Zh=="), STR("Zm9="),
	    STR("Zm9\0"), STR("Zg=a"), STR("\xc3\xa9yz"),
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct buf out;

		buf_init(&out, 100);
		buf_adds(&out, "x");
		assert_false(base64_is_good(rows[i]));
		assert_false(base64_decode(&out, rows[i]));
		assert_str(buf_str(&out), STR("x"));
		buf_clear(&out);
	}
}

static void
a_full_buffer_is_no_success(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 2);
	assert_false(base64_decode(&out, STR("Zm9v")));
	assert_false(buf_ok(&out));
	buf_clear(&out);
	base64_encode(&out, STR("foo"));
	assert_false(buf_ok(&out));
	buf_clear(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(encoding_and_decoding_are_inverse),
	    cmocka_unit_test(what_is_not_base64_is_refused_and_leaves_nothing),
	    cmocka_unit_test(a_full_buffer_is_no_success),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
