#include "tests/unit/token_rows.h"

#include "auth/base64url.h"
#include "auth/mech.h"
#include "auth/token.h"
#include "auth/token_cache.h"

static const struct token_rules rules = {
    .issuer = STR("https://idp.test"), .audience = STR("mail"), .scope = STR(""), .name = "email"};

static void
keys_open(struct jwk_set *set)
{
	struct buf problems;

	buf_init(&problems, 4096);
	assert_true(jwk_set_read(set, STR(KEYS), &problems));
	assert_str(buf_str(&problems), STR("key 4 is left out: malformed, or too short\n"
	                                   "key 5 is left out: neither RSA nor P-256 nor Ed25519\n"
	                                   "key 6 is left out: for another use or algorithm\n"
	                                   "key 7 is left out: for another use or algorithm\n"));
	assert_int_equal(set->n, 3);
	buf_clear(&problems);
}

static void
tokens_let_in_whom_they_must_and_nobody_else(void **state)
{
	struct jwk_set set;

	(void)state;
	keys_open(&set);
	for (size_t i = 0; i < ROWS(tokens); i++) {
		struct token_owner owner;
		struct err err = {0};
		bool good = token_jwt_read(tokens[i].token, &set, &rules, 1000, &owner, &err);

		if (good != tokens[i].good)
			fail_msg("%s: %s", tokens[i].what, err.text);
		if (good)
			assert_string_equal(owner.name, "baru@satu.test");
	}
	jwk_set_clear(&set);
}

static void
a_token_that_was_cut_or_changed_anywhere_lets_nobody_in(void **state)
{
	struct jwk_set set;

	(void)state;
	keys_open(&set);
	for (size_t i = 0; i < 4; i++) {
		struct str token = tokens[i].token;

		for (size_t at = 0; at < token.n; at++) {
			char changed[4096];
			struct token_owner owner;
			struct err err = {0};

			assert_false(token_jwt_read(str_sub(token, 0, at), &set, &rules, 1000, &owner, &err));
			memcpy(changed, token.p, token.n);
			changed[at] = changed[at] == 'A' ? 'B' : 'A';
			assert_false(token_jwt_read((struct str){changed, token.n}, &set, &rules, 1000, &owner, &err));
		}
	}
	jwk_set_clear(&set);
}

/* RFC 7515 A.3 and RFC 8037 A.4 */
static void
the_signatures_of_the_rfcs_are_right(void **state)
{
	static const struct {
		struct str key, text, signature;
	} rows[] = {
	    {STR("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
		 "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}"),
		STR("eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290"
		    "Ijp0cnVlfQ"),
		STR("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q")},
	    {STR("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}"),
		STR("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"),
		STR("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg")},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct buf signature, problems;
		struct jwk_set set;

		buf_init(&problems, 1000);
		buf_init(&signature, 100);
		assert_true(jwk_set_read(&set, rows[i].key, &problems));
		assert_true(base64url_decode(&signature, rows[i].signature));
		assert_true(jwk_verify(&set.list[0], rows[i].text, buf_str(&signature)));
		assert_false(jwk_verify(&set.list[0], str_skip(rows[i].text, 1), buf_str(&signature)));
		assert_false(jwk_verify(&set.list[0], rows[i].text, STR("")));
		jwk_set_clear(&set);
		buf_clear(&signature);
		buf_clear(&problems);
	}
}

static void
sets_without_a_good_key_are_refused(void **state)
{
	static const struct str rows[] = {STR(""), STR("x"), STR("{}"), STR("{\"keys\":[]}"), STR("{\"keys\":{}}"),
	    STR("{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA\",\"y\":\"AAAA\"}]}"),
	    /* not on the curve */
	    STR("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
		"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a1\"}"),
	    STR("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qY\"}"), STR("{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}")};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct buf problems;
		struct jwk_set set;

		buf_init(&problems, 1000);
		assert_false(jwk_set_read(&set, rows[i], &problems));
		jwk_set_clear(&set);
		buf_clear(&problems);
	}
}

