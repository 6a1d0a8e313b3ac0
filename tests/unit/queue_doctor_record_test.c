#include "tests/unit/rows.h"

#include "queue/doctor_record.h"
#include "queue/doctor_system.h"

static void
records_are_told_by_their_version(void **state)
{
	static const struct dns_record records[] = {
	    {.text = {"v=spf1", 6}}, {.text = {"v=spf10 -all", 12}}, {.text = {"V=SPF1 mx", 9}}, {.text = {"v=STSv1 ;id=1", 13}},
	    {.text = {"v=DMARC1;p=none", 15}}, {.text = {"v=DMARC1x", 9}}, {.text = {"google-site", 11}}, {.text = {"", 0}}};
	const struct dns_answer answer = {.status = DNS_FOUND, .records = records, .n = ROWS(records)};
	struct str text;

	(void)state;
	assert_int_equal(doctor_record_find(&answer, DOCTOR_SPF, &text), 2);
	assert_ptr_equal(text.p, records[0].text.p);
	assert_int_equal(doctor_record_find(&answer, DOCTOR_STS, &text), 1);
	assert_int_equal(doctor_record_find(&answer, DOCTOR_DMARC, &text), 1);
	assert_int_equal(doctor_record_find(&answer, DOCTOR_TLSRPT, &text), 0);
}

