#include "tests/unit/rows.h"

#include "common/store/maildir_name.h"
#include "imapd/fetch_item.h"
#include "imapd/parse.h"
#include "imapd/respond.h"
#include "imapd/search_key.h"
#include "imapd/section.h"
#include "imapd/seqset.h"

static struct arena arena;

static struct parse_text
text(struct str s)
{
	arena_reset(&arena);
	return (struct parse_text){.rest = s, .arena = &arena};
}

static void
astrings_are_atoms_quoted_or_literals(void **state)
{
	static const struct {
		struct str in;
		bool good;
		struct str out, rest;
	} rows[] = {
	    {STR("INBOX x"), true, STR("INBOX"), STR(" x")},
	    {STR("a]b+c)"), true, STR("a]b+c"), STR(")")},
	    {STR("\"a b\""), true, STR("a b"), STR("")},
	    {STR("\"\""), true, STR(""), STR("")},
	    {STR("\"a\\\"\\\\b\"x"), true, STR("a\"\\b"), STR("x")},
	    {STR("{3}\r\na\"b rest"), true, STR("a\"b"), STR(" rest")},
	    {STR("{0+}\r\n"), true, STR(""), STR("")},
	    {STR("{4}\r\nabc"), false, STR(""), STR("")},
	    {STR("{3}abc"), false, STR(""), STR("")},
	    {STR("{}\r\n"), false, STR(""), STR("")},
	    {STR("{1}\r\n\0"), false, STR(""), STR("")},
	    {STR("\"a"), false, STR(""), STR("")},
	    {STR("\"a\\"), false, STR(""), STR("")},
	    {STR("\"a\\x\""), false, STR(""), STR("")},
	    {STR("\"a\r\n\""), false, STR(""), STR("")},
	    {STR(""), false, STR(""), STR("")},
	    {STR("(a)"), false, STR(""), STR("")},
	    {STR("*"), false, STR(""), STR("")},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct parse_text t = text(rows[i].in);
		struct str s;

		assert_int_equal(parse_astring(&t, &s), rows[i].good);
		assert_int_equal(t.problem == NULL, rows[i].good);
		if (!rows[i].good)
			continue;
		assert_str(s, rows[i].out);
		assert_str(t.rest, rows[i].rest);
		for (size_t n = 0; n < rows[i].in.n - rows[i].rest.n; n++) {
			t = text(str_sub(rows[i].in, 0, n));
			(void)parse_astring(&t, &s);
		}
	}
}

static void
dates_are_days_and_seconds(void **state)
{
	static const struct {
		struct str in;
		bool good;
		int64_t day;
	} dates[] = {
	    {STR("1-Jan-1970"), true, 0},
	    {STR("\"24-nov-2026\""), true, 20781},
	    {STR("29-Feb-2000"), true, 11016},
	    {STR("29-Feb-1900"), false, 0},
	    {STR("31-Apr-2026"), false, 0},
	    {STR("0-Jan-2026"), false, 0},
	    {STR("1-Foo-2026"), false, 0},
	    {STR("1-Jan-26"), false, 0},
	    {STR("\"1-Jan-2026"), false, 0},
	};
	static const struct {
		struct str in;
		bool good;
		int64_t seconds;
	} times[] = {
	    {STR("\"01-Jan-1970 00:00:00 +0000\""), true, 0},
	    {STR("\" 1-Jan-1970 07:00:01 +0700\""), true, 1},
	    {STR("\"17-Jul-1996 02:44:25 -0700\""), true, 837596665},
	    {STR("\"17-Jul-1996 24:44:25 -0700\""), false, 0},
	    {STR("\"17-Jul-1996 02:44:25 0700\""), false, 0},
	    {STR("\"17-Jul-1996 02:44:25 +0760\""), false, 0},
	    {STR("17-Jul-1996 02:44:25 +0700"), false, 0},
	};
	int64_t n;

	(void)state;
	for (size_t i = 0; i < ROWS(dates); i++) {
		struct parse_text t = text(dates[i].in);

		assert_int_equal(parse_date(&t, &n), dates[i].good);
		if (dates[i].good)
			assert_int_equal(n, dates[i].day);
	}
	for (size_t i = 0; i < ROWS(times); i++) {
		struct parse_text t = text(times[i].in);

		assert_int_equal(parse_date_time(&t, &n), times[i].good);
		if (times[i].good)
			assert_int_equal(n, times[i].seconds);
	}
}

