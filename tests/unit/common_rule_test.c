#include "tests/unit/rows.h"

#include "common/conf/rule.h"

struct made {
	struct arena arena;
	struct rule_maker maker;
	struct rule_list list;
	struct err err;
};

static bool
make(struct made *m, const char *text)
{
	arena_init(&m->arena, 1024 * 1024);
	m->maker = (struct rule_maker){.arena = &m->arena, .directory = STR("/etc/merpati")};
	rule_list_init(&m->list, 1);
	return rule_list_add(&m->list, &m->maker, str_from(text), 7, &m->err);
}

static void
drop(struct made *m)
{
	rule_files_clear(m->maker.files);
	arena_clear(&m->arena);
}

static void
a_rule_is_an_action_and_conditions(void **state)
{
	static const struct {
		const char *text;
		enum rule_action action;
		size_t conditions;
		unsigned code;
		const char *status, *words;
	} rows[] = {
	    {"accept", RULE_ACCEPT, 0, 0, NULL, ""},
	    {"ACCEPT When Client Is Trusted", RULE_ACCEPT, 1, 0, NULL, ""},
	    {"refuse", RULE_REFUSE, 0, 554, "5.7.1", "Access denied"},
	    {"refuse \"we know you\" when client is 192.0.2.0/24 and sender is *@spam.test", RULE_REFUSE, 2, 554, "5.7.1",
	        "we know you"},
	    {"refuse 550 \"no\"", RULE_REFUSE, 0, 550, "5.7.1", "no"},
	    {"refuse 550 5.1.1 when recipient is a@b.test # a comment", RULE_REFUSE, 1, 550, "5.1.1", "Access denied"},
	    {"defer", RULE_DEFER, 0, 450, "4.7.1", "Please try again later"},
	    {"defer 451 4.3.2 \"later, with a # in it\"# and nothing", RULE_DEFER, 0, 451, "4.3.2", "later, with a # in it"},
	    {"relay when client is 192.0.2.1", RULE_RELAY, 1, 0, NULL, ""},
	    {"slow 5s when helo is not fqdn", RULE_SLOW, 1, 0, NULL, ""},
	    {"ask postgrey when client is unknown", RULE_ASK, 1, 0, NULL, ""},
	    {"ask limits at end when login is known", RULE_ASK, 1, 0, NULL, ""},
	    {"greylist when not client is known", RULE_GREYLIST, 1, 0, NULL, ""},
	    {"tag \"X-Tag: yes\" when tls is none", RULE_TAG, 1, 0, NULL, "X-Tag: yes"},
	    {"warn \"hm\" when tls is (TLSv1 TLSv1.1) and certificate is none", RULE_WARN, 2, 0, NULL, "hm"},
	    {"refuse when client in blocked and sender not in \"/etc/a file\"", RULE_REFUSE, 2, 554, "5.7.1", "Access denied"},
	    {"refuse when client is (192.0.2.1, 2001:db8::/32 *.dyn.test known)", RULE_REFUSE, 1, 554, "5.7.1",
	        "Access denied"},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct made m;

		if (!make(&m, rows[i].text))
			fail_msg("%s: %s", rows[i].text, m.err.text);
		assert_int_equal(m.list.first->action, rows[i].action);
		assert_int_equal(m.list.first->nconditions, rows[i].conditions);
		assert_int_equal(m.list.first->code, rows[i].code);
		assert_int_equal(m.list.first->line, 7);
		if (rows[i].status != NULL)
			assert_string_equal(m.list.first->status, rows[i].status);
		assert_str(m.list.first->words, str_from(rows[i].words));
		drop(&m);
	}
}

