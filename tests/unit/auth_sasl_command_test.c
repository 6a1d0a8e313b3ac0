#include "tests/unit/rows.h"

#include "auth/mech.h"
#include "auth/sasl_command.h"

static void
lines_are_taken_apart(void **state)
{
	static const struct {
		struct str line;
		bool good;
		enum sasl_verb verb;
		uint64_t number;
		struct str mechanism;
		bool has_response;
		struct str response;
	} rows[] = {
	    {STR("VERSION\t1\t2"), true, SASL_VERB_VERSION, 1, STR_NONE, false, STR_NONE},
	    {STR("CPID\t123"), true, SASL_VERB_CPID, 123, STR_NONE, false, STR_NONE},
	    {STR("AUTH\t7\tPLAIN\tservice=smtp\tsecured\tresp=YQ=="), true, SASL_VERB_AUTH, 7, STR("PLAIN"), true,
		STR("YQ==")},
	    {STR("AUTH\t7\tLOGIN\tnologin"), true, SASL_VERB_AUTH, 7, STR("LOGIN"), false, STR_NONE},
	    {STR("AUTH\t7\tPLAIN\tresp="), true, SASL_VERB_AUTH, 7, STR("PLAIN"), true, STR("")},
	    {STR("CONT\t7\tYQ=="), true, SASL_VERB_CONT, 7, STR_NONE, true, STR("YQ==")},
	    {STR("CONT\t7"), true, SASL_VERB_CONT, 7, STR_NONE, true, STR("")},
	    {STR("CANCEL\t4294967295"), true, SASL_VERB_CANCEL, 4294967295, STR_NONE, false, STR_NONE},
	    {STR("NEWS\tx"), true, SASL_VERB_UNKNOWN, 0, STR_NONE, false, STR_NONE},
	    {STR(""), true, SASL_VERB_UNKNOWN, 0, STR_NONE, false, STR_NONE},
	    {STR("VERSION"), false, 0, 0, STR_NONE, false, STR_NONE},
	    {STR("CPID\tx"), false, 0, 0, STR_NONE, false, STR_NONE},
	    {STR("CPID\t4294967296"), false, 0, 0, STR_NONE, false, STR_NONE},
	    {STR("AUTH\t7"), false, 0, 0, STR_NONE, false, STR_NONE},
	    {STR("AUTH\t7\t"), false, 0, 0, STR_NONE, false, STR_NONE},
	    {STR("AUTH\tx\tPLAIN"), false, 0, 0, STR_NONE, false, STR_NONE},
	    {STR("AUTH\t7\tPLAIN\tresp=YQ==\tsecured"), false, 0, 0, STR_NONE, false, STR_NONE},
	    {STR("AUTH\t7\tPLAIN\trip=a b"), false, 0, 0, STR_NONE, false, STR_NONE},
	    {STR("AUTH\t7\tPLAIN\trip=a\001nb"), false, 0, 0, STR_NONE, false, STR_NONE},
	    {STR("AUTH\t7\tPLAIN\tservice="
		 "0123456789012345678901234567890123456789012345678901234567890123"),
		false, 0, 0, STR_NONE, false, STR_NONE},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct sasl_command command;

		assert_int_equal(sasl_command_parse(&command, rows[i].line), rows[i].good);
		if (!rows[i].good)
			continue;
		assert_int_equal(command.verb, rows[i].verb);
		assert_true(command.number == rows[i].number);
		assert_str(command.mechanism, rows[i].mechanism);
		assert_int_equal(command.has_response, rows[i].has_response);
		assert_str(command.response, rows[i].response);
		for (size_t n = 0; n < rows[i].line.n; n++)
			(void)sasl_command_parse(&command, str_sub(rows[i].line, 0, n));
	}
}

static void
what_is_said_of_the_client_is_kept(void **state)
{
	struct sasl_command command;

	(void)state;
	assert_true(sasl_command_parse(&command, STR("AUTH\t1\tPLAIN\tservice=imap\tlip=10.0.0.1\trip=::1\tsecured=tls\tx=y")));
	assert_string_equal(command.service, "imap");
	assert_string_equal(command.local, "10.0.0.1");
	assert_string_equal(command.remote, "::1");
	assert_true(command.secured);
}

