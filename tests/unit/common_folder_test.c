/* The state of a folder: lost, damaged, copied back, taken over from other servers. */
#include "tests/unit/rows.h"

#include "tests/unit/maildir.h"

#include "common/store/state_file.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, place_setup, place_teardown)

static void
reopen(struct place *p)
{
	store_close(p->store);
	place_open(p);
}

static size_t
count_named(struct place *p, const char *prefix)
{
	DIR *d = opendir(p->mail);
	struct dirent *e;
	size_t n = 0;

	while ((e = readdir(d)) != NULL)
		n += strncmp(e->d_name, prefix, strlen(prefix)) == 0;
	(void)closedir(d);
	return n;
}

/* Overwrites part of the state file. */
static void
poke(struct place *p, off_t offset, const char *text)
{
	int fd = open(path_in(p, STATE_FILE_NAME), O_WRONLY);

	assert_int_equal(pwrite(fd, text, strlen(text), offset), strlen(text));
	(void)close(fd);
}

static struct mailbox_state
state_of(struct place *p)
{
	struct mailbox_state s;
	struct buf text = get_file(p, STATE_FILE_NAME);

	assert_true(mailbox_state_parse(&s, buf_str(&text)));
	buf_clear(&text);
	return s;
}

/* Three messages, UIDs 1 to 3, the last one removed again; a keyword. */
static void
fill(struct place *p)
{
	struct mailbox *m = box_open(p, "INBOX", MAILBOX_WRITE);
	struct mailbox_changes changes;
	struct err err;

	assert_int_equal(mailbox_keyword_make(m, STR("work"), &err), 0);
	for (int i = 0; i < 3; i++)
		(void)box_append(m, "x\r\n", MAILDIR_SEEN);
	changes = box_rescan(m);
	mailbox_changes_clear(&changes);
	assert_int_equal(mailbox_remove(m, 3, &err), MAILBOX_DONE);
	mailbox_close(m);
}

static void
uids_are_reserved_in_blocks_and_counted_in_place(void **state)
{
	struct place *p = *state;
	struct mailbox_state s;

	fill(p);
	s = state_of(p);
	assert_int_equal(s.next, 4);
	assert_true(s.reserved >= 2 + STATE_UID_BLOCK);
	assert_true(s.reserved <= 4 + STATE_UID_BLOCK);
}

static void
after_a_reboot_the_rest_of_the_block_is_skipped(void **state)
{
	struct place *p = *state;
	struct mailbox_state s;
	struct mailbox *m;

	fill(p);
	s = state_of(p);
	/* what a power cut may leave: the counter of some time ago, and another boot */
	poke(p, MAILBOX_COUNTER_OFFSET, "next 0000000001");
	(void)strcpy(p->host.boot, "00000000-0000-4000-8000-000000000000");
	reopen(p);
	m = box_open(p, "INBOX", MAILBOX_READ);
	assert_int_equal(mailbox_uidnext(m), s.reserved);
	assert_int_equal(mailbox_uidvalidity(m), s.uidvalidity);
	assert_int_equal(box_append(m, "y\r\n", 0), s.reserved);
	assert_int_equal(box_append(m, "y\r\n", 0), s.reserved + 1);
	mailbox_close(m);
}

static void
a_lost_state_keeps_uids_but_not_the_uidvalidity(void **state)
{
	struct place *p = *state;
	struct mailbox_state before, after;
	struct mailbox *m;

	fill(p);
	before = state_of(p);
	assert_int_equal(unlink(path_in(p, STATE_FILE_NAME)), 0);
	reopen(p);
	m = box_open(p, "INBOX", MAILBOX_WRITE);
	after = state_of(p);
	assert_non_null(mailbox_find(m, 1));
	assert_non_null(mailbox_find(m, 2));
	assert_true(mailbox_uidvalidity(m) != before.uidvalidity);
	assert_memory_equal(after.id, before.id, MAILDIR_TAG_LENGTH);
	assert_int_equal(mailbox_uidnext(m), 3);
	mailbox_close(m);
}

static void
a_damaged_state_is_kept_aside(void **state)
{
	struct place *p = *state;
	struct mailbox_state before, after;
	struct mailbox *m;

	fill(p);
	before = state_of(p);
	poke(p, 0, "merpati-mailbix");
	reopen(p);
	m = box_open(p, "INBOX", MAILBOX_READ);
	after = state_of(p);
	assert_int_equal(count_named(p, STATE_FILE_NAME ".damaged."), 1);
	assert_true(after.uidvalidity != before.uidvalidity);
	assert_int_equal(mailbox_uidnext(m), 3);
	assert_null(mailbox_keyword_name(m, 0));
	mailbox_close(m);
}

