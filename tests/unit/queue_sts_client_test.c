#include "tests/unit/rows.h"

#include "queue/sts_client.h"

#define POLICY "version: STSv1\nmode: enforce\nmx: mx.dua.test\nmax_age: 1000\n"

/* A worker's client, and in place of `policy` the other end of its pair. */
struct fixture {
	struct loop *loop;
	struct sts_client client;
	int other;
	struct buf packet;
	struct sts_query query;
	char text[200];
	unsigned answers;
};

static struct fixture fixture;

static int
set_up(void **state)
{
	int fds[2];

	fixture = (struct fixture){.loop = loop_new()};
	msg_socketpair(fds);
	fixture.other = fds[1];
	buf_init(&fixture.packet, MSG_MAX_BYTES);
	sts_client_start(&fixture.client, fixture.loop, fds[0]);
	*state = &fixture;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;
	struct msg m;
	struct err err;

	sts_client_cancel(&f->query);
	sts_client_clear(&f->client);
	while (msg_receive(f->other, &f->packet, &m, &err))
		continue;
	buf_clear(&f->packet);
	loop_free(f->loop);
	return 0;
}

static void
answered(struct sts_query *query, struct str text)
{
	struct fixture *f = container_of(query, struct fixture, query);

	assert_true(str_copy(f->text, sizeof f->text, text));
	f->answers++;
}

static void
turn(struct fixture *f)
{
	unsigned before = f->answers;

	for (int i = 0; i < 100 && f->answers == before; i++)
		loop_once(f->loop, 20);
	assert_int_equal(f->answers, before + 1);
}

static uint32_t
question_receive(struct fixture *f, const char *expected)
{
	struct str domain;
	struct msg m;
	struct err err;

	assert_true(msg_receive(f->other, &f->packet, &m, &err));
	assert_int_equal(m.type, POLICY_ASK);
	assert_true(policy_ask_decode(&m, &domain));
	assert_str(domain, str_from(expected));
	return m.id;
}

static void
say(struct fixture *f, uint32_t id, const char *text, uint64_t holds_s)
{
	struct err err;

	policy_answer_encode(&f->packet, id, &(const struct policy_answer){.text = str_from(text), .holds_s = holds_s});
	assert_true(msg_send(f->other, &f->packet, -1, &err));
}

static void
a_policy_is_asked_for_once_and_then_known(void **state)
{
	struct fixture *f = *state;

	sts_client_ask(&f->client, &f->query, STR("Dua.TEST"), answered);
	say(f, question_receive(f, "dua.test"), POLICY, 1000);
	turn(f);
	assert_string_equal(f->text, POLICY);
	sts_client_ask(&f->client, &f->query, STR("dua.test"), answered);
	assert_int_equal(f->answers, 1); /* never from inside */
	turn(f);
	assert_string_equal(f->text, POLICY);
	sts_client_ask(&f->client, &f->query, STR("tiga.test"), answered);
	say(f, question_receive(f, "tiga.test"), "", 0);
	turn(f);
	assert_string_equal(f->text, "");
}

static void
what_an_older_worker_asked_is_not_our_answer(void **state)
{
	struct fixture *f = *state;
	uint32_t id;

	sts_client_ask(&f->client, &f->query, STR("dua.test"), answered);
	id = question_receive(f, "dua.test");
	say(f, id - 1, "", 0);
	say(f, id + 1, "", 0);
	say(f, id, POLICY, 1000);
	turn(f);
	assert_string_equal(f->text, POLICY);
}

static void
a_policy_that_is_over_is_asked_for_anew(void **state)
{
	struct fixture *f = *state;

	sts_client_ask(&f->client, &f->query, STR("dua.test"), answered);
	say(f, question_receive(f, "dua.test"), POLICY, 0);
	turn(f);
	assert_string_equal(f->text, "");
	sts_client_ask(&f->client, &f->query, STR("dua.test"), answered);
	say(f, question_receive(f, "dua.test"), POLICY, 10);
	turn(f);
	assert_string_equal(f->text, POLICY);
}

static void
without_the_process_mail_goes_on_by_what_is_known(void **state)
{
	struct fixture *f = *state;

	sts_client_ask(&f->client, &f->query, STR("dua.test"), answered);
	say(f, question_receive(f, "dua.test"), POLICY, 1000);
	turn(f);
	channel_close(&f->client.channel);
	sts_client_ask(&f->client, &f->query, STR("dua.test"), answered);
	turn(f);
	assert_string_equal(f->text, POLICY);
	sts_client_ask(&f->client, &f->query, STR("tiga.test"), answered);
	turn(f);
	assert_string_equal(f->text, "");
}

static void
a_question_that_was_cancelled_is_not_answered(void **state)
{
	struct fixture *f = *state;

	sts_client_ask(&f->client, &f->query, STR("dua.test"), answered);
	sts_client_cancel(&f->query);
	sts_client_cancel(&f->query);
	say(f, question_receive(f, "dua.test"), POLICY, 1000);
	loop_once(f->loop, 50);
	assert_int_equal(f->answers, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_policy_is_asked_for_once_and_then_known),
	    TEST(what_an_older_worker_asked_is_not_our_answer),
	    TEST(a_policy_that_is_over_is_asked_for_anew),
	    TEST(without_the_process_mail_goes_on_by_what_is_known),
	    TEST(a_question_that_was_cancelled_is_not_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