static void
a_server_s_word_is_checked_too(void **state)
{
	static const struct token_rules strict = {
	    .issuer = STR("https://idp.test"), .audience = STR("mail"), .scope = STR("smtp"), .name = "username"};
	static const struct token_rules open = {.name = "username"};
	static const struct {
		const struct token_rules *rules;
		struct str body;
		bool understood, good;
	} rows[] = {
	    {&open, STR("{\"active\":true,\"username\":\"baru\"}"), true, true},
	    {&open, STR("{\"active\":true,\"username\":\"baru\",\"exp\":2000}\n"), true, true},
	    {&open, STR("{\"active\":true,\"username\":\"baru\",\"exp\":900}"), true, false},
	    {&open, STR("{\"active\":false}"), true, false},
	    {&open, STR("{\"active\":false,\"username\":\"baru\"}"), true, false},
	    {&open, STR("{\"active\":true}"), true, false},
	    {&open, STR("{\"active\":\"true\",\"username\":\"baru\"}"), false, false},
	    {&open, STR("{\"active\":true,\"active\":false,\"username\":\"baru\"}"), false, false},
	    {&open, STR("{\"username\":\"baru\"}"), false, false},
	    {&open, STR("[true]"), false, false},
	    {&open, STR("<html>"), false, false},
	    {&open, STR(""), false, false},
	    {&strict, STR("{\"active\":true,\"username\":\"baru\",\"aud\":\"mail\",\"scope\":\"imap smtp\"}"), true, true},
	    {&strict, STR("{\"active\":true,\"username\":\"baru\",\"aud\":\"mail\",\"scope\":\"imap smtps\"}"), true, false},
	    {&strict, STR("{\"active\":true,\"username\":\"baru\",\"aud\":\"mail\"}"), true, false},
	    {&strict, STR("{\"active\":true,\"username\":\"baru\",\"scope\":\"smtp\"}"), true, false},
	    {&strict, STR("{\"active\":true,\"username\":\"baru\",\"aud\":\"mail\",\"scope\":\"smtp\",\"iss\":\"x\"}"), true, false},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct token_owner owner;
		struct err err = {0};
		bool understood;
		bool good = token_introspection_read(rows[i].body, rows[i].rules, 1000, &owner, &understood, &err);

		if (good != rows[i].good || understood != rows[i].understood)
			fail_msg("%.*s: %s", STR_FMT(rows[i].body), err.text);
		if (good)
			assert_string_equal(owner.name, "baru");
	}
}

static void
the_memory_forgets_in_time(void **state)
{
	struct token_owner owner = {.name = "baru", .expires_s = 1030};
	static struct token_cache cache;

	(void)state;
	token_cache_init(&cache, 60);
	assert_null(token_cache_find(&cache, STR("a"), 1000));
	token_cache_store(&cache, STR("a"), &owner, 1000);
	assert_string_equal(token_cache_find(&cache, STR("a"), 1029), "baru");
	assert_null(token_cache_find(&cache, STR("a"), 1030));
	assert_null(token_cache_find(&cache, STR("b"), 1000));
	owner.expires_s = UINT64_MAX;
	token_cache_store(&cache, STR("b"), &owner, 1000);
	assert_string_equal(token_cache_find(&cache, STR("b"), 1059), "baru");
	assert_null(token_cache_find(&cache, STR("b"), 1060));
	owner.expires_s = 900;
	token_cache_store(&cache, STR("c"), &owner, 1000);
	assert_null(token_cache_find(&cache, STR("c"), 1000));
	token_cache_init(&cache, 0);
	owner.expires_s = UINT64_MAX;
	token_cache_store(&cache, STR("a"), &owner, 1000);
	assert_null(token_cache_find(&cache, STR("a"), 1000));
}

/* --- messages of SASL -------------------------------------------------------------------------------------------------- */