static void
tags_are_read(void **state)
{
	static const struct {
		enum doctor_record_kind kind;
		const char *record;
		bool good;
	} rows[] = {
	    {DOCTOR_DMARC, "v=DMARC1; p=none", true},
	    {DOCTOR_DMARC, "v=DMARC1; sp=none; P = Reject ; rua=mailto:x@y", true},
	    {DOCTOR_DMARC, "v=DMARC1", false},
	    {DOCTOR_DMARC, "v=DMARC1; p=", false},
	    {DOCTOR_DMARC, "v=DMARC1; p=none reject", false},
	    {DOCTOR_DMARC, "v=DMARC1; p=nothing", false},
	    {DOCTOR_STS, "v=STSv1; id=20261128T1", true},
	    {DOCTOR_STS, "v=STSv1; id=12345678901234567890123456789012;", true},
	    {DOCTOR_STS, "v=STSv1; id=123456789012345678901234567890123", false},
	    {DOCTOR_STS, "v=STSv1; id=2026-11", false},
	    {DOCTOR_STS, "v=STSv1; id=", false},
	    {DOCTOR_STS, "v=STSv1;", false},
	    {DOCTOR_TLSRPT, "v=TLSRPTv1; rua=mailto:a@b,https://c/d", true},
	    {DOCTOR_TLSRPT, "v=TLSRPTv1; rua=a@b", false},
	    {DOCTOR_TLSRPT, "v=TLSRPTv1; rua=", false},
	    {DOCTOR_TLSRPT, "v=TLSRPTv1; rua=mailto:a@b,", false},
	    {DOCTOR_TLSRPT, "v=TLSRPTv1", false},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		if ((doctor_record_problem(rows[i].kind, str_from(rows[i].record)) == NULL) != rows[i].good)
			fail_msg("%s", rows[i].record);
}

static void
spf_is_played_for_our_address(void **state)
{
	static const struct {
		const char *record;
		enum doctor_spf_result result;
	} rows[] = {
	    {"v=spf1", DOCTOR_SPF_FAIL},
	    {"v=spf1 -all", DOCTOR_SPF_FAIL},
	    {"v=spf1 ~all", DOCTOR_SPF_FAIL},
	    {"v=spf1 +all", DOCTOR_SPF_OPEN},
	    {"v=spf1 all", DOCTOR_SPF_OPEN},
	    {"v=spf1 mx -all", DOCTOR_SPF_PASS},
	    {"v=spf1 MX -ALL", DOCTOR_SPF_PASS},
	    {"v=spf1 a -all", DOCTOR_SPF_FAIL},
	    {"v=spf1 -mx all", DOCTOR_SPF_FAIL},
	    {"v=spf1 ip4:192.0.2.7 -all", DOCTOR_SPF_PASS},
	    {"v=spf1 ip4:192.0.2.0/24 -all", DOCTOR_SPF_PASS},
	    {"v=spf1 ip4:192.0.2.8 -all", DOCTOR_SPF_FAIL},
	    {"v=spf1 ip4:192.0.2.9/24 -all", DOCTOR_SPF_UNKNOWN},
	    {"v=spf1 ip6:2001:db8::/32 -all", DOCTOR_SPF_FAIL},
	    {"v=spf1 a:mail.satu.test -all", DOCTOR_SPF_PASS},
	    {"v=spf1 a:other.test -all", DOCTOR_SPF_UNKNOWN},
	    {"v=spf1 a/24 -all", DOCTOR_SPF_UNKNOWN},
	    {"v=spf1 include:x.test -all", DOCTOR_SPF_UNKNOWN},
	    {"v=spf1 include:x.test mx -all", DOCTOR_SPF_PASS},
	    {"v=spf1 include:x.test +all", DOCTOR_SPF_OPEN},
	    {"v=spf1 redirect=x.test", DOCTOR_SPF_UNKNOWN},
	    {"v=spf1 redirect=x.test -all", DOCTOR_SPF_UNKNOWN},
	    {"v=spf1 mx redirect=x.test", DOCTOR_SPF_PASS},
	    {"v=spf1 exp=why.test mx -all", DOCTOR_SPF_PASS},
	    {"v=spf1 mxx -all", DOCTOR_SPF_BAD},
	    {"v=spf1 ipv4:192.0.2.7", DOCTOR_SPF_BAD},
	    {"v=spf1 ip4:somewhere -all", DOCTOR_SPF_BAD},
	    {"v=spf1 ip4 -all", DOCTOR_SPF_BAD},
	    {"v=spf1 + -all", DOCTOR_SPF_BAD},
	    {"v=spf1 a a a a a a a a a mx -all", DOCTOR_SPF_PASS},
	    {"v=spf1 a a a a a a a a a a mx -all", DOCTOR_SPF_BAD},
	};
	struct doctor_spf_facts facts = {.hostname = STR("mail.satu.test"), .is_mx = true};
	struct endpoint address;

	(void)state;
	assert_true(endpoint_parse_address(STR("192.0.2.7"), 0, &address));
	facts.address = &address;
	for (size_t i = 0; i < ROWS(rows); i++) {
		const char *problem;
		enum doctor_spf_result result = doctor_spf_play(str_from(rows[i].record), &facts, &problem);

		if (result != rows[i].result || (result == DOCTOR_SPF_BAD) != (problem != NULL))
			fail_msg("%s: %d", rows[i].record, (int)result);
	}
}

static void
without_an_address_networks_are_an_open_question(void **state)
{
	const struct doctor_spf_facts facts = {.hostname = STR("mail.satu.test")};
	const char *problem;

	(void)state;
	assert_int_equal(doctor_spf_play(STR("v=spf1 ip4:192.0.2.7 -all"), &facts, &problem), DOCTOR_SPF_UNKNOWN);
}

static void
room_is_judged_by_what_is_needed_and_by_its_share(void **state)
{
	(void)state;
	assert_int_equal(doctor_room_level(99, 1000, 100), DOCTOR_ERROR);
	assert_int_equal(doctor_room_level(100, 1000, 100), DOCTOR_OK);
	assert_int_equal(doctor_room_level(100, 10000, 100), DOCTOR_WARNING);
	assert_int_equal(doctor_room_level(0, 0, 100), DOCTOR_ERROR);
	assert_int_equal(doctor_room_level(UINT64_MAX, UINT64_MAX, 100), DOCTOR_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(records_are_told_by_their_version),
	    cmocka_unit_test(tags_are_read),
	    cmocka_unit_test(spf_is_played_for_our_address),
	    cmocka_unit_test(without_an_address_networks_are_an_open_question),
	    cmocka_unit_test(room_is_judged_by_what_is_needed_and_by_its_share),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
