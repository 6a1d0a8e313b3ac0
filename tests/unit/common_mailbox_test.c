#include "tests/unit/rows.h"

#include "tests/unit/maildir.h"

#define LETTER "Subject: a\r\n\r\nx\r\n" /* 17 bytes, 14 on disk */

static void
uids_are(const struct mailbox_uids *uids, const char *expected)
{
	char text[512] = "";
	size_t n = 0;

	for (size_t i = 0; i < uids->n; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "%s%u", i > 0 ? " " : "", uids->list[i]);
	assert_string_equal(text, expected);
}

/* Rescans and compares what is told. */
static void
box_changes(struct mailbox *m, const char *added, const char *changed, const char *vanished)
{
	struct mailbox_changes changes = box_rescan(m);

	uids_are(&changes.added, added);
	uids_are(&changes.changed, changed);
	uids_are(&changes.vanished, vanished);
	assert_false(changes.replaced);
	mailbox_changes_clear(&changes);
}

static void
box_holds(struct mailbox *m, const char *expected)
{
	struct mailbox_uids uids = {0};
	const struct mailbox_record *records = mailbox_records(m, &uids.n);
	uint32_t list[256];

	assert_true(uids.n < 256);
	for (size_t i = 0; i < uids.n; i++)
		list[i] = records[i].uid;
	uids.list = list;
	uids_are(&uids, expected);
}

static void
an_appended_message_is_numbered_and_kept_with_lf(void **state)
{
	struct place *p = *state;
	struct mailbox *add = box_open(p, "INBOX", MAILBOX_ADD), *m;
	char name[256];
	const struct mailbox_record *r;
	struct err err;
	size_t n;
	int fd;

	assert_int_equal(box_append(add, LETTER, 0), 1);
	assert_int_equal(count_files(p, "new", name), 1);
	assert_non_null(strstr(name, ",S=14,W=17,u=1."));
	assert_int_equal(count_files(p, "tmp", NULL), 0);
	m = box_open(p, "inbox", MAILBOX_WRITE);
	r = mailbox_records(m, &n);
	assert_int_equal(n, 1);
	assert_int_equal(r->uid, 1);
	assert_int_equal(r->size, 14);
	assert_int_equal(r->wire_size, 17);
	assert_true(r->recent);
	assert_int_equal(mailbox_uidnext(m), 2);
	assert_int_equal(count_files(p, "new", NULL), 0);
	assert_int_equal(count_files(p, "cur", NULL), 1);
	assert_int_equal(mailbox_open_message(m, 1, &fd, &err), MAILBOX_DONE);
	assert_int_equal(read(fd, name, sizeof name), 14);
	assert_memory_equal(name, "Subject: a\n\nx\n", 14);
	(void)close(fd);
	mailbox_close(m);
	m = box_open(p, "INBOX", MAILBOX_WRITE);
	assert_false(mailbox_find(m, 1)->recent);
	mailbox_close(m);
	mailbox_close(add);
}

static void
date_flags_and_keywords_are_kept(void **state)
{
	struct place *p = *state;
	struct mailbox *m = box_open(p, "INBOX", MAILBOX_WRITE);
	struct mailbox_file_attributes attributes = {.flags = MAILDIR_SEEN, .has_date = true, .date = 1000000000};
	struct err err;
	uint32_t uid;
	int64_t date;
	int i = mailbox_keyword_make(m, STR("$Work"), &err);

	assert_int_equal(i, 0);
	attributes.keywords = 1u << i;
	assert_true(mailbox_append(m, STR(LETTER), &attributes, &uid, &err));
	box_changes(m, "1", "", "");
	assert_false(mailbox_find(m, 1)->recent);
	assert_int_equal(mailbox_find(m, 1)->flags, MAILDIR_SEEN);
	assert_int_equal(mailbox_find(m, 1)->keywords, 1);
	assert_int_equal(mailbox_date(m, 1, &date, &err), MAILBOX_DONE);
	assert_int_equal(date, 1000000000);
	mailbox_close(m);
	m = box_open(p, "INBOX", MAILBOX_READ);
	assert_string_equal(mailbox_keyword_name(m, 0), "$Work");
	assert_int_equal(mailbox_keyword_find(m, STR("$WORK")), 0);
	assert_int_equal(mailbox_keyword_find(m, STR("other")), -1);
	mailbox_close(m);
}

