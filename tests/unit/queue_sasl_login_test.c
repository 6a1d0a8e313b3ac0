/*
 * Which mechanism is taken, and what it says.
 */
#include "tests/unit/rows.h"

#include "common/base/base64.h"
#include "queue/sasl_login.h"

#define PASSWORD 1
#define TOKEN 2
#define BOUND 4

static const struct choice {
	const char *offered;
	const char *allowed; /* NULL: all */
	unsigned has;
	const char *taken;
} choices[] = {
    {"PLAIN LOGIN", NULL, PASSWORD, "PLAIN"},
    {"login", NULL, PASSWORD, "LOGIN"},
    {"PLAIN SCRAM-SHA-1 LOGIN SCRAM-SHA-256", NULL, PASSWORD, "SCRAM-SHA-256"},
    {"PLAIN SCRAM-SHA-1 scram-sha-1-plus SCRAM-SHA-256", NULL, PASSWORD | BOUND, "SCRAM-SHA-1-PLUS"},
    {"SCRAM-SHA-1-PLUS SCRAM-SHA-256-PLUS", NULL, PASSWORD | BOUND, "SCRAM-SHA-256-PLUS"},
    {"SCRAM-SHA-1-PLUS SCRAM-SHA-256-PLUS PLAIN", NULL, PASSWORD, "PLAIN"},
    {"SCRAM-SHA-256-PLUS SCRAM-SHA-256", NULL, PASSWORD, "SCRAM-SHA-256"},
    {"PLAIN SCRAM-SHA-256", "PLAIN", PASSWORD, "PLAIN"},
    {"PLAIN", "SCRAM-SHA-256 SCRAM-SHA-1", PASSWORD, "none"},
    {"GSSAPI EXTERNAL CRAM-MD5 XPLAIN", NULL, PASSWORD | TOKEN | BOUND, "none"},
    {"PLAIN LOGIN XOAUTH2 OAUTHBEARER", NULL, TOKEN, "OAUTHBEARER"},
    {"PLAIN LOGIN XOAUTH2", NULL, TOKEN, "XOAUTH2"},
    {"PLAIN LOGIN", NULL, TOKEN, "none"}, /* a token is no password */
    {"XOAUTH2", NULL, PASSWORD, "none"},
    {"PLAIN XOAUTH2", NULL, PASSWORD | TOKEN, "XOAUTH2"},
    {"", NULL, PASSWORD, "none"},
};

static const struct sasl_binding binding = {.type = "tls-exporter", .bytes = "0123", .n = 4};

static struct sasl_credentials
credentials_of(unsigned has, const char *allowed)
{
	return (struct sasl_credentials){
	    .user = STR("baru"),
	    .password = has & PASSWORD ? STR("rahasia") : STR_NONE,
	    .token = has & TOKEN ? STR("ya29.vF9") : STR_NONE,
	    .allowed = allowed == NULL ? SASL_ALL : sasl_mechanisms_read(str_from(allowed)),
	};
}

static void
the_strongest_that_fits_is_taken(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(choices); i++) {
		const struct choice *c = &choices[i];
		struct sasl_credentials credentials = credentials_of(c->has, c->allowed);

		assert_string_equal(c->taken, sasl_mechanism_name(sasl_login_choose(&credentials,
		    sasl_mechanisms_read(str_from(c->offered)), c->has & BOUND ? &binding : NULL)));
	}
}

/* --- what is said ---------------------------------------------------------------------------------------------------- */

/* Of the first line: verb, mechanism, and the decoded rest; "|" stands for the byte 1, "~" for NUL. */
static void
said(struct sasl_login *login, enum sasl_mechanism mechanism, struct sasl_credentials *credentials, unsigned offered,
    const char *wanted)
{
	struct buf out, text;
	struct str rest, verb, name;

	buf_init(&out, 65536);
	buf_init(&text, 65536);
	sasl_login_begin(login, mechanism, credentials);
	assert_null(sasl_login_command(login, offered, &binding, STR("abc"), &out));
	rest = str_trim(buf_str(&out));
	assert_true(str_word(&rest, &verb) && str_word(&rest, &name));
	buf_addf(&text, "%.*s %.*s ", STR_FMT(verb), STR_FMT(name));
	assert_true(base64_decode(&text, str_trim(rest)));
	for (size_t i = 0; i < text.n; i++)
		text.p[i] = text.p[i] == '\0' ? '~' : text.p[i] == '\001' ? '|' : text.p[i];
	assert_str(buf_str(&text), str_from(wanted));
	buf_clear(&out);
	buf_clear(&text);
}

