#include "tests/unit/rows.h"

#include "common/store/mailbox_state.h"

#define COUNTER "next 0000000018 reserved 0000000257 boot 11f0f8a6-5ad2-4b2b-a0c6-1dd0b3d2b1a5\n"
#define HEAD "merpati-mailbox 1\n" COUNTER

static const char whole[] = HEAD "uidvalidity 1764000000\n"
				 "id kq3XhZt0Wm2cYb8R\n"
				 "keyword a $Forwarded\n"
				 "keyword z NonJunk\n"
				 "use \\Sent\n"
				 "use \\Trash\n"
				 "taking-over dovecot\n"
				 "end\n";

static void
what_is_written_reads_back(void **state)
{
	struct mailbox_state s;
	struct buf out;

	(void)state;
	assert_true(mailbox_state_parse(&s, str_from(whole)));
	assert_int_equal(s.next, 18);
	assert_int_equal(s.reserved, 257);
	assert_string_equal(s.boot, "11f0f8a6-5ad2-4b2b-a0c6-1dd0b3d2b1a5");
	assert_int_equal(s.uidvalidity, 1764000000);
	assert_string_equal(s.id, "kq3XhZt0Wm2cYb8R");
	assert_string_equal(s.keywords[0], "$Forwarded");
	assert_string_equal(s.keywords[1], "");
	assert_string_equal(s.keywords[25], "NonJunk");
	assert_int_equal(s.uses, MAILBOX_SENT | MAILBOX_TRASH);
	assert_int_equal(s.taking_over, MAILBOX_ORIGIN_DOVECOT);
	buf_init(&out, MAILBOX_STATE_MAX_BYTES);
	mailbox_state_format(&out, &s);
	assert_str(buf_str(&out), str_from(whole));
	assert_str(str_sub(buf_str(&out), MAILBOX_COUNTER_OFFSET, MAILBOX_COUNTER_BYTES), STR(COUNTER));
	buf_clear(&out);
}

static void
the_fullest_state_fits(void **state)
{
	struct mailbox_state s, again;
	struct buf out;

	(void)state;
	assert_true(mailbox_state_parse(&s, str_from(whole)));
	for (int i = 0; i < MAILDIR_KEYWORDS_MAX; i++) {
		memset(s.keywords[i], 'k', MAILBOX_KEYWORD_MAX);
		s.keywords[i][MAILBOX_KEYWORD_MAX] = '\0';
	}
	s.uses = (1u << MAILBOX_USE_COUNT) - 1;
	s.next = s.reserved = s.uidvalidity = UINT32_MAX;
	buf_init(&out, MAILBOX_STATE_MAX_BYTES);
	mailbox_state_format(&out, &s);
	assert_true(buf_ok(&out));
	assert_true(mailbox_state_parse(&again, buf_str(&out)));
	assert_memory_equal(&s, &again, sizeof s);
	buf_clear(&out);
}

static void
a_state_cut_anywhere_is_not_good(void **state)
{
	(void)state;
	for (size_t cut = 0; cut < sizeof whole - 1; cut++) {
		char *copy = malloc(cut + 1);
		struct mailbox_state s;

		memcpy(copy, whole, cut);
		assert_false(mailbox_state_parse(&s, (struct str){copy, cut}));
		free(copy);
	}
}

static void
a_spoilt_counter_leaves_the_rest_good(void **state)
{
	static const char *const counters[] = {
	    "next 0000000018 reserved 0000000017 boot 11f0f8a6-5ad2-4b2b-a0c6-1dd0b3d2b1a5\n",
	    "next 0000000000 reserved 0000000017 boot 11f0f8a6-5ad2-4b2b-a0c6-1dd0b3d2b1a5\n",
	    "next 00000000x8 reserved 0000000257 boot 11f0f8a6-5ad2-4b2b-a0c6-1dd0b3d2b1a5\n",
	    "next 9999999999 reserved 9999999999 boot 11f0f8a6-5ad2-4b2b-a0c6-1dd0b3d2b1a5\n",
	    "next 0000000018 reserved 0000000257 boot 11f0f8a6/5ad2-4b2b-a0c6-1dd0b3d2b1a5\n",
	    "next 0000000018 reserved 0000000257 boot 11f0f8a6-5ad2-4b2b-a0c6-1dd0b3d2b1a5x",
	};

	(void)state;
	for (size_t i = 0; i < ROWS(counters); i++) {
		struct mailbox_state s;
		struct buf text;

		assert_int_equal(strlen(counters[i]), MAILBOX_COUNTER_BYTES);
		buf_init(&text, 4096);
		buf_adds(&text, "merpati-mailbox 1\n");
		buf_adds(&text, counters[i]);
		buf_adds(&text, "uidvalidity 5\nid kq3XhZt0Wm2cYb8R\nend\n");
		assert_true(mailbox_state_parse(&s, buf_str(&text)));
		assert_int_equal(s.next, 0);
		assert_int_equal(s.uidvalidity, 5);
		buf_clear(&text);
	}
}

