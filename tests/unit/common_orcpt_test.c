#include "tests/unit/rows.h"

#include "common/smtp/orcpt.h"

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

static const struct {
	const char *orcpt;
	const char *parameter; /* NULL: there is none */
	const char *field;     /* in ASCII */
} written[] = {
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
	for (size_t i = 0; i < ROWS(written); i++) {
		struct str orcpt = str_from(written[i].orcpt);

		buf_reset(&b);
		assert_int_equal(orcpt_add_parameter(&b, orcpt), written[i].parameter != NULL);
		assert_str(buf_str(&b), written[i].parameter != NULL ? str_from(written[i].parameter) : STR(""));
		buf_reset(&b);
		orcpt_add_field(&b, orcpt, false);
		assert_str(buf_str(&b), str_from(written[i].field));
		buf_reset(&b);
		orcpt_add_field(&b, orcpt, true);
		assert_str(buf_str(&b), orcpt);
	}
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(original_recipients_are_decoded),
	    cmocka_unit_test(what_is_malformed_is_refused),
	    cmocka_unit_test(original_recipients_are_written_for_each_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
