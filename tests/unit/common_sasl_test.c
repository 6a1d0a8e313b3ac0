#include "tests/unit/rows.h"
#include "tests/unit/unix_server.h"

#include "common/login/sasl_client.h"

#define HELLO \
	"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tCRAM-MD5\tdictionary\nMECH\tX-OWN\tplaintext\n" \
	"SPID\t1\nCUID\t2\nCOOKIE\tc0ffee\nDONE\n"

/* --- words ----------------------------------------------------------------------------------------------------------- */

static void
words_are_escaped_and_back(void **state)
{
	static const struct {
		struct str clear, escaped;
	} rows[] = {
	    {STR(""), STR("")},
	    {STR("baru@x"), STR("baru@x")},
	    {STR("a\tb\nc\rd\0e\001f"), STR("a\001tb\001nc\001rd\0010e\0011f")},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct buf b;

		buf_init(&b, 100);
		sasl_escape(&b, rows[i].clear);
		assert_str(buf_str(&b), rows[i].escaped);
		buf_reset(&b);
		assert_true(sasl_unescape(&b, rows[i].escaped));
		assert_str(buf_str(&b), rows[i].clear);
		buf_clear(&b);
	}
}

static void
cut_and_unknown_escapes_are_refused(void **state)
{
	static const struct str rows[] = {STR("\001"), STR("a\001"), STR("\001x"), STR("\001\001")};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct buf b;

		buf_init(&b, 100);
		assert_false(sasl_unescape(&b, rows[i]));
		buf_clear(&b);
	}
}

/* --- client ---------------------------------------------------------------------------------------------------------- */

struct tried {
	struct sasl_request request;
	unsigned answers;
	enum sasl_result result;
	uint32_t id;
	char challenge[64], user[64], reason[64];
};

struct scene {
	struct loop *loop;
	struct unix_server server;
	struct sasl_client *client;
	struct tried tried[3];
};

static const struct sasl_peer peer = {
    .service = STR("imap"), .local = STR("10.0.0.1"), .remote = STR("10.0.0.2"), .secured = true};

static void
answered(struct sasl_request *request, const struct sasl_answer *answer)
{
	struct tried *tried = container_of(request, struct tried, request);

	tried->answers++;
	tried->result = answer->result;
	tried->id = answer->id;
	(void)str_copy(tried->challenge, sizeof tried->challenge, answer->challenge);
	(void)str_copy(tried->user, sizeof tried->user, answer->user);
	(void)str_copy(tried->reason, sizeof tried->reason, answer->reason);
}

static void
scene_open(struct scene *scene)
{
	memset(scene, 0, sizeof *scene);
	scene->loop = loop_new();
	unix_server_open(&scene->server, scene->loop);
	scene->client = sasl_client_new(scene->loop, scene->server.path);
}

static void
scene_close(struct scene *scene)
{
	sasl_client_free(scene->client);
	if (scene->server.listener.loop != NULL)
		unix_server_close(&scene->server);
	loop_free(scene->loop);
}

static bool
try(struct scene *scene, size_t i, const char *initial)
{
	struct str response = str_from(initial);

	return sasl_start(scene->client, &scene->tried[i].request, &peer, STR("plain"), initial == NULL ? NULL : &response,
	    answered);
}

static void
said(struct scene *scene, const char *line)
{
	settle(scene->loop);
	unix_server_send(&scene->server, str_from(line));
	settle(scene->loop);
}

static void
a_login_is_asked_and_granted(void **state)
{
	char expected[200];
	struct scene scene;

	(void)state;
	scene_open(&scene);
	assert_true(try(&scene, 0, "AGEAYg=="));
	settle(scene.loop);
	(void)snprintf(expected, sizeof expected,
	    "VERSION\t1\t2\nCPID\t%d\nAUTH\t1\tPLAIN\tservice=imap\tsecured=tls\tlip=10.0.0.1\trip=10.0.0.2\tresp=AGEAYg==\n",
	    (int)getpid());
	assert_str(buf_str(&scene.server.in), str_from(expected));
	said(&scene, HELLO "OK\t1\tuser=ba\001tru\tother\n");
	assert_int_equal(scene.tried[0].answers, 1);
	assert_int_equal(scene.tried[0].result, SASL_OK);
	assert_int_equal(scene.tried[0].id, 1);
	assert_string_equal(scene.tried[0].user, "ba\tru");
	assert_str(sasl_client_cookie(scene.client), STR("c0ffee"));
	assert_str(sasl_client_mechanisms(scene.client, SASL_OFFER_PLAIN), STR("PLAIN X-OWN"));
	scene_close(&scene);
}

static void
failures_are_wrong_or_temporary(void **state)
{
	struct scene scene;

	(void)state;
	scene_open(&scene);
	assert_true(try(&scene, 0, "AGEAYg=="));
	assert_true(try(&scene, 1, "="));
	said(&scene, HELLO "FAIL\t2\tuser=x\ttemp\treason=later\nFAIL\t1\tuser=y\n");
	assert_int_equal(scene.tried[0].result, SASL_FAIL);
	assert_string_equal(scene.tried[0].user, "y");
	assert_int_equal(scene.tried[1].result, SASL_TEMP);
	assert_string_equal(scene.tried[1].reason, "later");
	scene_close(&scene);
}

