#include "tests/unit/rows.h"

#include "queue/tls_policy.h"

static const struct tls_sts sts_none = {TLS_STS_NONE, false}, testing = {TLS_STS_TESTING, true},
			    enforced = {TLS_STS_ENFORCE, true}, foreign = {TLS_STS_ENFORCE, false};

struct row {
	struct tls_facts facts;
	const char *word;
	enum tls_need need;
	const char *code; /* of a refusal; NULL: the host may be used */
};

static void
play(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct tls_policy policy = tls_policy_decide(&rows[i].facts);

		assert_string_equal(tls_policy_word(policy.by), rows[i].word);
		if (rows[i].code != NULL) {
			assert_true(policy.refusal.n > 0);
			assert_str(policy.code, str_from(rows[i].code));
			continue;
		}
		assert_null(policy.refusal.p);
		assert_int_equal(policy.need, rows[i].need);
	}
}

static void
without_configuration_the_domain_decides(void **state)
{
	const struct row rows[] = {
	    {{.dane = TLS_DANE_NONE, .sts = sts_none}, "may", TLS_NEED_MAY, NULL},
	    {{.dane = TLS_DANE_NONE, .sts = testing}, "may", TLS_NEED_MAY, NULL},
	    {{.dane = TLS_DANE_NONE, .sts = enforced}, "sts", TLS_NEED_NAME, NULL},
	    {{.dane = TLS_DANE_NONE, .sts = foreign}, "sts", 0, "4.7.5"},
	    {{.dane = TLS_DANE_USABLE, .sts = sts_none}, "dane", TLS_NEED_DANE, NULL},
	    {{.dane = TLS_DANE_USABLE, .sts = enforced}, "dane", TLS_NEED_DANE, NULL},
	    {{.dane = TLS_DANE_USABLE, .sts = foreign}, "dane", TLS_NEED_DANE, NULL},
	    {{.dane = TLS_DANE_UNUSABLE, .sts = sts_none}, "dane", TLS_NEED_ENCRYPT, NULL},
	    {{.dane = TLS_DANE_UNUSABLE, .sts = testing}, "dane", TLS_NEED_ENCRYPT, NULL},
	    {{.dane = TLS_DANE_UNUSABLE, .sts = enforced}, "sts", TLS_NEED_NAME, NULL},
	    {{.dane = TLS_DANE_UNKNOWN, .sts = sts_none}, "dane", 0, "4.4.3"},
	    {{.dane = TLS_DANE_UNKNOWN, .sts = enforced}, "dane", 0, "4.4.3"},
	};

	(void)state;
	play(rows, ROWS(rows));
}

static void
what_is_configured_decides_by_itself(void **state)
{
	const struct row rows[] = {
	    {{.configured = CONF_TLS_NONE, .dane = TLS_DANE_USABLE, .sts = enforced}, "none", TLS_NEED_PLAIN, NULL},
	    {{.configured = CONF_TLS_MAY, .dane = TLS_DANE_USABLE, .sts = enforced}, "may", TLS_NEED_MAY, NULL},
	    {{.configured = CONF_TLS_MAY, .dane = TLS_DANE_UNKNOWN, .sts = foreign}, "may", TLS_NEED_MAY, NULL},
	    {{.configured = CONF_TLS_ENCRYPT}, "encrypt", TLS_NEED_ENCRYPT, NULL},
	    {{.configured = CONF_TLS_VERIFY, .dane = TLS_DANE_UNUSABLE}, "verify", TLS_NEED_NAME, NULL},
	    {{.configured = CONF_TLS_DANE, .dane = TLS_DANE_USABLE}, "dane", TLS_NEED_DANE, NULL},
	    {{.configured = CONF_TLS_DANE, .dane = TLS_DANE_UNUSABLE, .sts = enforced}, "dane", 0, "4.7.5"},
	    {{.configured = CONF_TLS_DANE, .dane = TLS_DANE_NONE}, "dane", 0, "4.7.5"},
	    {{.configured = CONF_TLS_DANE, .dane = TLS_DANE_UNKNOWN}, "dane", 0, "4.4.3"},
	    {{.configured = CONF_TLS_STS, .sts = sts_none}, "sts", 0, "4.7.5"},
	    {{.configured = CONF_TLS_STS, .sts = testing}, "sts", TLS_NEED_NAME, NULL},
	    {{.configured = CONF_TLS_STS, .sts = enforced}, "sts", TLS_NEED_NAME, NULL},
	    {{.configured = CONF_TLS_STS, .sts = foreign}, "sts", 0, "4.7.5"},
	};

	(void)state;
	play(rows, ROWS(rows));
}

static void
requiretls_asks_for_a_name_that_somebody_vouches_for(void **state)
{
	const struct row rows[] = {
	    {{.requiretls = true}, "requiretls", 0, "5.7.30"},
	    {{.requiretls = true, .sts = foreign, .configured = CONF_TLS_MAY}, "requiretls", 0, "5.7.30"},
	    {{.requiretls = true, .sts = foreign}, "sts", 0, "4.7.5"},
	    {{.requiretls = true, .configured = CONF_TLS_VERIFY}, "requiretls", 0, "5.7.30"},
	    {{.requiretls = true, .name_is_certain = true}, "requiretls", TLS_NEED_NAME, NULL},
	    {{.requiretls = true, .name_is_certain = true, .configured = CONF_TLS_ENCRYPT}, "requiretls", TLS_NEED_NAME, NULL},
	    {{.requiretls = true, .name_is_certain = true, .dane = TLS_DANE_UNUSABLE}, "requiretls", TLS_NEED_NAME, NULL},
	    {{.requiretls = true, .name_is_certain = true, .dane = TLS_DANE_USABLE}, "requiretls", TLS_NEED_DANE, NULL},
	    {{.requiretls = true, .sts = testing}, "requiretls", TLS_NEED_NAME, NULL},
	    {{.requiretls = true, .sts = enforced}, "requiretls", TLS_NEED_NAME, NULL},
	    {{.requiretls = true, .name_is_certain = true, .configured = CONF_TLS_NONE}, "requiretls", 0, "5.7.30"},
	    {{.requiretls = true, .name_is_certain = true, .dane = TLS_DANE_UNKNOWN}, "dane", 0, "4.4.3"},
	    {{.requiretls = true, .name_is_certain = true, .configured = CONF_TLS_DANE}, "dane", 0, "4.7.5"},
	};

	(void)state;
	play(rows, ROWS(rows));
}

static void
nothing_is_asked_that_does_not_matter(void **state)
{
	(void)state;
	assert_true(tls_policy_wants_dane(CONF_TLS_AUTO));
	assert_true(tls_policy_wants_dane(CONF_TLS_DANE));
	assert_false(tls_policy_wants_dane(CONF_TLS_MAY));
	assert_false(tls_policy_wants_dane(CONF_TLS_STS));
	assert_true(tls_policy_wants_sts(CONF_TLS_AUTO, false));
	assert_true(tls_policy_wants_sts(CONF_TLS_STS, false));
	assert_false(tls_policy_wants_sts(CONF_TLS_VERIFY, false));
	assert_true(tls_policy_wants_sts(CONF_TLS_VERIFY, true));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(without_configuration_the_domain_decides),
	    cmocka_unit_test(what_is_configured_decides_by_itself),
	    cmocka_unit_test(requiretls_asks_for_a_name_that_somebody_vouches_for),
	    cmocka_unit_test(nothing_is_asked_that_does_not_matter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
