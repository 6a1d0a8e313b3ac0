#include "tests/unit/rows.h"
#include "tests/unit/unix_server.h"

#include "common/net/socketmap.h"

/* --- protocol -------------------------------------------------------------------------------------------------------- */

static void
requests_are_a_map_and_a_key(void **state)
{
	static const struct {
		struct str in;
		enum parse parse;
		struct str map, key;
	} rows[] = {
	    {STR("15:recipient baru@x,"), PARSE_BAD, STR_NONE, STR_NONE},
	    {STR("16:recipient baru@x,"), PARSE_OK, STR("recipient"), STR("baru@x")},
	    {STR("4:a b ,"), PARSE_OK, STR("a"), STR("b ")},
	    {STR("2:a ,"), PARSE_OK, STR("a"), STR("")},
	    {STR("2: a,"), PARSE_BAD, STR_NONE, STR_NONE},
	    {STR("1:a,"), PARSE_BAD, STR_NONE, STR_NONE},
	    {STR("0:,"), PARSE_BAD, STR_NONE, STR_NONE},
	    {STR("2049"), PARSE_BAD, STR_NONE, STR_NONE},
	    {STR("2048"), PARSE_MORE, STR_NONE, STR_NONE},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct str rest = rows[i].in, map = STR_NONE, key = STR_NONE;

		assert_int_equal(socketmap_request_take(&rest, &map, &key), rows[i].parse);
		assert_str(map, rows[i].map);
		assert_str(key, rows[i].key);
		for (size_t n = 0; rows[i].parse == PARSE_OK && n < rows[i].in.n; n++) {
			rest = str_sub(rows[i].in, 0, n);
			assert_int_equal(socketmap_request_take(&rest, &map, &key), PARSE_MORE);
		}
	}
}

static void
replies_are_a_status_and_a_value(void **state)
{
	static const struct {
		struct str in;
		enum parse parse;
		enum socketmap_status status;
		struct str value;
	} rows[] = {
	    {STR("8:OK local,"), PARSE_OK, SOCKETMAP_OK, STR("local")},
	    {STR("9:NOTFOUND ,"), PARSE_OK, SOCKETMAP_NOTFOUND, STR("")},
	    {STR("8:NOTFOUND,"), PARSE_OK, SOCKETMAP_NOTFOUND, STR("")},
	    {STR("10:TEMP later,"), PARSE_OK, SOCKETMAP_TEMP, STR("later")},
	    {STR("13:TIMEOUT later,"), PARSE_OK, SOCKETMAP_TEMP, STR("later")},
	    {STR("7:PERM no,"), PARSE_OK, SOCKETMAP_PERM, STR("no")},
	    {STR("5:MAYBE,"), PARSE_BAD, 0, STR_NONE},
	    {STR("2:ok,"), PARSE_BAD, 0, STR_NONE},
	    {STR("0:,"), PARSE_BAD, 0, STR_NONE},
	    {STR("100001"), PARSE_BAD, 0, STR_NONE},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		enum socketmap_status status;
		struct str rest = rows[i].in, value;

		assert_int_equal(socketmap_reply_take(&rest, &status, &value), rows[i].parse);
		if (rows[i].parse != PARSE_OK)
			continue;
		assert_int_equal(status, rows[i].status);
		assert_str(value, rows[i].value);
		assert_int_equal(rest.n, 0);
	}
}

/* --- client ---------------------------------------------------------------------------------------------------------- */

struct asked {
	struct socketmap_query query;
	unsigned answers;
	enum socketmap_status status;
	char value[64];
};

static void
answered(struct socketmap_query *query, enum socketmap_status status, struct str value)
{
	struct asked *asked = container_of(query, struct asked, query);

	asked->answers++;
	asked->status = status;
	(void)str_copy(asked->value, sizeof asked->value, value);
}

struct scene {
	struct loop *loop;
	struct unix_server server;
	struct socketmap_client client;
	struct asked asked[4];
};