static void
channel_bindings_are_read(void **state)
{
	static const struct {
		struct str words;
		bool good;
		size_t n;
	} rows[] = {
	    {STR("channel_binding=tls-exporter:AAEC"), true, 1},
	    {STR("channel_binding=tls-exporter:AAEC\tchannel_binding=tls-server-end-point:AAECAw=="), true, 2},
	    {STR("channel_binding=a:YQ==\tchannel_binding=b:YQ==\tchannel_binding=c:YQ==\tchannel_binding=d:YQ=="), true, 3},
	    {STR("channel_binding=tls-exporter:"), false, 0},
	    {STR("channel_binding=tls-exporter"), false, 0},
	    {STR("channel_binding=:YQ=="), false, 0},
	    {STR("channel_binding=x:YQ"), false, 0},
	    {STR("channel_binding=x:"
		 "MDEyMzQ1Njc4OTAxMDEyMzQ1Njc4OTAxMDEyMzQ1Njc4OTAxMDEyMzQ1Njc4OTAxMDEyMzQ1Njc4OTAxMDEyMzQ1Njc4OTAx"), false, 0},
	    {STR("channel_binding=a-kind-with-a-name-of-32-bytes--:YQ=="), false, 0},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct sasl_command command;
		char line[512];

		(void)snprintf(line, sizeof line, "AUTH\t1\tPLAIN\t%.*s\tresp=YQ==", STR_FMT(rows[i].words));
		assert_int_equal(sasl_command_parse(&command, str_from(line)), rows[i].good);
		if (!rows[i].good)
			continue;
		assert_int_equal(command.facts.nbindings, rows[i].n);
		if (i == 1) {
			assert_string_equal(command.facts.bindings[1].type, "tls-server-end-point");
			assert_int_equal(command.facts.bindings[1].n, 4);
			assert_memory_equal(command.facts.bindings[1].bytes, "\0\1\2\3", 4);
		}
	}
}

static void
a_certificate_s_name_counts_if_it_is_verified(void **state)
{
	static const struct {
		const char *words, *name;
	} rows[] = {
	    {"valid-client-cert\tcert_username=baru@x", "baru@x"},
	    {"cert_username=baru@x\tvalid-client-cert", "baru@x"},
	    {"cert_username=baru@x", ""},
	    {"valid-client-cert", ""},
	    {"valid-client-cert\tcert_username=ba\0010ru", ""},
	    {"valid-client-cert\tcert_username=ba\001tru", "ba\tru"},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct sasl_command command;
		char line[200];

		(void)snprintf(line, sizeof line, "AUTH\t1\tEXTERNAL\t%s\tresp=", rows[i].words);
		assert_true(sasl_command_parse(&command, str_from(line)));
		assert_string_equal(command.facts.certificate, rows[i].name);
	}
}

/* --- mechanisms ------------------------------------------------------------------------------------------------------ */

static struct buf challenge;

static enum mech_result
feed(struct mech *mech, const struct str *response)
{
	static const struct mech_facts facts = {.nbindings = 0};

	buf_clear(&challenge);
	buf_init(&challenge, 100);
	return mech_feed(mech, &facts, response, &challenge);
}

