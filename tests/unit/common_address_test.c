#include "tests/unit/rows.h"

#include "common/smtp/address.h"

#define LABEL_63 "a23456789012345678901234567890123456789012345678901234567890123"

static const struct {
	struct str in;
	unsigned may;
	bool good;
	enum address_kind kind;
	struct str text, local, domain, rest;
} paths[] = {
    {STR("<baru@example.test>"), 0, true, ADDRESS_DOMAIN, STR("baru@example.test"), STR("baru"), STR("example.test"), STR("")},
    {STR("<Baru@Example.TEST> SIZE=1"), 0, true, ADDRESS_DOMAIN, STR("Baru@example.test"), STR("Baru"), STR("example.test"),
        STR(" SIZE=1")},
    {STR("<>"), ADDRESS_MAY_BE_NULL, true, ADDRESS_NULL, STR(""), STR(""), STR(""), STR("")},
    {STR("<>"), 0, false, 0, STR(""), STR(""), STR(""), STR("")},
    {STR("<Postmaster>"), ADDRESS_MAY_LACK_DOMAIN, true, ADDRESS_LOCAL, STR("Postmaster"), STR("Postmaster"), STR(""), STR("")},
    {STR("<Postmaster>"), 0, false, 0, STR(""), STR(""), STR(""), STR("")},
    {STR("<\"a b\"@x.test>"), 0, true, ADDRESS_DOMAIN, STR("\"a b\"@x.test"), STR("a b"), STR("x.test"), STR("")},
    {STR("<\"a\\\"\\\\\"@x.test>"), 0, true, ADDRESS_DOMAIN, STR("\"a\\\"\\\\\"@x.test"), STR("a\"\\"), STR("x.test"), STR("")},
    {STR("<\"ba\\ru\"@x.test>"), 0, true, ADDRESS_DOMAIN, STR("baru@x.test"), STR("baru"), STR("x.test"), STR("")},
    {STR("<\"a@b>c\"@x.test>"), 0, true, ADDRESS_DOMAIN, STR("\"a@b>c\"@x.test"), STR("a@b>c"), STR("x.test"), STR("")},
    {STR("<a..b.@x.test>"), 0, true, ADDRESS_DOMAIN, STR("\"a..b.\"@x.test"), STR("a..b."), STR("x.test"), STR("")},
    {STR("<a!#$%&'*+-/=?^_`{|}~@x.test>"), 0, true, ADDRESS_DOMAIN, STR("a!#$%&'*+-/=?^_`{|}~@x.test"),
        STR("a!#$%&'*+-/=?^_`{|}~"), STR("x.test"), STR("")},
    {STR("<@a.test,@b.test:c@d.test>"), 0, true, ADDRESS_DOMAIN, STR("c@d.test"), STR("c"), STR("d.test"), STR("")},
    {STR("<@[127.0.0.1]:c@d.test>"), 0, true, ADDRESS_DOMAIN, STR("c@d.test"), STR("c"), STR("d.test"), STR("")},
    {STR("<a%b.test@c.test>"), 0, true, ADDRESS_DOMAIN, STR("a%b.test@c.test"), STR("a%b.test"), STR("c.test"), STR("")},
    {STR("<a@[127.0.0.1]>"), 0, true, ADDRESS_LITERAL_V4, STR("a@[127.0.0.1]"), STR("a"), STR("[127.0.0.1]"), STR("")},
    {STR("<a@[ipv6:2001:DB8:0:0:0:0:0:1]>"), 0, true, ADDRESS_LITERAL_V6, STR("a@[IPv6:2001:db8::1]"), STR("a"),
        STR("[IPv6:2001:db8::1]"), STR("")},
    {STR("<a@[IPv6:::ffff:1.2.3.4]>"), 0, true, ADDRESS_LITERAL_V6, STR("a@[IPv6:::ffff:1.2.3.4]"), STR("a"),
        STR("[IPv6:::ffff:1.2.3.4]"), STR("")},
    {STR("<a@x_y.test>"), 0, true, ADDRESS_DOMAIN, STR("a@x_y.test"), STR("a"), STR("x_y.test"), STR("")},
    {STR("<a@localhost>"), 0, true, ADDRESS_DOMAIN, STR("a@localhost"), STR("a"), STR("localhost"), STR("")},
    {STR("<a@" LABEL_63 ".test>"), 0, true, ADDRESS_DOMAIN, STR("a@" LABEL_63 ".test"), STR("a"), STR(LABEL_63 ".test"), STR("")},
    {STR("<a@" LABEL_63 "x.test>"), 0, false, 0, STR(""), STR(""), STR(""), STR("")},
    {STR("<\xc3\xa9@x.test>"), ADDRESS_MAY_BE_UTF8, true, ADDRESS_DOMAIN, STR("\xc3\xa9@x.test"), STR("\xc3\xa9"),
        STR("x.test"), STR("")},
    {STR("<a@\xc3\xa9.test>"), ADDRESS_MAY_BE_UTF8, true, ADDRESS_DOMAIN, STR("a@\xc3\xa9.test"), STR("a"),
        STR("\xc3\xa9.test"), STR("")},
    {STR("<\xc3\xa9@x.test>"), 0, false, 0, STR(""), STR(""), STR(""), STR("")},
    {STR("<a@\xc3\xa9.test>"), 0, false, 0, STR(""), STR(""), STR(""), STR("")},
    {STR("<\xc3@x.test>"), ADDRESS_MAY_BE_UTF8, false, 0, STR(""), STR(""), STR(""), STR("")},
    {STR("<a@1.2.3.4>"), 0, false, 0, STR(""), STR(""), STR(""), STR("")},
    {STR("<a@x.test.>"), 0, false, 0, STR(""), STR(""), STR(""), STR("")},
    {STR("<a@.x.test>"), 0, false, 0, STR(""), STR(""), STR(""), STR("")},
    {STR("<a@-x.test>"), 0, false, 0, STR(""), STR(""), STR(""), STR("")},
    {STR("<a@x.test-.test>"), 0, false, 0, STR(""), STR(""), STR(""), STR("")},
    {STR("<a@x..test>"), 0, false, 0, STR(""), STR(""), STR(""), STR("")},
    {STR("<a@x test>"), 0, false, 0, STR(""), STR(""), STR(""), STR("")},
    {STR("<a@x\0.test>"), 0, false, 0, STR(""), STR(""), STR(""), STR("")},
    {STR("<a@>"), ADDRESS_MAY_LACK_DOMAIN, false, 0, STR(""), STR(""), STR(""), STR("")},
    {STR("<@x.test>"), ADDRESS_MAY_LACK_DOMAIN, false, 0, STR(""), STR(""), STR(""), STR("")},
    {STR("<\"\"@x.test>"), 0, false, 0, STR(""), STR(""), STR(""), STR("")},
    {STR("<\"a@x.test>"), 0, false, 0, STR(""), STR(""), STR(""), STR("")},
    {STR("<\"a\\"), 0, false, 0, STR(""), STR(""), STR(""), STR("")},
    {STR("<\"a\"b@x.test>"), 0, false, 0, STR(""), STR(""), STR(""), STR("")},
    {STR("<\"a\x01\"@x.test>"), 0, false, 0, STR(""), STR(""), STR(""), STR("")},
    {STR("<a b@x.test>"), 0, false, 0, STR(""), STR(""), STR(""), STR("")},
    {STR("<a@b@c.test>"), 0, false, 0, STR(""), STR(""), STR(""), STR("")},
    {STR("<a@x.test"), 0, false, 0, STR(""), STR(""), STR(""), STR("")},
    {STR("<a@x.test> "), 0, true, ADDRESS_DOMAIN, STR("a@x.test"), STR("a"), STR("x.test"), STR(" ")},
    {STR("a@x.test"), 0, false, 0, STR(""), STR(""), STR(""), STR("")},
    {STR("< a@x.test>"), 0, false, 0, STR(""), STR(""), STR(""), STR("")},
    {STR("<a@[127.0.0]>"), 0, false, 0, STR(""), STR(""), STR(""), STR("")},
    {STR("<a@[127.0.0.1>"), 0, false, 0, STR(""), STR(""), STR(""), STR("")},
    {STR("<a@[::1]>"), 0, false, 0, STR(""), STR(""), STR(""), STR("")},
    {STR("<a@[IPv6:]>"), 0, false, 0, STR(""), STR(""), STR(""), STR("")},
    {STR("<a@[]>"), 0, false, 0, STR(""), STR(""), STR(""), STR("")},
    {STR("<@a.test:b.test:c@d.test>"), 0, false, 0, STR(""), STR(""), STR(""), STR("")},
    {STR("<@a.test,b.test:c@d.test>"), 0, false, 0, STR(""), STR(""), STR(""), STR("")},
    {STR(""), 0, false, 0, STR(""), STR(""), STR(""), STR("")},
};