static void
scene_open(struct scene *scene, unsigned timeout_ms)
{
	memset(scene, 0, sizeof *scene);
	scene->loop = loop_new();
	unix_server_open(&scene->server, scene->loop);
	socketmap_client_init(&scene->client, scene->loop, scene->server.path, timeout_ms);
}

static void
scene_close(struct scene *scene)
{
	socketmap_client_clear(&scene->client);
	if (scene->server.listener.loop != NULL)
		unix_server_close(&scene->server);
	loop_free(scene->loop);
}

static void
ask(struct scene *scene, size_t i, const char *key)
{
	socketmap_ask(&scene->client, &scene->asked[i].query, STR("m"), str_from(key), answered);
}

static void
questions_on_one_connection_are_answered_in_order(void **state)
{
	struct scene scene;

	(void)state;
	scene_open(&scene, 5000);
	ask(&scene, 0, "a");
	ask(&scene, 1, "b");
	settle(scene.loop);
	assert_str(buf_str(&scene.server.in), STR("3:m a,3:m b,"));
	assert_int_equal(scene.server.accepted, 1);
	unix_server_send(&scene.server, STR("4:OK 1,9:NOTFOUND ,"));
	settle(scene.loop);
	assert_int_equal(scene.asked[0].answers, 1);
	assert_string_equal(scene.asked[0].value, "1");
	assert_int_equal(scene.asked[1].status, SOCKETMAP_NOTFOUND);
	scene_close(&scene);
}

static void
replies_may_come_byte_by_byte(void **state)
{
	struct str reply = STR("4:OK 1,4:OK 2,");
	struct scene scene;

	(void)state;
	scene_open(&scene, 5000);
	ask(&scene, 0, "a");
	ask(&scene, 1, "b");
	settle(scene.loop);
	for (size_t i = 0; i < reply.n; i++) {
		unix_server_send(&scene.server, str_sub(reply, i, 1));
		settle(scene.loop);
		assert_int_equal(scene.asked[0].answers, i >= 6);
	}
	assert_string_equal(scene.asked[1].value, "2");
	scene_close(&scene);
}

static void
a_cancelled_question_takes_its_answer_with_it(void **state)
{
	struct scene scene;

	(void)state;
	scene_open(&scene, 5000);
	for (size_t i = 0; i < 3; i++)
		ask(&scene, i, "x");
	settle(scene.loop);
	socketmap_cancel(&scene.asked[0].query);
	socketmap_cancel(&scene.asked[2].query);
	socketmap_cancel(&scene.asked[2].query);
	ask(&scene, 3, "y");
	settle(scene.loop);
	unix_server_send(&scene.server, STR("4:OK 0,4:OK 1,4:OK 2,4:OK 3,"));
	settle(scene.loop);
	assert_int_equal(scene.asked[0].answers, 0);
	assert_string_equal(scene.asked[1].value, "1");
	assert_int_equal(scene.asked[2].answers, 0);
	assert_string_equal(scene.asked[3].value, "3");
	scene_close(&scene);
}

static void
a_lost_connection_is_set_up_anew_once_a_question(void **state)
{
	struct scene scene;

	(void)state;
	scene_open(&scene, 5000);
	ask(&scene, 0, "a");
	settle(scene.loop);
	unix_server_hang_up(&scene.server);
	settle(scene.loop);
	assert_int_equal(scene.server.accepted, 2);
	assert_str(buf_str(&scene.server.in), STR("3:m a,"));
	ask(&scene, 1, "b");
	settle(scene.loop);
	unix_server_hang_up(&scene.server);
	settle(scene.loop);
	assert_int_equal(scene.asked[0].answers, 1);
	assert_int_equal(scene.asked[0].status, SOCKETMAP_TEMP);
	assert_int_equal(scene.asked[1].answers, 0);
	unix_server_send(&scene.server, STR("4:OK b,"));
	settle(scene.loop);
	assert_string_equal(scene.asked[1].value, "b");
	scene_close(&scene);
}

