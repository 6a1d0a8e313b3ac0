#include "tests/unit/rows.h"

#include "common/store/uidlist.h"

static const struct {
	const char *text;
	uint32_t uidvalidity; /* 0: refused */
	uint32_t next;
	const char *messages;
} rows[] = {
    {"3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1\n"
     "25006 :1276528487.M364837P9451.kurkku,S=1355,W=1394\n"
     "25017 W2481 G00ff :1276533073.M242911P3632.kurkku:2,S\n",
	1275660208, 25022, "25006=1276528487.M364837P9451.kurkku,S=1355,W=1394 25017=1276533073.M242911P3632.kurkku "},
    {"3 N5 V7\n1 :a\n2 b\n0 :c\nx :d\n4294967296 :e\n\n3 :\n4 :f", 7, 5, "1=a 4=f "},
    {"1 1275660208 25022\n1 a,S=5\n2 b:2,S\n", 1275660208, 25022, "1=a,S=5 2=b "},
    {"1 9\n", 9, 1, ""},
    {"3 N5\n1 :a\n", 0, 0, ""},
    {"2 V5 N5\n", 0, 0, ""},
    {"", 0, 0, ""},
    {"3 V0 N1\n", 0, 0, ""},
    {"3 V4294967296\n", 0, 0, ""},
};

static void
records_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct uidlist list;
		struct str base;
		struct buf messages;
		uint32_t uid;

		assert_int_equal(uidlist_open(&list, str_from(rows[i].text)), rows[i].uidvalidity != 0);
		if (rows[i].uidvalidity == 0)
			continue;
		assert_int_equal(list.uidvalidity, rows[i].uidvalidity);
		assert_int_equal(list.next, rows[i].next);
		buf_init(&messages, 4096);
		while (uidlist_next(&list, &uid, &base))
			buf_addf(&messages, "%u=%.*s ", uid, STR_FMT(base));
		assert_str(buf_str(&messages), str_from(rows[i].messages));
		buf_clear(&messages);
	}
}

static void
a_record_cut_anywhere_is_never_read_past(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		for (size_t cut = 0; cut <= strlen(rows[i].text); cut++) {
			char *copy = malloc(cut + 1);
			struct uidlist list;
			struct str base;
			uint32_t uid;

			memcpy(copy, rows[i].text, cut);
			if (uidlist_open(&list, (struct str){copy, cut}))
				while (uidlist_next(&list, &uid, &base))
					assert_true(base.n > 0);
			free(copy);
		}
}

static void
mbsync_tells_the_highest_uid(void **state)
{
	uint32_t uidvalidity, next;

	(void)state;
	assert_true(uidlist_parse_mbsync(STR("1700000000\n41\n"), &uidvalidity, &next));
	assert_int_equal(uidvalidity, 1700000000);
	assert_int_equal(next, 42);
	assert_false(uidlist_parse_mbsync(STR("1700000000\n"), &uidvalidity, &next));
	assert_false(uidlist_parse_mbsync(STR("0\n1\n"), &uidvalidity, &next));
	assert_false(uidlist_parse_mbsync(STR(""), &uidvalidity, &next));
	assert_false(uidlist_parse_mbsync(STR("1\n4294967295\n"), &uidvalidity, &next));
}

static void
keywords_get_their_letters(void **state)
{
	struct mailbox_state s = {.keywords = {[2] = "mine"}};

	(void)state;
	uidlist_parse_keywords(&s, STR("0 $Forwarded\n1 Junk\n2 theirs\n25 z\n26 beyond\nx y\n3\n4 no good\n0 again\n"));
	assert_string_equal(s.keywords[0], "$Forwarded");
	assert_string_equal(s.keywords[1], "Junk");
	assert_string_equal(s.keywords[2], "mine");
	assert_string_equal(s.keywords[3], "");
	assert_string_equal(s.keywords[4], "");
	assert_string_equal(s.keywords[25], "z");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(records_are_read),
	    cmocka_unit_test(a_record_cut_anywhere_is_never_read_past),
	    cmocka_unit_test(mbsync_tells_the_highest_uid),
	    cmocka_unit_test(keywords_get_their_letters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
