#include "tests/unit/rows.h"

#include "auth/users.h"
#include "auth/users_edit.h"

#define HASH "$6$abcdefgh$x"

static char text[4096];

static void
parse(struct users *users, const char *file, struct buf *problems)
{
	size_t n = strlen(file);

	assert_true(n < sizeof text);
	memcpy(text, file, n);
	buf_init(problems, 4096);
	users_parse(users, text, n, "users", problems);
}

static void
a_line_has_the_fields_of_passwd(void **state)
{
	const struct user *user;
	struct users users;
	struct buf problems;

	(void)state;
	parse(&users,
	    "# those of example.test\n"
	    "\n"
	    "Baru@Example.test:{SHA512-CRYPT}" HASH ":1000:100:Orang Baru:/home/baru:/bin/sh:nopassword=y "
	    "userdb_mail=maildir:~/Mail\n"
	    "lama:" HASH "\r\n"
	    "x:" HASH "::::/h",
	    &problems);
	assert_str(buf_str(&problems), STR(""));
	assert_int_equal(users.n, 3);
	user = users_find(&users, STR("bARU@example.TEST"));
	assert_non_null(user);
	assert_str(user->name, STR("baru@example.test"));
	assert_str(user->password, STR("{SHA512-CRYPT}" HASH));
	assert_int_equal(user->uid, 1000);
	assert_int_equal(user->gid, 100);
	assert_str(user->home, STR("/home/baru"));
	assert_str(user->mail, STR("~/Mail"));
	assert_int_equal(user->line, 3);
	user = users_find(&users, STR("lama"));
	assert_non_null(user);
	assert_str(user->password, STR(HASH));
	assert_int_equal(user->uid, 0);
	assert_str(user->home, STR(""));
	assert_str(users_find(&users, STR("x"))->home, STR("/h"));
	assert_null(users_find(&users, STR("nobody")));
	assert_null(users_find(&users, STR("")));
	users_clear(&users);
	buf_clear(&problems);
}

static void
a_wrong_line_is_reported_and_left_out(void **state)
{
	static const struct {
		const char *line;
		const char *problem;
	} rows[] = {
	    {"a/b:" HASH, "users:1: not fit for the name of an account: \"a/b\"\n"},
	    {":" HASH, "users:1: not fit for the name of an account:\n"},
	    {"baru", "users:1: no password field for \"baru\"\n"},
	    {"baru:{PLAIN}x", "users:1: an unknown password scheme or malformed hash for \"baru\"\n"},
	    {"baru:" HASH ":0", "users:1: not a uid or gid (1 to 4294967294) \"0\"\n"},
	    {"baru:" HASH ":-5", "users:1: not a uid or gid (1 to 4294967294) \"-5\"\n"},
	    {"baru:" HASH ":1:4294967295", "users:1: not a uid or gid (1 to 4294967294) \"4294967295\"\n"},
	    {"baru:" HASH ":1:1::home", "users:1: not an absolute path: \"home\"\n"},
	    {"baru:" HASH "::::::scram-sha-1=4096,QSXCR+Q6sek8bf92,x,y",
		"users:1: malformed keys of SCRAM-SHA-1 for \"baru\"\n"},
	    {"baru:" HASH ":::::: userdb_mail=mbox:~/m", "users:1: not the path of a Maildir \"mbox:~/m\"\n"},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		char file[200];
		struct users users;
		struct buf problems;

		(void)snprintf(file, sizeof file, "%s\nlama:" HASH "\n", rows[i].line);
		parse(&users, file, &problems);
		assert_str(buf_str(&problems), str_from(rows[i].problem));
		assert_int_equal(users.n, 1);
		assert_non_null(users_find(&users, STR("lama")));
		users_clear(&users);
		buf_clear(&problems);
	}
}

#define KEYS_256 \
	"{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=," \
	"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define KEYS_1 "4096,QSXCR+Q6sek8bf92,6dlGYMOdZcOPutkcNY8U2g7vK9Y=,D+CSWLOshSulAsxiupA+qs2/fTE="

static void
it_is_known_who_can_use_scram(void **state)
{
	struct scram_keys keys;
	struct users users;
	struct buf problems;

	(void)state;
	parse(&users,
	    "a:" KEYS_256 "\nb:" KEYS_256 "::::::scram-sha-1=" KEYS_1 "\nc:{SCRAM-SHA-1}" KEYS_1 "\nd:" HASH "\n"
	    "e:\nf:!" KEYS_256 "::::::scram-sha-1=" KEYS_1 "\n",
	    &problems);
	assert_str(buf_str(&problems), STR(""));
	assert_int_equal(users.nopen, 4);
	assert_int_equal(users.nkeys[SCRAM_SHA_256], 2);
	assert_int_equal(users.nkeys[SCRAM_SHA_1], 2);
	assert_true(user_keys(users_find(&users, STR("b")), SCRAM_SHA_1, &keys));
	assert_int_equal(keys.salt_bytes, 12);
	assert_false(user_keys(users_find(&users, STR("a")), SCRAM_SHA_1, &keys));
	assert_false(user_keys(users_find(&users, STR("e")), SCRAM_SHA_256, &keys));
	assert_false(user_keys(users_find(&users, STR("f")), SCRAM_SHA_1, &keys));
	users_clear(&users);
	buf_clear(&problems);
}

