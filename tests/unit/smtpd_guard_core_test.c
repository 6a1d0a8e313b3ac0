#include "tests/unit/rows.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "smtpd/guard_core.h"

#define MINUTE 60000ULL
#define HOUR (60 * MINUTE)
#define START 1700000000000ULL

static struct guard_memory memory;
static struct guard_core core;

static const struct guard_rules rules = {
    .limits = {
        [GUARD_ADDRESS] = {3, {[GUARD_CONNECTS] = 4, [GUARD_MESSAGES] = 5, [GUARD_RECIPIENTS] = 0}},
        [GUARD_NETWORK] = {5, {[GUARD_CONNECTS] = 8, [GUARD_MESSAGES] = 0, [GUARD_RECIPIENTS] = 100}},
        [GUARD_LOGIN] = {2, {[GUARD_MESSAGES] = 3, [GUARD_RECIPIENTS] = 20}},
        [GUARD_SENDER] = {0, {[GUARD_MESSAGES] = 2, [GUARD_RECIPIENTS] = 0}},
    },
    .client_memory_ms = 7 * 24 * HOUR,
    .refuse = 2,
    .welcome = -1,
};

static int
begin(void **state)
{
	(void)state;
	guard_memory_open_private(&memory);
	guard_core_init(&core, &rules, &memory);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	guard_live_clear(&core.live);
	guard_memory_close(&memory);
	return 0;
}

static struct guard_client
client_of(const char *text)
{
	struct guard_client client = {.address_n = 4};

	if (inet_pton(AF_INET, text, client.address) == 1)
		return client;
	assert_int_equal(inet_pton(AF_INET6, text, client.address), 1);
	client.address_n = 16;
	return client;
}

static enum guard_verdict
connect_as(struct guard_client *client, const char *text, uint64_t now_ms)
{
	struct guard_judgement j;

	*client = client_of(text);
	guard_core_connect(&core, client, now_ms, &j);
	return j.verdict;
}

static void
gone(struct guard_client *client, uint64_t now_ms)
{
	guard_core_gone(&core, client, &(const struct guard_report){.errors = 0}, now_ms);
}

static void
an_address_and_a_network_have_so_many_connections(void **state)
{
	struct guard_client c[6];
	static const char *const from[] = {"192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.3"};

	(void)state;
	for (size_t i = 0; i < ROWS(from); i++)
		assert_int_equal(connect_as(&c[i], from[i], START), GUARD_GO);
	assert_int_equal(connect_as(&c[5], "192.0.2.1", START), GUARD_TOO_MANY);
	assert_int_equal(connect_as(&c[5], "192.0.2.4", START), GUARD_TOO_MANY); /* the network's */
	assert_int_equal(connect_as(&c[5], "192.0.3.4", START), GUARD_GO);
	gone(&c[0], START);
	assert_int_equal(connect_as(&c[0], "192.0.2.1", START + MINUTE), GUARD_GO);
	assert_int_equal(connect_as(&c[5], "192.0.2.1", START + MINUTE), GUARD_TOO_MANY);
}

static void
what_was_refused_is_counted_as_refused_only(void **state)
{
	struct guard_client c[4];
	struct guard_key key;

	(void)state;
	for (size_t i = 0; i < 4; i++)
		(void)connect_as(&c[i], "192.0.2.1", START);
	key = guard_key_address(&memory.key, GUARD_ADDRESS, (struct str){(const char *)c[0].address, 4});
	assert_int_equal(guard_rates_count(&memory.rates, &key, GUARD_CONNECTS, START), 3);
	assert_int_equal(guard_rates_count(&memory.rates, &key, GUARD_REFUSALS, START), 1);
	assert_int_equal(guard_live_count(&core.live, key.hash), 3);
	gone(&c[3], START); /* of one that was refused */
	assert_int_equal(guard_live_count(&core.live, key.hash), 3);
}

