#include "tests/unit/rows.h"
#include "tests/unit/unix_server.h"

#include "common/base/base64.h"
#include "common/login/login_message.h"
#include "common/login/master_client.h"

static void
a_name_and_password_become_a_plain_response(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	assert_true(login_plain(&b, STR("baru"), STR("rahasia")));
	assert_str(buf_str(&b), STR("AGJhcnUAcmFoYXNpYQ=="));
	assert_false(login_plain(&b, STR(""), STR("x")));
	assert_false(login_plain(&b, STR("x"), STR("")));
	assert_false(login_plain(&b, STR("x\0y"), STR("z")));
	assert_false(login_plain(&b, STR("x"), STR("y\0z")));
	buf_clear_secret(&b);
}

/* --- messages -------------------------------------------------------------------------------------------------------- */

static const struct login_claim claim = {.exchange = 7, .cookie = STR("c0ffee")};
static const struct login_connection connection = {
    .tls = true, .label = STR("a1"), .input = STR("a2 NOOP\r\n\0"), .remote = STR("10.0.0.1"), .local = STR("::1")};

static void
a_handover_is_read_as_it_was_written(void **state)
{
	struct login_connection read;
	struct login_claim read_claim;
	struct msg m;
	struct buf b;

	(void)state;
	buf_init(&b, MSG_MAX_BYTES);
	login_handover_write(&b, 5, &claim, &connection);
	assert_true(msg_open(&m, buf_str(&b), 99));
	assert_int_equal(m.type, LOGIN_HANDOVER);
	assert_int_equal(m.id, 5);
	assert_true(login_handover_read(&m, &read_claim, &read));
	assert_int_equal(read.fd, 99);
	assert_int_equal(m.fd, -1);
	assert_int_equal(read_claim.exchange, 7);
	assert_str(read_claim.cookie, claim.cookie);
	assert_true(read.tls);
	assert_str(read.label, connection.label);
	assert_str(read.input, connection.input);
	assert_str(read.remote, connection.remote);
	assert_str(read.local, connection.local);
	buf_clear(&b);
}

static void
cut_or_long_or_unprintable_messages_are_refused(void **state)
{
	static char longer[LOGIN_INPUT_MAX + 1];
	struct login_connection bad[] = {connection, connection, connection, connection};
	struct login_connection read;
	struct login_claim read_claim;
	struct msg m;
	struct buf b;

	(void)state;
	buf_init(&b, MSG_MAX_BYTES);
	login_handover_write(&b, 5, &claim, &connection);
	for (size_t n = 8; n < b.n; n++) {
		assert_true(msg_open(&m, str_sub(buf_str(&b), 0, n), 99));
		assert_false(login_handover_read(&m, &read_claim, &read));
		assert_int_equal(m.fd, 99);
	}
	assert_true(msg_open(&m, buf_str(&b), -1));
	assert_false(login_handover_read(&m, &read_claim, &read)); /* no descriptor */
	bad[0].label = STR("a\nb");
	bad[1].remote = STR("10.0.0.1\n");
	bad[2].input = (struct str){longer, sizeof longer};
	bad[3].label = (struct str){longer, LOGIN_LABEL_MAX + 1};
	for (size_t i = 0; i < ROWS(bad); i++) {
		login_handover_write(&b, 5, &claim, &bad[i]);
		assert_true(msg_open(&m, buf_str(&b), 99));
		assert_false(login_handover_read(&m, &read_claim, &read));
	}
	buf_clear(&b);
}

/* --- the master client ----------------------------------------------------------------------------------------------- */

struct asked {
	struct master_query query;
	unsigned answers;
	enum master_result result;
	struct account account;
};

static void
answered(struct master_query *query, enum master_result result, const struct account *account)
{
	struct asked *asked = container_of(query, struct asked, query);

	asked->answers++;
	asked->result = result;
	if (account != NULL)
		asked->account = *account;
}

static void
the_master_is_asked_and_believed(void **state)
{
	static const struct {
		const char *line;
		enum master_result result;
	} rows[] = {
	    {"VERSION\t1\t1\nSPID\t3\nUSER\t1\tbaru\tuid=5\tgid=6\thome=/h\tmail=/m\n", MASTER_FOUND},
	    {"NOTFOUND\t1\n", MASTER_NOTFOUND},
	    {"FAIL\t1\n", MASTER_TEMP},
	    {"USER\t1\tbaru\tuid=0\tgid=6\thome=/h\tmail=/m\n", MASTER_TEMP},
	    {"USER\t1\t../x\tuid=5\tgid=6\thome=/h\tmail=/m\n", MASTER_TEMP},
	    {"USER\tx\n", MASTER_TEMP},
	    {"NOTFOUND\t9\nNOTFOUND\t1\n", MASTER_NOTFOUND},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct loop *loop = loop_new();
		struct unix_server server;
		struct asked asked = {0};
		struct master_client *client;
		size_t at;

		unix_server_open(&server, loop);
		client = master_client_new(loop, server.path);
		master_ask(client, &asked.query, 77, 8, STR("c0ffee"), answered);
		settle(loop);
		at = str_search(buf_str(&server.in), STR("REQUEST\t1\t77\t8\tc0ffee\n"));
		assert_true(at < server.in.n);
		unix_server_send(&server, str_from(rows[i].line));
		settle(loop);
		assert_int_equal(asked.answers, 1);
		assert_int_equal(asked.result, rows[i].result);
		if (asked.result == MASTER_FOUND) {
			assert_string_equal(asked.account.name, "baru");
			assert_int_equal(asked.account.uid, 5);
		}
		unix_server_close(&server);
		settle(loop);
		master_ask(client, &asked.query, 77, 9, STR("c0ffee"), answered);
		settle(loop);
		assert_int_equal(asked.answers, 2);
		assert_int_equal(asked.result, MASTER_TEMP);
		master_client_free(client);
		loop_free(loop);
	}
}

static void
a_cookie_that_is_none_is_not_asked_about(void **state)
{
	struct loop *loop = loop_new();
	struct unix_server server;
	struct master_client *client;
	struct asked asked = {0};

	(void)state;
	unix_server_open(&server, loop);
	client = master_client_new(loop, server.path);
	master_ask(client, &asked.query, 1, 2, STR("a\nREQUEST"), answered);
	settle(loop);
	assert_int_equal(asked.answers, 1);
	assert_int_equal(asked.result, MASTER_TEMP);
	assert_int_equal(server.accepted, 0);
	unix_server_close(&server);
	master_client_free(client);
	loop_free(loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_name_and_password_become_a_plain_response),
	    cmocka_unit_test(a_handover_is_read_as_it_was_written),
	    cmocka_unit_test(cut_or_long_or_unprintable_messages_are_refused),
	    cmocka_unit_test(the_master_is_asked_and_believed),
	    cmocka_unit_test(a_cookie_that_is_none_is_not_asked_about),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
