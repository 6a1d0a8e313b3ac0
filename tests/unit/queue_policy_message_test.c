#include "tests/unit/rows.h"

#include "queue/policy_message.h"

static struct buf packet;

static struct msg
opened(void)
{
	struct msg m;

	assert_true(msg_open(&m, buf_str(&packet), -1));
	return m;
}

static void
a_question_and_its_answer_arrive(void **state)
{
	struct policy_answer answer = {.text = STR("version: STSv1\n"), .holds_s = 77}, got;
	struct str domain;
	struct msg m;

	(void)state;
	policy_ask_encode(&packet, 5, STR("dua.test"));
	m = opened();
	assert_int_equal(m.type, POLICY_ASK);
	assert_int_equal(m.id, 5);
	assert_true(policy_ask_decode(&m, &domain));
	assert_str(domain, STR("dua.test"));
	policy_answer_encode(&packet, 5, &answer);
	m = opened();
	assert_int_equal(m.type, POLICY_ANSWER);
	assert_true(policy_answer_decode(&m, &got));
	assert_str(got.text, answer.text);
	assert_int_equal(got.holds_s, 77);
}

static void
an_outcome_arrives(void **state)
{
	const struct tlsrpt_outcome outcome = {.policy = TLSRPT_TLSA, .result = TLSRPT_VALIDATION_FAILURE,
	    .domain = STR("dua.test"), .text = STR("3 1 1 ab\n"), .host = STR("mx.dua.test"), .sending_ip = STR("192.0.2.1"),
	    .receiving_ip = STR("2001:db8::1"), .reason = STR("x")};
	struct tlsrpt_outcome got;
	struct msg m;

	(void)state;
	tlsrpt_outcome_encode(&packet, &outcome);
	m = opened();
	assert_int_equal(m.type, POLICY_OUTCOME);
	assert_true(tlsrpt_outcome_decode(&m, &got));
	assert_int_equal(got.policy, outcome.policy);
	assert_int_equal(got.result, outcome.result);
	assert_str(got.domain, outcome.domain);
	assert_str(got.text, outcome.text);
	assert_str(got.host, outcome.host);
	assert_str(got.sending_ip, outcome.sending_ip);
	assert_str(got.receiving_ip, outcome.receiving_ip);
	assert_str(got.reason, outcome.reason);
}

static void
what_is_cut_or_too_long_is_refused(void **state)
{
	static char long_text[POLICY_TEXT_MAX + 1];
	const struct tlsrpt_outcome outcome = {.domain = STR("dua.test"), .host = STR("mx.dua.test")};
	struct policy_answer answer = {.text = {long_text, sizeof long_text}};
	struct tlsrpt_outcome got;
	struct str domain, whole;
	struct msg m;

	(void)state;
	policy_answer_encode(&packet, 1, &answer);
	m = opened();
	assert_false(policy_answer_decode(&m, &answer));
	policy_ask_encode(&packet, 1, STR(""));
	m = opened();
	assert_false(policy_ask_decode(&m, &domain));
	policy_ask_encode(&packet, 1, (struct str){long_text, POLICY_DOMAIN_MAX + 1});
	m = opened();
	assert_false(policy_ask_decode(&m, &domain));
	tlsrpt_outcome_encode(&packet, &outcome);
	whole = buf_str(&packet);
	for (size_t n = 8; n < whole.n; n++) {
		assert_true(msg_open(&m, str_sub(whole, 0, n), -1));
		assert_false(tlsrpt_outcome_decode(&m, &got));
	}
}

static void
words_are_those_of_rfc_8460(void **state)
{
	enum tlsrpt_policy policy;
	enum tlsrpt_result result;

	(void)state;
	for (policy = TLSRPT_NO_POLICY; policy <= TLSRPT_TLSA; policy++) {
		enum tlsrpt_policy again;

		assert_true(tlsrpt_policy_parse(str_from(tlsrpt_policy_word(policy)), &again));
		assert_int_equal(policy, again);
	}
	for (result = TLSRPT_SUCCESS; result <= TLSRPT_STS_WEBPKI_INVALID; result++) {
		enum tlsrpt_result again;

		assert_true(tlsrpt_result_parse(str_from(tlsrpt_result_word(result)), &again));
		assert_int_equal(result, again);
	}
	assert_string_equal(tlsrpt_result_word(TLSRPT_STARTTLS_NOT_SUPPORTED), "starttls-not-supported");
	assert_false(tlsrpt_result_parse(STR("starttls"), &result));
	assert_false(tlsrpt_policy_parse(STR(""), &policy));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_question_and_its_answer_arrive),
	    cmocka_unit_test(an_outcome_arrives),
	    cmocka_unit_test(what_is_cut_or_too_long_is_refused),
	    cmocka_unit_test(words_are_those_of_rfc_8460),
	};
	int failures;

	buf_init(&packet, MSG_MAX_BYTES);
	failures = cmocka_run_group_tests(tests, NULL, NULL);
	buf_clear(&packet);
	return failures;
}
