#include "tests/unit/rows.h"

#include <openssl/ssl.h>

#include "common/tls/tls_session.h"

static struct tls_sessions sessions;

static int
setup(void **state)
{
	(void)state;
	tls_sessions_init(&sessions);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	tls_sessions_clear(&sessions);
	return 0;
}

/* One that can be written and read again. */
static SSL_SESSION *
session_new(int version)
{
	static const unsigned char id[32] = {1}, secret[48] = {2};
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(context);
	SSL_SESSION *session = SSL_SESSION_new();
	static const unsigned char suites[2][2] = {{0xc0, 0x2f}, {0x13, 0x01}};

	assert_int_equal(SSL_SESSION_set_protocol_version(session, version), 1);
	assert_int_equal(SSL_SESSION_set_cipher(session, SSL_CIPHER_find(ssl, suites[version == TLS1_3_VERSION])), 1);
	assert_int_equal(SSL_SESSION_set1_id(session, id, sizeof id), 1);
	assert_int_equal(SSL_SESSION_set1_master_key(session, secret, sizeof secret), 1);
	SSL_free(ssl);
	SSL_CTX_free(context);
	return session;
}

static void
put(const char *key, int version, bool proven, uint64_t now_s)
{
	SSL_SESSION *session = session_new(version);

	tls_sessions_put(&sessions, key, session, proven, now_s);
	SSL_SESSION_free(session);
}

/* 'p' proven, 'u' not, '-' there is none. */
static char
take(const char *key, uint64_t now_s)
{
	bool proven = false;
	uint64_t since_s = 0;
	SSL_SESSION *session = tls_sessions_take(&sessions, key, &proven, &since_s, now_s);

	SSL_SESSION_free(session);
	return session == NULL ? '-' : proven ? 'p' : 'u';
}

static void
a_ticket_of_a_resumed_session_is_as_old_as_what_it_stands_for(void **state)
{
	SSL_SESSION *session;
	uint64_t since_s = 0;
	bool proven = false;

	(void)state;
	put("a", TLS1_3_VERSION, true, 100);
	session = tls_sessions_take(&sessions, "a", &proven, &since_s, 100 + TLS_SESSION_AGE_MAX_S - 1);
	assert_non_null(session);
	SSL_SESSION_free(session);
	assert_int_equal(since_s, 100);
	put("a", TLS1_3_VERSION, true, since_s);
	assert_int_equal(take("a", 100 + TLS_SESSION_AGE_MAX_S), '-');
}

static void
a_session_is_found_by_who_demands_the_same(void **state)
{
	(void)state;
	put("mx.test 1", TLS1_2_VERSION, true, 100);
	put("mx.test 2", TLS1_2_VERSION, false, 100);
	assert_int_equal(take("mx.test 1", 100), 'p');
	assert_int_equal(take("mx.test 2", 100), 'u');
	assert_int_equal(take("mx.test", 100), '-');
	put("mx.test 1", TLS1_2_VERSION, false, 100);
	assert_int_equal(take("mx.test 1", 100), 'u');
	assert_int_equal(sessions.n, 2);
}

static void
one_of_tls_1_3_is_given_out_once(void **state)
{
	(void)state;
	put("a", TLS1_3_VERSION, true, 100);
	put("b", TLS1_2_VERSION, true, 100);
	assert_int_equal(take("a", 100), 'p');
	assert_int_equal(take("a", 100), '-');
	assert_int_equal(take("b", 100), 'p');
	assert_int_equal(take("b", 100), 'p');
}

static void
none_is_older_than_an_hour(void **state)
{
	(void)state;
	put("a", TLS1_2_VERSION, true, 100);
	assert_int_equal(take("a", 100 + TLS_SESSION_AGE_MAX_S - 1), 'p');
	assert_int_equal(take("a", 100 + TLS_SESSION_AGE_MAX_S), '-');
	assert_int_equal(sessions.n, 0);
}

static void
the_longest_unused_goes_first(void **state)
{
	char key[32];

	(void)state;
	for (unsigned i = 0; i < TLS_SESSIONS_MAX; i++) {
		(void)snprintf(key, sizeof key, "%u", i);
		put(key, TLS1_2_VERSION, true, 100);
	}
	assert_int_equal(take("0", 100), 'p');
	put("one more", TLS1_2_VERSION, true, 100);
	assert_int_equal(sessions.n, TLS_SESSIONS_MAX);
	assert_int_equal(take("0", 100), 'p');
	assert_int_equal(take("1", 100), '-');
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_session_is_found_by_who_demands_the_same, setup, teardown),
	    cmocka_unit_test_setup_teardown(one_of_tls_1_3_is_given_out_once, setup, teardown),
	    cmocka_unit_test_setup_teardown(none_is_older_than_an_hour, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_ticket_of_a_resumed_session_is_as_old_as_what_it_stands_for, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_longest_unused_goes_first, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
