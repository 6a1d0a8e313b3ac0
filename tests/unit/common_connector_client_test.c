/* The worker's side of the connector; the other end of the pair is the test. */
#include "tests/unit/rows.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/daemon/connector_client.h"

static const struct conf conf;

static bool
find(const struct conf *c, uint64_t number, struct connector_place *place)
{
	assert_ptr_equal(c, &conf);
	*place = (struct connector_place){.timeout_ms = 50};
	return number < 2;
}

static const struct connector_places places = {find};

static struct connector_client client;
static struct connector_query query;
static struct loop *loop;
static int other_end;
static unsigned calls;
static int got_fd;
static char got_reason[256];

static void
answered(struct connector_query *q, int fd, const char *reason)
{
	assert_ptr_equal(q, &query);
	assert_null(q->client);
	calls++;
	got_fd = fd;
	(void)str_copy(got_reason, sizeof got_reason, str_from(reason));
}

static int
begin(void **state)
{
	int fds[2];

	(void)state;
	loop = loop_new();
	msg_socketpair(fds);
	other_end = fds[1];
	calls = 0;
	memset(&query, 0, sizeof query);
	connector_client_init(&client, loop, fds[0], &conf, &places);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	channel_close(&client.channel);
	(void)close(other_end);
	loop_free(loop);
	return 0;
}

/* What the connector reads: the number of the place. */
static uint64_t
take_request(uint32_t *id)
{
	struct buf b;
	struct msg m;
	struct err err;
	uint64_t number;

	buf_init(&b, MSG_MAX_BYTES);
	assert_true(msg_receive(other_end, &b, &m, &err));
	assert_int_equal(m.type, CONNECTOR_CONNECT);
	number = msg_get_u64(&m);
	assert_true(msg_done(&m));
	*id = m.id;
	buf_clear(&b);
	return number;
}

static void
reply(uint32_t type, uint32_t id, const char *reason, int fd)
{
	struct buf b;
	struct err err;

	buf_init(&b, 1024);
	msg_begin(&b, type, id);
	msg_add_str(&b, str_from(reason));
	assert_true(msg_send(other_end, &b, fd, &err));
	buf_clear(&b);
}

/* The other end of a pipe tells whether a descriptor that was sent is still open anywhere. */
static bool
is_closed(int reading)
{
	char byte;

	return recv(reading, &byte, 1, MSG_DONTWAIT) == 0;
}

static void
a_connection_comes_with_its_descriptor(void **state)
{
	uint32_t id;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	connector_ask(&client, &query, 1, answered);
	assert_int_equal(take_request(&id), 1);
	reply(CONNECTOR_DONE, id, "", pair[0]);
	(void)close(pair[0]);
	loop_once(loop, 1000);
	assert_int_equal(calls, 1);
	assert_true(got_fd >= 0);
	assert_false(is_closed(pair[1]));
	(void)close(got_fd);
	assert_true(is_closed(pair[1]));
	(void)close(pair[1]);
}

static void
a_refusal_comes_with_its_reason(void **state)
{
	uint32_t id;

	(void)state;
	connector_ask(&client, &query, 0, answered);
	(void)take_request(&id);
	reply(CONNECTOR_DONE, id, "Connection refused", -1);
	loop_once(loop, 1000);
	assert_int_equal(calls, 1);
	assert_int_equal(got_fd, -1);
	assert_string_equal(got_reason, "Connection refused");
}

static void
a_connector_that_does_not_answer_is_given_up(void **state)
{
	(void)state;
	connector_ask(&client, &query, 0, answered);
	while (calls == 0)
		loop_once(loop, 5000);
	assert_int_equal(got_fd, -1);
	assert_string_equal(got_reason, "no answer of the connector");
}

static void
an_answer_to_who_asks_no_more_is_closed(void **state)
{
	uint32_t id;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	connector_ask(&client, &query, 0, answered);
	(void)take_request(&id);
	connector_cancel(&query);
	connector_cancel(&query);
	reply(CONNECTOR_DONE, id, "", pair[0]);
	(void)close(pair[0]);
	loop_once(loop, 1000);
	assert_int_equal(calls, 0);
	assert_true(is_closed(pair[1]));
	(void)close(pair[1]);
}

static void
what_is_no_answer_changes_nothing(void **state)
{
	uint32_t id;

	(void)state;
	connector_ask(&client, &query, 0, answered);
	(void)take_request(&id);
	reply(CONNECTOR_CONNECT, id, "x", -1);
	reply(CONNECTOR_DONE, id + 1, "x", -1);
	loop_once(loop, 1000);
	assert_int_equal(calls, 0);
	reply(CONNECTOR_DONE, id, "now", -1);
	loop_once(loop, 1000);
	assert_int_equal(calls, 1);
	assert_string_equal(got_reason, "now");
}

static void
without_a_connector_the_answer_is_no_but_not_from_inside(void **state)
{
	struct connector_client none;

	(void)state;
	connector_client_init(&none, loop, -1, &conf, &places);
	connector_ask(&none, &query, 0, answered);
	assert_int_equal(calls, 0);
	loop_once(loop, 1000);
	assert_int_equal(calls, 1);
	assert_int_equal(got_fd, -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_connection_comes_with_its_descriptor, begin, end),
	    cmocka_unit_test_setup_teardown(a_refusal_comes_with_its_reason, begin, end),
	    cmocka_unit_test_setup_teardown(a_connector_that_does_not_answer_is_given_up, begin, end),
	    cmocka_unit_test_setup_teardown(an_answer_to_who_asks_no_more_is_closed, begin, end),
	    cmocka_unit_test_setup_teardown(what_is_no_answer_changes_nothing, begin, end),
	    cmocka_unit_test_setup_teardown(without_a_connector_the_answer_is_no_but_not_from_inside, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
