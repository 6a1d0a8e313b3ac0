#include "tests/unit/rows.h"

#include <sys/socket.h>
#include <unistd.h>

#include "auth/pool.h"

#define CHECKERS 3

/* A pool whose checkers are the test itself. */
static struct {
	struct loop *loop;
	struct pool pool;
	int fds[CHECKERS]; /* the checkers' ends */
	struct pool_job *passwords[8];
	size_t npasswords;
	unsigned leaving;
} scene;

struct asked {
	struct pool_job job;
	unsigned answers;
	enum found found;
	char value[64];
};

static void
answered(struct pool_job *job, const struct check_answer *answer)
{
	struct asked *asked = container_of(job, struct asked, job);

	asked->answers++;
	asked->found = answer->found;
	(void)str_copy(asked->value, sizeof asked->value, str_sub(answer->value, 0, 60));
}

static struct pool_job *
next_password(struct pool *pool)
{
	struct pool_job *job = scene.npasswords == 0 ? NULL : scene.passwords[0];

	(void)pool;
	if (job != NULL)
		memmove(scene.passwords, scene.passwords + 1, --scene.npasswords * sizeof scene.passwords[0]);
	return job;
}

static void
leaving(struct pool *pool)
{
	(void)pool;
	scene.leaving++;
}

static int
setup(void **state)
{
	int ours[CHECKERS];

	(void)state;
	memset(&scene, 0, sizeof scene);
	scene.loop = loop_new();
	for (size_t i = 0; i < CHECKERS; i++) {
		int pair[2];

		msg_socketpair(pair);
		ours[i] = pair[0];
		scene.fds[i] = pair[1];
	}
	scene.pool.next_password = next_password;
	scene.pool.leaving = leaving;
	pool_open(&scene.pool, scene.loop, ours, CHECKERS);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < CHECKERS; i++) {
		channel_close(&scene.pool.slots[i].channel);
		loop_timer_cancel(&scene.pool.slots[i].timer);
		(void)close(scene.fds[i]);
	}
	loop_free(scene.loop);
	return 0;
}

static void
settle(void)
{
	for (int i = 0; i < 6; i++)
		loop_once(scene.loop, 2);
}

static void
look_up(struct asked *asked, const char *subject)
{
	struct check_request request = {.type = CHECK_ACCOUNT, .subject = str_from(subject)};

	memset(asked, 0, sizeof *asked);
	pool_ask(&scene.pool, &asked->job, &request, answered);
}

static void
password(struct asked *asked, const char *subject)
{
	struct check_request request = {
	    .type = CHECK_VERIFY, .subject = str_from(subject), .password = STR("p"), .remote = STR("")};

	memset(asked, 0, sizeof *asked);
	pool_job_prepare(&asked->job, &request, answered);
	scene.passwords[scene.npasswords++] = &asked->job;
	pool_passwords_wait(&scene.pool);
}

/* What checker i was asked: its subject, or "" when there is nothing. *id is its number. */
static const char *
request_at(size_t i, uint32_t *id)
{
	static char subject[64];
	struct check_request request;
	char bytes[4096];
	struct msg m;
	ssize_t n = recv(scene.fds[i], bytes, sizeof bytes, MSG_DONTWAIT);

	if (n < 0)
		return "";
	assert_true(msg_open(&m, (struct str){bytes, (size_t)n}, -1));
	if (!check_request_read(&m, &request))
		return "?";
	*id = m.id;
	(void)str_copy(subject, sizeof subject, request.subject);
	return subject;
}

static void
say(size_t i, const struct buf *b)
{
	struct err err;

	assert_true(msg_send(scene.fds[i], b, -1, &err));
	settle();
}

static void
reply(size_t i, uint32_t id, enum found found, const char *value)
{
	struct check_answer answer = {.found = found, .value = str_from(value)};
	struct buf b;

	buf_init(&b, 4096);
	check_answer_write(&b, id, &answer);
	say(i, &b);
	buf_clear(&b);
}