static void
what_dovecot_says_besides_is_understood(void **state)
{
	static const struct {
		const char *line;
		enum sasl_result result;
	} rows[] = {
	    {"OK\t1\tuser=a\tnologin\treason=closed\n", SASL_FAIL},
	    {"OK\t1\tuser=a\tnologin=\thost=b\n", SASL_FAIL},
	    {"OK\t1\tuser=a\tproxy\thost=b\n", SASL_FAIL},
	    {"OK\t1\tuser=a\tx=nologin\n", SASL_OK},
	    {"FAIL\t1\tcode=temp_fail\n", SASL_TEMP},
	    {"FAIL\t1\tcode=user_disabled\n", SASL_FAIL},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct scene scene;

		scene_open(&scene);
		assert_true(try(&scene, 0, "AGEAYg=="));
		said(&scene, rows[i].line);
		assert_int_equal(scene.tried[0].answers, 1);
		assert_int_equal(scene.tried[0].result, rows[i].result);
		scene_close(&scene);
	}
}

static void
challenges_go_to_and_fro(void **state)
{
	struct scene scene;

	(void)state;
	scene_open(&scene);
	assert_true(try(&scene, 0, NULL));
	said(&scene, HELLO "CONT\t1\tVXNlcg==\n");
	assert_int_equal(scene.tried[0].result, SASL_CONTINUE);
	assert_string_equal(scene.tried[0].challenge, "VXNlcg==");
	buf_reset(&scene.server.in);
	assert_false(sasl_continue(&scene.tried[0].request, STR("not base64")));
	assert_true(sasl_continue(&scene.tried[0].request, STR("YQ==")));
	settle(scene.loop);
	assert_str(buf_str(&scene.server.in), STR("CONT\t1\tYQ==\n"));
	said(&scene, "OK\t1\tuser=a\n");
	assert_int_equal(scene.tried[0].answers, 2);
	scene_close(&scene);
}

static void
what_is_not_base64_is_not_sent(void **state)
{
	struct scene scene;
	struct str response = STR("x");

	(void)state;
	scene_open(&scene);
	assert_false(try(&scene, 0, "AGEAYg"));
	assert_false(try(&scene, 0, "AGEAYg==\nAUTH"));
	assert_false(sasl_start(scene.client, &scene.tried[0].request, &peer, STR("PLAIN\tx"), NULL, answered));
	assert_false(sasl_start(scene.client, &scene.tried[0].request, &peer, STR(""), &response, answered));
	settle(scene.loop);
	assert_int_equal(str_search(buf_str(&scene.server.in), STR("AUTH")), scene.server.in.n);
	scene_close(&scene);
}

static void
each_peer_is_offered_what_is_safe_for_it(void **state)
{
	static const struct {
		unsigned offers;
		struct str list;
	} rows[] = {
	    {0, STR("")},
	    {SASL_OFFER_PLAIN, STR("PLAIN OAUTHBEARER")},
	    {SASL_OFFER_SCRAM, STR("SCRAM-SHA-256")},
	    {SASL_OFFER_PLAIN | SASL_OFFER_SCRAM, STR("SCRAM-SHA-256 PLAIN OAUTHBEARER")},
	    {SASL_OFFER_PLAIN | SASL_OFFER_SCRAM | SASL_OFFER_BINDING,
		STR("SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN OAUTHBEARER")},
	    {SASL_OFFER_CERTIFICATE, STR("EXTERNAL")},
	};
	struct scene scene;
	struct str before;

	(void)state;
	scene_open(&scene);
	assert_str(sasl_client_mechanisms(scene.client, SASL_OFFER_PLAIN), STR("PLAIN LOGIN"));
	assert_str(sasl_client_mechanisms(scene.client, SASL_OFFER_SCRAM), STR(""));
	settle(scene.loop); /* nobody has asked yet */
	said(&scene, "VERSION\t1\t2\nMECH\tSCRAM-SHA-256-PLUS\tmutual-auth\tchannel-binding\tprivate\n"
	             "MECH\tSCRAM-SHA-256\tmutual-auth\nMECH\tPLAIN\tplaintext\nMECH\tOAUTHBEARER\n"
	             "MECH\tEXTERNAL\tprivate\nMECH\tAPOP\tprivate\tplaintext\nMECH\tDIGEST-MD5\tdictionary\nDONE\n");
	for (size_t i = 0; i < ROWS(rows); i++)
		assert_str(sasl_client_mechanisms(scene.client, rows[i].offers), rows[i].list);
	before = sasl_client_mechanisms(scene.client, SASL_OFFER_PLAIN);
	for (int i = 0; i < 100; i++)
		said(&scene, i % 2 ? "MECH\tPLAIN\tplaintext\nDONE\n" : "MECH\tLOGIN\tplaintext\nDONE\n");
	assert_str(sasl_client_mechanisms(scene.client, SASL_OFFER_PLAIN), STR("PLAIN"));
	assert_str(before, STR("PLAIN OAUTHBEARER")); /* connections that were made before still have it */
	scene_close(&scene);
}

