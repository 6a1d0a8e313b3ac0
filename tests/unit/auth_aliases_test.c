#include "tests/unit/rows.h"

#include "auth/aliases.h"

static const struct {
	const char *what;
	struct str text;
	struct str name, targets; /* targets.p NULL: there is no such alias */
	bool broken;
	struct str problems;
} rows[] = {
    {"plain", STR("root: baru\n"), STR("root"), STR("baru"), false, STR("")},
    {"no newline at the end", STR("root: baru"), STR("root"), STR("baru"), false, STR("")},
    {"any case", STR("Root: Baru\n"), STR("ROOT"), STR("Baru"), false, STR("")},
    {"several", STR("a: b, c@d.test ,e\n"), STR("a"), STR("b,c@d.test,e"), false, STR("")},
    {"empty items", STR("a: b,,c,\n"), STR("a"), STR("b,c"), false, STR("")},
    {"continued", STR("a: b,\n  c,\n\td\nx: y\n"), STR("a"), STR("b,c,d"), false, STR("")},
    {"the line behind a continuation", STR("a: b,\n  c\nx: y\n"), STR("x"), STR("y"), false, STR("")},
    {"comments and empty lines between", STR("# c\na: b,\n# c\n\n  c\n"), STR("a"), STR("b,c"), false, STR("")},
    {"an indented comment", STR("a: b,\n  # c\n  c\n"), STR("a"), STR("b,c"), false, STR("")},
    {"a quoted name", STR("\"a b\": c\n"), STR("a b"), STR_NONE, false,
	STR("aliases:1: not fit for the name of an alias: \"a b\"\n")},
    {"a quoted good name", STR("\"owner-x\": c\n"), STR("owner-x"), STR("c"), false, STR("")},
    {"quoted targets", STR("a: \"b\", \"c\\d\"\n"), STR("a"), STR("b,cd"), false, STR("")},
    {"a backslash in front", STR("root: \\root, baru\n"), STR("root"), STR("root,baru"), false, STR("")},
    {"an address as name", STR("info@Dua.test: baru\n"), STR("info@dua.test"), STR("baru"), false, STR("")},
    {"CRLF", STR("a: b,\r\n  c\r\n"), STR("a"), STR("b,c"), false, STR("")},
    {"a command", STR("a: \"|/bin/x, y\", b\n"), STR("a"), STR(""), true,
	STR("aliases:1: commands and files are not supported as targets: \"|/bin/x, y\"\n")},
    {"a file", STR("a: /var/mail/x\n"), STR("a"), STR(""), true,
	STR("aliases:1: commands and files are not supported as targets: \"/var/mail/x\"\n")},
    {"a list", STR("a: b, :include:/l\n"), STR("a"), STR(""), true,
	STR("aliases:1: lists in files are not supported as targets: \":include:/l\"\n")},
    {"no target", STR("a:\n"), STR("a"), STR(""), true, STR("aliases:1: no target for \"a\"\n")},
    {"not an address", STR("a: b c\n"), STR("a"), STR(""), true, STR("aliases:1: not an address: \"b c\"\n")},
    {"two at signs", STR("a: b@c@d\n"), STR("a"), STR(""), true, STR("aliases:1: not an address: \"b@c@d\"\n")},
    {"an endless quote", STR("a: \"b, c\n"), STR("a"), STR(""), true,
	STR("aliases:1: a quote does not end, or too long a target\n")},
    {"no colon", STR("a b\nx: y\n"), STR("x"), STR("y"), false,
	STR("aliases:1: not of the form `name: target, ...' \"a b\"\n")},
    {"a continuation of nothing", STR("  a: b\nx: y\n"), STR("a"), STR_NONE, false,
	STR("aliases:1: continues nothing: \"a: b\"\n")},
    {"twice", STR("a: b\nA: c\n"), STR("a"), STR("b"), false, STR("aliases:2: a second line for \"a\"\n")},
    {"control bytes", STR("a: b\001c\n"), STR("a"), STR(""), true, STR("aliases:1: not an address: \"b\001c\"\n")},
    {"a NUL in a domain", STR("a: b@c\0d\n"), STR("a"), STR(""), true, STR("aliases:1: not an address: \"b@c\0d\"\n")},
    {"an address literal", STR("a: b@[::1]\n"), STR("a"), STR("b@[::1]"), false, STR("")},
    {"another name", STR("a: b\n"), STR("b"), STR_NONE, false, STR("")},
    {"nothing", STR(""), STR("a"), STR_NONE, false, STR("")},
};

static void
each_form_is_read_or_reported(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct alias *alias;
		struct aliases aliases;
		struct buf problems;

		buf_init(&problems, 4096);
		aliases_parse(&aliases, rows[i].text, "aliases", &problems);
		alias = aliases_find(&aliases, rows[i].name);
		if ((alias != NULL) != (rows[i].targets.p != NULL) || (alias != NULL && alias->broken != rows[i].broken))
			fail_msg("%s", rows[i].what);
		if (alias != NULL)
			assert_str(alias->targets, rows[i].targets);
		assert_str(buf_str(&problems), rows[i].problems);
		aliases_clear(&aliases);
		buf_clear(&problems);
	}
}

static void
a_file_cut_anywhere_is_no_crash(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		for (size_t n = 0; n < rows[i].text.n; n++) {
			struct aliases aliases;
			struct buf problems;

			buf_init(&problems, 4096);
			aliases_parse(&aliases, str_sub(rows[i].text, 0, n), "aliases", &problems);
			aliases_clear(&aliases);
			buf_clear(&problems);
		}
	}
}

static void
mail_for_too_long_an_alias_waits(void **state)
{
	const struct alias *alias;
	struct aliases aliases;
	struct buf text, problems;

	(void)state;
	buf_init(&text, 1000000);
	buf_init(&problems, 4096);
	buf_adds(&text, "many: a@x.test");
	for (int i = 0; i < 9000; i++)
		buf_addf(&text, ",\n  user%d@x.test", i);
	buf_adds(&text, "\nb: c\n");
	aliases_parse(&aliases, buf_str(&text), "aliases", &problems);
	alias = aliases_find(&aliases, STR("many"));
	assert_non_null(alias);
	assert_true(alias->broken);
	assert_str(aliases_find(&aliases, STR("b"))->targets, STR("c"));
	assert_str(buf_str(&problems), STR("aliases:1: too long a line\n"));
	aliases_clear(&aliases);
	buf_clear(&problems);
	buf_clear(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_form_is_read_or_reported),
	    cmocka_unit_test(a_file_cut_anywhere_is_no_crash),
	    cmocka_unit_test(mail_for_too_long_an_alias_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