static void
hello(size_t i, enum check type)
{
	struct buf b;

	buf_init(&b, 64);
	msg_begin(&b, type, 0);
	say(i, &b);
	buf_clear(&b);
}

static void
each_checker_gets_one_request_and_the_rest_waits(void **state)
{
	struct asked asked[4];
	uint32_t id[4];

	(void)state;
	look_up(&asked[0], "a");
	look_up(&asked[1], "b");
	look_up(&asked[2], "c");
	look_up(&asked[3], "d");
	assert_string_equal(request_at(0, &id[0]), "a");
	assert_string_equal(request_at(1, &id[1]), "b");
	assert_string_equal(request_at(2, &id[2]), "c");
	assert_int_equal(scene.pool.nwaiting, 1);
	reply(1, id[1], FOUND, "bee");
	assert_int_equal(asked[1].answers, 1);
	assert_string_equal(asked[1].value, "bee");
	assert_string_equal(request_at(1, &id[3]), "d");
	reply(1, id[3], FOUND_NOT, "");
	assert_int_equal(asked[3].found, FOUND_NOT);
	reply(0, id[0], FOUND_TROUBLE, "why");
	assert_int_equal(asked[0].found, FOUND_TROUBLE);
	reply(2, id[2], FOUND, "");
}

static void
one_checker_is_kept_free_of_passwords(void **state)
{
	struct asked asked[4];
	uint32_t id[4];

	(void)state;
	for (size_t i = 0; i < 3; i++)
		password(&asked[i], "p");
	assert_string_equal(request_at(0, &id[0]), "p");
	assert_string_equal(request_at(1, &id[1]), "p");
	assert_string_equal(request_at(2, &id[2]), "");
	look_up(&asked[3], "a");
	assert_string_equal(request_at(2, &id[3]), "a");
	reply(0, id[0], FOUND_NOT, "");
	assert_string_equal(request_at(0, &id[2]), "p");
	reply(0, id[2], FOUND_NOT, "");
	reply(1, id[1], FOUND_NOT, "");
	reply(2, id[3], FOUND, "");
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(asked[i].answers, 1);
	assert_int_equal(scene.pool.busy_passwords, 0);
}

static void
a_request_whose_checker_died_is_tried_once_more(void **state)
{
	struct asked asked;
	uint32_t id, again;

	(void)state;
	look_up(&asked, "a");
	assert_string_equal(request_at(0, &id), "a");
	hello(0, CHECK_HELLO);
	assert_int_equal(asked.answers, 0);
	assert_string_equal(request_at(0, &again), "a");
	assert_int_not_equal(id, again);
	reply(0, id, FOUND, "late answer of the dead one");
	assert_int_equal(asked.answers, 0);
	hello(0, CHECK_HELLO);
	assert_int_equal(asked.answers, 1);
	assert_int_equal(asked.found, FOUND_TROUBLE);
}

static void
a_cancelled_request_is_never_answered(void **state)
{
	struct asked asked[5];
	uint32_t id[4];

	(void)state;
	for (size_t i = 0; i < 4; i++)
		look_up(&asked[i], "x");
	for (size_t i = 0; i < 3; i++)
		assert_string_equal(request_at(i, &id[i]), "x");
	pool_cancel(&asked[0].job);
	pool_cancel(&asked[3].job);
	pool_cancel(&asked[3].job);
	for (size_t i = 0; i < 3; i++)
		reply(i, id[i], FOUND, "");
	assert_int_equal(asked[0].answers, 0);
	assert_int_equal(asked[1].answers, 1);
	assert_int_equal(asked[3].answers, 0);
	look_up(&asked[4], "y");
	assert_string_equal(request_at(0, &id[3]), "y");
	reply(0, id[3], FOUND, "");
	assert_int_equal(asked[4].answers, 1);
}

