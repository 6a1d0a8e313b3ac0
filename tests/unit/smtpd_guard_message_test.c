#include "tests/unit/rows.h"

#include "smtpd/guard_message.h"

static struct buf packet = {.max = MSG_MAX_BYTES};

static struct msg
opened(size_t n)
{
	struct msg m;

	(void)msg_open(&m, str_sub(buf_str(&packet), 0, n), -1);
	return m;
}

static void
questions_come_as_they_were_sent(void **state)
{
	const struct guard_question sent[] = {
	    {.ask = GUARD_ASK_CONNECT, .session = 7, .number = 1, .flags = GUARD_WANTS_NAME, .first = STR("\300\0\2\1")},
	    {.ask = GUARD_ASK_MESSAGE, .session = UINT64_MAX, .first = STR("baru"), .second = STR("a@b.test")},
	    {.ask = GUARD_ASK_GONE, .session = 7, .report = {.messages = 1, .recipients = 2, .errors = 3}},
	    {.ask = GUARD_ASK_RETURN, .session = 7, .count = 15},
	};
	struct guard_question q;
	struct msg m;

	(void)state;
	msg_begin(&packet, GUARD_QUESTIONS, 0);
	for (size_t i = 0; i < ROWS(sent); i++)
		guard_question_add(&packet, &sent[i]);
	m = opened(packet.n);
	for (size_t i = 0; i < ROWS(sent); i++) {
		assert_true(guard_question_take(&m, &q));
		assert_int_equal(q.ask, sent[i].ask);
		assert_true(q.session == sent[i].session);
		assert_int_equal(q.number, sent[i].number);
		assert_int_equal(q.flags, sent[i].flags);
		assert_int_equal(q.count, sent[i].count);
		assert_int_equal(q.report.errors, sent[i].report.errors);
		assert_str(q.first, sent[i].first);
		assert_str(q.second, sent[i].second);
	}
	assert_false(guard_question_take(&m, &q));
	assert_false(m.bad);
}

static void
answers_come_as_they_were_sent(void **state)
{
	const struct guard_answer sent = {.session = 1, .number = 2,
	    .judgement = {.verdict = GUARD_LISTED, .kind = GUARD_NETWORK, .until_ms = 3, .granted = 4}, .known = true,
	    .errors = 5, .score = -6, .name = STR("a.test"), .lists = STR("b.test c.test")};
	struct guard_answer a;
	struct msg m;

	(void)state;
	msg_begin(&packet, GUARD_ANSWERS, 0);
	guard_answer_add(&packet, &sent);
	m = opened(packet.n);
	assert_true(guard_answer_take(&m, &a));
	assert_int_equal(a.judgement.verdict, GUARD_LISTED);
	assert_int_equal(a.judgement.kind, GUARD_NETWORK);
	assert_int_equal(a.judgement.until_ms, 3);
	assert_int_equal(a.judgement.granted, 4);
	assert_true(a.known);
	assert_int_equal(a.errors, 5);
	assert_int_equal(a.score, -6);
	assert_str(a.name, sent.name);
	assert_str(a.lists, sent.lists);
	assert_false(guard_answer_take(&m, &a));
	for (size_t n = 9; n < packet.n; n++) {
		m = opened(n);
		assert_false(guard_answer_take(&m, &a));
		assert_true(m.bad);
	}
}

static void
rows_come_as_they_were_sent(void **state)
{
	const struct guard_row sent = {.kind = GUARD_LOGIN, .bytes = STR("baru"), .known = true, .connections = 1,
	    .counts = {2, 3, 4, 5, 6}, .used_ms = 7};
	struct guard_row row;
	struct msg m;

	(void)state;
	msg_begin(&packet, GUARD_ROWS, 0);
	guard_row_add(&packet, &sent);
	m = opened(packet.n);
	assert_true(guard_row_take(&m, &row));
	assert_int_equal(row.kind, GUARD_LOGIN);
	assert_str(row.bytes, sent.bytes);
	assert_memory_equal(row.counts, sent.counts, sizeof row.counts);
	assert_int_equal(row.used_ms, 7);
	assert_false(guard_row_take(&m, &row));
}

static void
what_makes_no_sense_is_not_taken(void **state)
{
	char text[GUARD_TEXT_MAX + 1];
	const struct guard_question rows[] = {
	    {.ask = (enum guard_ask)GUARD_ASKS},
	    {.ask = GUARD_ASK_CONNECT, .first = STR("\1\2\3")},
	    {.ask = GUARD_ASK_CONNECTED},
	};
	struct guard_question q;
	struct msg m;

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		msg_begin(&packet, GUARD_QUESTIONS, 0);
		guard_question_add(&packet, &rows[i]);
		m = opened(packet.n);
		assert_false(guard_question_take(&m, &q));
		assert_true(m.bad);
	}
	memset(text, 'x', sizeof text);
	msg_begin(&packet, GUARD_QUESTIONS, 0); /* who writes it cuts it */
	guard_question_add(&packet, &(const struct guard_question){.ask = GUARD_ASK_GREY, .first = {text, sizeof text}});
	m = opened(packet.n);
	assert_true(guard_question_take(&m, &q));
	assert_int_equal(q.first.n, GUARD_TEXT_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(questions_come_as_they_were_sent),
	    cmocka_unit_test(answers_come_as_they_were_sent),
	    cmocka_unit_test(rows_come_as_they_were_sent),
	    cmocka_unit_test(what_makes_no_sense_is_not_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