static void
flags_are_a_set_and_keywords(void **state)
{
	struct parse_text t = text(STR("(\\seen $Forwarded \\Deleted NonJunk)"));
	struct parse_flags flags;

	(void)state;
	assert_true(parse_flag_list(&t, &flags));
	assert_int_equal(flags.flags, MAILDIR_SEEN | MAILDIR_TRASHED);
	assert_int_equal(flags.n, 2);
	assert_str(flags.keywords[1], STR("NonJunk"));
	t = text(STR("\\Flagged a"));
	assert_true(parse_flags(&t, &flags));
	assert_int_equal(flags.flags, MAILDIR_FLAGGED);
	assert_int_equal(flags.n, 1);
	t = text(STR("()"));
	assert_true(parse_flags(&t, &flags));
	t = text(STR("(\\Recent)"));
	assert_false(parse_flags(&t, &flags));
	t = text(STR("(\\Seen"));
	assert_false(parse_flags(&t, &flags));
	t = text(STR("(\\Seen )"));
	assert_false(parse_flags(&t, &flags));
}

static void
sets_are_ascending_ranges(void **state)
{
	static const struct {
		struct str in;
		uint32_t largest;
		const char *out; /* NULL: refused */
	} rows[] = {
	    {STR("1"), 10, "1"},
	    {STR("2,4:7,9:*"), 10, "2,4:7,9:10"},
	    {STR("7:4,5,1,*"), 10, "1,4:7,10"},
	    {STR("*:8"), 10, "8:10"},
	    {STR("12:*"), 10, "10:12"},
	    {STR("1:4294967295"), 10, "1:10"},
	    {STR("1:4294967294"), 10, "1:4294967294"},
	    {STR("*"), 0, "0"},
	    {STR("1,2,3"), 10, "1:3"},
	    {STR("0"), 10, NULL},
	    {STR(""), 10, NULL},
	    {STR("1,"), 10, NULL},
	    {STR("1:"), 10, NULL},
	    {STR(":1"), 10, NULL},
	    {STR("4294967296"), 10, NULL},
	};
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct parse_text t = text(rows[i].in);
		struct seqset set;

		assert_int_equal(seqset_parse(&t, &set), rows[i].out != NULL);
		if (rows[i].out == NULL)
			continue;
		seqset_resolve(&set, rows[i].largest);
		buf_reset(&b);
		for (size_t j = 0; j < set.n; j++)
			buf_addf(&b, set.ranges[j].first == set.ranges[j].last ? "%s%u" : "%s%u:%u", j > 0 ? "," : "",
			    set.ranges[j].first, set.ranges[j].last);
		if (set.n == 3 && set.ranges[1].first == 2)
			assert_string_equal(rows[i].out, "1:3"); /* neighbours may stay apart */
		else
			assert_str(buf_str(&b), str_from(rows[i].out));
		assert_true(seqset_contains(&set, set.ranges[0].first));
		assert_true(seqset_contains(&set, seqset_greatest(&set)));
		assert_int_equal(seqset_contains(&set, 5), set.ranges[0].first <= 5 && seqset_greatest(&set) >= 5 &&
			rows[i].in.p[0] != '*' && i != 12);
	}
	buf_clear(&b);
}