static void
messages_with_a_token_are_read(void **state)
{
	static const struct {
		const char *mechanism;
		struct str message;
		enum mech_result result;
		const char *claimed, *token;
	} rows[] = {
	    {"OAUTHBEARER", STR("n,a=baru@x,\1host=h\1port=143\1auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\1\1"),
		MECH_TOKEN, "baru@x", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="},
	    {"OAUTHBEARER", STR("n,,\1auth=bearer abc\1\1"), MECH_TOKEN, "", "abc"},
	    {"OAUTHBEARER", STR("y,a=a=2Cb=3Dc,\1auth=Bearer abc\1\1"), MECH_TOKEN, "a,b=c", "abc"},
	    {"OAUTHBEARER", STR("n,,\1auth=\1\1"), MECH_TOKEN, "", ""},
	    {"OAUTHBEARER", STR("n,,\1\1"), MECH_MALFORMED, NULL, NULL},
	    {"OAUTHBEARER", STR("n,,\1auth=Bearer abc\1"), MECH_MALFORMED, NULL, NULL},
	    {"OAUTHBEARER", STR("n,,\1auth=Bearer abc\1\1x"), MECH_MALFORMED, NULL, NULL},
	    {"OAUTHBEARER", STR("n,,\1auth=Bearer abc\1auth=Bearer def\1\1"), MECH_MALFORMED, NULL, NULL},
	    {"OAUTHBEARER", STR("n,,\1auth=Basic abc\1\1"), MECH_MALFORMED, NULL, NULL},
	    {"OAUTHBEARER", STR("n,,\1auth=Bearer a b\1\1"), MECH_MALFORMED, NULL, NULL},
	    {"OAUTHBEARER", STR("n,,\1auth=Bearer a\0b\1\1"), MECH_MALFORMED, NULL, NULL},
	    {"OAUTHBEARER", STR("n,,\1auth=Bearer =a\1\1"), MECH_MALFORMED, NULL, NULL},
	    {"OAUTHBEARER", STR("n,,\1x\1auth=Bearer abc\1\1"), MECH_MALFORMED, NULL, NULL},
	    {"OAUTHBEARER", STR("p=tls-exporter,,\1auth=Bearer abc\1\1"), MECH_MALFORMED, NULL, NULL},
	    {"OAUTHBEARER", STR("n,a=,\1auth=Bearer abc\1\1"), MECH_MALFORMED, NULL, NULL},
	    {"OAUTHBEARER", STR("n,,x\1auth=Bearer abc\1\1"), MECH_MALFORMED, NULL, NULL},
	    {"OAUTHBEARER", STR(""), MECH_MALFORMED, NULL, NULL},
	    {"XOAUTH2", STR("user=baru@x\1auth=Bearer abc.def~\1\1"), MECH_TOKEN, "baru@x", "abc.def~"},
	    {"XOAUTH2", STR("user=\1auth=Bearer abc\1\1"), MECH_MALFORMED, NULL, NULL},
	    {"XOAUTH2", STR("auth=Bearer abc\1\1"), MECH_MALFORMED, NULL, NULL},
	    {"XOAUTH2", STR("user=baru@x\1auth=Bearer abc\1"), MECH_MALFORMED, NULL, NULL},
	    {"XOAUTH2", STR("user=baru@x"), MECH_MALFORMED, NULL, NULL},
	};
	static const struct mech_facts facts = {.nbindings = 0};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		for (size_t n = 0; n <= rows[i].message.n; n++) {
			struct str message = str_sub(rows[i].message, 0, n);
			enum mech_result result;
			struct buf challenge;
			struct mech mech;

			buf_init(&challenge, 100);
			assert_true(mech_begin(&mech, str_from(rows[i].mechanism)));
			result = mech_feed(&mech, &facts, &message, &challenge);
			if (result != (n < rows[i].message.n ? MECH_MALFORMED : rows[i].result))
				fail_msg("%.*s: %d", STR_FMT(message), (int)result);
			if (result == MECH_TOKEN) {
				assert_string_equal(mech.oauth.claimed, rows[i].claimed);
				assert_str(buf_str(&mech.oauth.token), str_from(rows[i].token));
			}
			mech_clear(&mech);
			buf_clear(&challenge);
			if (rows[i].result != MECH_TOKEN)
				break; /* cuts of what is wrong may be right */
		}
	}
}

static void
who_is_refused_is_told_what_would_do(void **state)
{
	static const struct mech_oauth_hints hints = {.scope = STR("smtp \"x\""), .configuration = STR("https://idp.test/c")},
					     none = {.scope = STR("")};
	static const struct mech_facts facts = {.nbindings = 0};
	struct str one = STR("\1"), nothing = STR("");
	struct buf out;
	struct mech mech;

	(void)state;
	buf_init(&out, 1000);
	assert_true(mech_begin(&mech, STR("OAUTHBEARER")));
	mech_refuse(&mech, &hints, &out);
	assert_str(buf_str(&out), STR("{\"status\": \"invalid_token\", \"scope\": \"smtp \\\"x\\\"\", "
	                              "\"openid-configuration\": \"https://idp.test/c\"}"));
	assert_int_equal(mech_feed(&mech, &facts, &one, &out), MECH_REFUSED);
	mech_clear(&mech);
	buf_reset(&out);
	assert_true(mech_begin(&mech, STR("XOAUTH2")));
	mech_refuse(&mech, &none, &out);
	assert_str(buf_str(&out), STR("{\"status\": \"401\", \"schemes\": \"bearer\"}"));
	assert_int_equal(mech_feed(&mech, &facts, &nothing, &out), MECH_REFUSED);
	mech_clear(&mech);
	buf_clear(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(tokens_let_in_whom_they_must_and_nobody_else),
	    cmocka_unit_test(a_token_that_was_cut_or_changed_anywhere_lets_nobody_in),
	    cmocka_unit_test(the_signatures_of_the_rfcs_are_right),
	    cmocka_unit_test(sets_without_a_good_key_are_refused),
	    cmocka_unit_test(a_server_s_word_is_checked_too),
	    cmocka_unit_test(the_memory_forgets_in_time),
	    cmocka_unit_test(messages_with_a_token_are_read),
	    cmocka_unit_test(who_is_refused_is_told_what_would_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