static void
connections_a_minute_are_told_when_they_may_be_again(void **state)
{
	struct guard_judgement j;
	struct guard_client c;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(connect_as(&c, "192.0.2.1", START + i * 1000), GUARD_GO);
		gone(&c, START + i * 1000);
	}
	c = client_of("192.0.2.1");
	guard_core_connect(&core, &c, START + 5000, &j);
	assert_int_equal(j.verdict, GUARD_TOO_FAST);
	assert_int_equal(j.kind, GUARD_ADDRESS);
	assert_int_equal(j.until_ms, START + MINUTE);
	assert_int_equal(connect_as(&c, "192.0.2.1", START + MINUTE), GUARD_GO);
}

static void
who_counts_as_one(void **state)
{
	static const struct {
		const char *first, *second;
		bool same_address, same_network;
	} rows[] = {
	    {"192.0.2.1", "192.0.2.1", true, true},
	    {"192.0.2.1", "192.0.2.255", false, true},
	    {"192.0.2.1", "192.0.3.1", false, false},
	    {"2001:db8:1:2::1", "2001:db8:1:2:3::1", true, true},
	    {"2001:db8:1:2::1", "2001:db8:1:3::1", false, true},
	    {"2001:db8:1::1", "2001:db8:2::1", false, false},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct guard_client a = client_of(rows[i].first), b = client_of(rows[i].second);
		struct str x = {(const char *)a.address, a.address_n}, y = {(const char *)b.address, b.address_n};

		assert_int_equal(guard_key_address(&memory.key, GUARD_ADDRESS, x).hash ==
		        guard_key_address(&memory.key, GUARD_ADDRESS, y).hash, rows[i].same_address);
		assert_int_equal(guard_key_address(&memory.key, GUARD_NETWORK, x).hash ==
		        guard_key_address(&memory.key, GUARD_NETWORK, y).hash, rows[i].same_network);
	}
}

static void
an_ipv4_client_of_an_ipv6_socket_is_an_ipv4_client(void **state)
{
	struct sockaddr_in6 mapped = {.sin6_family = AF_INET6};
	struct sockaddr_in plain = {.sin_family = AF_INET};

	(void)state;
	assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.1", &mapped.sin6_addr), 1);
	assert_int_equal(inet_pton(AF_INET, "192.0.2.1", &plain.sin_addr), 1);
	assert_str(guard_address_bytes((const struct sockaddr *)&mapped), guard_address_bytes((const struct sockaddr *)&plain));
}

static void
keys_are_shown_as_people_write_them(void **state)
{
	static const struct {
		enum guard_kind kind;
		const char *address, *text;
	} rows[] = {
	    {GUARD_ADDRESS, "192.0.2.1", "192.0.2.1"},
	    {GUARD_NETWORK, "192.0.2.1", "192.0.2.0/24"},
	    {GUARD_ADDRESS, "2001:db8:1:2:3::4", "2001:db8:1:2::/64"},
	    {GUARD_NETWORK, "2001:db8:1:2:3::4", "2001:db8:1::/48"},
	};
	char text[GUARD_KEY_TEXT_MAX];
	struct guard_key key;

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct guard_client c = client_of(rows[i].address);

		key = guard_key_address(&memory.key, rows[i].kind, (struct str){(const char *)c.address, c.address_n});
		guard_key_format(key.kind, (struct str){key.bytes, key.n}, text);
		assert_string_equal(text, rows[i].text);
	}
	key = guard_key_name(&memory.key, GUARD_LOGIN, STR("Baru@Satu.test"));
	guard_key_format(key.kind, (struct str){key.bytes, key.n}, text);
	assert_string_equal(text, "baru@satu.test");
	assert_true(key.hash != guard_key_name(&memory.key, GUARD_SENDER, STR("baru@satu.test")).hash);
	guard_key_format(GUARD_ADDRESS, STR("\1\2\3\4\5\6\7\1\2\3\4\5\6\7\1\2\3"), text);
	assert_string_equal(text, "?");
}