static void
numbers_are_written_as_ranges(void **state)
{
	static const uint32_t numbers[] = {1, 2, 3, 7, 9, 10};
	struct seqset_writer w;
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	seqset_writer_init(&w, &b);
	for (size_t i = 0; i < ROWS(numbers); i++)
		seqset_writer_add(&w, numbers[i]);
	seqset_writer_end(&w);
	assert_str(buf_str(&b), STR("1:3,7,9:10"));
	buf_clear(&b);
}

static void
fetch_items_are_taken_apart(void **state)
{
	static const struct {
		struct str in;
		unsigned items;
		const char *sections; /* as their names in the response; NULL: refused */
		bool seen;
	} rows[] = {
	    {STR("ALL"), FETCH_FLAGS | FETCH_INTERNALDATE | FETCH_SIZE | FETCH_ENVELOPE, "", false},
	    {STR("fast"), FETCH_FLAGS | FETCH_INTERNALDATE | FETCH_SIZE, "", false},
	    {STR("FULL"), FETCH_FLAGS | FETCH_INTERNALDATE | FETCH_SIZE | FETCH_ENVELOPE | FETCH_BODY, "", false},
	    {STR("(UID FLAGS)"), FETCH_UID | FETCH_FLAGS, "", false},
	    {STR("BODY"), FETCH_BODY, "", false},
	    {STR("BODYSTRUCTURE"), FETCH_BODYSTRUCTURE, "", false},
	    {STR("BODY[]"), 0, "BODY[]", true},
	    {STR("body.peek[text]"), 0, "BODY[TEXT]", false},
	    {STR("(BODY.PEEK[1.2.MIME] BODY.PEEK[1.2]<3.4>)"), 0, "BODY[1.2.MIME]BODY[1.2]<3>", false},
	    {STR("BODY[HEADER.FIELDS (To \"a b\")]"), 0, "BODY[HEADER.FIELDS (To \"a b\")]", true},
	    {STR("BODY[1.HEADER.FIELDS.NOT (To)]"), 0, "BODY[1.HEADER.FIELDS.NOT (To)]", true},
	    {STR("BODY[HEADER]"), 0, "BODY[HEADER]", true},
	    {STR("(RFC822 RFC822.HEADER RFC822.TEXT RFC822.SIZE)"), FETCH_SIZE, "RFC822RFC822.HEADERRFC822.TEXT", true},
	    {STR("RFC822.HEADER"), 0, "RFC822.HEADER", false},
	    {STR("(ALL)"), 0, NULL, false},
	    {STR("()"), 0, NULL, false},
	    {STR("(UID"), 0, NULL, false},
	    {STR("UIDS"), 0, NULL, false},
	    {STR("BODY["), 0, NULL, false},
	    {STR("BODY[MIME]"), 0, NULL, false},
	    {STR("BODY[0]"), 0, NULL, false},
	    {STR("BODY[1.]"), 0, NULL, false},
	    {STR("BODY[1.FOO]"), 0, NULL, false},
	    {STR("BODY[]<0.0>"), 0, NULL, false},
	    {STR("BODY[]<0>"), 0, NULL, false},
	    {STR("BODY.PEEK"), 0, NULL, false},
	    {STR("BODY[HEADER.FIELDS ()]"), 0, NULL, false},
	    {STR("BODY[HEADER.FIELDS To]"), 0, NULL, false},
	};
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct parse_text t = text(rows[i].in);
		struct fetch_items items;

		assert_int_equal(fetch_items_parse(&t, &items) && parse_end(&t), rows[i].sections != NULL);
		if (rows[i].sections == NULL)
			continue;
		assert_int_equal(items.items, rows[i].items);
		assert_int_equal(fetch_items_set_seen(&items), rows[i].seen);
		buf_reset(&b);
		for (const struct fetch_section *s = items.sections; s != NULL; s = s->next)
			section_write_name(&b, s);
		assert_str(buf_str(&b), str_from(rows[i].sections));
	}
	buf_clear(&b);
}

/* ---- SEARCH ------------------------------------------------------------------------------------------------------ */

