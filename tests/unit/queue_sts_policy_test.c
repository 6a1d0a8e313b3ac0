#include "tests/unit/rows.h"

#include "queue/sts_policy.h"

static void
the_record_is_found_among_others(void **state)
{
	static const struct {
		struct str records[3];
		const char *id; /* NULL: none */
	} rows[] = {
	    {{STR("v=STSv1; id=20160831085700Z;")}, "20160831085700Z"},
	    {{STR("v=STSv1; id=20160831085700Z")}, "20160831085700Z"},
	    {{STR("v=STSv1;id=1")}, "1"},
	    {{STR("v=STSv1 ;\tid=1 ; x-y.z_0=abc ;")}, "1"},
	    {{STR("v=STSv1; x=1; id=1")}, "1"},
	    {{STR("v=spf1 -all"), STR("v=STSv1; id=2"), STR("v=STSv2; id=3")}, "2"},
	    {{STR("v=STSv1; id=12345678901234567890123456789012")}, "12345678901234567890123456789012"},
	    {{STR("v=STSv1; id=123456789012345678901234567890123")}, NULL},
	    {{STR("v=STSv1; id=1"), STR("v=STSv1; id=1")}, NULL},
	    {{STR("v=STSv1; id=1; id=2")}, NULL},
	    {{STR("v=STSv1; id=")}, NULL},
	    {{STR("v=STSv1; id=a-b")}, NULL},
	    {{STR("v=STSv1; ID=1")}, NULL},
	    {{STR("v=STSv1; id=1; =x")}, NULL},
	    {{STR("v=STSv1; id=1; x=")}, NULL},
	    {{STR("v=STSv1; id=1; x=a b")}, NULL},
	    {{STR("v=STSv1; id=1;; x=y")}, NULL},
	    {{STR("v=STSv1")}, NULL},
	    {{STR("v=STSv1;")}, NULL},
	    {{STR("v=stsv1; id=1")}, NULL},
	    {{STR(" v=STSv1; id=1")}, NULL},
	    {{STR("id=1; v=STSv1")}, NULL},
	    {{STR("")}, NULL},
	    {{STR("v=STSv1; id=1\0;")}, NULL},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		char id[STS_ID_MAX + 1] = "";
		bool good;
		size_t n = 0;

		while (n < 3 && rows[i].records[n].p != NULL)
			n++;
		good = sts_record_find(rows[i].records, n, id);
		if (good != (rows[i].id != NULL) || (good && strcmp(id, rows[i].id) != 0))
			fail_msg("row %zu: \"%s\"", i, id);
	}
}