static struct guard_judgement
message(struct guard_client *client, const char *login, const char *sender, uint64_t now_ms)
{
	const struct guard_author author = {str_from(login), str_from(sender)};
	struct guard_judgement j;

	guard_core_message(&core, client, &author, now_ms, &j);
	return j;
}

static void
a_login_is_held_to_its_limits_wherever_it_comes_from(void **state)
{
	struct guard_client here = client_of("192.0.2.1"), there = client_of("10.0.0.1");
	struct guard_judgement j;

	(void)state;
	there.exempt = true; /* in networks */
	assert_int_equal(message(&here, "baru", "x@y", START).verdict, GUARD_GO);
	assert_int_equal(message(&there, "BARU", "x@y", START + MINUTE).verdict, GUARD_GO);
	j = message(&here, "baru", "x@y", START + MINUTE);
	assert_int_equal(j.verdict, GUARD_TOO_MANY_RECIPIENTS); /* 16 and 4 are granted */
	assert_int_equal(j.kind, GUARD_LOGIN);
	assert_int_equal(j.until_ms, START + HOUR);
	guard_core_return(&core, &here, &(const struct guard_author){STR("baru"), STR("x@y")}, 15, START + MINUTE);
	assert_int_equal(message(&here, "baru", "x@y", START + MINUTE).verdict, GUARD_GO);
	j = message(&here, "baru", "x@y", START + MINUTE);
	assert_int_equal(j.verdict, GUARD_TOO_MANY_MESSAGES);
	assert_int_equal(j.until_ms, START + HOUR);
	assert_int_equal(message(&here, "lama", "x@y", START + MINUTE).verdict, GUARD_GO);
	assert_int_equal(message(&here, "baru", "x@y", START + HOUR).verdict, GUARD_GO);
}

static void
a_login_has_so_many_connections(void **state)
{
	struct guard_client c[3] = {client_of("192.0.2.1"), client_of("192.0.3.1"), client_of("192.0.4.1")};

	(void)state;
	assert_int_equal(message(&c[0], "baru", "x@y", START).verdict, GUARD_GO);
	assert_int_equal(message(&c[0], "baru", "x@y", START + HOUR).verdict, GUARD_GO); /* the same connection */
	assert_int_equal(message(&c[1], "baru", "x@y", START + 2 * HOUR).verdict, GUARD_GO);
	assert_int_equal(message(&c[2], "baru", "x@y", START + 3 * HOUR).verdict, GUARD_TOO_MANY);
	gone(&c[0], START + 3 * HOUR);
	assert_int_equal(message(&c[2], "baru", "x@y", START + 3 * HOUR).verdict, GUARD_GO);
}

static void
others_are_held_to_those_of_address_network_and_sender(void **state)
{
	struct guard_client c = client_of("192.0.2.1"), near = client_of("192.0.2.2"), own = client_of("10.0.0.1");
	struct guard_judgement j;

	(void)state;
	own.exempt = true;
	assert_int_equal(message(&c, "", "x@y", START).verdict, GUARD_GO);
	assert_int_equal(message(&near, "", "X@Y", START).verdict, GUARD_GO);
	j = message(&near, "", "x@y", START);
	assert_int_equal(j.verdict, GUARD_TOO_MANY_MESSAGES);
	assert_int_equal(j.kind, GUARD_SENDER);
	for (int i = 0; i < 4; i++)
		assert_int_equal(message(&c, "", "", START).verdict, GUARD_GO); /* the null sender has no limit */
	j = message(&c, "", "", START);
	assert_int_equal(j.verdict, GUARD_TOO_MANY_MESSAGES);
	assert_int_equal(j.kind, GUARD_ADDRESS);
	j = message(&near, "", "", START); /* 6 times 16 of 100 are granted */
	assert_int_equal(j.verdict, GUARD_GO);
	assert_int_equal(j.granted, 4);
	j = message(&near, "", "", START);
	assert_int_equal(j.verdict, GUARD_TOO_MANY_RECIPIENTS);
	assert_int_equal(j.kind, GUARD_NETWORK);
	for (int i = 0; i < 100; i++)
		assert_int_equal(message(&own, "", "x@y", START).verdict, GUARD_GO);
}

