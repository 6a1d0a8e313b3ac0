#include "tests/unit/rows.h"

#include "auth/password.h"

/* RFC 7677 3's, whose password is "pencil". */
#define SCRAM_KEYS \
	"4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=," \
	"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define SCRAM_ROW "{SCRAM-SHA-256}" SCRAM_KEYS

static bool
make(enum password_scheme scheme, struct str password, char *dst, size_t size)
{
	const struct password_method method = {scheme, 4096};
	struct err err;

	return password_make(&method, password, dst, size, &err);
}

static void
made_passwords_match_themselves_and_nothing_else(void **state)
{
	static const enum password_scheme schemes[] = {PASSWORD_SCRAM, PASSWORD_YESCRYPT, PASSWORD_SHA512, PASSWORD_BLOWFISH};

	(void)state;
	for (size_t i = 0; i < ROWS(schemes); i++) {
		char stored[PASSWORD_HASH_MAX + 1], again[PASSWORD_HASH_MAX + 1];
		struct str hash;

		assert_true(make(schemes[i], STR("rahasia"), stored, sizeof stored));
		assert_true(make(schemes[i], STR("rahasia"), again, sizeof again));
		assert_string_not_equal(stored, again); /* salted */
		assert_true(password_is_known(str_from(stored)));
		assert_true(password_matches(str_from(stored), STR("rahasia")));
		assert_false(password_matches(str_from(stored), STR("rahasi")));
		assert_false(password_matches(str_from(stored), STR("Rahasia")));
		assert_false(password_matches(str_from(stored), STR("rahasia\0x")));
		assert_false(password_matches(str_from(stored), STR("")));
		if (schemes[i] == PASSWORD_SCRAM)
			continue;
		hash = str_skip(str_from(stored), str_find(str_from(stored), '}') + 1);
		assert_true(password_matches(hash, STR("rahasia"))); /* without a scheme it is CRYPT */
		assert_false(password_matches(str_sub(hash, 0, hash.n - 1), STR("rahasia")));
	}
}

static void
schemes_must_be_known_and_fit_the_hash(void **state)
{
	static const struct {
		struct str stored;
		bool known;
	} rows[] = {
	    {STR("{SHA512-CRYPT}$6$abcdefgh$x"), true},
	    {STR("{sha512-crypt}$6$abcdefgh$x"), true},
	    {STR("{SHA256-CRYPT}$5$abcdefgh$x"), true},
	    {STR("{BLF-CRYPT}$2y$05$bvIG6Nmid91Mu9RcmmWZfO5HJIMCT8riNW0hEp8f6/FuA2/mHZFpe"), true},
	    {STR("{CRYPT}$6$abcdefgh$x"), true},
	    {STR("{CRYPT}$1$abcdefgh$x"), true},
	    {STR("$6$abcdefgh$x"), true},
	    {STR("{YESCRYPT}$y$j9T$F5Jx5fExrKuPp53xLKQ..1$"), true},
	    {STR("{SHA512-CRYPT}$5$abcdefgh$x"), false},
	    {STR("{YESCRYPT}$6$abcdefgh$x"), false},
	    {STR("{PLAIN}secret"), false},
	    {STR("{CLEARTEXT}secret"), false},
	    {STR("{PLAIN-MD5}5ebe2294ecd0e0f08eab7690d2a6ee69"), false},
	    {STR("{SSHA}xxx"), false},
	    {STR("{SHA512-CRYPT"), false},
	    {STR("{}x"), false},
	    {STR(SCRAM_ROW), true},
	    {STR("{scram-sha-256}" SCRAM_KEYS), true},
	    {STR("{SCRAM-SHA-256}!" SCRAM_KEYS), true},
	    {STR("{SCRAM-SHA-1}" SCRAM_KEYS), false},
	    {STR("{SCRAM-SHA-256}"), false},
	    {STR(SCRAM_ROW ",x"), false},
	    {STR("$99$what"), false},
	    {STR(""), true},
	    {STR("!"), true},
	    {STR("*"), true},
	    {STR("!$6$abcdefgh$x"), true},
	    {STR("{SHA512-CRYPT}!"), true},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		assert_int_equal(password_is_known(rows[i].stored), rows[i].known);
}

static void
locked_and_broken_entries_fit_no_password(void **state)
{
	static const struct str rows[] = {STR(""), STR("!"), STR("*"), STR("*0"), STR("{CRYPT}*0"), STR("{PLAIN}secret"),
	    STR("{SHA512-CRYPT}"), STR("x"), STR("$6$"), STR("$y$j9T$F5Jx5fExrKuPp53xLKQ..1$")};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		assert_false(password_matches(rows[i], STR("secret")));
		assert_false(password_matches(rows[i], STR("")));
		assert_false(password_matches(rows[i], STR("*0")));
		assert_false(password_matches(rows[i], rows[i]));
	}
}