static void
of_two_lines_for_a_name_the_first_holds(void **state)
{
	struct users users;
	struct buf problems;

	(void)state;
	parse(&users, "b:" HASH "\na:" HASH ":5:5\nA:" HASH ":6:6\n", &problems);
	assert_str(buf_str(&problems), STR("users:3: a second line for \"a\"\n"));
	assert_int_equal(users_find(&users, STR("a"))->uid, 5);
	users_clear(&users);
	buf_clear(&problems);
}

static void
many_users_are_all_found(void **state)
{
	static char many[100000];
	struct users users;
	struct buf problems;
	char name[20];
	size_t n = 0;

	(void)state;
	for (int i = 0; i < 2000; i++)
		n += (size_t)snprintf(many + n, sizeof many - n, "u%d@x:" HASH "\n", i * 7919 % 2000);
	buf_init(&problems, 100);
	users_parse(&users, many, n, "users", &problems);
	assert_int_equal(users.n, 2000);
	for (int i = 0; i < 2000; i++) {
		(void)snprintf(name, sizeof name, "u%d@x", i);
		assert_non_null(users_find(&users, str_from(name)));
	}
	assert_null(users_find(&users, STR("u2000@x")));
	users_clear(&users);
	buf_clear(&problems);
}

static void
editing_leaves_all_other_lines_as_they_are(void **state)
{
	static const struct {
		struct str text;
		enum users_change change;
		struct str name, value;
		bool good;
		struct str result;
	} rows[] = {
	    {STR(""), USERS_ADD, STR("a"), STR("a:h"), true, STR("a:h\n")},
	    {STR("# c\n\nb:h::"), USERS_ADD, STR("a"), STR("a:h"), true, STR("# c\n\nb:h::\na:h\n")},
	    {STR("A:h\n"), USERS_ADD, STR("a"), STR("a:h"), false, STR("")},
	    {STR("#a:h\n"), USERS_ADD, STR("a"), STR("a:h"), true, STR("#a:h\na:h\n")},
	    {STR("ab:h\n"), USERS_ADD, STR("a"), STR("a:h"), true, STR("ab:h\na:h\n")},
	    {STR("a:h:1:2:x\nb:i\n"), USERS_PASSWD, STR("A"), STR("new"), true, STR("a:new:1:2:x\nb:i\n")},
	    {STR("a:h\nb:i\n"), USERS_PASSWD, STR("b"), STR("new"), true, STR("a:h\nb:new\n")},
	    {STR("a:h\n"), USERS_PASSWD, STR("b"), STR("new"), false, STR("")},
	    {STR("a\n"), USERS_PASSWD, STR("a"), STR("new"), true, STR("a:new\n")},
	    {STR("a:h\n"), USERS_PASSWD, STR("a"), STR("new scram-sha-1=k"), true, STR("a:new::::::scram-sha-1=k\n")},
	    {STR("a:h:1:2:x:/h:s:p=1 scram-sha-1=old q=2\n"), USERS_PASSWD, STR("a"), STR("new"), true,
	        STR("a:new:1:2:x:/h:s:p=1 q=2\n")},
	    {STR("a:h:1:2:x:/h:s:scram-sha-1=old p=1:2\n"), USERS_PASSWD, STR("a"), STR("new scram-sha-1=k"), true,
	        STR("a:new:1:2:x:/h:s:p=1:2 scram-sha-1=k\n")},
	    {STR("x:1\na:h\n# a\ny:2"), USERS_DELETE, STR("a"), STR_NONE, true, STR("x:1\n# a\ny:2\n")},
	    {STR("x:1\n"), USERS_DELETE, STR("a"), STR_NONE, false, STR("")},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct err err;
		struct buf out;

		buf_init(&out, 1000);
		assert_int_equal(users_edit(rows[i].text, rows[i].change, rows[i].name, rows[i].value, &out, &err),
		    rows[i].good);
		if (rows[i].good)
			assert_str(buf_str(&out), rows[i].result);
		else
			assert_int_equal(err.class, ERR_PERM);
		buf_clear(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_line_has_the_fields_of_passwd),
	    cmocka_unit_test(a_wrong_line_is_reported_and_left_out),
	    cmocka_unit_test(it_is_known_who_can_use_scram),
	    cmocka_unit_test(of_two_lines_for_a_name_the_first_holds),
	    cmocka_unit_test(many_users_are_all_found),
	    cmocka_unit_test(editing_leaves_all_other_lines_as_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