static bool
has_keyword(const struct search_facts *facts, struct str keyword)
{
	(void)facts;
	return str_equal_nocase(keyword, STR("known"));
}

static void
search_keys_decide(void **state)
{
	/* Message 3, UID 30, seen and flagged, recent, 1000 octets, of day 1; content keys: no, yes, unknown ... */
	static const struct {
		struct str in;
		int truth; /* -1: refused */
	} rows[] = {
	    {STR("ALL"), SEARCH_YES},
	    {STR("3"), SEARCH_YES},
	    {STR("1:2,4:*"), SEARCH_NO},
	    {STR("*"), SEARCH_NO},
	    {STR("UID 30"), SEARCH_YES},
	    {STR("uid 1:29"), SEARCH_NO},
	    {STR("SEEN FLAGGED"), SEARCH_YES},
	    {STR("SEEN ANSWERED"), SEARCH_NO},
	    {STR("UNSEEN"), SEARCH_NO},
	    {STR("UNANSWERED UNDELETED UNDRAFT"), SEARCH_YES},
	    {STR("UNFLAGGED"), SEARCH_NO},
	    {STR("RECENT"), SEARCH_YES},
	    {STR("NEW"), SEARCH_NO},
	    {STR("OLD"), SEARCH_NO},
	    {STR("KEYWORD known UNKEYWORD other"), SEARCH_YES},
	    {STR("UNKEYWORD known"), SEARCH_NO},
	    {STR("NOT ANSWERED"), SEARCH_YES},
	    {STR("NOT (SEEN FLAGGED)"), SEARCH_NO},
	    {STR("OR ANSWERED SEEN"), SEARCH_YES},
	    {STR("OR ANSWERED (DRAFT SEEN)"), SEARCH_NO},
	    {STR("LARGER 999 SMALLER 1001"), SEARCH_YES},
	    {STR("LARGER 1000"), SEARCH_NO},
	    {STR("SMALLER 1000"), SEARCH_NO},
	    {STR("ON 2-Jan-1970 SINCE 2-Jan-1970 BEFORE 3-Jan-1970"), SEARCH_YES},
	    {STR("BEFORE 2-Jan-1970"), SEARCH_NO},
	    {STR("SUBJECT x"), SEARCH_NO},
	    {STR("NOT FROM \"x y\""), SEARCH_YES},
	    {STR("OR SUBJECT x BODY {1}\r\ny"), SEARCH_YES},
	    {STR("SUBJECT x TEXT y CC z"), SEARCH_NO},
	    {STR("OR SUBJECT x OR TEXT y CC z"), SEARCH_YES},
	    {STR("NOT SUBJECT x TO y CC z"), SEARCH_UNKNOWN},
	    {STR("NOT SUBJECT x HEADER X-A \"\" NOT BCC z"), SEARCH_UNKNOWN},
	    {STR("ANSWERED SENTON 1-Jan-1970"), SEARCH_NO},
	    {STR("CHARSET UTF-8 ALL"), SEARCH_YES},
	    {STR("CHARSET UTF-8"), -1},
	    {STR(""), -1},
	    {STR("()"), -1},
	    {STR("(SEEN"), -1},
	    {STR("OR SEEN"), -1},
	    {STR("NOT"), -1},
	    {STR("FOO"), -1},
	    {STR("SUBJECT"), -1},
	    {STR("ON yesterday"), -1},
	    {STR("SEEN "), -1},
	};
	static const enum search_truth content[] = {SEARCH_NO, SEARCH_YES, SEARCH_UNKNOWN};
	static const struct search_facts facts = {.sequence = 3, .uid = 30, .flags = MAILDIR_SEEN | MAILDIR_FLAGGED,
	    .recent = true, .wire_size = 1000, .has_day = true, .day = 1, .content = content,
	    .has_keyword = has_keyword};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct parse_text t = text(rows[i].in);
		struct search search;

		assert_int_equal(search_parse(&t, &search) && parse_end(&t), rows[i].truth >= 0);
		if (rows[i].truth < 0)
			continue;
		for (struct search_key *key = search.root->first; key != NULL; key = key->next)
			if (key->kind == SEARCH_SEQUENCE || key->kind == SEARCH_UIDS)
				seqset_resolve(&key->set, key->kind == SEARCH_UIDS ? 90 : 9);
		assert_int_equal(search_eval(search.root, &facts), rows[i].truth);
	}
}

