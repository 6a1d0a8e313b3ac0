#include "tests/unit/rows.h"

#include "queue/control.h"
#include "queue/destination.h"

static struct {
	unsigned sent;
	uint32_t last_id;
	char last_domain[64];
	bool has_worker;
	unsigned answered;
	char site[64];
	enum job_status status;
} seen;

static bool
send_question(struct destinations *ds, uint32_t id, struct str domain)
{
	(void)ds;
	if (!seen.has_worker)
		return false;
	seen.sent++;
	seen.last_id = id;
	(void)str_copy(seen.last_domain, sizeof seen.last_domain, domain);
	return true;
}

static void
answered(struct destination_query *query, const struct destination *d)
{
	(void)query;
	seen.answered++;
	seen.status = d->status;
	(void)str_copy(seen.site, sizeof seen.site, str_from(d->site));
}

static struct destination_query
query(void)
{
	return (struct destination_query){.answered = answered};
}

static int
forget(void **state)
{
	(void)state;
	memset(&seen, 0, sizeof seen);
	seen.has_worker = true;
	return 0;
}

static const struct job_site found = {.status = JOB_DELIVERED, .key = {"mx.dua.test", 11}, .ttl_s = 60};

static void
a_domain_is_asked_for_once_and_remembered_as_long_as_it_holds(void **state)
{
	struct destinations ds;
	struct destination_query a = query(), b = query(), c = query(), d = query();
	const struct destination *known;

	(void)state;
	destinations_init(&ds, 10, send_question);
	assert_null(destination_ask(&ds, &a, STR("Dua.TEST"), 1000));
	assert_null(destination_ask(&ds, &b, STR("dua.test"), 1000));
	assert_int_equal(seen.sent, 1);
	assert_string_equal(seen.last_domain, "dua.test");
	destination_answer(&ds, seen.last_id, &found, 2000);
	assert_int_equal(seen.answered, 2);
	assert_string_equal(seen.site, "mx.dua.test");
	known = destination_ask(&ds, &c, STR("DUA.test"), 61999);
	assert_non_null(known);
	assert_string_equal(known->site, "mx.dua.test");
	assert_null(destination_ask(&ds, &d, STR("dua.test"), 62000));
	assert_int_equal(seen.sent, 2);
	destinations_clear(&ds);
}

static void
questions_wait_for_a_worker_and_survive_its_death(void **state)
{
	struct destinations ds;
	struct destination_query a = query(), b = query();
	struct job_site lost = {.status = JOB_DEFERRED, .code = STR("4.4.3"), .reason = STR("DNS is away")};
	uint32_t first;

	(void)state;
	seen.has_worker = false;
	destinations_init(&ds, 10, send_question);
	assert_null(destination_ask(&ds, &a, STR("a.test"), 1));
	assert_null(destination_ask(&ds, &b, STR("b.test"), 1));
	seen.has_worker = true;
	destinations_ask_all(&ds);
	assert_int_equal(seen.sent, 2);
	first = seen.last_id;
	destinations_ask_all(&ds);
	assert_int_equal(seen.sent, 4);
	destination_answer(&ds, first, &lost, 1);
	assert_int_equal(seen.answered, 1);
	assert_int_equal(seen.status, JOB_DEFERRED);
	/* The other worker answers as well; or somebody sends nonsense. */
	destination_answer(&ds, first, &found, 1);
	destination_answer(&ds, 12345, &found, 1);
	assert_int_equal(seen.answered, 1);
	destinations_clear(&ds);
}

static void
what_is_remembered_is_bounded(void **state)
{
	struct destinations ds;
	struct destination_query queries[30];
	unsigned known = 0;

	(void)state;
	destinations_init(&ds, 10, send_question);
	for (int i = 0; i < 30; i++) {
		char domain[32];

		queries[i] = query();
		(void)snprintf(domain, sizeof domain, "d%d.test", i);
		assert_null(destination_ask(&ds, &queries[i], str_from(domain), 1));
		destination_answer(&ds, seen.last_id, &found, 1);
	}
	assert_int_equal(seen.answered, 30);
	for (int i = 0; i < 30; i++) {
		struct destination_query q = query();
		char domain[32];

		(void)snprintf(domain, sizeof domain, "d%d.test", i);
		if (i >= 20)
			known += destination_ask(&ds, &q, str_from(domain), 2) != NULL;
	}
	assert_int_equal(known, 10);
	assert_int_equal(ds.nanswered, 10);
	destinations_clear(&ds);
}

static void
commands_pass_between_processes(void **state)
{
	struct control_request request = {.verb = CONTROL_HOLD, .id = STR("4jYT0M6kbqzm4yGB"),
	    .time = STR("20261124T030000Z"), .text = STR("why")}, read_request;
	struct control_reply reply = {.status = CONTROL_NOT_SO, .text = STR("no")}, read_reply;
	struct buf b;
	struct msg m;

	(void)state;
	buf_init(&b, MSG_MAX_BYTES);
	control_request_encode(&b, 3, &request);
	assert_true(msg_open(&m, buf_str(&b), -1) && control_request_decode(&m, &read_request));
	assert_int_equal(read_request.verb, CONTROL_HOLD);
	assert_str(read_request.id, request.id);
	for (size_t cut = 8; cut < b.n; cut++) {
		assert_true(msg_open(&m, str_sub(buf_str(&b), 0, cut), -1));
		assert_false(control_request_decode(&m, &read_request));
	}
	b.p[8] = 99;
	assert_true(msg_open(&m, buf_str(&b), -1));
	assert_false(control_request_decode(&m, &read_request));
	control_reply_encode(&b, 3, &reply);
	assert_true(msg_open(&m, buf_str(&b), -1) && control_reply_decode(&m, &read_reply));
	assert_int_equal(read_reply.status, CONTROL_NOT_SO);
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(a_domain_is_asked_for_once_and_remembered_as_long_as_it_holds, forget),
	    cmocka_unit_test_setup(questions_wait_for_a_worker_and_survive_its_death, forget),
	    cmocka_unit_test_setup(what_is_remembered_is_bounded, forget),
	    cmocka_unit_test(commands_pass_between_processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
