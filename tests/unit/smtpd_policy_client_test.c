/* A worker's side of a policy server; the connector and the server are the test. */
#include "tests/unit/rows.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "smtpd/filter_connector.h"
#include "smtpd/policy_client.h"

#define QUERIES 12
#define SERVERS 16

static const struct conf_filter filters[] = {{.name = "a", .timeout_ms = 200}};
static const struct conf conf = {.filters = filters, .nfilters = 1};
static const struct policy_request request = {.protocol_state = STR("RCPT")};

/* One question, and what it was told. */
struct asked {
	struct policy_query query;
	unsigned calls;
	bool has_reply;
	struct policy_reply reply;
	char reason[256];
	struct asked *cancels, *asks; /* what its callback does */
};

static struct asked asked[QUERIES];
static struct connector_client connector;
static struct policy_client client;
static struct loop *loop;
static int connector_end;
static int servers[SERVERS]; /* the servers' ends */
static size_t nservers;

static void
answered(struct policy_query *query, const struct policy_reply *reply, const char *reason)
{
	struct asked *a = container_of(query, struct asked, query);

	assert_null(query->client);
	a->calls++;
	a->has_reply = reply != NULL;
	if (reply != NULL)
		a->reply = *reply;
	else
		(void)str_copy(a->reason, sizeof a->reason, str_from(reason));
	if (a->cancels != NULL)
		policy_cancel(&a->cancels->query);
	if (a->asks != NULL)
		policy_ask(&client, &a->asks->query, &request, answered);
}

static int
begin(void **state)
{
	int fds[2];

	(void)state;
	memset(asked, 0, sizeof asked);
	nservers = 0;
	loop = loop_new();
	msg_socketpair(fds);
	connector_end = fds[1];
	connector_client_init(&connector, loop, fds[0], &conf, &filter_places);
	policy_client_init(&client, loop, &connector, 0);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	for (size_t i = 0; i < QUERIES; i++)
		policy_cancel(&asked[i].query);
	for (size_t i = 0; i < nservers; i++)
		if (servers[i] >= 0)
			(void)close(servers[i]);
	for (int i = 0; i < 5; i++)
		loop_once(loop, 0); /* the client sees that they are gone */
	channel_close(&connector.channel);
	(void)close(connector_end);
	loop_free(loop);
	return 0;
}

static void
ask(struct asked *a)
{
	policy_ask(&client, &a->query, &request, answered);
}

/* Connects everything that the client wants connected; how many that were. reason: why not, or NULL. */
static size_t
connect_all(const char *reason)
{
	struct buf b;
	struct msg m;
	struct err err;
	size_t n = 0;
	char peek;

	buf_init(&b, MSG_MAX_BYTES);
	loop_once(loop, 0);
	while (recv(connector_end, &peek, 1, MSG_DONTWAIT | MSG_PEEK) > 0) {
		int pair[2] = {-1, -1};
		uint32_t id;

		assert_true(msg_receive(connector_end, &b, &m, &err));
		id = m.id;
		if (reason == NULL) {
			assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
			assert_true(nservers < SERVERS);
			servers[nservers++] = pair[1];
		}
		msg_begin(&b, CONNECTOR_DONE, id);
		msg_add_str(&b, str_from(reason != NULL ? reason : ""));
		assert_true(msg_send(connector_end, &b, pair[0], &err));
		if (pair[0] >= 0)
			(void)close(pair[0]);
		n++;
		loop_once(loop, 100);
	}
	buf_clear(&b);
	return n;
}

/* How many requests have come to the server and were not read yet. */
static size_t
requests(size_t server)
{
	char text[8192];
	ssize_t n = recv(servers[server], text, sizeof text, MSG_DONTWAIT);
	size_t found = 0;

	for (ssize_t i = 1; i < n; i++)
		found += text[i] == '\n' && text[i - 1] == '\n';
	return found;
}