static void
plain_takes_name_and_password(void **state)
{
	static const struct {
		struct str message;
		enum mech_result result;
		const char *login, *password;
	} rows[] = {
	    {STR("\0baru\0rahasia"), MECH_CREDENTIALS, "baru", "rahasia"},
	    {STR("baru\0baru\0rahasia"), MECH_CREDENTIALS, "baru", "rahasia"},
	    {STR("\0b@x\0p w:\xc3\xa4"), MECH_CREDENTIALS, "b@x", "p w:\xc3\xa4"},
	    {STR("lama\0baru\0rahasia"), MECH_OTHER_IDENTITY, "baru", "rahasia"},
	    {STR("\0baru\0"), MECH_MALFORMED, NULL, NULL},
	    {STR("\0\0rahasia"), MECH_MALFORMED, NULL, NULL},
	    {STR("\0baru"), MECH_MALFORMED, NULL, NULL},
	    {STR("baru"), MECH_MALFORMED, NULL, NULL},
	    {STR(""), MECH_MALFORMED, NULL, NULL},
	    {STR("\0baru\0raha\0sia"), MECH_MALFORMED, NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mech mech;

		assert_true(mech_begin(&mech, STR("plain")));
		assert_int_equal(feed(&mech, &rows[i].message), rows[i].result);
		if (rows[i].login == NULL)
			continue;
		assert_string_equal(mech.login, rows[i].login);
		assert_string_equal(mech.password, rows[i].password);
	}
}

static void
plain_without_a_response_asks_for_it(void **state)
{
	struct str message = STR("\0a\0b");
	struct mech mech;

	(void)state;
	assert_true(mech_begin(&mech, STR("PLAIN")));
	assert_int_equal(feed(&mech, NULL), MECH_CHALLENGE);
	assert_str(buf_str(&challenge), STR(""));
	assert_int_equal(feed(&mech, &message), MECH_CREDENTIALS);
}

static void
login_asks_for_one_after_the_other(void **state)
{
	struct str name = STR("baru"), password = STR("rahasia"), empty = STR("");
	struct mech mech;

	(void)state;
	assert_true(mech_begin(&mech, STR("LOGIN")));
	assert_int_equal(feed(&mech, NULL), MECH_CHALLENGE);
	assert_str(buf_str(&challenge), STR("Username:"));
	assert_int_equal(feed(&mech, &name), MECH_CHALLENGE);
	assert_str(buf_str(&challenge), STR("Password:"));
	assert_int_equal(feed(&mech, &password), MECH_CREDENTIALS);
	assert_string_equal(mech.login, "baru");
	assert_string_equal(mech.password, "rahasia");
	mech_clear(&mech);
	assert_string_equal(mech.password, "");
	assert_true(mech_begin(&mech, STR("LOGIN")));
	assert_int_equal(feed(&mech, &name), MECH_CHALLENGE);
	assert_int_equal(feed(&mech, &empty), MECH_MALFORMED);
	assert_true(mech_begin(&mech, STR("LOGIN")));
	assert_int_equal(feed(&mech, &empty), MECH_MALFORMED);
}

static void
external_is_who_the_certificate_says(void **state)
{
	static const struct {
		const char *certificate;
		struct str response;
		enum mech_result result;
	} rows[] = {
	    {"baru@x", STR(""), MECH_IDENTITY},
	    {"baru@x", STR("baru@x"), MECH_IDENTITY},
	    {"baru@x", STR("Baru@X"), MECH_IDENTITY},
	    {"baru@x", STR("lama@x"), MECH_OTHER_IDENTITY},
	    {"baru@x", STR("baru@x\0"), MECH_MALFORMED},
	    {"", STR(""), MECH_MALFORMED},
	    {"", STR("baru@x"), MECH_MALFORMED},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mech_facts facts = {.nbindings = 0};
		struct mech mech;

		(void)str_copy(facts.certificate, sizeof facts.certificate, str_from(rows[i].certificate));
		assert_true(mech_begin(&mech, STR("EXTERNAL")));
		assert_int_equal(mech_feed(&mech, &facts, NULL, &challenge), MECH_CHALLENGE);
		assert_int_equal(mech_feed(&mech, &facts, &rows[i].response, &challenge), rows[i].result);
		if (rows[i].result == MECH_IDENTITY)
			assert_string_equal(mech.login, rows[i].certificate);
	}
}

static void
other_mechanisms_are_not_known(void **state)
{
	struct mech mech;

	(void)state;
	assert_false(mech_begin(&mech, STR("CRAM-MD5")));
	assert_false(mech_begin(&mech, STR("PLAI")));
	assert_false(mech_begin(&mech, STR("")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lines_are_taken_apart),
	    cmocka_unit_test(what_is_said_of_the_client_is_kept),
	    cmocka_unit_test(channel_bindings_are_read),
	    cmocka_unit_test(plain_takes_name_and_password),
	    cmocka_unit_test(plain_without_a_response_asks_for_it),
	    cmocka_unit_test(login_asks_for_one_after_the_other),
	    cmocka_unit_test(a_certificate_s_name_counts_if_it_is_verified),
	    cmocka_unit_test(external_is_who_the_certificate_says),
	    cmocka_unit_test(other_mechanisms_are_not_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