static void
who_waited_is_known_for_the_time_of_the_memory(void **state)
{
	struct guard_client c = client_of("192.0.2.1"), v6 = client_of("2001:db8::1"), same = client_of("2001:db8::2");

	(void)state;
	assert_false(guard_core_is_known(&core, &c, START));
	guard_core_passed(&core, &c, START);
	guard_core_passed(&core, &v6, START);
	assert_true(guard_core_is_known(&core, &same, START));
	assert_true(guard_core_is_known(&core, &c, START + 6 * 24 * HOUR));
	assert_true(guard_core_is_known(&core, &c, START + 12 * 24 * HOUR)); /* from its last connection on */
	assert_false(guard_core_is_known(&core, &c, START + 20 * 24 * HOUR));
	assert_false(guard_core_is_known(&core, &c, START)); /* the clock went back behind its last connection */
}

static void
lists_refuse_from_the_threshold_on(void **state)
{
	static const struct {
		int64_t score;
		enum guard_verdict verdict;
	} rows[] = {{-5, GUARD_GO}, {0, GUARD_GO}, {1, GUARD_GO}, {2, GUARD_LISTED}, {9, GUARD_LISTED}};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct guard_client c = client_of("192.0.2.1");
		struct guard_judgement j = {.verdict = GUARD_GO};

		guard_core_listed(&core, &c, rows[i].score, START, &j);
		assert_int_equal(j.verdict, rows[i].verdict);
	}
}

static void
strangers_in_masses_displace_the_quiet_ones_only(void **state)
{
	struct guard_client busy = client_of("192.0.2.1"), other;
	struct guard_key key = guard_key_address(&memory.key, GUARD_ADDRESS, (struct str){(const char *)busy.address, 4});

	(void)state;
	for (uint32_t i = 0; i < 200000; i++) {
		other = client_of("10.0.0.0");
		memcpy(other.address + 1, &i, 3);
		guard_core_passed(&core, &other, START + i);
		guard_core_gone(&core, &other, &(const struct guard_report){.errors = 1}, START + i);
		if (i % 1000 == 0) /* one that goes on keeps its record */
			guard_rates_add(&memory.rates, &key, GUARD_ERRORS, 1, START + i);
	}
	assert_int_equal(guard_rates_count(&memory.rates, &key, GUARD_ERRORS, START + 200000), 200);
	assert_true(guard_core_is_known(&core, &other, START + 200000));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(an_address_and_a_network_have_so_many_connections, begin, end),
	    cmocka_unit_test_setup_teardown(what_was_refused_is_counted_as_refused_only, begin, end),
	    cmocka_unit_test_setup_teardown(connections_a_minute_are_told_when_they_may_be_again, begin, end),
	    cmocka_unit_test_setup_teardown(who_counts_as_one, begin, end),
	    cmocka_unit_test_setup_teardown(an_ipv4_client_of_an_ipv6_socket_is_an_ipv4_client, begin, end),
	    cmocka_unit_test_setup_teardown(keys_are_shown_as_people_write_them, begin, end),
	    cmocka_unit_test_setup_teardown(a_login_is_held_to_its_limits_wherever_it_comes_from, begin, end),
	    cmocka_unit_test_setup_teardown(a_login_has_so_many_connections, begin, end),
	    cmocka_unit_test_setup_teardown(others_are_held_to_those_of_address_network_and_sender, begin, end),
	    cmocka_unit_test_setup_teardown(who_waited_is_known_for_the_time_of_the_memory, begin, end),
	    cmocka_unit_test_setup_teardown(lists_refuse_from_the_threshold_on, begin, end),
	    cmocka_unit_test_setup_teardown(strangers_in_masses_displace_the_quiet_ones_only, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
