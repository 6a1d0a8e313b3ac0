#include "tests/unit/rows.h"

#include "smtpd/policy.h"

static void
only_known_clients_relay(void **state)
{
	static const struct {
		const char *recipient;
		bool authenticated, in_networks;
		enum policy_verdict verdict;
	} rows[] = {
	    {"<a@satu.test>", false, false, POLICY_LOCAL},
	    {"<a@SATU.test>", true, true, POLICY_LOCAL},
	    {"<postmaster>", false, false, POLICY_LOCAL},
	    {"<a@elsewhere.test>", false, false, POLICY_REFUSE},
	    {"<a@elsewhere.test>", true, false, POLICY_RELAY},
	    {"<a@elsewhere.test>", false, true, POLICY_RELAY},
	    {"<a@sub.satu.test>", false, false, POLICY_REFUSE},
	    {"<a@satu.test.evil.test>", false, false, POLICY_REFUSE},
	    {"<a@[192.0.2.1]>", false, false, POLICY_REFUSE},
	    {"<@satu.test:a@elsewhere.test>", false, false, POLICY_REFUSE},
	    {"<a%elsewhere.test@satu.test>", false, false, POLICY_LOCAL}, /* authd knows no such user */
	    {"<\"a@elsewhere.test\"@satu.test>", false, false, POLICY_LOCAL},
	};
	struct buf problems;
	struct conf *conf;
	struct arena arena;

	(void)state;
	buf_init(&problems, CONF_PROBLEMS_MAX_BYTES);
	arena_init(&arena, 65536);
	conf = conf_parse(STR("[domain satu.test]\naccounts = virtual\n"), "/c", "satu.test", &problems);
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct policy_facts facts = {.conf = conf, .authenticated = rows[i].authenticated,
		    .in_networks = rows[i].in_networks};
		struct str rest = str_from(rows[i].recipient);
		struct address address;
		struct smtp_reply reply = {0};

		assert_true(address_path_parse(&arena, &rest, ADDRESS_MAY_LACK_DOMAIN, &address));
		assert_int_equal(policy_recipient(&facts, &address, &reply), rows[i].verdict);
		if (rows[i].verdict == POLICY_REFUSE) {
			assert_int_equal(reply.code, 554);
			assert_string_equal(reply.status, "5.7.1");
		}
	}
	conf_free(conf);
	arena_clear(&arena);
	buf_clear(&problems);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(only_known_clients_relay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