static void
a_policy_is_read(void **state)
{
	static const struct {
		struct str text;
		const char *formatted; /* NULL: invalid, and */
		const char *why;
	} rows[] = {
	    {STR("version: STSv1\nmode: enforce\nmx: mail.dua.test\nmx: *.dua.net\nmax_age: 604800\n"),
		"version: STSv1\nmode: enforce\nmx: mail.dua.test\nmx: *.dua.net\nmax_age: 604800\n", NULL},
	    {STR("version: STSv1\r\nmode: testing\r\nmx: mail.dua.test\r\nmax_age: 1"),
		"version: STSv1\nmode: testing\nmx: mail.dua.test\nmax_age: 1\n", NULL},
	    {STR("max_age:1\nmode:none  \nversion:\tSTSv1\n\n"), "version: STSv1\nmode: none\nmax_age: 1\n", NULL},
	    {STR("version: STSv1\nmode: none\nmode: enforce\nmax_age: 2\nmax_age: x\nfuture: z:1\n"),
		"version: STSv1\nmode: none\nmax_age: 2\n", NULL},
	    {STR("version: STSv1\nmode: none\nmax_age: 9999999999\n"), "version: STSv1\nmode: none\nmax_age: 31557600\n", NULL},
	    {STR("version: STSv1\nmode: none\nmax_age: 99999999999\n"), NULL, "its max_age is no number"},
	    {STR("version: STSv1\nmode: none\nmax_age: -1\n"), NULL, "its max_age is no number"},
	    {STR("version: STSv1\nmode: none\nmax_age:\n"), NULL, "its max_age is no number"},
	    {STR("version: STSv2\nmode: none\nmax_age: 1\n"), NULL, "its version is not STSv1"},
	    {STR("mode: none\nmax_age: 1\n"), NULL, "it has no version"},
	    {STR("version: STSv1\nmax_age: 1\n"), NULL, "it has no mode"},
	    {STR("version: STSv1\nmode: none\n"), NULL, "it has no max_age"},
	    {STR("version: STSv1\nmode: Enforce\nmax_age: 1\nmx: a.test"), NULL, "its mode is unknown"},
	    {STR("version: STSv1\nmode: enforce\nmax_age: 1\n"), NULL, "it has no mx"},
	    {STR("version: STSv1\nmode: testing\nmax_age: 1\nmx: *.*.test"), NULL, "an mx is no host name"},
	    {STR("version: STSv1\nmode: testing\nmax_age: 1\nmx: mail*.test"), NULL, "an mx is no host name"},
	    {STR("version: STSv1\nmode: testing\nmax_age: 1\nmx: *."), NULL, "an mx is no host name"},
	    {STR("version: STSv1\nmode: testing\nmax_age: 1\nmx: a..test"), NULL, "an mx is no host name"},
	    {STR("version: STSv1\nmode: testing\nmax_age: 1\nmx: .test"), NULL, "an mx is no host name"},
	    {STR("version: STSv1\nmode: testing\nmax_age: 1\nmx: a\0.test"), NULL, "an mx is no host name"},
	    {STR("version: STSv1\nmode: testing\nmax_age: 1\nmx:"), NULL, "an mx is no host name"},
	    {STR("<html>\n"), NULL, "a line has no colon"},
	    {STR(""), NULL, "it has no version"},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct sts_policy policy, again;
		const char *why;
		struct buf out;
		bool good = sts_policy_parse(rows[i].text, &policy, &why);

		if (good != (rows[i].formatted != NULL))
			fail_msg("row %zu: %s", i, good ? "good" : why);
		if (!good) {
			assert_string_equal(why, rows[i].why);
			continue;
		}
		buf_init(&out, STS_TEXT_MAX);
		sts_policy_format(&out, &policy);
		assert_str(buf_str(&out), str_from(rows[i].formatted));
		assert_true(sts_policy_parse(buf_str(&out), &again, &why));
		buf_clear(&out);
	}
}

static void
a_policy_has_limits(void **state)
{
	struct sts_policy policy;
	const char *why;
	struct buf text;

	(void)state;
	buf_init(&text, 1 << 20);
	buf_adds(&text, "version: STSv1\nmode: enforce\nmax_age: 1\n");
	for (int i = 0; i < STS_MX_MAX; i++)
		buf_addf(&text, "mx: a%d.test\n", i);
	assert_true(sts_policy_parse(buf_str(&text), &policy, &why));
	buf_adds(&text, "mx: one.too.many.test\n");
	assert_false(sts_policy_parse(buf_str(&text), &policy, &why));
	assert_string_equal(why, "it has too many exchangers");

	buf_reset(&text);
	buf_adds(&text, "version: STSv1\nmode: enforce\nmax_age: 1\n");
	for (int i = 0; i < STS_MX_MAX; i++)
		buf_addf(&text, "mx: %060d.%060d.%060d.test\n", i, i, i);
	assert_false(sts_policy_parse(buf_str(&text), &policy, &why));
	assert_string_equal(why, "its exchangers are too long");
	buf_clear(&text);
}

static void
a_wildcard_stands_for_one_label(void **state)
{
	static const struct {
		const char *pattern, *host;
		bool matches;
	} rows[] = {
	    {"mail.dua.test", "mail.dua.test", true},
	    {"mail.dua.test", "MAIL.dua.TEST", true},
	    {"mail.dua.test", "mail.dua.test.", true},
	    {"mail.dua.test", "x.mail.dua.test", false},
	    {"mail.dua.test", "dua.test", false},
	    {"*.dua.test", "mail.dua.test", true},
	    {"*.Dua.test", "mail.dua.Test", true},
	    {"*.dua.test", "dua.test", false},
	    {"*.dua.test", ".dua.test", false},
	    {"*.dua.test", "a.mail.dua.test", false},
	    {"*.dua.test", "mail.xdua.test", false},
	    {"*.dua.test", "", false},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct sts_policy policy = {.mx = {str_from(rows[i].pattern)}, .nmx = 1};

		if (sts_policy_has_mx(&policy, str_from(rows[i].host)) != rows[i].matches)
			fail_msg("%s, %s", rows[i].pattern, rows[i].host);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_record_is_found_among_others),
	    cmocka_unit_test(a_policy_is_read),
	    cmocka_unit_test(a_policy_has_limits),
	    cmocka_unit_test(a_wildcard_stands_for_one_label),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