static void
a_damaged_counter_costs_only_the_uidvalidity(void **state)
{
	struct place *p = *state;
	struct mailbox_state before, after;
	struct mailbox *m;

	fill(p);
	before = state_of(p);
	poke(p, MAILBOX_COUNTER_OFFSET, "next 00x0");
	reopen(p);
	m = box_open(p, "INBOX", MAILBOX_READ);
	after = state_of(p);
	assert_int_equal(count_named(p, STATE_FILE_NAME ".damaged."), 1);
	assert_true(after.uidvalidity > before.uidvalidity);
	assert_string_equal(after.id, before.id);
	assert_string_equal(mailbox_keyword_name(m, 0), "work");
	assert_non_null(mailbox_find(m, 1));
	mailbox_close(m);
}

static void
an_open_mailbox_notices_that_its_state_was_replaced(void **state)
{
	struct place *p = *state;
	struct mailbox *m;
	struct mailbox_changes changes;

	fill(p);
	m = box_open(p, "INBOX", MAILBOX_WRITE);
	assert_int_equal(unlink(path_in(p, STATE_FILE_NAME)), 0);
	(void)box_append(m, "y\r\n", 0);
	changes = box_rescan(m);
	assert_true(changes.replaced);
	mailbox_changes_clear(&changes);
	mailbox_close(m);
}

static void
uidvalidities_go_on_behind_those_of_folders_when_inbox_lost_its_state(void **state)
{
	struct place *p = *state;
	struct err err;
	struct mailbox *m;
	uint32_t folder;

	/* as when the clock was ahead */
	for (int i = 0; i < 20; i++) {
		char name[16];

		(void)snprintf(name, sizeof name, "f%d", i);
		assert_true(store_create(p->store, str_from(name), 0, &err));
	}
	m = box_open(p, "f19", MAILBOX_READ);
	folder = mailbox_uidvalidity(m);
	mailbox_close(m);
	assert_int_equal(unlink(path_in(p, STATE_FILE_NAME)), 0);
	reopen(p);
	m = box_open(p, "INBOX", MAILBOX_READ);
	assert_true(mailbox_uidvalidity(m) > folder);
	mailbox_close(m);
}

static void
messages_that_are_newer_than_the_state_keep_their_uids(void **state)
{
	struct place *p = *state;
	struct mailbox_state s;
	struct mailbox *m;
	struct buf name;
	uint32_t uid;

	fill(p);
	s = state_of(p);
	buf_init(&name, 4096);
	buf_addf(&name, "cur/9.a.b,S=2,W=3,u=5000.%.4s:2,S", s.id);
	buf_addc(&name, '\0');
	put_file(p, name.p, "x\n");
	m = box_open(p, "INBOX", MAILBOX_READ);
	assert_non_null(mailbox_find(m, 5000));
	assert_int_equal(mailbox_uidnext(m), 5001);
	assert_int_equal(box_append(m, "y\r\n", 0), 5001);
	mailbox_close(m);
	/* but not when it would use up the numbers */
	buf_reset(&name);
	buf_addf(&name, "cur/9.a.c,S=2,W=3,u=4294967295.%.4s:2,S", s.id);
	buf_addc(&name, '\0');
	put_file(p, name.p, "x\n");
	m = box_open(p, "INBOX", MAILBOX_READ);
	assert_null(mailbox_find(m, UINT32_MAX));
	uid = box_append(m, "y\r\n", 0);
	assert_int_equal(uid, 5003);
	mailbox_close(m);
	buf_clear(&name);
}

/* --- other servers -------------------------------------------------------------------------------------------------------- */

#define DOVECOT_NAME_1 "1276528487.M364837P9451.kurkku,S=4,W=5"
#define DOVECOT_NAME_2 "1276533073.M242911P3632.kurkku"

static void
put_dovecot(struct place *p)
{
	put_file(p, "dovecot-uidlist",
	    "3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1\n"
	    "25006 :" DOVECOT_NAME_1 "\n"
	    "25017 W6 :" DOVECOT_NAME_2 "\n"
	    "25018 :1.gone\n");
	put_file(p, "dovecot-keywords", "0 $Forwarded\n1 Junk\n");
	put_file(p, "cur/" DOVECOT_NAME_1 ":2,FSb", "abc\n");
	put_file(p, "new/" DOVECOT_NAME_2, "ab\nc\n");
	put_file(p, "new/1276533079.M1P2.kurkku", "later\n");
}

static void
dovecots_uids_and_keywords_are_taken_over(void **state)
{
	struct place *p = *state;
	const struct mailbox_record *r;
	struct mailbox *m;
	size_t n;

	put_dovecot(p);
	m = box_open(p, "INBOX", MAILBOX_WRITE);
	assert_int_equal(mailbox_uidvalidity(m), 1275660208);
	r = mailbox_records(m, &n);
	assert_int_equal(n, 3);
	assert_int_equal(r[0].uid, 25006);
	assert_int_equal(r[0].flags, MAILDIR_FLAGGED | MAILDIR_SEEN);
	assert_string_equal(mailbox_keyword_name(m, 1), "Junk");
	assert_int_equal(r[0].keywords, 2);
	assert_int_equal(r[0].wire_size, 5);
	assert_int_equal(r[1].uid, 25017);
	assert_int_equal(r[1].wire_size, 7);
	assert_int_equal(r[2].uid, 25022);
	assert_int_equal(mailbox_uidnext(m), 25023);
	assert_int_equal(state_of(p).taking_over, MAILBOX_ORIGIN_NONE);
	mailbox_close(m);
}

