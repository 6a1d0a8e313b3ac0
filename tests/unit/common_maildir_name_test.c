#include "tests/unit/rows.h"

#include "common/store/maildir_name.h"

#define NONE (UINT64_MAX - 1)

static const struct {
	const char *name;
	const char *base; /* NULL: refused */
	uint64_t size, wire_size;
	uint32_t uid;
	const char *tag;
	unsigned flags;
	uint32_t keywords;
	uint32_t mbsync_uid;
} rows[] = {
    {"1.M2P3.host", "1.M2P3.host", NONE, NONE, 0, "", 0, 0, 0},
    {"1.a.h,S=12,W=13,u=7.Ab3d", "1.a.h,S=12,W=13,u=7.Ab3d", 12, 13, 7, "Ab3d", 0, 0, 0},
    {"1.a.h,S=12,W=13,u=7.Ab3d:2,FSac", "1.a.h,S=12,W=13,u=7.Ab3d", 12, 13, 7, "Ab3d", MAILDIR_FLAGGED | MAILDIR_SEEN,
	5, 0},
    {"1.a.h:2,DFPRST", "1.a.h", NONE, NONE, 0, "", 63, 0, 0},
    {"1.a.h:2,", "1.a.h", NONE, NONE, 0, "", 0, 0, 0},
    {"1.a.h:1,S", "1.a.h", NONE, NONE, 0, "", 0, 0, 0},
    {"1.a.h:2,SS9Xz:2,F", "1.a.h", NONE, NONE, 0, "", MAILDIR_SEEN | MAILDIR_FLAGGED, 1u << 25, 0},
    {"1.a.h,U=99:2,S", "1.a.h,U=99", NONE, NONE, 0, "", MAILDIR_SEEN, 0, 99},
    {"1.a.h,S=1,S=1", "1.a.h,S=1,S=1", NONE, NONE, 0, "", 0, 0, 0},
    {"1.a.h,S=", "1.a.h,S=", NONE, NONE, 0, "", 0, 0, 0},
    {"1.a.h,S=-1,W=+1", "1.a.h,S=-1,W=+1", NONE, NONE, 0, "", 0, 0, 0},
    {"1.a.h,S=18446744073709551615", "1.a.h,S=18446744073709551615", UINT64_MAX, NONE, 0, "", 0, 0, 0},
    {"1.a.h,S=18446744073709551616", "1.a.h,S=18446744073709551616", NONE, NONE, 0, "", 0, 0, 0},
    {"1.a.h,u=0.abcd", "1.a.h,u=0.abcd", NONE, NONE, 0, "", 0, 0, 0},
    {"1.a.h,u=4294967295.abcd", "1.a.h,u=4294967295.abcd", NONE, NONE, UINT32_MAX, "abcd", 0, 0, 0},
    {"1.a.h,u=4294967296.abcd", "1.a.h,u=4294967296.abcd", NONE, NONE, 0, "", 0, 0, 0},
    {"1.a.h,u=5.abc", "1.a.h,u=5.abc", NONE, NONE, 0, "", 0, 0, 0},
    {"1.a.h,u=5.abcde", "1.a.h,u=5.abcde", NONE, NONE, 0, "", 0, 0, 0},
    {"1.a.h,u=5.ab-d", "1.a.h,u=5.ab-d", NONE, NONE, 0, "", 0, 0, 0},
    {"1.a.h,u=5", "1.a.h,u=5", NONE, NONE, 0, "", 0, 0, 0},
    {"1.a.h,u=5.abcd,u=6.abcd", "1.a.h,u=5.abcd,u=6.abcd", NONE, NONE, 0, "", 0, 0, 0},
    {",S=5", ",S=5", 5, NONE, 0, "", 0, 0, 0},
    {"S=5", "S=5", NONE, NONE, 0, "", 0, 0, 0},
    {"", NULL, 0, 0, 0, NULL, 0, 0, 0},
    {":2,S", NULL, 0, 0, 0, NULL, 0, 0, 0},
    {".hidden", NULL, 0, 0, 0, NULL, 0, 0, 0},
    {"a/b", NULL, 0, 0, 0, NULL, 0, 0, 0},
};

