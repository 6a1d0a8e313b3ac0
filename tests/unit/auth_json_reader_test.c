#include "tests/unit/rows.h"

#include "auth/json_reader.h"

static void
only_whole_values_are_read(void **state)
{
	static const struct {
		struct str text;
		bool good;
		enum json_kind kind;
	} rows[] = {
	    {STR("{}"), true, JSON_OBJECT},
	    {STR(" [ ] \n"), true, JSON_ARRAY},
	    {STR("null"), true, JSON_NULL},
	    {STR("true"), true, JSON_TRUE},
	    {STR("false"), true, JSON_FALSE},
	    {STR("\"x\""), true, JSON_STRING},
	    {STR("0"), true, JSON_NUMBER},
	    {STR("-0.5e+10"), true, JSON_NUMBER},
	    {STR("{\"a\": [1, 2, {\"b\": \"\\u00e4\\ud83d\\udd4a\"}], \"c\" : null }"), true, JSON_OBJECT},
	    {STR("[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]"), true, JSON_ARRAY},
	    {STR("[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]"), false, 0},
	    {STR(""), false, 0},
	    {STR("{"), false, 0},
	    {STR("{}x"), false, 0},
	    {STR("{} {}"), false, 0},
	    {STR("{\"a\"}"), false, 0},
	    {STR("{\"a\":}"), false, 0},
	    {STR("{\"a\":1,}"), false, 0},
	    {STR("{a:1}"), false, 0},
	    {STR("{'a':1}"), false, 0},
	    {STR("[1,]"), false, 0},
	    {STR("[1 2]"), false, 0},
	    {STR("[,1]"), false, 0},
	    {STR("01"), false, 0},
	    {STR("1."), false, 0},
	    {STR(".5"), false, 0},
	    {STR("+1"), false, 0},
	    {STR("1e"), false, 0},
	    {STR("NaN"), false, 0},
	    {STR("True"), false, 0},
	    {STR("\"x"), false, 0},
	    {STR("\"\n\""), false, 0},
	    {STR("\"\\x\""), false, 0},
	    {STR("\"\\u12\""), false, 0},
	    {STR("\"\\ud800\""), false, 0},
	    {STR("\"\\ud800\\u0041\""), false, 0},
	    {STR("\"\\udc00\""), false, 0},
	    {STR("\"\xff\""), false, 0},
	    {STR("\"a\0b\""), false, 0},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct json value;

		if (json_read(&value, rows[i].text) != rows[i].good)
			fail_msg("%.*s", STR_FMT(rows[i].text));
		if (rows[i].good)
			assert_int_equal(value.kind, rows[i].kind);
		for (size_t n = 0; n < rows[i].text.n; n++)
			(void)json_read(&value, str_sub(rows[i].text, 0, n));
	}
}

static void
members_are_found_by_their_name(void **state)
{
	struct json whole, value;
	uint64_t number;
	struct str rest;
	struct buf text;

	(void)state;
	assert_true(json_read(&whole, STR("{\"a\":{\"b\":1},\"b\": 2 ,\"\\u0063\":\"x\\\"\\n\\u00e4\\u20ac\\ud83d\\udd4a\", \"d\":[1, "
	                                  "\"y\"],\"e\":1,\"e\":2,\"f\":17.9,\"g\":-1,\"h\":1e3,\"i\":\"a\\u0000b\"}")));
	assert_true(json_member(&whole, "b", &value));
	assert_true(json_number(&value, &number));
	assert_int_equal(number, 2);
	assert_true(json_member(&whole, "c", &value));
	buf_init(&text, 100);
	assert_true(json_text(&value, &text));
	assert_str(buf_str(&text), STR("x\"\n\xc3\xa4\xe2\x82\xac\xf0\x9f\x95\x8a"));
	buf_clear(&text);
	assert_false(json_member(&whole, "e", &value));
	assert_true(json_is_repeated(&whole, "e"));
	assert_false(json_is_repeated(&whole, "a"));
	assert_false(json_member(&whole, "x", &value));
	assert_true(json_member(&whole, "f", &value));
	assert_true(json_number(&value, &number));
	assert_int_equal(number, 17);
	assert_true(json_member(&whole, "g", &value) && !json_number(&value, &number));
	assert_true(json_member(&whole, "h", &value) && !json_number(&value, &number));
	buf_init(&text, 100);
	assert_true(json_member(&whole, "i", &value) && !json_text(&value, &text));
	buf_clear(&text);
	assert_true(json_member(&whole, "d", &value));
	rest = value.text;
	assert_true(json_element(&rest, &value));
	assert_int_equal(value.kind, JSON_NUMBER);
	assert_true(json_element(&rest, &value));
	assert_true(json_is_text(&value, STR("y")));
	assert_false(json_is_text(&value, STR("yy")));
	assert_false(json_element(&rest, &value));
	assert_true(json_read(&whole, STR("[]")));
	assert_false(json_member(&whole, "a", &value));
	rest = whole.text;
	assert_false(json_element(&rest, &value));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(only_whole_values_are_read),
	    cmocka_unit_test(members_are_found_by_their_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
