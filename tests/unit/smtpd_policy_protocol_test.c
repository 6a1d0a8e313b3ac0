#include "tests/unit/rows.h"

#include "smtpd/policy_protocol.h"

static void
a_request_is_lines_and_an_empty_one(void **state)
{
	const struct policy_request r = {.protocol_state = STR("RCPT"), .protocol_name = STR("ESMTP"),
	    .client_address = STR("192.0.2.1"), .client_port = 4711, .helo_name = STR("x\ny=z"), .sender = STR("a@b.test"),
	    .recipient = STR("c@d.test"), .size = 12};
	struct buf b;

	(void)state;
	buf_init(&b, POLICY_REQUEST_MAX);
	policy_request_add(&b, &r);
	assert_str(buf_str(&b),
	    STR("request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\nclient_address=192.0.2.1\n"
		"client_name=unknown\nreverse_client_name=unknown\nclient_port=4711\nserver_address=\nserver_port=\n"
		"helo_name=x?y=z\nsender=a@b.test\nrecipient=c@d.test\nrecipient_count=0\nqueue_id=\ninstance=\nsize=12\n"
		"etrn_domain=\nstress=\nsasl_method=\nsasl_username=\nsasl_sender=\nccert_subject=\nccert_issuer=\n"
		"ccert_fingerprint=\nccert_pubkey_fingerprint=\nencryption_protocol=\nencryption_cipher=\nencryption_keysize=0\n"
		"policy_context=\n\n"));
	buf_clear(&b);
}

static const struct {
	const char *in;
	enum parse parse;
	enum policy_action action;
	unsigned code;
	const char *status, *text;
} rows[] = {
    {"action=dunno\n\n", PARSE_OK, POLICY_ACTION_DUNNO, 0, "", ""},
    {"action=DUNNO\r\n\r\n", PARSE_OK, POLICY_ACTION_DUNNO, 0, "", ""},
    {"action=OK\n\n", PARSE_OK, POLICY_ACTION_OK, 0, "", ""},
    {"action=REJECT\n\n", PARSE_OK, POLICY_ACTION_REPLY, 554, "5.7.1", ""},
    {"action=REJECT 5.7.23 no SPF for you\n\n", PARSE_OK, POLICY_ACTION_REPLY, 554, "5.7.23", "no SPF for you"},
    {"action=550 5.1.1 who?\n\n", PARSE_OK, POLICY_ACTION_REPLY, 550, "5.1.1", "who?"},
    {"action=550 4.1.1 who?\n\n", PARSE_OK, POLICY_ACTION_REPLY, 550, "5.7.1", "4.1.1 who?"},
    {"action=421 bye\n\n", PARSE_OK, POLICY_ACTION_REPLY, 421, "4.7.1", "bye"},
    {"action=550 05.7.1 no\n\n", PARSE_OK, POLICY_ACTION_REPLY, 550, "5.7.1", "05.7.1 no"},
    {"action=DEFER\n\n", PARSE_OK, POLICY_ACTION_REPLY, 450, "4.7.1", ""},
    {"action=DEFER_IF_PERMIT Greylisted, see http://x.test/\n\n", PARSE_OK, POLICY_ACTION_DEFER_IF_PERMIT, 450, "4.7.1",
        "Greylisted, see http://x.test/"},
    {"action=defer_if_reject x\n\n", PARSE_OK, POLICY_ACTION_DEFER_IF_REJECT, 450, "4.7.1", "x"},
    {"x=y\naction=PREPEND Received-SPF: Pass (mailfrom) a=b\nz=\n\n", PARSE_OK, POLICY_ACTION_PREPEND, 0, "",
        "Received-SPF: Pass (mailfrom) a=b"},
    {"action=HOLD look at it\n\n", PARSE_OK, POLICY_ACTION_HOLD, 0, "", "look at it"},
    {"action=DISCARD\n\n", PARSE_OK, POLICY_ACTION_DISCARD, 0, "", ""},
    {"action=REDIRECT a@b.test\n\n", PARSE_OK, POLICY_ACTION_REDIRECT, 0, "", "a@b.test"},
    {"action=WARN hm\n\n", PARSE_OK, POLICY_ACTION_WARN, 0, "", "hm"},
    {"action=FILTER smtp:x\n\n", PARSE_OK, POLICY_ACTION_UNSUPPORTED, 0, "", "FILTER smtp:x"},
    {"action=REDIRECT\n\n", PARSE_BAD, 0, 0, "", ""},
    {"action=PREPEND\n\n", PARSE_BAD, 0, 0, "", ""},
    {"action=\n\n", PARSE_BAD, 0, 0, "", ""},
    {"action=nonsense\n\n", PARSE_BAD, 0, 0, "", ""},
    {"action=250 fine\n\n", PARSE_BAD, 0, 0, "", ""},
    {"action=REJECT a\rb\n\n", PARSE_BAD, 0, 0, "", ""},
    {"\n", PARSE_BAD, 0, 0, "", ""},
    {"hello\n\n", PARSE_BAD, 0, 0, "", ""},
};

static void
a_reply_is_one_of_those_that_access_5_has(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct str rest = str_from(rows[i].in);
		struct policy_reply reply;

		if (policy_reply_take(&rest, &reply) != rows[i].parse)
			fail_msg("%s", rows[i].in);
		if (rows[i].parse != PARSE_OK)
			continue;
		assert_int_equal(rest.n, 0);
		assert_int_equal(reply.action, rows[i].action);
		assert_int_equal(reply.code, rows[i].code);
		assert_string_equal(reply.status, rows[i].status);
		assert_str(reply.text, str_from(rows[i].text));
	}
}

static void
half_a_reply_is_none_yet(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		size_t n = strlen(rows[i].in);

		for (size_t cut = 0; cut < n && rows[i].parse == PARSE_OK; cut++) {
			struct str rest = {rows[i].in, cut};
			struct policy_reply reply;

			assert_int_equal(policy_reply_take(&rest, &reply), PARSE_MORE);
			assert_int_equal(rest.n, cut);
		}
	}
}

static void
a_reply_without_end_is_given_up(void **state)
{
	static char in[POLICY_REPLY_MAX + 2];
	struct str rest = {in, POLICY_REPLY_MAX - 1};
	struct policy_reply reply;

	(void)state;
	memset(in, 'a', sizeof in);
	assert_int_equal(policy_reply_take(&rest, &reply), PARSE_MORE);
	rest.n++;
	assert_int_equal(policy_reply_take(&rest, &reply), PARSE_BAD);
	memset(in, '\n', sizeof in);
	memcpy(in, "action=OK x", 11);
	rest = (struct str){in, sizeof in};
	assert_int_equal(policy_reply_take(&rest, &reply), PARSE_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_request_is_lines_and_an_empty_one),
	    cmocka_unit_test(a_reply_is_one_of_those_that_access_5_has),
	    cmocka_unit_test(half_a_reply_is_none_yet),
	    cmocka_unit_test(a_reply_without_end_is_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