static void
a_mistake_is_told_with_what_would_be_right(void **state)
{
	static const struct {
		const char *text, *problem;
	} rows[] = {
	    {"reject", "\"reject\" is no action; a rule begins with one of: accept relay refuse defer"},
	    {"", "the end of the line is no action"},
	    {"\"refuse\"", "\"refuse\" is no action"},
	    {"accept if client is known", "\"if\" stands where \"when\" or the end of the line must"},
	    {"accept when", "the end of the line stands where one of these must: client helo tls"},
	    {"accept when host is x.test", "\"host\" stands where one of these must"},
	    {"accept when client", "the end of the line stands where \"is\", \"is not\", \"in\" or \"not in\" must"},
	    {"accept when client is", "client: a value is missing: an address, a network, a name"},
	    {"accept when client is trusted or helo is ours", "\"or\" stands where \"and\" or the end of the line must"},
	    {"accept when client is unkown", "client: \"unkown\" is not known; it must be an address, a network"},
	    {"accept when client is 192.0.2.1/24", "did you mean \"192.0.2.0/24\"?"},
	    {"accept when client is 192.0.2.300", "\"192.0.2.300\" is not an IP address"},
	    {"accept when sender is spam", "sender: \"spam\" is not known; it must be an address such as *@example.org"},
	    {"accept when recipient is none", "recipient: \"none\" is not known"},
	    {"accept when tls is yes", "tls: \"yes\" is not known; it must be one of: any none verified"},
	    {"accept when helo is *a*b*c*d*e.test", "has too many stars"},
	    {"accept when client is ()", "client: a list is ( value value ... )"},
	    {"accept when client is (192.0.2.1", "client: a list is ( value value ... ), with at least one value and its )"},
	    {"accept when client in", "client in: the name of a file is missing"},
	    {"refuse 450", "refuse: \"450\" is not a code from 500 to 559"},
	    {"defer 550 \"x\"", "defer: \"550\" is not a code from 400 to 459"},
	    {"refuse 550 4.7.1 \"x\"", "refuse: \"4.7.1\" is not a status such as 5.7.1"},
	    {"refuse \"no", "the closing \" is missing"},
	    {"refuse \"\"", "refuse: the text must have 1 to 300 bytes"},
	    {"refuse \"h\303\251\"", "refuse: the text may hold printable ASCII only"},
	    {"refuse \"a\001\"", "there is a control character in the rule"},
	    {"slow", "slow needs a time of up to 60s"},
	    {"slow 2m", "slow needs a time of up to 60s"},
	    {"ask", "ask needs the name of a section [filter NAME]"},
	    {"ask when client is known", "ask needs the name of a section [filter NAME]"},
	    {"ask x at once", "\"once\" stands where \"end\" must"},
	    {"tag when client is known", "tag needs a text in double quotes"},
	    {"tag \"nothing\"", "tag needs a header field such as \"X-Checked: yes\""},
	    {"tag \"X Y: z\"", "tag needs a header field"},
	    {"standard when client is known", "standard stands alone"},
	    {"accept )", "\")\" stands where \"when\" or the end"},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct made m;

		if (make(&m, rows[i].text))
			fail_msg("taken: %s", rows[i].text);
		if (strstr(m.err.text, rows[i].problem) == NULL)
			fail_msg("%s: %s", rows[i].text, m.err.text);
		assert_int_equal(m.list.n, 0);
		drop(&m);
	}
}

static void
only_a_condition_that_strangers_cannot_meet_opens_the_relay(void **state)
{
	static const char *const good[] = {"client is 192.0.2.1", "client is (trusted 10.0.0.0/8)", "client is local",
	    "login is known", "login is *@satu.test", "certificate is known", "certificate is *.partner.test", "tls is verified",
	    "recipient is *@customer.test", "recipient is customer.test", "recipient is *@*.customer.test",
	    "recipient in domains", "login in logins", "sender is *@a.test and client is 192.0.2.1"};
	static const char *const bad[] = {"sender is *@satu.test", "helo is mx.satu.test", "client is known",
	    "client is *.satu.test", "client is (192.0.2.1 unknown)", "client is not 192.0.2.1", "not client is trusted",
	    "client is 0.0.0.0/0", "client is ::/0", "login is none", "login is not known", "certificate is none", "tls is any",
	    "recipient is *@*", "recipient is *@*.*", "recipient is *@*.test", "recipient is fqdn", "recipient is ours",
	    "recipient not in domains", "client in hosts", "sender in senders", "recipient is (*@customer.test *)"};
	struct made m;

	(void)state;
	assert_false(make(&m, "relay"));
	drop(&m);
	for (size_t i = 0; i < ROWS(good); i++) {
		char text[200];

		(void)snprintf(text, sizeof text, "relay when %s", good[i]);
		if (!make(&m, text))
			fail_msg("%s: %s", text, m.err.text);
		drop(&m);
	}
	for (size_t i = 0; i < ROWS(bad); i++) {
		char text[200];

		(void)snprintf(text, sizeof text, "relay when %s", bad[i]);
		if (make(&m, text))
			fail_msg("taken: %s", text);
		assert_non_null(strstr(m.err.text, "relay would open this host to strangers"));
		drop(&m);
	}
}