static void
malformed_answers_are_trouble(void **state)
{
	struct asked asked;
	struct buf b;
	uint32_t id;

	(void)state;
	look_up(&asked, "a");
	assert_string_equal(request_at(0, &id), "a");
	buf_init(&b, 64);
	msg_begin(&b, CHECK_ANSWER, id);
	msg_add_u64(&b, 99);
	say(0, &b);
	buf_clear(&b);
	assert_int_equal(asked.answers, 1);
	assert_int_equal(asked.found, FOUND_TROUBLE);
	hello(1, CHECK_LEAVING);
	assert_int_equal(scene.leaving, 1);
}

static void
requests_keep_their_limits(void **state)
{
	static char longer[4000];
	struct check_request request, rows[] = {
	    {.type = CHECK_ACCOUNT, .subject = STR("")},
	    {.type = CHECK_ACCOUNT, .subject = {longer, CHECK_SUBJECT_MAX + 1}},
	    {.type = CHECK_ACCOUNT, .subject = STR("a\0b")},
	    {.type = CHECK_VERIFY, .subject = STR("a"), .password = {longer, 513}},
	    {.type = CHECK_VERIFY, .subject = STR("a"), .password = STR("p\0")},
	    {.type = CHECK_VERIFY, .subject = STR("a"), .password = STR("p"), .remote = {longer, 64}},
	    {.type = CHECK_ANSWER, .subject = STR("a")},
	    {.type = CHECK_OFFERS, .subject = STR("a")},
	    {.type = CHECK_SALT, .subject = STR("a"), .hash = (enum scram_hash)2},
	    {.type = CHECK_PROOF, .subject = STR("a"), .hash = SCRAM_SHA_256, .proof = {longer, 20}},
	    {.type = CHECK_PROOF, .subject = STR("a"), .hash = SCRAM_SHA_1, .proof = {longer, 20}, .messages = {longer, 2049}},
	    {.type = CHECK_PROOF, .subject = STR("a"), .hash = (enum scram_hash)7, .proof = {longer, 32}},
	};

	(void)state;
	memset(longer, 'x', sizeof longer);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct buf b;
		struct msg m;

		buf_init(&b, 8192);
		check_request_write(&b, 1, &rows[i]);
		assert_true(msg_open(&m, buf_str(&b), -1));
		assert_false(check_request_read(&m, &request));
		buf_clear(&b);
	}
}

static void
proofs_come_over_as_they_are(void **state)
{
	const struct check_request sent = {.type = CHECK_PROOF, .subject = STR("baru"), .hash = SCRAM_SHA_1,
	    .proof = STR("01234567890123456\0\1\2"), .messages = STR("n=baru,r=a\0b"), .remote = STR("10.0.0.1")};
	struct check_answer answer = {.found = FOUND, .value = STR("line"), .signature = STR("\0\1")}, got;
	struct check_request request;
	struct buf b;
	struct msg m;

	(void)state;
	buf_init(&b, 8192);
	check_request_write(&b, 1, &sent);
	assert_true(msg_open(&m, buf_str(&b), -1));
	assert_true(check_request_read(&m, &request));
	assert_str(request.proof, sent.proof);
	assert_str(request.messages, sent.messages);
	assert_str(request.remote, sent.remote);
	assert_int_equal(request.hash, SCRAM_SHA_1);
	check_answer_write(&b, 1, &answer);
	assert_true(msg_open(&m, buf_str(&b), -1));
	assert_true(check_answer_read(&m, &got));
	assert_str(got.value, answer.value);
	assert_str(got.signature, answer.signature);
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(each_checker_gets_one_request_and_the_rest_waits, setup, teardown),
	    cmocka_unit_test_setup_teardown(one_checker_is_kept_free_of_passwords, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_request_whose_checker_died_is_tried_once_more, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_cancelled_request_is_never_answered, setup, teardown),
	    cmocka_unit_test_setup_teardown(malformed_answers_are_trouble, setup, teardown),
	    cmocka_unit_test(requests_keep_their_limits),
	    cmocka_unit_test(proofs_come_over_as_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
