#include "tests/unit/rows.h"

#include "common/login/account.h"

#define GOOD "user=baru\tuid=1000\tgid=1000\thome=/home/baru\tmail=/home/baru/Maildir"

static void
names_that_could_be_a_path_or_forge_a_line_are_refused(void **state)
{
	static const struct {
		struct str name;
		bool good;
	} rows[] = {
	    {STR("baru"), true},
	    {STR("baru@example.test"), true},
	    {STR("_x"), true},
	    {STR("a.b-c+d=e"), true},
	    {STR("9"), true},
	    {STR("b\xc3\xa4ru"), true},
	    {STR(""), false},
	    {STR("."), false},
	    {STR(".."), false},
	    {STR(".baru"), false},
	    {STR("-x"), false},
	    {STR("@x"), false},
	    {STR("x@"), false},
	    {STR("x@.y"), false},
	    {STR("x@y@z"), false},
	    {STR("a/b"), false},
	    {STR("a b"), false},
	    {STR("a:b"), false},
	    {STR("a%b"), false},
	    {STR("a\tb"), false},
	    {STR("a\nb"), false},
	    {STR("a\0b"), false},
	    {STR("a\"b"), false},
	    {STR("a\\b"), false},
	    {STR("a\x7f"), false},
	};
	char longest[ACCOUNT_NAME_MAX + 1];

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		assert_int_equal(account_name_is_good(rows[i].name), rows[i].good);
	memset(longest, 'a', sizeof longest);
	assert_true(account_name_is_good((struct str){longest, ACCOUNT_NAME_MAX}));
	assert_false(account_name_is_good((struct str){longest, ACCOUNT_NAME_MAX + 1}));
}

static void
lines_with_a_field_missing_doubled_or_wrong_are_refused(void **state)
{
	static const struct {
		struct str line;
		bool good;
	} rows[] = {
	    {STR(GOOD), true},
	    {STR(GOOD "\tquota=5"), true},
	    {STR("mail=/m\thome=/h\tgid=1\tuid=2\tuser=x"), true},
	    {STR(""), false},
	    {STR("uid=1000\tgid=1000\thome=/home/baru\tmail=/m"), false},
	    {STR("user=baru\tgid=1000\thome=/home/baru\tmail=/m"), false},
	    {STR("user=baru\tuid=1000\thome=/home/baru\tmail=/m"), false},
	    {STR("user=baru\tuid=1000\tgid=1000\tmail=/m"), false},
	    {STR("user=baru\tuid=1000\tgid=1000\thome=/h"), false},
	    {STR(GOOD "\tuid=0"), false},
	    {STR(GOOD "\tuser=lama"), false},
	    {STR("user=baru\tuid=0\tgid=1\thome=/h\tmail=/m"), false},
	    {STR("user=baru\tuid=1\tgid=0\thome=/h\tmail=/m"), false},
	    {STR("user=baru\tuid=4294967295\tgid=1\thome=/h\tmail=/m"), false},
	    {STR("user=baru\tuid=4294967296\tgid=1\thome=/h\tmail=/m"), false},
	    {STR("user=baru\tuid=-1\tgid=1\thome=/h\tmail=/m"), false},
	    {STR("user=../x\tuid=1\tgid=1\thome=/h\tmail=/m"), false},
	    {STR("user=baru\tuid=1\tgid=1\thome=h\tmail=/m"), false},
	    {STR("user=baru\tuid=1\tgid=1\thome=/h\tmail="), false},
	    {STR("user=baru\tuid=1\tgid=1\thome=/h/../etc\tmail=/m"), false},
	    {STR("user=baru\tuid=1\tgid=1\thome=/h\tmail=/.."), false},
	    {STR("user=baru\tuid=1\tgid=1\thome=/h\tmail=/m\nx"), false},
	};
	struct account account;

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		assert_int_equal(account_parse(&account, rows[i].line), rows[i].good);
}

static void
what_is_formatted_is_read_again(void **state)
{
	struct account account, again;
	struct buf b;

	(void)state;
	assert_true(account_parse(&account, STR(GOOD)));
	buf_init(&b, 1000);
	account_format(&b, &account);
	assert_str(buf_str(&b), STR(GOOD));
	assert_true(account_parse(&again, buf_str(&b)));
	assert_memory_equal(&account, &again, sizeof account);
	buf_clear(&b);
}

static void
no_cut_line_is_taken_for_a_whole_one(void **state)
{
	struct str good = STR(GOOD);
	struct account account;

	(void)state;
	for (size_t n = 0; n < good.n - sizeof "/home/baru/Maildir" + 2; n++)
		assert_false(account_parse(&account, str_sub(good, 0, n)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_that_could_be_a_path_or_forge_a_line_are_refused),
	    cmocka_unit_test(lines_with_a_field_missing_doubled_or_wrong_are_refused),
	    cmocka_unit_test(what_is_formatted_is_read_again),
	    cmocka_unit_test(no_cut_line_is_taken_for_a_whole_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
