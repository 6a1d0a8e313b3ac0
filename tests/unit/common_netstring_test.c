#include "tests/unit/rows.h"

#include "common/base/netstring.h"

static const struct {
	struct str in;
	size_t max;
	enum parse parse;
	struct str value, rest;
} rows[] = {
    {STR("5:hello,"), 5, PARSE_OK, STR("hello"), STR("")},
    {STR("5:hello,3:abc,"), 5, PARSE_OK, STR("hello"), STR("3:abc,")},
    {STR("0:,x"), 0, PARSE_OK, STR(""), STR("x")},
    {STR("3:,:,,"), 9, PARSE_OK, STR(",:,"), STR("")},
    {STR("5:hello"), 5, PARSE_MORE, STR_NONE, STR("5:hello")},
    {STR("5:hell"), 5, PARSE_MORE, STR_NONE, STR("5:hell")},
    {STR("5"), 5, PARSE_MORE, STR_NONE, STR("5")},
    {STR(""), 5, PARSE_MORE, STR_NONE, STR("")},
    {STR("5:hellox"), 5, PARSE_BAD, STR_NONE, STR("5:hellox")},
    {STR("6"), 5, PARSE_BAD, STR_NONE, STR("6")},
    {STR("6:"), 5, PARSE_BAD, STR_NONE, STR("6:")},
    {STR("10"), 9, PARSE_BAD, STR_NONE, STR("10")},
    {STR("05:hello,"), 99, PARSE_BAD, STR_NONE, STR("05:hello,")},
    {STR("00:,"), 99, PARSE_BAD, STR_NONE, STR("00:,")},
    {STR(":,"), 99, PARSE_BAD, STR_NONE, STR(":,")},
    {STR("x"), 99, PARSE_BAD, STR_NONE, STR("x")},
    {STR("-1:,"), 99, PARSE_BAD, STR_NONE, STR("-1:,")},
    {STR("1 :a,"), 99, PARSE_BAD, STR_NONE, STR("1 :a,")},
    {STR("99999999999999999999999999:"), SIZE_MAX, PARSE_BAD, STR_NONE, STR("99999999999999999999999999:")},
};

static void
netstrings_are_taken_whole_or_not_at_all(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct str rest = rows[i].in, value = STR_NONE;

		assert_int_equal(netstring_take(&rest, rows[i].max, &value), rows[i].parse);
		assert_str(value, rows[i].value);
		assert_str(rest, rows[i].rest);
	}
}

static void
a_good_netstring_wants_more_at_every_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		size_t whole = rows[i].in.n - rows[i].rest.n;

		for (size_t n = 0; rows[i].parse == PARSE_OK && n < whole; n++) {
			struct str rest = str_sub(rows[i].in, 0, n), value;

			assert_int_equal(netstring_take(&rest, rows[i].max, &value), PARSE_MORE);
		}
	}
}

static void
what_is_added_is_taken_again(void **state)
{
	struct str rest, value;
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	netstring_add(&b, STR("a\0,b"));
	netstring_add(&b, STR(""));
	rest = buf_str(&b);
	assert_str(rest, STR("4:a\0,b,0:,"));
	assert_int_equal(netstring_take(&rest, 10, &value), PARSE_OK);
	assert_str(value, STR("a\0,b"));
	assert_int_equal(netstring_take(&rest, 10, &value), PARSE_OK);
	assert_int_equal(rest.n, 0);
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(netstrings_are_taken_whole_or_not_at_all),
	    cmocka_unit_test(a_good_netstring_wants_more_at_every_cut),
	    cmocka_unit_test(what_is_added_is_taken_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