static void
each_mechanism_says_its_first(void **state)
{
	struct sasl_credentials c = credentials_of(PASSWORD | TOKEN, NULL), pinned = credentials_of(PASSWORD, "SCRAM-SHA-256");
	unsigned plus = SASL_BIT(SASL_SCRAM_SHA_256_PLUS);
	struct sasl_login login;

	(void)state;
	said(&login, SASL_PLAIN, &c, 0, "AUTH PLAIN ~baru~rahasia");
	said(&login, SASL_LOGIN, &c, 0, "AUTH LOGIN ");
	said(&login, SASL_XOAUTH2, &c, 0, "AUTH XOAUTH2 user=baru|auth=Bearer ya29.vF9||");
	said(&login, SASL_OAUTHBEARER, &c, 0, "AUTH OAUTHBEARER n,a=baru,|auth=Bearer ya29.vF9||");
	said(&login, SASL_SCRAM_SHA_256_PLUS, &c, plus, "AUTH SCRAM-SHA-256-PLUS p=tls-exporter,,n=baru,r=abc");
	sasl_login_clear(&login);
	/* Binding was possible, and not offered: the server is told. */
	said(&login, SASL_SCRAM_SHA_256, &c, 0, "AUTH SCRAM-SHA-256 y,,n=baru,r=abc");
	sasl_login_clear(&login);
	said(&login, SASL_SCRAM_SHA_256, &c, plus, "AUTH SCRAM-SHA-256 n,,n=baru,r=abc");
	sasl_login_clear(&login);
	said(&login, SASL_SCRAM_SHA_256, &pinned, plus, "AUTH SCRAM-SHA-256 n,,n=baru,r=abc");
	sasl_login_clear(&login);
	c.user = STR("a,b=c");
	said(&login, SASL_OAUTHBEARER, &c, 0, "AUTH OAUTHBEARER n,a=a=2Cb=3Dc,|auth=Bearer ya29.vF9||");
}

static void
a_long_token_waits_until_it_is_asked_for(void **state)
{
	static char token[4001];
	struct sasl_credentials c = credentials_of(TOKEN, NULL);
	struct sasl_login login;
	struct buf out;

	(void)state;
	memset(token, 'x', sizeof token - 1);
	c.token = str_from(token);
	buf_init(&out, 65536);
	sasl_login_begin(&login, SASL_XOAUTH2, &c);
	assert_null(sasl_login_command(&login, 0, NULL, STR("abc"), &out));
	assert_str(buf_str(&out), STR("AUTH XOAUTH2\r\n"));
	buf_reset(&out);
	assert_null(sasl_login_answer(&login, STR(""), &out));
	assert_true(out.n > 4000 && str_starts(buf_str(&out), STR("dXNlcj1iYXJ1AWF1dGg9QmVhcmVy")));
	assert_null(sasl_login_finish(&login));
	sasl_login_clear(&login);
	buf_clear(&out);
}

static void
why_a_token_is_refused_is_remembered(void **state)
{
	struct sasl_credentials c = credentials_of(TOKEN, NULL);
	static const enum sasl_mechanism both[] = {SASL_OAUTHBEARER, SASL_XOAUTH2};

	(void)state;
	for (size_t i = 0; i < ROWS(both); i++) {
		struct sasl_login login;
		struct buf out;

		buf_init(&out, 4096);
		sasl_login_begin(&login, both[i], &c);
		assert_null(sasl_login_command(&login, 0, NULL, STR("abc"), &out));
		buf_reset(&out);
		assert_null(sasl_login_answer(&login, STR("eyJzdGF0dXMiOiI0MDEiCn0="), &out)); /* {"status":"401"\n} */
		assert_str(buf_str(&out), both[i] == SASL_OAUTHBEARER ? STR("AQ==\r\n") : STR("\r\n"));
		assert_str(sasl_login_problem(&login), STR("{\"status\":\"401\" }"));
		assert_non_null(sasl_login_answer(&login, STR("eyJ9"), &out));
		sasl_login_clear(&login);
		buf_clear(&out);
	}
}

static void
what_cannot_be_a_token_is_not_sent(void **state)
{
	static const struct str tokens[] = {{"", 0}, {"a b", 3}, {"a\001auth=x", 8}, {"\xc3\xa9", 2}};

	(void)state;
	for (size_t i = 0; i < ROWS(tokens); i++) {
		struct sasl_credentials c = credentials_of(TOKEN, NULL);
		struct sasl_login login;
		struct buf out;

		buf_init(&out, 4096);
		c.token = tokens[i];
		sasl_login_begin(&login, SASL_XOAUTH2, &c);
		assert_non_null(sasl_login_command(&login, 0, NULL, STR("abc"), &out));
		assert_int_equal(out.n, 0);
		sasl_login_clear(&login);
		buf_clear(&out);
	}
}

static void
a_login_for_free_is_not_believed(void **state)
{
	struct sasl_credentials c = credentials_of(PASSWORD, NULL);
	struct sasl_login login;
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	sasl_login_begin(&login, SASL_SCRAM_SHA_256, &c);
	assert_null(sasl_login_command(&login, 0, NULL, STR("abc"), &out));
	assert_non_null(sasl_login_finish(&login));
	assert_null(sasl_login_answer(&login, STR("cj1hYmMxMjM0NTY3OCxzPUFBQUEsaT00MDk2"), &out)); /* r=abc12345678,s=AAAA,i=4096 */
	assert_non_null(sasl_login_finish(&login));
	sasl_login_clear(&login);
	buf_clear(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_strongest_that_fits_is_taken),
	    cmocka_unit_test(each_mechanism_says_its_first),
	    cmocka_unit_test(a_long_token_waits_until_it_is_asked_for),
	    cmocka_unit_test(why_a_token_is_refused_is_remembered),
	    cmocka_unit_test(what_cannot_be_a_token_is_not_sent),
	    cmocka_unit_test(a_login_for_free_is_not_believed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