static void
paths_are_read_into_their_one_form(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(paths); i++) {
		struct address address = {.text = STR(""), .local = STR(""), .domain = STR("")};
		struct str rest = paths[i].in;
		struct arena a;

		arena_init(&a, 4096);
		if (address_path_parse(&a, &rest, paths[i].may, &address) != paths[i].good)
			fail_msg("%.*s", STR_FMT(paths[i].in));
		if (paths[i].good) {
			assert_int_equal(address.kind, paths[i].kind);
			assert_str(address.text, paths[i].text);
			assert_str(address.local, paths[i].local);
			assert_str(address.domain, paths[i].domain);
			assert_str(rest, paths[i].rest);
		} else {
			assert_str(rest, paths[i].in);
			assert_false(a.failed);
		}
		arena_clear(&a);
	}
}

static void
a_path_that_is_cut_anywhere_is_malformed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(paths); i++) {
		size_t whole = paths[i].in.n - paths[i].rest.n;

		for (size_t cut = 0; cut < whole; cut++) {
			char *copy = malloc(cut + 1); /* so that a sanitizer sees a byte read too much */
			struct str rest = {memcpy(copy, paths[i].in.p, cut), cut};
			struct address address;
			struct arena a;

			arena_init(&a, 4096);
			assert_false(address_path_parse(&a, &rest, paths[i].may, &address));
			arena_clear(&a);
			free(copy);
		}
	}
}