static void
a_delivery_before_the_first_login_comes_behind_dovecots(void **state)
{
	struct place *p = *state;
	struct mailbox *m;

	put_dovecot(p);
	m = box_open(p, "INBOX", MAILBOX_ADD);
	assert_int_equal(box_append(m, "x\r\n", 0), 25022);
	mailbox_close(m);
	m = box_open(p, "INBOX", MAILBOX_READ);
	assert_non_null(mailbox_find(m, 25006));
	assert_non_null(mailbox_find(m, 25017));
	assert_non_null(mailbox_find(m, 25022));
	assert_non_null(mailbox_find(m, 25023));
	mailbox_close(m);
}

static void
couriers_uids_are_taken_over(void **state)
{
	struct place *p = *state;
	struct mailbox *m;

	put_file(p, "courierimapuiddb", "1 1100000000 17\n5 1.a.h,S=2\n16 2.b.h\n");
	put_file(p, "cur/1.a.h,S=2:2,S", "x\n");
	put_file(p, "cur/2.b.h:2,", "y\n");
	m = box_open(p, "INBOX", MAILBOX_READ);
	assert_int_equal(mailbox_uidvalidity(m), 1100000000);
	assert_int_equal(mailbox_uidnext(m), 17);
	assert_int_equal(mailbox_find(m, 5)->flags, MAILDIR_SEEN);
	assert_non_null(mailbox_find(m, 16));
	mailbox_close(m);
}

static void
mbsyncs_uids_are_taken_over_each_once(void **state)
{
	struct place *p = *state;
	struct mailbox *m;

	put_file(p, ".uidvalidity", "1600000000\n9\n");
	put_file(p, "cur/1.a.h,U=9:2,S", "x\n");
	put_file(p, "cur/2.b.h,U=4:2,", "y\n");
	put_file(p, "new/3.c.h,U=4", "z\n");
	m = box_open(p, "INBOX", MAILBOX_READ);
	assert_int_equal(mailbox_uidvalidity(m), 1600000000);
	assert_non_null(mailbox_find(m, 4));
	assert_non_null(mailbox_find(m, 9));
	assert_non_null(mailbox_find(m, 10));
	assert_int_equal(mailbox_uidnext(m), 11);
	mailbox_close(m);
}

static void
nonsense_in_a_record_is_a_new_folder(void **state)
{
	struct place *p = *state;
	struct mailbox *m;

	put_file(p, "dovecot-uidlist", "what?\n");
	put_file(p, "cur/1.a.h:2,S", "x\n");
	m = box_open(p, "INBOX", MAILBOX_READ);
	assert_non_null(mailbox_find(m, 1));
	assert_true(mailbox_uidvalidity(m) > 1700000000);
	mailbox_close(m);
}

static void
a_takeover_that_was_cut_off_goes_on(void **state)
{
	struct place *p = *state;
	struct mailbox *m;
	size_t n;

	put_dovecot(p);
	/* as the process that died left it: one file done */
	put_file(p, STATE_FILE_NAME,
	    "merpati-mailbox 1\n"
	    "next 0000025022 reserved 0000025022 boot 00000000-0000-4000-8000-000000000000\n"
	    "uidvalidity 1275660208\nid abcdefghijklmnop\ntaking-over dovecot\nend\n");
	assert_int_equal(rename(path_in(p, "cur/" DOVECOT_NAME_1 ":2,FSb"),
			     path_in(p, "cur/1276528487.M364837P9451.kurkku,S=4,W=5,u=25006.abcd:2,FSb")),
	    0);
	m = box_open(p, "INBOX", MAILBOX_READ);
	(void)mailbox_records(m, &n);
	assert_int_equal(n, 3);
	assert_non_null(mailbox_find(m, 25006));
	assert_non_null(mailbox_find(m, 25017));
	assert_int_equal(state_of(p).taking_over, MAILBOX_ORIGIN_NONE);
	mailbox_close(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(uids_are_reserved_in_blocks_and_counted_in_place),
	    TEST(after_a_reboot_the_rest_of_the_block_is_skipped),
	    TEST(a_lost_state_keeps_uids_but_not_the_uidvalidity),
	    TEST(a_damaged_state_is_kept_aside),
	    TEST(a_damaged_counter_costs_only_the_uidvalidity),
	    TEST(an_open_mailbox_notices_that_its_state_was_replaced),
	    TEST(uidvalidities_go_on_behind_those_of_folders_when_inbox_lost_its_state),
	    TEST(messages_that_are_newer_than_the_state_keep_their_uids),
	    TEST(dovecots_uids_and_keywords_are_taken_over),
	    TEST(a_delivery_before_the_first_login_comes_behind_dovecots),
	    TEST(couriers_uids_are_taken_over),
	    TEST(mbsyncs_uids_are_taken_over_each_once),
	    TEST(nonsense_in_a_record_is_a_new_folder),
	    TEST(a_takeover_that_was_cut_off_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