static void
a_folder_has_26_keywords_at_most(void **state)
{
	struct mailbox *m = box_open(*state, "INBOX", MAILBOX_WRITE);
	struct err err;

	for (int i = 0; i < MAILDIR_KEYWORDS_MAX; i++) {
		char name[8] = {'k', (char)('a' + i), '\0'};

		assert_true(mailbox_can_make_keywords(m));
		assert_int_equal(mailbox_keyword_make(m, str_from(name), &err), i);
	}
	assert_false(mailbox_can_make_keywords(m));
	assert_int_equal(mailbox_keyword_make(m, STR("more"), &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
	assert_int_equal(mailbox_keyword_make(m, STR("KC"), &err), 2);
	assert_int_equal(mailbox_keyword_make(m, STR("no good"), &err), -1);
	assert_int_equal(err.class, ERR_PERM);
	mailbox_close(m);
}

static void
flags_change_by_renaming_and_others_see_it(void **state)
{
	struct place *p = *state;
	struct mailbox *a = box_open(p, "INBOX", MAILBOX_WRITE), *b;
	struct err err;
	char name[256];

	(void)box_append(a, LETTER, 0);
	(void)box_append(a, LETTER, MAILDIR_FLAGGED);
	box_changes(a, "1 2", "", "");
	b = box_open(p, "INBOX", MAILBOX_WRITE);
	assert_int_equal(mailbox_store(a, 1, MAILBOX_INCLUDE, MAILDIR_SEEN, 0, &err), MAILBOX_DONE);
	assert_int_equal(mailbox_find(a, 1)->flags, MAILDIR_SEEN);
	box_changes(a, "", "", "");
	/* b does not know of it yet, finds the file again, and adds to what a did */
	assert_int_equal(mailbox_store(b, 1, MAILBOX_INCLUDE, MAILDIR_REPLIED, 0, &err), MAILBOX_DONE);
	assert_int_equal(mailbox_find(b, 1)->flags, MAILDIR_SEEN | MAILDIR_REPLIED);
	box_changes(b, "", "1", "");
	box_changes(a, "", "1", "");
	assert_int_equal(mailbox_store(a, 1, MAILBOX_EXCLUDE, MAILDIR_SEEN, 0, &err), MAILBOX_DONE);
	assert_int_equal(mailbox_find(a, 1)->flags, MAILDIR_REPLIED);
	assert_int_equal(mailbox_store(a, 2, MAILBOX_SET, MAILDIR_DRAFT, 0, &err), MAILBOX_DONE);
	assert_int_equal(mailbox_find(a, 2)->flags, MAILDIR_DRAFT);
	assert_int_equal(count_files(p, "cur", name), 2);
	mailbox_close(a);
	mailbox_close(b);
}

static void
letters_of_other_tools_stay(void **state)
{
	struct place *p = *state;
	struct mailbox *m;
	struct err err;
	char name[256];

	put_file(p, "cur/1.x.y:2,KSq", "a\n");
	m = box_open(p, "INBOX", MAILBOX_WRITE);
	assert_int_equal(mailbox_store(m, 1, MAILBOX_SET, MAILDIR_FLAGGED, 0, &err), MAILBOX_DONE);
	(void)count_files(p, "cur", name);
	assert_string_equal(strchr(name, ':'), ":2,FKq");
	mailbox_close(m);
}

static void
rights_are_kept(void **state)
{
	struct place *p = *state;
	struct mailbox *add = box_open(p, "INBOX", MAILBOX_ADD), *m;
	struct err err;
	uint32_t uid = 1, new_uid;

	(void)box_append(add, LETTER, 0);
	m = box_open(p, "INBOX", MAILBOX_READ);
	assert_true(mailbox_find(m, 1)->recent);
	assert_int_equal(count_files(p, "new", NULL), 1);
	assert_int_equal(mailbox_store(m, 1, MAILBOX_SET, 0, 0, &err), MAILBOX_FAILED);
	assert_int_equal(err.class, ERR_PERM);
	assert_int_equal(mailbox_remove(m, 1, &err), MAILBOX_FAILED);
	assert_false(mailbox_move(m, &uid, 1, add, &new_uid, &err));
	mailbox_close(m);
	m = box_open(p, "INBOX", MAILBOX_REMOVE);
	assert_int_equal(count_files(p, "new", NULL), 1);
	assert_int_equal(mailbox_store(m, 1, MAILBOX_SET, 0, 0, &err), MAILBOX_FAILED);
	assert_int_equal(mailbox_remove(m, 1, &err), MAILBOX_DONE);
	assert_true(mailbox_sync(m, &err));
	assert_int_equal(count_files(p, "new", NULL), 0);
	mailbox_close(m);
	mailbox_close(add);
}

static void
what_is_removed_is_gone_for_everyone(void **state)
{
	struct place *p = *state;
	struct mailbox *a = box_open(p, "INBOX", MAILBOX_WRITE), *b;
	struct err err;
	int64_t date;
	int fd;

	for (int i = 0; i < 5; i++)
		(void)box_append(a, LETTER, 0);
	box_changes(a, "1 2 3 4 5", "", "");
	b = box_open(p, "INBOX", MAILBOX_WRITE);
	assert_int_equal(mailbox_remove(a, 2, &err), MAILBOX_DONE);
	assert_int_equal(mailbox_remove(a, 2, &err), MAILBOX_GONE);
	assert_int_equal(mailbox_remove(a, 5, &err), MAILBOX_DONE);
	box_changes(a, "", "", "");
	box_holds(a, "1 3 4");
	assert_int_equal(mailbox_open_message(b, 2, &fd, &err), MAILBOX_GONE);
	assert_int_equal(mailbox_store(b, 5, MAILBOX_SET, 1, 0, &err), MAILBOX_GONE);
	assert_int_equal(mailbox_date(b, 5, &date, &err), MAILBOX_GONE);
	box_changes(b, "", "", "2 5");
	box_holds(b, "1 3 4");
	assert_int_equal(mailbox_uidnext(b), 6);
	mailbox_close(a);
	mailbox_close(b);
	a = box_open(p, "INBOX", MAILBOX_WRITE);
	assert_int_equal(mailbox_uidnext(a), 6);
	mailbox_close(a);
}

static void
files_of_other_tools_are_numbered_in_the_order_of_their_times(void **state)
{
	struct place *p = *state;
	struct mailbox *m;
	const struct mailbox_record *r;
	struct buf log;
	size_t n;

	buf_init(&log, 4096);
	put_file(p, "cur/30.c.h:2,S", "a\r\nb\n");
	put_file(p, "cur/9.a.h,S=3,W=4:2,F", "ab\n");
	put_file(p, "new/20.b.h", "a\nb\n");
	put_file(p, "cur/10.lie.h,S=99,W=100:2,", "abc\n");
	put_file(p, "cur/.hidden", "x");
	assert_int_equal(mkdir(path_in(p, "cur/40.directory"), 0700), 0);
	assert_int_equal(symlink("/etc/passwd", path_in(p, "cur/50.link")), 0);
	assert_int_equal(mkfifo(path_in(p, "cur/60.fifo"), 0600), 0);
	m = box_open(p, "INBOX", MAILBOX_WRITE);
	r = mailbox_records(m, &n);
	assert_int_equal(n, 4);
	assert_int_equal(r[0].wire_size, 4);
	assert_int_equal(r[0].flags, MAILDIR_FLAGGED);
	assert_int_equal(r[1].size, 4);
	assert_int_equal(r[1].wire_size, 5);
	assert_int_equal(r[2].wire_size, 6);
	assert_true(r[2].recent);
	assert_int_equal(r[3].size, 5);
	assert_int_equal(r[3].wire_size, 6);
	box_changes(m, "", "", "");
	mailbox_close(m);
	buf_clear(&log);
}

static void
a_copy_that_a_tool_made_by_hand_gets_its_own_uid(void **state)
{
	struct place *p = *state;
	struct mailbox *m = box_open(p, "INBOX", MAILBOX_WRITE);
	char name[256], copy[300], from[512];

	(void)box_append(m, LETTER, MAILDIR_SEEN);
	box_changes(m, "1", "", "");
	(void)count_files(p, "cur", name);
	(void)snprintf(copy, sizeof copy, "cur/0%s", name);
	(void)snprintf(from, sizeof from, "cur/%s", name);
	assert_int_equal(link(path_in(p, from), path_in(p, copy)), 0);
	box_changes(m, "2", "", "");
	box_holds(m, "1 2");
	/* the same from another folder: its TAG is not ours */
	(void)snprintf(copy, sizeof copy, "new/7.a.b,S=14,W=17,u=1.zzzz");
	assert_int_equal(link(path_in(p, from), path_in(p, copy)), 0);
	box_changes(m, "3", "", "");
	mailbox_close(m);
}

static void
a_message_that_comes_back_is_a_new_one(void **state)
{
	struct place *p = *state;
	struct mailbox *m = box_open(p, "INBOX", MAILBOX_WRITE);
	char name[256], from[512];

	(void)box_append(m, LETTER, MAILDIR_SEEN);
	(void)box_append(m, LETTER, 0);
	box_changes(m, "1 2", "", "");
	(void)count_files(p, "cur", name);
	(void)snprintf(from, sizeof from, "cur/%s", name);
	assert_int_equal(rename(path_in(p, from), path_in(p, "aside")), 0);
	{
		struct mailbox_changes changes = box_rescan(m);

		assert_int_equal(changes.vanished.n, 1);
		mailbox_changes_clear(&changes);
	}
	assert_int_equal(rename(path_in(p, "aside"), path_in(p, from)), 0);
	box_changes(m, "3", "", "");
	mailbox_close(m);
}

static void
a_message_between_new_and_cur_is_never_missed(void **state)
{
	struct place *p = *state;
	struct mailbox *a = box_open(p, "INBOX", MAILBOX_READ), *b = box_open(p, "INBOX", MAILBOX_WRITE);

	(void)box_append(a, LETTER, 0);
	box_changes(a, "1", "", "");
	box_changes(b, "1", "", "");
	assert_int_equal(count_files(p, "new", NULL), 0);
	box_changes(a, "", "", "");
	box_holds(a, "1");
	mailbox_close(a);
	mailbox_close(b);
}

static void
an_added_message_that_vanishes_before_the_news_was_never_there(void **state)
{
	struct place *p = *state;
	struct mailbox *a = box_open(p, "INBOX", MAILBOX_WRITE), *b = box_open(p, "INBOX", MAILBOX_WRITE);
	struct err err;
	int fd;

	(void)box_append(a, LETTER, 0);
	assert_int_equal(mailbox_open_message(b, 77, &fd, &err), MAILBOX_GONE);
	(void)box_append(a, LETTER, 0);
	box_changes(a, "1 2", "", "");
	assert_int_equal(mailbox_remove(a, 1, &err), MAILBOX_DONE);
	box_changes(b, "2", "", "");
	mailbox_close(a);
	mailbox_close(b);
}

static void
links_share_the_bytes(void **state)
{
	struct place *p = *state;
	struct mailbox *m = box_open(p, "INBOX", MAILBOX_ADD);
	struct mailbox_file *files[2];
	struct err err;
	struct stat st;
	char name[256], path[512];

	files[0] = mailbox_file_new(m, &err);
	assert_non_null(files[0]);
	assert_true(mailbox_file_write(files[0], STR(LETTER), &err));
	assert_true(mailbox_file_finish(files[0], NULL, &err));
	files[1] = mailbox_file_link(files[0], &err);
	assert_non_null(files[1]);
	assert_int_equal(count_files(p, "tmp", NULL), 2);
	assert_true(mailbox_file_sync(files[0], &err));
	assert_true(mailbox_publish(m, files, 2, &err));
	assert_true(mailbox_sync(m, &err));
	assert_int_equal(mailbox_file_uid(files[0]), 1);
	assert_int_equal(mailbox_file_uid(files[1]), 2);
	mailbox_file_free(files[0]);
	mailbox_file_free(files[1]);
	assert_int_equal(count_files(p, "new", name), 2);
	(void)snprintf(path, sizeof path, "new/%s", name);
	assert_int_equal(stat(path_in(p, path), &st), 0);
	assert_int_equal(st.st_nlink, 2);
	mailbox_close(m);
}

static void
what_is_not_published_leaves_nothing(void **state)
{
	struct place *p = *state;
	struct mailbox *m = box_open(p, "INBOX", MAILBOX_ADD);
	struct err err;
	struct mailbox_file *file = mailbox_file_new(m, &err);

	assert_true(mailbox_file_write(file, STR(LETTER), &err));
	assert_int_equal(count_files(p, "tmp", NULL), 1);
	mailbox_file_free(file);
	assert_int_equal(count_files(p, "tmp", NULL), 0);
	mailbox_close(m);
}

static void
large_messages_arrive_whole_in_any_pieces(void **state)
{
	enum { LINES = 20000 };
	struct place *p = *state;
	struct mailbox *m = box_open(p, "INBOX", MAILBOX_WRITE);
	struct buf wire, disk;
	struct err err;

	buf_init(&wire, 8 * 1024 * 1024);
	for (int i = 0; i < LINES; i++)
		buf_addf(&wire, "line %d of a long letter%s\r\n", i, i % 7 == 0 ? "\r" : i % 5 == 0 ? "\rx" : "");
	for (size_t step = 1; step < 300000; step = step * 17 + 3) {
		struct mailbox_file *file = mailbox_file_new(m, &err);
		struct mailbox_changes changes;
		const struct mailbox_record *r;
		size_t n;
		int fd;

		for (size_t i = 0; i < wire.n; i += step)
			assert_true(mailbox_file_write(file, str_sub(buf_str(&wire), i, step), &err));
		assert_true(mailbox_file_finish(file, NULL, &err));
		assert_true(mailbox_publish(m, &file, 1, &err));
		mailbox_file_free(file);
		changes = box_rescan(m);
		mailbox_changes_clear(&changes);
		r = mailbox_records(m, &n);
		assert_int_equal(r[n - 1].wire_size, wire.n);
		buf_init(&disk, 8 * 1024 * 1024);
		assert_int_equal(mailbox_open_message(m, r[n - 1].uid, &fd, &err), MAILBOX_DONE);
		buf_commit(&disk, (size_t)read(fd, buf_reserve(&disk, wire.n), wire.n));
		(void)close(fd);
		assert_int_equal(disk.n, r[n - 1].size);
		assert_true(disk.n < wire.n);
		buf_clear(&disk);
	}
	buf_clear(&wire);
	mailbox_close(m);
}

static void
one_pop3_session_at_a_time(void **state)
{
	struct mailbox *a = box_open(*state, "INBOX", MAILBOX_REMOVE), *b = box_open(*state, "INBOX", MAILBOX_REMOVE);
	struct err err;

	assert_true(mailbox_lock_session(a, &err));
	assert_false(mailbox_lock_session(b, &err));
	assert_int_equal(err.class, ERR_LIMIT);
	mailbox_close(a);
	assert_true(mailbox_lock_session(b, &err));
	mailbox_close(b);
}

static void
settle(struct place *p, time_t when)
{
	struct timespec times[2] = {{.tv_sec = when}, {.tv_sec = when}};

	assert_int_equal(utimensat(AT_FDCWD, path_in(p, "new"), times, 0), 0);
	assert_int_equal(utimensat(AT_FDCWD, path_in(p, "cur"), times, 0), 0);
}

/* Shown by hiding a change: with times that are as they were, nobody looks. */
static void
directories_with_old_and_equal_times_are_not_read_again(void **state)
{
	struct place *p = *state;
	struct mailbox *m = box_open(p, "INBOX", MAILBOX_READ);

	(void)box_append(m, LETTER, 0);
	settle(p, 1000);
	box_changes(m, "1", "", "");
	(void)box_append(m, LETTER, 0);
	settle(p, 1000);
	box_changes(m, "", "", "");
	settle(p, 1001);
	box_changes(m, "2", "", "");
	/* times that are too young tell nothing */
	settle(p, time(NULL));
	box_changes(m, "", "", "");
	(void)box_append(m, LETTER, 0);
	settle(p, time(NULL));
	box_changes(m, "3", "", "");
	mailbox_close(m);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, place_setup, place_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(an_appended_message_is_numbered_and_kept_with_lf),
	    TEST(date_flags_and_keywords_are_kept),
	    TEST(a_folder_has_26_keywords_at_most),
	    TEST(flags_change_by_renaming_and_others_see_it),
	    TEST(letters_of_other_tools_stay),
	    TEST(rights_are_kept),
	    TEST(what_is_removed_is_gone_for_everyone),
	    TEST(files_of_other_tools_are_numbered_in_the_order_of_their_times),
	    TEST(a_copy_that_a_tool_made_by_hand_gets_its_own_uid),
	    TEST(a_message_that_comes_back_is_a_new_one),
	    TEST(a_message_between_new_and_cur_is_never_missed),
	    TEST(an_added_message_that_vanishes_before_the_news_was_never_there),
	    TEST(links_share_the_bytes),
	    TEST(what_is_not_published_leaves_nothing),
	    TEST(large_messages_arrive_whole_in_any_pieces),
	    TEST(one_pop3_session_at_a_time),
	    TEST(directories_with_old_and_equal_times_are_not_read_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