static void
the_form_of_an_address_is_read_as_the_same_address(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(paths); i++) {
		struct address address, again;
		struct arena a;

		if (!paths[i].good || paths[i].kind == ADDRESS_NULL)
			continue;
		arena_init(&a, 4096);
		assert_true(address_parse(&a, paths[i].text, paths[i].may, &address));
		assert_str(address.text, paths[i].text);
		assert_true(address_make(&a, address.local, address.domain, paths[i].may, &again));
		assert_str(again.text, paths[i].text);
		arena_clear(&a);
	}
}

static void
addresses_without_brackets_are_all_of_the_text(void **state)
{
	static const struct {
		struct str in;
		bool good;
	} rows[] = {
	    {STR("a@b.test"), true},
	    {STR("\"a b\"@[127.0.0.1]"), true},
	    {STR("a@b.test "), false},
	    {STR("a@b.test>"), false},
	    {STR("a@b.test,c@d.test"), false},
	    {STR(" a@b.test"), false},
	    {STR("@b.test"), false},
	    {STR("a"), false},
	    {STR(""), false},
	};
	struct address address;
	struct arena a;

	(void)state;
	arena_init(&a, 65536);
	for (size_t i = 0; i < ROWS(rows); i++)
		assert_int_equal(address_parse(&a, rows[i].in, 0, &address), rows[i].good);
	arena_clear(&a);
}

