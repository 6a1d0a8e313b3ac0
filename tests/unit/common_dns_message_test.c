#include "tests/unit/rows.h"

#include <arpa/inet.h>

#include "common/dns/dns_message.h"
#include "tests/unit/dns_packet.h"

#define ID 0x1234
#define GOOD 0x8180
#define AUTHENTIC 0x20

static struct packet packet;
static struct arena arena;
static struct dns_question question;
static struct dns_answer answer;

static int
setup(void **state)
{
	(void)state;
	arena_init(&arena, DNS_ANSWER_MAX);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_clear(&arena);
	return 0;
}

static void
begin(const char *name, enum dns_type type, unsigned flags)
{
	arena_clear(&arena);
	arena_init(&arena, DNS_ANSWER_MAX);
	assert_true(dns_question_set(&question, str_from(name), type));
	packet_begin(&packet, ID, flags, name, type);
}

static enum dns_reply
parse(void)
{
	return dns_answer_parse(packet_str(&packet), &question, ID, &arena, &answer);
}

static void
only_names_that_dns_can_have_are_asked_for(void **state)
{
	static const struct {
		struct str in;
		const char *out; /* NULL: refused */
	} rows[] = {
	    {STR("dua.test"), "dua.test"},
	    {STR("DUA.Test."), "dua.test"},
	    {STR("_25._tcp.mx-1.test"), "_25._tcp.mx-1.test"},
	    {STR("test"), "test"},
	    {STR(""), NULL},
	    {STR("."), NULL},
	    {STR("a..b"), NULL},
	    {STR(".a"), NULL},
	    {STR("a.."), NULL},
	    {STR("a b"), NULL},
	    {STR("a\0b"), NULL},
	    {STR("a\\046b"), NULL},
	    {STR("a\r\n"), NULL},
	    {STR("\xc3\xa9.test"), NULL},
	    {STR("a@b"), NULL},
	    {STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.test"),
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.test"},
	    {STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.test"), NULL},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		bool good = dns_question_set(&question, rows[i].in, DNS_A);

		assert_int_equal(good, rows[i].out != NULL);
		if (good)
			assert_string_equal(question.name, rows[i].out);
	}
}

static void
the_longest_name_makes_a_query_and_a_longer_one_none(void **state)
{
	char name[DNS_NAME_MAX + 1];
	unsigned char query[DNS_QUERY_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof name; i++)
		name[i] = i % 63 == 62 ? '.' : 'x';
	assert_true(dns_question_set(&question, (struct str){name, DNS_NAME_MAX}, DNS_MX));
	assert_int_equal(dns_query_build(query, &question, ID, DNS_QUERY_EDNS), 12 + 255 + 4 + 11);
	assert_false(dns_question_set(&question, (struct str){name, DNS_NAME_MAX + 1}, DNS_MX));
}

static void
a_query_asks_one_question_with_recursion_and_edns(void **state)
{
	static const unsigned char expected[] = {0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 3, 'd', 'u', 'a', 4, 't', 'e',
	    's', 't', 0, 0, 15, 0, 1, 0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0};
	unsigned char query[DNS_QUERY_MAX];

	(void)state;
	assert_true(dns_question_set(&question, STR("dua.test"), DNS_MX));
	assert_int_equal(dns_query_build(query, &question, ID, DNS_QUERY_EDNS), sizeof expected);
	assert_memory_equal(query, expected, sizeof expected);
	assert_int_equal(dns_query_build(query, &question, ID, 0), sizeof expected - 11);
	assert_int_equal(query[11], 0);
	(void)dns_query_build(query, &question, ID, DNS_QUERY_AD);
	assert_int_equal(query[3], 0x20);
}

static void
tlsa_records_come_with_their_three_numbers(void **state)
{
	size_t at;

	(void)state;
	begin("_25._tcp.mx1.dua.test", DNS_TLSA, GOOD | AUTHENTIC);
	at = packet_record(&packet, 1, "_25._tcp.mx1.dua.test", DNS_TLSA, 300);
	packet_bytes(&packet, "\3\1\1\0digest", 10);
	packet_record_end(&packet, at);
	at = packet_record(&packet, 1, "_25._tcp.mx1.dua.test", DNS_TLSA, 300);
	packet_bytes(&packet, "\3\1\1", 3); /* without data: not one for us */
	packet_record_end(&packet, at);
	assert_int_equal(parse(), DNS_REPLY_ANSWER);
	assert_true(answer.is_secure);
	assert_int_equal(answer.n, 1);
	assert_int_equal(answer.records[0].tlsa.usage, 3);
	assert_int_equal(answer.records[0].tlsa.selector, 1);
	assert_int_equal(answer.records[0].tlsa.matching, 1);
	assert_str(answer.records[0].text, STR("\0digest"));
}

static void
what_there_is_not_is_secure_too_when_the_server_says_so(void **state)
{
	static const unsigned flags[] = {GOOD, GOOD | AUTHENTIC, GOOD | AUTHENTIC | 3};

	(void)state;
	for (size_t i = 0; i < ROWS(flags); i++) {
		begin("_25._tcp.mx1.dua.test", DNS_TLSA, flags[i]);
		assert_int_equal(parse(), DNS_REPLY_ANSWER);
		assert_int_equal(answer.is_secure, i > 0);
		assert_int_equal(answer.status, i < 2 ? DNS_NODATA : DNS_NXDOMAIN);
	}
}

static void
an_alias_can_be_asked_for_itself(void **state)
{
	(void)state;
	begin("mx.dua.test", DNS_CNAME, GOOD);
	packet_cname(&packet, "mx.dua.test", 60, "MX.penyedia.test");
	assert_int_equal(parse(), DNS_REPLY_ANSWER);
	assert_int_equal(answer.n, 1);
	assert_str(answer.records[0].text, STR("mx.penyedia.test"));
	assert_str(answer.name, STR("mx.dua.test"));
}

static void
exchangers_come_with_preference_in_lower_case(void **state)
{
	(void)state;
	begin("dua.test", DNS_MX, GOOD);
	packet_mx(&packet, "DUA.test", 300, 20, "MX2.dua.test");
	packet_mx(&packet, "dua.test", 100, 10, "mx1.dua.test");
	packet_mx(&packet, "other.test", 1, 1, "evil.test");
	assert_int_equal(parse(), DNS_REPLY_ANSWER);
	assert_int_equal(answer.status, DNS_FOUND);
	assert_int_equal(answer.n, 2);
	assert_int_equal(answer.records[0].preference, 20);
	assert_str(answer.records[0].text, STR("mx2.dua.test"));
	assert_str(answer.records[1].text, STR("mx1.dua.test"));
	assert_int_equal(answer.ttl_s, 100);
	assert_str(answer.name, STR("dua.test"));
}

static void
a_null_mx_is_an_empty_host(void **state)
{
	(void)state;
	begin("dua.test", DNS_MX, GOOD);
	packet_mx(&packet, "dua.test", 300, 0, "");
	assert_int_equal(parse(), DNS_REPLY_ANSWER);
	assert_int_equal(answer.n, 1);
	assert_str(answer.records[0].text, STR(""));
}

static void
hosts_that_are_no_host_names_are_left_out(void **state)
{
	static const char *const hosts[] = {"a b.test", "a\nb.test", "a\x1b.test", "\xff.test", "a(b.test", "a\\b.test"};

	(void)state;
	for (size_t i = 0; i < ROWS(hosts); i++) {
		begin("dua.test", DNS_MX, GOOD);
		packet_mx(&packet, "dua.test", 300, 10, hosts[i]);
		packet_mx(&packet, "dua.test", 300, 20, "good.test");
		assert_int_equal(parse(), DNS_REPLY_ANSWER);
		assert_int_equal(answer.n, 1);
		assert_str(answer.records[0].text, STR("good.test"));
	}
}

static void
addresses_of_the_wrong_length_are_left_out(void **state)
{
	size_t at;

	(void)state;
	begin("mx1.dua.test", DNS_A, GOOD);
	packet_a(&packet, "mx1.dua.test", 60, 0x7f000003);
	at = packet_record(&packet, 1, "mx1.dua.test", DNS_A, 60);
	packet_u16(&packet, 0x7f00);
	packet_record_end(&packet, at);
	assert_int_equal(parse(), DNS_REPLY_ANSWER);
	assert_int_equal(answer.n, 1);
	assert_int_equal(answer.records[0].address.v4.s_addr, htonl(0x7f000003));
}

static void
strings_of_a_text_are_put_together(void **state)
{
	size_t at;

	(void)state;
	begin("dua.test", DNS_TXT, GOOD);
	at = packet_record(&packet, 1, "dua.test", DNS_TXT, 60);
	packet_bytes(&packet, "\5v=STS\0\2v1", 10);
	packet_record_end(&packet, at);
	at = packet_record(&packet, 1, "dua.test", DNS_TXT, 60);
	packet_bytes(&packet, "\11short", 6); /* its length leads out of the record */
	packet_record_end(&packet, at);
	assert_int_equal(parse(), DNS_REPLY_ANSWER);
	assert_int_equal(answer.n, 1);
	assert_str(answer.records[0].text, STR("v=STSv1"));
}

static void
aliases_are_followed_inside_the_answer(void **state)
{
	(void)state;
	begin("www.test", DNS_A, GOOD);
	packet_cname(&packet, "b.test", 20, "c.test");
	packet_cname(&packet, "www.test", 50, "B.test");
	packet_a(&packet, "c.test", 70, 1);
	packet_a(&packet, "www.test.evil", 1, 2);
	assert_int_equal(parse(), DNS_REPLY_ANSWER);
	assert_int_equal(answer.n, 1);
	assert_str(answer.name, STR("c.test"));
	assert_int_equal(answer.ttl_s, 20);
}

static void
an_alias_without_its_target_is_to_be_asked_for(void **state)
{
	(void)state;
	begin("www.test", DNS_A, GOOD);
	packet_cname(&packet, "www.test", 50, "b.test");
	assert_int_equal(parse(), DNS_REPLY_ALIAS);
	assert_str(answer.name, STR("b.test"));
	assert_int_equal(answer.n, 0);

	begin("www.test", DNS_A, GOOD);
	packet_cname(&packet, "www.test", 50, "b.test");
	packet_soa(&packet, "test", 30, 40);
	assert_int_equal(parse(), DNS_REPLY_ANSWER);
	assert_int_equal(answer.status, DNS_NODATA);
	assert_int_equal(answer.ttl_s, 30);
}

static void
a_circle_of_aliases_ends(void **state)
{
	(void)state;
	begin("a.test", DNS_A, GOOD);
	packet_cname(&packet, "a.test", 50, "b.test");
	packet_cname(&packet, "b.test", 50, "a.test");
	assert_int_equal(parse(), DNS_REPLY_ALIAS);
	assert_int_equal(answer.n, 0);
}

static void
what_does_not_exist_is_told_from_what_has_no_such_record(void **state)
{
	(void)state;
	begin("no.test", DNS_MX, GOOD | 3);
	packet_soa(&packet, "test", 600, 60);
	assert_int_equal(parse(), DNS_REPLY_ANSWER);
	assert_int_equal(answer.status, DNS_NXDOMAIN);
	assert_int_equal(answer.ttl_s, 60);

	begin("no.test", DNS_MX, GOOD);
	assert_int_equal(parse(), DNS_REPLY_ANSWER);
	assert_int_equal(answer.status, DNS_NODATA);
	assert_int_equal(answer.ttl_s, 0);
}

static void
replies_that_are_not_to_the_question_are_foreign(void **state)
{
	(void)state;
	begin("dua.test", DNS_A, GOOD);
	packet.p[1] ^= 1;
	assert_int_equal(parse(), DNS_REPLY_FOREIGN);
	begin("dua.test", DNS_A, GOOD & ~0x8000);
	assert_int_equal(parse(), DNS_REPLY_FOREIGN);
	begin("dua.test", DNS_A, GOOD | 0x2000);
	assert_int_equal(parse(), DNS_REPLY_FOREIGN);
	begin("dua.test", DNS_A, GOOD);
	question.type = DNS_AAAA;
	assert_int_equal(parse(), DNS_REPLY_FOREIGN);
	begin("dua.test", DNS_A, GOOD);
	packet.p[13] = 'x';
	assert_int_equal(parse(), DNS_REPLY_FOREIGN);
	begin("dua.test", DNS_A, GOOD);
	packet_count(&packet, 0);
	packet_name(&packet, "dua.test");
	packet_u32(&packet, 0x00010001);
	assert_int_equal(parse(), DNS_REPLY_FOREIGN);
}

static void
response_codes_say_what_to_do(void **state)
{
	static const struct {
		unsigned rcode;
		enum dns_reply reply;
	} rows[] = {
	    {1, DNS_REPLY_NO_EDNS},
	    {2, DNS_REPLY_FAILED},
	    {4, DNS_REPLY_NO_EDNS},
	    {5, DNS_REPLY_FAILED},
	    {6, DNS_REPLY_FAILED},
	    {15, DNS_REPLY_FAILED},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		begin("dua.test", DNS_A, GOOD | rows[i].rcode);
		assert_int_equal(parse(), rows[i].reply);
		assert_int_equal(answer.status, DNS_TEMP);
		/* Some servers leave everything but the header away. */
		packet.n = 12;
		packet.p[5] = 0;
		assert_int_equal(parse(), rows[i].reply);
	}
	begin("dua.test", DNS_A, GOOD | 0x0200);
	assert_int_equal(parse(), DNS_REPLY_TRUNCATED);
}

static void
a_compression_loop_is_not_followed(void **state)
{
	size_t at;

	(void)state;
	begin("dua.test", DNS_MX, GOOD);
	at = packet_record(&packet, 1, "dua.test", DNS_MX, 60);
	packet_u16(&packet, 10);
	packet_u16(&packet, 0xc000 | (unsigned)packet.n);
	packet_record_end(&packet, at);
	assert_int_equal(parse(), DNS_REPLY_ANSWER);
	assert_int_equal(answer.status, DNS_NODATA);

	/* An owner that points at itself. */
	begin("dua.test", DNS_MX, GOOD);
	packet_u16(&packet, 0xc000 | (unsigned)packet.n);
	packet_u32(&packet, 0x000f0001);
	packet_u32(&packet, 60);
	packet_u16(&packet, 0);
	packet_count(&packet, 1);
	(void)parse();
	assert_int_equal(answer.n, 0);
}

static void
many_records_are_cut_at_the_limit(void **state)
{
	(void)state;
	begin("dua.test", DNS_A, GOOD);
	for (unsigned i = 0; i < 200; i++)
		packet_a(&packet, "dua.test", 60, i);
	assert_int_equal(packet.p[7], 200);
	assert_int_equal(parse(), DNS_REPLY_ANSWER);
	assert_int_equal(answer.n, DNS_RECORDS_MAX);
}

static void
an_answer_too_large_for_the_arena_is_a_failure(void **state)
{
	(void)state;
	for (size_t max = 0; max < 1024; max += 8) {
		enum dns_reply reply;

		begin("dua.test", DNS_MX, GOOD);
		packet_mx(&packet, "dua.test", 60, 10, "mx1.dua.test");
		packet_mx(&packet, "dua.test", 60, 20, "mx2.dua.test");
		arena_init(&arena, max);
		reply = parse();
		assert_true(reply == DNS_REPLY_FAILED || (reply == DNS_REPLY_ANSWER && answer.n == 2));
		arena_clear(&arena);
	}
}

/* Cut anywhere and changed anywhere: never a crash, and never a name with other bytes than a host's. */
static void
damage_anywhere_is_survived(void **state)
{
	struct packet whole;

	(void)state;
	begin("dua.test", DNS_MX, GOOD);
	packet_cname(&packet, "dua.test", 60, "tiga.test");
	packet_mx(&packet, "tiga.test", 60, 10, "mx1.dua.test");
	packet_mx(&packet, "tiga.test", 60, 20, "mx2.dua.test");
	packet_soa(&packet, "test", 60, 60);
	whole = packet;
	for (size_t cut = 0; cut < whole.n; cut++) {
		packet.n = cut;
		assert_int_not_equal(parse(), DNS_REPLY_ANSWER);
	}
	for (size_t at = 0; at < whole.n; at++)
		for (unsigned value = 0; value < 256; value++) {
			packet = whole;
			packet.p[at] = (unsigned char)value;
			(void)parse();
			for (size_t i = 0; i < answer.n; i++)
				for (size_t j = 0; j < answer.records[i].text.n; j++)
					assert_true(ascii_is_print(answer.records[i].text.p[j]));
			arena_reset(&arena);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(only_names_that_dns_can_have_are_asked_for),
	    cmocka_unit_test(the_longest_name_makes_a_query_and_a_longer_one_none),
	    cmocka_unit_test(a_query_asks_one_question_with_recursion_and_edns),
	    cmocka_unit_test_setup_teardown(tlsa_records_come_with_their_three_numbers, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_there_is_not_is_secure_too_when_the_server_says_so, setup, teardown),
	    cmocka_unit_test_setup_teardown(an_alias_can_be_asked_for_itself, setup, teardown),
	    cmocka_unit_test_setup_teardown(exchangers_come_with_preference_in_lower_case, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_null_mx_is_an_empty_host, setup, teardown),
	    cmocka_unit_test_setup_teardown(hosts_that_are_no_host_names_are_left_out, setup, teardown),
	    cmocka_unit_test_setup_teardown(addresses_of_the_wrong_length_are_left_out, setup, teardown),
	    cmocka_unit_test_setup_teardown(strings_of_a_text_are_put_together, setup, teardown),
	    cmocka_unit_test_setup_teardown(aliases_are_followed_inside_the_answer, setup, teardown),
	    cmocka_unit_test_setup_teardown(an_alias_without_its_target_is_to_be_asked_for, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_circle_of_aliases_ends, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_does_not_exist_is_told_from_what_has_no_such_record, setup, teardown),
	    cmocka_unit_test_setup_teardown(replies_that_are_not_to_the_question_are_foreign, setup, teardown),
	    cmocka_unit_test_setup_teardown(response_codes_say_what_to_do, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_compression_loop_is_not_followed, setup, teardown),
	    cmocka_unit_test_setup_teardown(many_records_are_cut_at_the_limit, setup, teardown),
	    cmocka_unit_test_setup_teardown(an_answer_too_large_for_the_arena_is_a_failure, setup, teardown),
	    cmocka_unit_test_setup_teardown(damage_anywhere_is_survived, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