static void
names_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct maildir_name n;
		bool ok = maildir_name_parse(&n, str_from(rows[i].name));

		if (ok != (rows[i].base != NULL))
			fail_msg("%s: %s", rows[i].name, ok ? "accepted" : "refused");
		if (!ok)
			continue;
		assert_str(n.base, str_from(rows[i].base));
		assert_int_equal(n.has_wire_size, rows[i].wire_size != NONE);
		assert_int_equal(n.has_size, rows[i].size != NONE);
		assert_true(n.size == (n.has_size ? rows[i].size : 0));
		assert_true(n.wire_size == (n.has_wire_size ? rows[i].wire_size : 0));
		assert_int_equal(n.uid, rows[i].uid);
		assert_string_equal(n.tag, rows[i].tag);
		assert_int_equal(n.flags, rows[i].flags);
		assert_int_equal(n.keywords, rows[i].keywords);
		assert_int_equal(n.mbsync_uid, rows[i].mbsync_uid);
	}
}

static void
a_name_cut_anywhere_is_never_read_past(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		size_t n = strlen(rows[i].name);

		for (size_t cut = 0; cut <= n; cut++) {
			char *copy = malloc(cut + 1);
			struct maildir_name name;

			memcpy(copy, rows[i].name, cut);
			(void)maildir_name_parse(&name, (struct str){copy, cut});
			free(copy);
		}
	}
}

static void
long_names_and_nul_are_refused(void **state)
{
	char text[MAILDIR_NAME_MAX + 1];
	struct maildir_name n;

	(void)state;
	memset(text, 'a', sizeof text);
	assert_true(maildir_name_parse(&n, (struct str){text, MAILDIR_NAME_MAX}));
	assert_false(maildir_name_parse(&n, (struct str){text, MAILDIR_NAME_MAX + 1}));
	assert_false(maildir_name_parse(&n, (struct str){"a\0b", 3}));
}

static void
names_are_made(void **state)
{
	struct maildir_unique unique = {.seconds = 1764000000,
	    .microseconds = 42,
	    .pid = 7,
	    .counter = 3,
	    .random = 0xabc,
	    .host = STR("mail.example/a,b:c")};
	struct buf name;
	struct maildir_name n;

	(void)state;
	buf_init(&name, 4096);
	maildir_name_unique(&name, &unique);
	assert_str(buf_str(&name), STR("1764000000.M000042P7Q3R00000abc.mail.example_a_b_c"));
	buf_reset(&name);
	maildir_name_base(&name, STR("1.a.h"), 10, 12, 5, "abcd");
	assert_str(buf_str(&name), STR("1.a.h,S=10,W=12,u=5.abcd"));
	assert_true(maildir_name_parse(&n, buf_str(&name)));
	assert_int_equal(n.uid, 5);
	buf_reset(&name);
	maildir_name_rebase(&name, STR("1.a.h,S=1,x,u=9.zzzz,W=4,U=3"), 10, 12, 5, "abcd");
	assert_str(buf_str(&name), STR("1.a.h,x,U=3,S=10,W=12,u=5.abcd"));
	buf_clear(&name);
}

static void
letters_are_in_order_and_foreign_ones_stay(void **state)
{
	struct buf name;

	(void)state;
	buf_init(&name, 4096);
	maildir_name_format(&name, STR("b"), MAILDIR_SEEN | MAILDIR_DRAFT, 1u << 1 | 1u << 25, STR("XFAc9"));
	assert_str(buf_str(&name), STR("b:2,ADSXbz"));
	buf_reset(&name);
	maildir_name_format(&name, STR("b"), 0, 0, STR(""));
	assert_str(buf_str(&name), STR("b:2,"));
	buf_clear(&name);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_are_read),
	    cmocka_unit_test(a_name_cut_anywhere_is_never_read_past),
	    cmocka_unit_test(long_names_and_nul_are_refused),
	    cmocka_unit_test(names_are_made),
	    cmocka_unit_test(letters_are_in_order_and_foreign_ones_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