static void
too_long_parts_are_refused(void **state)
{
	char text[2 + ADDRESS_LOCAL_MAX + 1 + ADDRESS_DOMAIN_MAX + 10];
	struct address address;
	struct arena a;

	(void)state;
	arena_init(&a, 65536);
	for (size_t n = ADDRESS_LOCAL_MAX - 1; n <= ADDRESS_LOCAL_MAX + 1; n++) {
		memset(text, 'a', n);
		memcpy(text + n, "@b.test", 7);
		assert_int_equal(address_parse(&a, (struct str){text, n + 7}, 0, &address), n <= ADDRESS_LOCAL_MAX);
		memset(text + 1, '"', 2 * n);
		for (size_t i = 0; i < n && n < ADDRESS_LOCAL_MAX; i++)
			text[1 + 2 * i] = '\\';
		if (n < ADDRESS_LOCAL_MAX) {
			text[0] = '"';
			memcpy(text + 1 + 2 * n, "\"@b.test", 8);
			assert_true(address_parse(&a, (struct str){text, 9 + 2 * n}, 0, &address));
			assert_int_equal(address.local.n, n);
		}
	}
	for (size_t n = ADDRESS_DOMAIN_MAX - 1; n <= ADDRESS_DOMAIN_MAX + 1; n++) {
		memcpy(text, "a@", 2);
		for (size_t i = 0; i < n; i++)
			text[2 + i] = i % 50 == 49 && i + 1 < n ? '.' : 'b';
		assert_int_equal(address_parse(&a, (struct str){text, n + 2}, 0, &address), n <= ADDRESS_DOMAIN_MAX);
	}
	arena_clear(&a);
}

static void
an_arena_that_is_full_shows(void **state)
{
	(void)state;
	for (size_t max = 0; max <= 4 * sizeof(max_align_t); max += sizeof(max_align_t)) {
		struct str rest = STR("<\"a b\"@x.test>");
		struct address address;
		struct arena a;
		bool good;

		arena_init(&a, max);
		good = address_path_parse(&a, &rest, 0, &address);
		assert_int_equal(good, !a.failed);
		assert_int_equal(good, max >= 2 * sizeof(max_align_t));
		arena_clear(&a);
	}
}

static void
sub_addresses_are_split_at_the_first_delimiter(void **state)
{
	static const struct {
		struct str in;
		char delimiter;
		struct str account, detail;
		bool has_detail;
	} rows[] = {
	    {STR("lama@x.test"), '+', STR("lama"), STR(""), false},
	    {STR("lama+milis@x.test"), '+', STR("lama"), STR("milis"), true},
	    {STR("lama+a+b@x.test"), '+', STR("lama"), STR("a+b"), true},
	    {STR("lama+@x.test"), '+', STR("lama"), STR(""), true},
	    {STR("+lama@x.test"), '+', STR("+lama"), STR(""), false},
	    {STR("lama+milis@x.test"), '-', STR("lama+milis"), STR(""), false},
	    {STR("lama+milis@x.test"), '\0', STR("lama+milis"), STR(""), false},
	    {STR("\"la ma+x y\"@x.test"), '+', STR("la ma"), STR("x y"), true},
	};
	struct address address;
	struct arena a;

	(void)state;
	arena_init(&a, 65536);
	for (size_t i = 0; i < ROWS(rows); i++) {
		assert_true(address_parse(&a, rows[i].in, 0, &address));
		assert_str(address_account(&address, rows[i].delimiter), rows[i].account);
		assert_str(address_detail(&address, rows[i].delimiter), rows[i].detail);
		assert_int_equal(address_detail(&address, rows[i].delimiter).p != NULL, rows[i].has_detail);
	}
	arena_clear(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(paths_are_read_into_their_one_form),
	    cmocka_unit_test(a_path_that_is_cut_anywhere_is_malformed),
	    cmocka_unit_test(the_form_of_an_address_is_read_as_the_same_address),
	    cmocka_unit_test(addresses_without_brackets_are_all_of_the_text),
	    cmocka_unit_test(too_long_parts_are_refused),
	    cmocka_unit_test(an_arena_that_is_full_shows),
	    cmocka_unit_test(sub_addresses_are_split_at_the_first_delimiter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