static void
keys_of_scram_prove_a_password_that_is_sent(void **state)
{
	struct scram_keys keys;

	(void)state;
	assert_true(password_matches(STR(SCRAM_ROW), STR("pencil")));
	assert_false(password_matches(STR(SCRAM_ROW), STR("Pencil")));
	assert_false(password_matches(STR("{SCRAM-SHA-256}!" SCRAM_KEYS), STR("pencil")));
	assert_true(password_keys(STR(SCRAM_ROW), SCRAM_SHA_256, &keys));
	assert_int_equal(keys.iterations, 4096);
	assert_false(password_keys(STR(SCRAM_ROW), SCRAM_SHA_1, &keys));
	assert_false(password_keys(STR("{CRYPT}$6$abcdefgh$x"), SCRAM_SHA_256, &keys));
}

static void
locked_is_not_the_same_as_without_a_password(void **state)
{
	static const struct {
		struct str stored;
		bool locked;
	} rows[] = {{STR(""), false}, {STR("{CRYPT}"), false}, {STR("!"), true}, {STR("*"), true}, {STR("{CRYPT}!x"), true},
	    {STR(SCRAM_ROW), false}, {STR("{SCRAM-SHA-256}!" SCRAM_KEYS), true}};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		assert_int_equal(password_is_locked(rows[i].stored), rows[i].locked);
}

static void
empty_and_endless_passwords_are_not_made(void **state)
{
	char stored[PASSWORD_HASH_MAX + 1], endless[PASSWORD_MAX + 1];

	(void)state;
	memset(endless, 'x', sizeof endless);
	assert_false(make(PASSWORD_SHA512, STR(""), stored, sizeof stored));
	assert_false(make(PASSWORD_SHA512, (struct str){endless, sizeof endless}, stored, sizeof stored));
	assert_false(make(PASSWORD_SHA512, STR("a\0b"), stored, sizeof stored));
	assert_false(make(PASSWORD_SHA512, STR("abc"), stored, 20));
	assert_true(make(PASSWORD_SHA512, STR("abc"), stored, sizeof stored));
	assert_false(password_matches(str_from(stored), (struct str){endless, sizeof endless}));
}

static void
schemes_have_names(void **state)
{
	enum password_scheme scheme;

	(void)state;
	assert_true(password_scheme_parse(STR("SHA512"), &scheme));
	assert_int_equal(scheme, PASSWORD_SHA512);
	assert_true(password_scheme_parse(STR("bcrypt"), &scheme));
	assert_false(password_scheme_parse(STR("md5"), &scheme));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(made_passwords_match_themselves_and_nothing_else),
	    cmocka_unit_test(schemes_must_be_known_and_fit_the_hash),
	    cmocka_unit_test(locked_and_broken_entries_fit_no_password),
	    cmocka_unit_test(keys_of_scram_prove_a_password_that_is_sent),
	    cmocka_unit_test(locked_is_not_the_same_as_without_a_password),
	    cmocka_unit_test(empty_and_endless_passwords_are_not_made),
	    cmocka_unit_test(schemes_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