static void
say(size_t server, const char *text)
{
	assert_int_equal(send(servers[server], text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
	loop_once(loop, 100);
}

static void
wait_for(const unsigned *calls)
{
	for (int i = 0; i < 100 && *calls == 0; i++)
		loop_once(loop, 100);
	assert_int_equal(*calls, 1);
}

static void
a_connection_serves_one_question_after_the_other(void **state)
{
	(void)state;
	ask(&asked[0]);
	assert_int_equal(connect_all(NULL), 1);
	assert_int_equal(requests(0), 1);
	say(0, "action=550 5.7.1 no\n");
	assert_int_equal(asked[0].calls, 0); /* half a reply */
	say(0, "\n");
	assert_int_equal(asked[0].calls, 1);
	assert_int_equal(asked[0].reply.code, 550);
	ask(&asked[1]);
	assert_int_equal(connect_all(NULL), 0);
	assert_int_equal(requests(0), 1);
	say(0, "action=DUNNO\n\n");
	assert_int_equal(asked[1].calls, 1);
	assert_int_equal(asked[1].reply.action, POLICY_ACTION_DUNNO);
}

static void
many_questions_share_a_bounded_number_of_connections(void **state)
{
	size_t calls = 0;

	(void)state;
	for (size_t i = 0; i < QUERIES; i++)
		ask(&asked[i]);
	assert_int_equal(connect_all(NULL), POLICY_CONNECTIONS_MAX);
	for (size_t i = 0; i < POLICY_CONNECTIONS_MAX; i++)
		assert_int_equal(requests(i), 1);
	for (size_t i = 0; i < POLICY_CONNECTIONS_MAX; i++)
		say(i, "action=OK\n\n");
	for (size_t i = 0; i < POLICY_CONNECTIONS_MAX; i++)
		if (requests(i) == 1)
			say(i, "action=OK\n\n");
	for (size_t i = 0; i < QUERIES; i++)
		calls += asked[i].calls;
	assert_int_equal(calls, QUERIES);
}

static void
a_kept_connection_that_is_dead_costs_one_more_connection(void **state)
{
	(void)state;
	ask(&asked[0]);
	assert_int_equal(connect_all(NULL), 1);
	assert_int_equal(requests(0), 1);
	say(0, "action=OK\n\n");
	(void)close(servers[0]); /* the client has not noticed yet */
	servers[0] = -1;
	ask(&asked[1]);
	loop_once(loop, 100);
	assert_int_equal(connect_all(NULL), 1);
	assert_int_equal(requests(1), 1);
	say(1, "action=DUNNO\n\n");
	assert_int_equal(asked[1].calls, 1);
	assert_true(asked[1].has_reply);
}

static void
a_new_connection_that_is_closed_is_no_answer(void **state)
{
	(void)state;
	ask(&asked[0]);
	assert_int_equal(connect_all(NULL), 1);
	(void)close(servers[0]);
	servers[0] = -1;
	wait_for(&asked[0].calls);
	assert_false(asked[0].has_reply);
	assert_int_equal(connect_all(NULL), 0);
}

static void
a_server_that_cannot_be_reached_is_no_answer(void **state)
{
	(void)state;
	ask(&asked[0]);
	ask(&asked[1]);
	assert_int_equal(connect_all("Connection refused"), 2);
	assert_int_equal(asked[0].calls + asked[1].calls, 2);
	assert_string_equal(asked[0].reason, "Connection refused");
}

static void
nonsense_and_silence_are_no_answers(void **state)
{
	(void)state;
	ask(&asked[0]);
	assert_int_equal(connect_all(NULL), 1);
	assert_int_equal(requests(0), 1);
	say(0, "action=fly\n\n");
	assert_int_equal(asked[0].calls, 1);
	assert_false(asked[0].has_reply);

	ask(&asked[1]);
	assert_int_equal(connect_all(NULL), 1);
	wait_for(&asked[1].calls);
	assert_string_equal(asked[1].reason, "it took too long to answer");
	/* What it says after all is for nobody: the connection is gone. */
	assert_int_equal(send(servers[1], "action=OK\n\n", 11, MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EPIPE);
}

static void
whoever_gives_up_is_not_called(void **state)
{
	(void)state;
	ask(&asked[0]);
	policy_cancel(&asked[0].query);
	assert_int_equal(connect_all(NULL), 1);
	ask(&asked[1]);
	loop_once(loop, 0);
	assert_int_equal(requests(0), 1);
	policy_cancel(&asked[1].query);
	assert_int_equal(send(servers[0], "action=OK\n\n", 11, MSG_NOSIGNAL), -1);
	policy_cancel(&asked[1].query);
	loop_once(loop, 0);
	assert_int_equal(asked[0].calls + asked[1].calls, 0);
}

static void
who_gives_up_makes_room_for_who_waits(void **state)
{
	(void)state;
	for (size_t i = 0; i <= POLICY_CONNECTIONS_MAX; i++)
		ask(&asked[i]);
	assert_int_equal(connect_all(NULL), POLICY_CONNECTIONS_MAX);
	policy_cancel(&asked[0].query);
	assert_int_equal(connect_all(NULL), 1);
	assert_int_equal(requests(POLICY_CONNECTIONS_MAX), 1);
	say(POLICY_CONNECTIONS_MAX, "action=OK\n\n");
	assert_int_equal(asked[POLICY_CONNECTIONS_MAX].calls, 1);
	assert_true(asked[POLICY_CONNECTIONS_MAX].has_reply);
}

static void
a_callback_may_ask_and_cancel(void **state)
{
	(void)state;
	asked[0].asks = &asked[1];
	asked[1].asks = &asked[2];
	asked[1].cancels = &asked[3];
	ask(&asked[0]);
	assert_int_equal(connect_all(NULL), 1);
	assert_int_equal(requests(0), 1);
	say(0, "action=OK\n\n");
	assert_int_equal(requests(0), 1);
	ask(&asked[3]);
	say(0, "action=OK\n\n");
	assert_int_equal(asked[1].calls, 1);
	assert_null(asked[3].query.client);
	assert_int_equal(requests(0), 1);
	say(0, "action=OK\n\n");
	assert_int_equal(asked[2].calls, 1);
	assert_int_equal(asked[3].calls, 0);
}

static void
failure_is_what_the_filter_says(void **state)
{
	const struct conf_filter accept = {.on_failure = CONF_FAILURE_ACCEPT}, defer = {.on_failure = CONF_FAILURE_DEFER},
				 refuse = {.on_failure = CONF_FAILURE_REFUSE};

	(void)state;
	assert_int_equal(policy_failure(&accept).action, POLICY_ACTION_DUNNO);
	assert_int_equal(policy_failure(&defer).code, 451);
	assert_int_equal(policy_failure(&refuse).code, 550);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_connection_serves_one_question_after_the_other, begin, end),
	    cmocka_unit_test_setup_teardown(many_questions_share_a_bounded_number_of_connections, begin, end),
	    cmocka_unit_test_setup_teardown(a_kept_connection_that_is_dead_costs_one_more_connection, begin, end),
	    cmocka_unit_test_setup_teardown(a_new_connection_that_is_closed_is_no_answer, begin, end),
	    cmocka_unit_test_setup_teardown(a_server_that_cannot_be_reached_is_no_answer, begin, end),
	    cmocka_unit_test_setup_teardown(nonsense_and_silence_are_no_answers, begin, end),
	    cmocka_unit_test_setup_teardown(whoever_gives_up_is_not_called, begin, end),
	    cmocka_unit_test_setup_teardown(who_gives_up_makes_room_for_who_waits, begin, end),
	    cmocka_unit_test_setup_teardown(a_callback_may_ask_and_cancel, begin, end),
	    cmocka_unit_test(failure_is_what_the_filter_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
