#include "tests/unit/rows.h"

#include "common/mime/mutf7.h"

static const struct {
	const char *utf8, *mutf7;
} rows[] = {
    {"", ""},
    {"INBOX", "INBOX"},
    {"R&D", "R&-D"},
    {"Entw\xc3\xbcrfe", "Entw&APw-rfe"},
    {"~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"},
    {"\xf0\x9f\x93\xac", "&2D3c7A-"},
    {"\xc3\xa4&\xc3\xb6", "&AOQ-&-&APY-"},
    {"\t", "&AAk-"},
};

static void
both_ways(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	for (size_t i = 0; i < ROWS(rows); i++) {
		buf_reset(&out);
		assert_true(mutf7_encode(&out, str_from(rows[i].utf8)));
		assert_str(buf_str(&out), str_from(rows[i].mutf7));
		buf_reset(&out);
		assert_true(mutf7_decode(&out, str_from(rows[i].mutf7)));
		assert_str(buf_str(&out), str_from(rows[i].utf8));
	}
	buf_clear(&out);
}

static void
only_the_canonical_form_is_decoded(void **state)
{
	static const char *const bad[] = {
	    "&", "a&b", "&APw", "&!-", "&AA-", "&A-", "&AGE-", /* 'a' shifted */
	    "&APw-&APw-",				       /* two shifts for one */
	    "&APx-",					       /* bits left over that are not zero */
	    "&APwA-", "&2D0-",				       /* half a surrogate pair */
	    "&3KzYPQ-",					       /* the halves the wrong way round */
	    "Entw\xc3\xbcrfe", "a\x01", "&ZeVnLIqe=-", "&U/BTFw-",
	};
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	for (size_t i = 0; i < ROWS(bad); i++) {
		buf_reset(&out);
		if (mutf7_decode(&out, str_from(bad[i])))
			fail_msg("%s was decoded", bad[i]);
	}
	buf_clear(&out);
}

static void
utf8_has_one_form(void **state)
{
	static const struct {
		const char *text;
		bool valid;
	} texts[] = {
	    {"", true}, {"abc", true}, {"\xc3\xbc", true}, {"\xef\xbf\xbd", true}, {"\xf4\x8f\xbf\xbf", true},
	    {"\xc3", false}, {"\xbc", false}, {"\xc0\xaf", false}, {"\xe0\x80\xaf", false}, {"\xed\xa0\x80", false},
	    {"\xf4\x90\x80\x80", false}, {"\xf8\x88\x80\x80\x80", false}, {"\xff", false}, {"a\xc3" "b", false},
	};
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	for (size_t i = 0; i < ROWS(texts); i++) {
		assert_int_equal(utf8_is_valid(str_from(texts[i].text)), texts[i].valid);
		buf_reset(&out);
		assert_int_equal(mutf7_encode(&out, str_from(texts[i].text)), texts[i].valid);
	}
	buf_clear(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(both_ways),
	    cmocka_unit_test(only_the_canonical_form_is_decoded),
	    cmocka_unit_test(utf8_has_one_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
