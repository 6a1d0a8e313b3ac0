#include "tests/unit/rows.h"

#include "common/smtp/xtext.h"

static void
what_is_decoded(void **state)
{
	static const struct {
		struct str text, bytes;
		bool good;
	} rows[] = {
	    {STR(""), STR(""), true},
	    {STR("abc@d.test"), STR("abc@d.test"), true},
	    {STR("a+2Bb+3D+20c+0a"), STR("a+b= c\n"), true},
	    {STR("+00+FF"), STR("\0\xff"), true},
	    {STR("a+2"), STR(""), false},
	    {STR("+"), STR(""), false},
	    {STR("+G0"), STR(""), false},
	    {STR("a=b"), STR(""), false},
	    {STR("a b"), STR(""), false},
	    {STR("\xc3\xa9"), STR(""), false},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct buf out;

		buf_init(&out, 100);
		assert_int_equal(xtext_decode(&out, rows[i].text), rows[i].good);
		if (rows[i].good)
			assert_str(buf_str(&out), rows[i].bytes);
		buf_clear(&out);
	}
}

static void
any_bytes_come_back(void **state)
{
	struct buf text, bytes;
	char all[256];

	(void)state;
	for (size_t i = 0; i < sizeof all; i++)
		all[i] = (char)i;
	buf_init(&text, 1000);
	buf_init(&bytes, 1000);
	xtext_encode(&text, (struct str){all, sizeof all});
	assert_true(xtext_decode(&bytes, buf_str(&text)));
	assert_str(buf_str(&bytes), ((struct str){all, sizeof all}));
	buf_clear(&text);
	buf_clear(&bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_decoded),
	    cmocka_unit_test(any_bytes_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
