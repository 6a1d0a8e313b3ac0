/*
 * The worker's side against a guard that lives in the same loop, or does not answer.
 */
#include "tests/unit/rows.h"

#include "smtpd/guard_client.h"

static struct loop *loop;
static struct guard_client_side side;
static struct channel guard;
static bool answers;
static struct buf heard = {.max = 256}; /* what the guard was asked and told: a letter each, a blank between packets */
static unsigned called, verdicts;

struct asker {
	struct guard_link link;
	struct guard_answer answer;
};

static void
guard_received(struct channel *channel, struct msg *m)
{
	static const char letters[GUARD_ASKS] = "hcCpmrRggd";
	struct guard_question q;
	struct buf b = {.max = MSG_MAX_BYTES};

	if (heard.n > 0)
		buf_addc(&heard, ' ');
	msg_begin(&b, GUARD_ANSWERS, 0);
	while (guard_question_take(m, &q)) {
		buf_addc(&heard, letters[q.ask]);
		if (q.ask == GUARD_ASK_CONNECT || q.ask == GUARD_ASK_MESSAGE)
			guard_answer_add(&b, &(const struct guard_answer){.session = q.session, .number = q.number,
			    .judgement = {.verdict = GUARD_TOO_MANY}});
	}
	assert_false(m->bad);
	if (answers && b.n > 8)
		assert_true(channel_send(channel, &b, -1));
	buf_clear(&b);
}

static void
closed(struct channel *channel)
{
	(void)channel;
}

static void
guard_says_it_is_new(void)
{
	struct buf b = {.max = MSG_MAX_BYTES};

	msg_begin(&b, GUARD_NEW, 0);
	assert_true(channel_send(&guard, &b, -1));
	buf_clear(&b);
}

static void
answered(struct guard_link *link, const struct guard_answer *answer)
{
	container_of(link, struct asker, link)->answer = *answer;
	called++;
	verdicts += answer->judgement.verdict != GUARD_GO;
}

static void
turn(unsigned ms)
{
	uint64_t until;

	loop_refresh(loop);
	until = loop_now_ms(loop) + ms;
	do
		loop_once(loop, 1);
	while (loop_now_ms(loop) < until);
}

static int
begin(void **state)
{
	int fds[2];

	(void)state;
	msg_socketpair(fds);
	loop = loop_new();
	memset(&side, 0, sizeof side);
	channel_open(&guard, loop, fds[1], guard_received, closed);
	guard_client_start(&side, loop, fds[0]);
	answers = true;
	buf_reset(&heard);
	called = verdicts = 0;
	turn(2);
	assert_str(buf_str(&heard), STR("h"));
	buf_reset(&heard);
	guard_says_it_is_new();
	turn(2);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	channel_close(&guard);
	channel_close(&side.channel);
	buf_clear(&side.batch);
	buf_clear(&heard);
	loop_free(loop);
	return 0;
}

static void
ask(struct asker *asker, enum guard_ask what, uint64_t timeout_ms)
{
	struct guard_question question = {.ask = what, .first = STR("\1\2\3\4")};

	guard_link_ask(&asker->link, &question, timeout_ms, answered);
}

static void
open_links(struct asker *askers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		guard_link_open(&side, &askers[i].link, STR("\1\2\3\4"), false);
}

static void
close_links(struct asker *askers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		guard_link_close(&askers[i].link, &(const struct guard_report){.errors = 0});
}

static void
what_comes_together_is_one_packet(void **state)
{
	struct asker askers[5];

	(void)state;
	open_links(askers, 5);
	for (size_t i = 0; i < 5; i++)
		ask(&askers[i], GUARD_ASK_CONNECT, 1000);
	assert_int_equal(called, 0);
	turn(5);
	assert_int_equal(called, 5);
	assert_int_equal(verdicts, 5);
	close_links(askers, 5);
	turn(5);
	assert_str(buf_str(&heard), STR("ccccc ggggg"));
}

static void
a_guard_that_does_not_answer_is_waited_for_once(void **state)
{
	struct asker askers[2];
	uint64_t asked_ms;

	(void)state;
	answers = false;
	open_links(askers, 2);
	ask(&askers[0], GUARD_ASK_CONNECT, 50);
	turn(20);
	assert_int_equal(called, 0);
	turn(60);
	assert_int_equal(called, 1);
	assert_int_equal(verdicts, 0);
	assert_true(askers[0].answer.known);
	assert_int_equal(askers[0].answer.judgement.granted, GUARD_GRANT);
	asked_ms = loop_now_ms(loop);
	ask(&askers[1], GUARD_ASK_CONNECT, 10000);
	turn(10);
	assert_int_equal(called, 2);
	assert_true(loop_now_ms(loop) - asked_ms < 1000);
	answers = true; /* and as soon as it says something it is waited for again */
	ask(&askers[0], GUARD_ASK_MESSAGE, 10000);
	turn(10);
	ask(&askers[0], GUARD_ASK_MESSAGE, 10000);
	turn(10);
	assert_int_equal(called, 4);
	assert_int_equal(askers[0].answer.judgement.verdict, GUARD_TOO_MANY);
	close_links(askers, 2);
}

static void
a_new_guard_is_told_who_is_there(void **state)
{
	struct asker askers[2];

	(void)state;
	open_links(askers, 2);
	ask(&askers[0], GUARD_ASK_CONNECT, 10000);
	turn(5);
	answers = false;
	ask(&askers[1], GUARD_ASK_CONNECT, 10000);
	turn(5);
	assert_int_equal(called, 1);
	guard_says_it_is_new();
	turn(5);
	assert_int_equal(called, 2); /* what its predecessor was asked it cannot answer */
	assert_str(buf_str(&heard), STR("c c CC"));
	close_links(askers, 2);
}

static void
an_answer_to_an_older_question_is_passed_over(void **state)
{
	struct asker asker;

	(void)state;
	open_links(&asker, 1);
	ask(&asker, GUARD_ASK_CONNECT, 10000);
	guard_link_cancel(&asker.link);
	ask(&asker, GUARD_ASK_GREY, 10000); /* which this guard does not answer */
	turn(10);
	assert_int_equal(called, 0);
	guard_link_close(&asker.link, &(const struct guard_report){.errors = 0});
	guard_link_close(&asker.link, &(const struct guard_report){.errors = 0});
	turn(10);
	assert_str(buf_str(&heard), STR("cg g"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(what_comes_together_is_one_packet, begin, end),
	    cmocka_unit_test_setup_teardown(a_guard_that_does_not_answer_is_waited_for_once, begin, end),
	    cmocka_unit_test_setup_teardown(a_new_guard_is_told_who_is_there, begin, end),
	    cmocka_unit_test_setup_teardown(an_answer_to_an_older_question_is_passed_over, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