static void
the_channel_s_bindings_and_certificate_are_told(void **state)
{
	static const struct sasl_binding bindings[] = {{"tls-exporter", "\1\2\3", 3}, {"tls-server-end-point", "\4", 1}};
	struct sasl_peer bound = peer;
	struct scene scene;

	(void)state;
	bound.bindings = bindings;
	bound.nbindings = 2;
	bound.certificate = STR("ba\tru@x");
	scene_open(&scene);
	assert_true(sasl_start(scene.client, &scene.tried[0].request, &bound, STR("SCRAM-SHA-256-PLUS"), NULL, answered));
	settle(scene.loop);
	assert_true(str_ends_nocase(buf_str(&scene.server.in),
	    STR("\tvalid-client-cert\tcert_username=ba\001tru@x\tchannel_binding=tls-exporter:AQID\tchannel_binding=tls-server-end-point:BA==\n")));
	scene_close(&scene);
}

static void
when_the_server_goes_away_everybody_is_told_to_come_later(void **state)
{
	struct scene scene;

	(void)state;
	scene_open(&scene);
	assert_true(try(&scene, 0, "AGEAYg=="));
	assert_true(try(&scene, 1, "AGEAYg=="));
	settle(scene.loop);
	unix_server_hang_up(&scene.server);
	settle(scene.loop);
	assert_int_equal(scene.tried[0].result, SASL_TEMP);
	assert_int_equal(scene.tried[1].result, SASL_TEMP);
	assert_str(sasl_client_cookie(scene.client), STR(""));
	assert_true(try(&scene, 0, "AGEAYg=="));
	said(&scene, HELLO "OK\t3\tuser=a\n");
	assert_int_equal(scene.server.accepted, 2);
	assert_int_equal(scene.tried[0].result, SASL_OK);
	unix_server_close(&scene.server);
	settle(scene.loop);
	assert_true(try(&scene, 0, "AGEAYg=="));
	assert_int_equal(scene.tried[0].answers, 2);
	settle(scene.loop);
	assert_int_equal(scene.tried[0].answers, 3);
	assert_int_equal(scene.tried[0].result, SASL_TEMP);
	scene_close(&scene);
}

static void
a_cancelled_login_is_never_answered(void **state)
{
	struct scene scene;

	(void)state;
	scene_open(&scene);
	assert_true(try(&scene, 0, "AGEAYg=="));
	settle(scene.loop);
	buf_reset(&scene.server.in);
	sasl_cancel(&scene.tried[0].request);
	sasl_cancel(&scene.tried[0].request);
	settle(scene.loop);
	assert_str(buf_str(&scene.server.in), STR("CANCEL\t1\n"));
	said(&scene, HELLO "OK\t1\tuser=a\nOK\t77\tuser=b\n");
	assert_int_equal(scene.tried[0].answers, 0);
	scene_close(&scene);
}

static void
lines_that_break_the_protocol_end_the_connection(void **state)
{
	static const char *const rows[] = {"VERSION\t2\t0\n", "OK\tx\tuser=a\n", "OK\t1\n", "OK\t1\tuser=\n", "CONT\t1\t!!\n",
	    "FAIL\n", "MECH\ta b\n"};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct scene scene;

		scene_open(&scene);
		assert_true(try(&scene, 0, "AGEAYg=="));
		said(&scene, rows[i]);
		assert_int_equal(scene.tried[0].answers, 1);
		assert_int_equal(scene.tried[0].result, SASL_TEMP);
		scene_close(&scene);
	}
}

static void
lines_may_come_byte_by_byte(void **state)
{
	struct str lines = STR(HELLO "OK\t1\tuser=a\n");
	struct scene scene;

	(void)state;
	scene_open(&scene);
	assert_true(try(&scene, 0, "AGEAYg=="));
	settle(scene.loop);
	for (size_t i = 0; i < lines.n; i++) {
		unix_server_send(&scene.server, str_sub(lines, i, 1));
		loop_once(scene.loop, 5);
	}
	assert_int_equal(scene.tried[0].result, SASL_OK);
	assert_int_equal(scene.tried[0].answers, 1);
	scene_close(&scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(words_are_escaped_and_back),
	    cmocka_unit_test(cut_and_unknown_escapes_are_refused),
	    cmocka_unit_test(a_login_is_asked_and_granted),
	    cmocka_unit_test(failures_are_wrong_or_temporary),
	    cmocka_unit_test(what_dovecot_says_besides_is_understood),
	    cmocka_unit_test(challenges_go_to_and_fro),
	    cmocka_unit_test(what_is_not_base64_is_not_sent),
	    cmocka_unit_test(each_peer_is_offered_what_is_safe_for_it),
	    cmocka_unit_test(the_channel_s_bindings_and_certificate_are_told),
	    cmocka_unit_test(when_the_server_goes_away_everybody_is_told_to_come_later),
	    cmocka_unit_test(a_cancelled_login_is_never_answered),
	    cmocka_unit_test(lines_that_break_the_protocol_end_the_connection),
	    cmocka_unit_test(lines_may_come_byte_by_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