static void
without_a_server_the_answer_is_temp_and_not_at_once(void **state)
{
	struct scene scene;

	(void)state;
	scene_open(&scene, 5000);
	unix_server_close(&scene.server);
	ask(&scene, 0, "a");
	assert_int_equal(scene.asked[0].answers, 0);
	settle(scene.loop);
	assert_int_equal(scene.asked[0].answers, 1);
	assert_int_equal(scene.asked[0].status, SOCKETMAP_TEMP);
	scene_close(&scene);
}

static void
a_server_that_keeps_silent_costs_the_timeout(void **state)
{
	struct scene scene;

	(void)state;
	scene_open(&scene, 30);
	ask(&scene, 0, "a");
	for (int i = 0; i < 200 && scene.asked[0].answers == 0; i++)
		loop_once(scene.loop, 5);
	assert_int_equal(scene.asked[0].answers, 1);
	assert_int_equal(scene.asked[0].status, SOCKETMAP_TEMP);
	scene_close(&scene);
}

static void
nonsense_from_the_server_breaks_the_connection(void **state)
{
	struct scene scene;

	(void)state;
	scene_open(&scene, 5000);
	ask(&scene, 0, "a");
	settle(scene.loop);
	unix_server_send(&scene.server, STR("hello\n"));
	settle(scene.loop);
	assert_int_equal(scene.server.accepted, 2);
	unix_server_send(&scene.server, STR("4:OK 1,4:OK 2,"));
	settle(scene.loop);
	assert_string_equal(scene.asked[0].value, "1");
	assert_null(scene.client.io.loop); /* the second one was to no question */
	scene_close(&scene);
}

static void
too_long_a_key_is_temp_without_asking(void **state)
{
	char key[SOCKETMAP_REQUEST_MAX + 1];
	struct scene scene;

	(void)state;
	scene_open(&scene, 5000);
	memset(key, 'a', sizeof key - 1);
	key[sizeof key - 1] = '\0';
	ask(&scene, 0, key);
	settle(scene.loop);
	assert_int_equal(scene.asked[0].status, SOCKETMAP_TEMP);
	assert_int_equal(scene.asked[0].answers, 1);
	scene_close(&scene);
}

static struct scene *asking_scene;

static void
answered_and_asks_again(struct socketmap_query *query, enum socketmap_status status, struct str value)
{
	answered(query, status, value);
	if (asking_scene->asked[1].answers == 0) {
		socketmap_cancel(&asking_scene->asked[1].query);
		ask(asking_scene, 2, "again");
	}
}

static void
a_callback_may_cancel_and_ask(void **state)
{
	struct scene scene;

	(void)state;
	scene_open(&scene, 5000);
	asking_scene = &scene;
	socketmap_ask(&scene.client, &scene.asked[0].query, STR("m"), STR("a"), answered_and_asks_again);
	ask(&scene, 1, "b");
	settle(scene.loop);
	unix_server_send(&scene.server, STR("4:OK 0,4:OK 1,"));
	settle(scene.loop);
	unix_server_send(&scene.server, STR("4:OK 2,"));
	settle(scene.loop);
	assert_int_equal(scene.asked[1].answers, 0);
	assert_string_equal(scene.asked[2].value, "2");
	scene_close(&scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(requests_are_a_map_and_a_key),
	    cmocka_unit_test(replies_are_a_status_and_a_value),
	    cmocka_unit_test(questions_on_one_connection_are_answered_in_order),
	    cmocka_unit_test(replies_may_come_byte_by_byte),
	    cmocka_unit_test(a_cancelled_question_takes_its_answer_with_it),
	    cmocka_unit_test(a_lost_connection_is_set_up_anew_once_a_question),
	    cmocka_unit_test(without_a_server_the_answer_is_temp_and_not_at_once),
	    cmocka_unit_test(a_server_that_keeps_silent_costs_the_timeout),
	    cmocka_unit_test(nonsense_from_the_server_breaks_the_connection),
	    cmocka_unit_test(too_long_a_key_is_temp_without_asking),
	    cmocka_unit_test(a_callback_may_cancel_and_ask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
