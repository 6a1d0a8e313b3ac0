#include "tests/unit/rows.h"

#include "common/orcpt.h"

static const struct {
	struct str value, decoded;
} rows[] = {
    {STR("rfc822;baru@d.test"), STR("rfc822;baru@d.test")},
    {STR("rfc822;a+2Bb+20c@d.test"), STR("rfc822;a+b c@d.test")},
    {STR("x400;/c+3Did/"), STR("x400;/c=id/")},
    {STR("utf-8;\xe7\x94\xa8\xe6\x88\xb7@d.test"), STR("utf-8;\xe7\x94\xa8\xe6\x88\xb7@d.test")},
    {STR("UTF-8;\\x{7528}\\x{6237}\\x{2B}x@d.test"), STR("UTF-8;\xe7\x94\xa8\xe6\x88\xb7+x@d.test")},
    {STR("utf-8;\\x{E9}\\x{1F426}\\x{41}"), STR("utf-8;\xc3\xa9\xf0\x9f\x90\xa6" "A")},
};

static void
original_recipients_are_decoded(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct buf out;

		buf_init(&out, 1000);
		assert_true(orcpt_decode(&out, rows[i].value));
		assert_str(buf_str(&out), rows[i].decoded);
		buf_clear(&out);
	}
}

static void
what_is_malformed_is_refused(void **state)
{
	static const struct str bad[] = {STR(""), STR("rfc822"), STR("rfc822;"), STR(";a@b"), STR("a b;c"), STR("rfc822;a+"), STR("rfc822;a+0"),
	    STR("rfc822;a+0A"), STR("rfc822;a+C3+A9"), STR("rfc822;\xc3\xa9"), STR("rfc822;a=b"), STR("utf-8;a+2Bb"), STR("utf-8;\xc3"),
	    STR("utf-8;\\x{}"), STR("utf-8;\\x{7528"), STR("utf-8;\\x7528}"), STR("utf-8;\\x{D800}"), STR("utf-8;\\x{110000}"),
	    STR("utf-8;\\x{0A}"), STR("utf-8;\\"), STR("utf-8;\\x{1234567}")};

	(void)state;
	for (size_t i = 0; i < ROWS(bad); i++) {
		struct buf out;

		buf_init(&out, 1000);
		if (orcpt_decode(&out, bad[i]))
			fail_msg("%.*s", STR_FMT(bad[i]));
		buf_clear(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(original_recipients_are_decoded),
	    cmocka_unit_test(what_is_malformed_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