static void
search_has_limits(void **state)
{
	struct parse_text t;
	struct search search;
	struct buf b;

	(void)state;
	buf_init(&b, 100000);
	for (int i = 0; i < SEARCH_DEPTH_MAX + 2; i++)
		buf_adds(&b, "NOT ");
	buf_adds(&b, "ALL");
	t = text(buf_str(&b));
	assert_false(search_parse(&t, &search));
	assert_string_equal(t.problem, "Search keys are nested too deep");
	buf_reset(&b);
	for (int i = 0; i < SEARCH_KEYS_MAX + 1; i++)
		buf_adds(&b, i == 0 ? "ALL" : " ALL");
	t = text(buf_str(&b));
	assert_false(search_parse(&t, &search));
	assert_string_equal(t.problem, "Too many search keys");
	buf_clear(&b);
}

/* ---- responses --------------------------------------------------------------------------------------------------- */

static void
strings_are_written_so_that_they_can_be_read(void **state)
{
	static const struct {
		struct str in, string, astring;
	} rows[] = {
	    {STR("abc"), STR("\"abc\""), STR("abc")},
	    {STR(""), STR("\"\""), STR("\"\"")},
	    {STR("a \"\\"), STR("\"a \\\"\\\\\""), STR("\"a \\\"\\\\\"")},
	    {STR("a\r\nb"), STR("{4}\r\na\r\nb"), STR("{4}\r\na\r\nb")},
	    {STR("\xc3\xa9"), STR("{2}\r\n\xc3\xa9"), STR("{2}\r\n\xc3\xa9")},
	    {STR("a\0b"), STR("{2}\r\nab"), STR("{2}\r\nab")},
	    {STR("nil"), STR("\"nil\""), STR("\"nil\"")},
	    {STR("a/b&-]"), STR("\"a/b&-]\""), STR("\"a/b&-]\"")},
	    {STR("a*"), STR("\"a*\""), STR("\"a*\"")},
	};
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	for (size_t i = 0; i < ROWS(rows); i++) {
		buf_reset(&b);
		respond_string(&b, rows[i].in);
		assert_str(buf_str(&b), rows[i].string);
		buf_reset(&b);
		respond_astring(&b, rows[i].in);
		assert_str(buf_str(&b), rows[i].astring);
	}
	buf_reset(&b);
	respond_nstring(&b, STR_NONE);
	respond_mailbox(&b, STR(" "));
	respond_mailbox(&b, STR("Entw\xc3\xbcrfe"));
	respond_date_time(&b, (struct date){837596665, -7 * 60});
	respond_date_time(&b, (struct date){0, 5 * 60 + 30});
	assert_str(buf_str(&b), STR("NIL\" \"Entw&APw-rfe\"17-Jul-1996 02:44:25 -0700\"\" 1-Jan-1970 05:30:00 +0530\""));
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(astrings_are_atoms_quoted_or_literals),
	    cmocka_unit_test(dates_are_days_and_seconds),
	    cmocka_unit_test(flags_are_a_set_and_keywords),
	    cmocka_unit_test(sets_are_ascending_ranges),
	    cmocka_unit_test(numbers_are_written_as_ranges),
	    cmocka_unit_test(fetch_items_are_taken_apart),
	    cmocka_unit_test(search_keys_decide),
	    cmocka_unit_test(search_has_limits),
	    cmocka_unit_test(strings_are_written_so_that_they_can_be_read),
	};
	int failed;

	arena_init(&arena, 16 * 1024 * 1024);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	arena_clear(&arena);
	return failed;
}