static void
patterns_match_whole_names(void **state)
{
	static const struct {
		const char *pattern, *name;
		bool matches;
	} rows[] = {
	    {"a.test", "a.test", true}, {"a.test", "b.a.test", false}, {"*.a.test", "b.a.test", true},
	    {"*.a.test", "c.b.a.test", true}, {"*.a.test", "a.test", false}, {"*.a.test", "b.a.test.evil.test", false},
	    {"*", "", true}, {"*", "x", true}, {"", "", true}, {"", "x", false}, {"a*b*c", "aXbbYc", true}, {"a*b*c", "aXc", false},
	    {"*a*", "bab", true}, {"dyn-*.*.test", "dyn-1-2.x.test", true}, {"a*", "", false}, {"**", "x", true},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		if (rule_pattern_matches(str_from(rows[i].pattern), str_from(rows[i].name)) != rows[i].matches)
			fail_msg("%s %s", rows[i].pattern, rows[i].name);
}

static void
standard_stands_for_the_standard_list(void **state)
{
	struct made m;
	size_t n = 0;

	(void)state;
	assert_true(make(&m, "standard"));
	for (const struct rule *rule = m.list.first; rule != NULL; rule = rule->next)
		assert_str(rule->text, str_from(rule_standard(n++)));
	assert_null(rule_standard(n));
	assert_int_equal(m.list.n, n);
	drop(&m);
}

static void
a_list_has_bounds(void **state)
{
	struct made m;
	struct buf text;

	(void)state;
	assert_true(make(&m, "accept"));
	for (size_t i = 1; i < RULES_MAX; i++)
		assert_true(rule_list_add(&m.list, &m.maker, STR("accept"), 1, &m.err));
	assert_false(rule_list_add(&m.list, &m.maker, STR("accept"), 1, &m.err));
	drop(&m);

	buf_init(&text, 65536);
	buf_adds(&text, "accept when sender is (");
	for (size_t i = 0; i < 1025; i++)
		buf_adds(&text, "a@b.test ");
	buf_adds(&text, ")");
	buf_addc(&text, '\0');
	assert_false(make(&m, text.p));
	assert_non_null(strstr(m.err.text, "write them into a file and say: sender in FILE"));
	drop(&m);
	buf_clear(&text);
}

/* Cut anywhere, and with the arena too small anywhere, a rule is an ordinary mistake. */
static void
any_part_of_a_rule_is_taken_or_refused(void **state)
{
	static const char text[] = "refuse 550 5.7.1 \"we know you\" when client is not (192.0.2.0/24, *.dyn.test) and sender not in "
				   "blocked and login is none";
	struct made m;

	(void)state;
	for (size_t n = 0; n < sizeof text; n++) {
		char part[sizeof text];

		(void)str_copy(part, sizeof part, str_sub(str_from(text), 0, n));
		m.err.text[0] = '\0';
		if (!make(&m, part))
			assert_string_not_equal(m.err.text, "");
		drop(&m);
	}
	for (size_t max = 0; max < 4000; max += 8) {
		arena_init(&m.arena, max);
		m.maker = (struct rule_maker){.arena = &m.arena, .directory = STR("/etc/merpati")};
		rule_list_init(&m.list, 1);
		if (rule_list_add(&m.list, &m.maker, str_from(text), 7, &m.err))
			assert_int_equal(m.list.first->nconditions, 3);
		drop(&m);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_rule_is_an_action_and_conditions),
	    cmocka_unit_test(a_mistake_is_told_with_what_would_be_right),
	    cmocka_unit_test(only_a_condition_that_strangers_cannot_meet_opens_the_relay),
	    cmocka_unit_test(patterns_match_whole_names),
	    cmocka_unit_test(standard_stands_for_the_standard_list),
	    cmocka_unit_test(a_list_has_bounds),
	    cmocka_unit_test(any_part_of_a_rule_is_taken_or_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