static void
anything_else_is_refused(void **state)
{
	static const char *const bad[] = {
	    "", "end\n", "merpati-mailbox 2\n" COUNTER "uidvalidity 5\nid kq3XhZt0Wm2cYb8R\nend\n",
	    HEAD "end\n",
	    HEAD "uidvalidity 5\nend\n",
	    HEAD "id kq3XhZt0Wm2cYb8R\nend\n",
	    HEAD "uidvalidity 0\nid kq3XhZt0Wm2cYb8R\nend\n",
	    HEAD "uidvalidity 5\nuidvalidity 5\nid kq3XhZt0Wm2cYb8R\nend\n",
	    HEAD "uidvalidity 4294967296\nid kq3XhZt0Wm2cYb8R\nend\n",
	    HEAD "uidvalidity 5\nid kq3XhZt0Wm2cYb8\nend\n",
	    HEAD "uidvalidity 5\nid kq3XhZt0Wm2cYb-R\nend\n",
	    HEAD "uidvalidity 5\nid kq3XhZt0Wm2cYb8R\nend\nend\n",
	    HEAD "uidvalidity 5\nid kq3XhZt0Wm2cYb8R\nfuture 1\nend\n",
	    HEAD "uidvalidity 5\nid kq3XhZt0Wm2cYb8R\nkeyword A x\nend\n",
	    HEAD "uidvalidity 5\nid kq3XhZt0Wm2cYb8R\nkeyword a\nend\n",
	    HEAD "uidvalidity 5\nid kq3XhZt0Wm2cYb8R\nkeyword a x y\nend\n",
	    HEAD "uidvalidity 5\nid kq3XhZt0Wm2cYb8R\nkeyword a x\nkeyword a y\nend\n",
	    HEAD "uidvalidity 5\nid kq3XhZt0Wm2cYb8R\nuse \\Other\nend\n",
	    HEAD "uidvalidity 5\nid kq3XhZt0Wm2cYb8R\ntaking-over cyrus\nend\n",
	};

	(void)state;
	for (size_t i = 0; i < ROWS(bad); i++) {
		struct mailbox_state s;

		if (mailbox_state_parse(&s, str_from(bad[i])))
			fail_msg("accepted: %s", bad[i]);
	}
}

static void
keywords_are_atoms(void **state)
{
	static const struct {
		const char *name;
		bool good;
	} names[] = {
	    {"$Forwarded", true}, {"Junk", true}, {"a[b", true}, {"", false}, {"\\Seen", false}, {"a b", false},
	    {"a]", false}, {"a(b", false}, {"a\x01", false}, {"\xc3\xbc", false}, {"a*", false}, {"a%", false},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(names); i++)
		assert_int_equal(mailbox_keyword_is_good(str_from(names[i].name)), names[i].good);
	assert_int_equal(mailbox_use_parse(STR("\\sent")), MAILBOX_SENT);
	assert_int_equal(mailbox_use_parse(STR("\\Nonsense")), 0);
	assert_string_equal(mailbox_use_name(MAILBOX_JUNK_BIT), "\\Junk");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_written_reads_back),
	    cmocka_unit_test(the_fullest_state_fits),
	    cmocka_unit_test(a_state_cut_anywhere_is_not_good),
	    cmocka_unit_test(a_spoilt_counter_leaves_the_rest_good),
	    cmocka_unit_test(anything_else_is_refused),
	    cmocka_unit_test(keywords_are_atoms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
