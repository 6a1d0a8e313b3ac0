#include "tests/unit/rows.h"

#include "tests/unit/maildir.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, place_setup, place_teardown)

static void
refresh(struct mailbox *m)
{
	struct mailbox_changes changes = box_rescan(m);

	mailbox_changes_clear(&changes);
}

static size_t
count(struct mailbox *m)
{
	size_t n;

	(void)mailbox_records(m, &n);
	return n;
}

/* INBOX with messages 1 to 3, opened for everything; a folder `to`. */
static struct mailbox *
fill(struct place *p)
{
	struct mailbox *m = box_open(p, "INBOX", MAILBOX_WRITE);
	struct mailbox_file_attributes attributes = {.flags = MAILDIR_FLAGGED, .has_date = true, .date = 1234567890};
	struct err err;

	assert_true(store_create(p->store, STR("to"), 0, &err));
	attributes.keywords = 1u << mailbox_keyword_make(m, STR("unused"), &err);
	attributes.keywords = 1u << mailbox_keyword_make(m, STR("work"), &err);
	for (int i = 0; i < 3; i++)
		assert_true(mailbox_append(m, STR("a\r\n"), &attributes, NULL, &err));
	refresh(m);
	return m;
}

static void
copies_have_flags_keywords_and_date(void **state)
{
	struct place *p = *state;
	struct mailbox *from = fill(p), *to = box_open(p, "to", MAILBOX_WRITE);
	static const uint32_t uids[] = {1, 2, 77};
	const struct mailbox_record *r;
	uint32_t new_uids[3];
	struct err err;
	struct stat st;
	char name[256], path[512];
	int64_t date;

	assert_int_equal(mailbox_keyword_make(to, STR("other"), &err), 0);
	assert_true(mailbox_copy(from, uids, 3, to, new_uids, &err));
	assert_true(mailbox_sync(to, &err));
	assert_int_equal(new_uids[0], 1);
	assert_int_equal(new_uids[1], 2);
	assert_int_equal(new_uids[2], 0);
	refresh(to);
	assert_int_equal(count(to), 2);
	r = mailbox_find(to, 1);
	assert_int_equal(r->flags, MAILDIR_FLAGGED);
	assert_int_equal(r->wire_size, 3);
	assert_string_equal(mailbox_keyword_name(to, 1), "work");
	assert_int_equal(r->keywords, 2);
	assert_int_equal(mailbox_date(to, 1, &date, &err), MAILBOX_DONE);
	assert_int_equal(date, 1234567890);
	(void)count_files(p, ".to/cur", name);
	(void)snprintf(path, sizeof path, ".to/cur/%s", name);
	assert_int_equal(stat(path_in(p, path), &st), 0);
	assert_int_equal(st.st_nlink, 2);
	assert_null(mailbox_keyword_name(to, 2));
	mailbox_close(from);
	mailbox_close(to);
}

static void
a_message_whose_flags_changed_meanwhile_is_found(void **state)
{
	struct place *p = *state;
	struct mailbox *from = fill(p), *other = box_open(p, "INBOX", MAILBOX_WRITE), *to = box_open(p, "to", MAILBOX_WRITE);
	static const uint32_t uids[] = {1, 2, 3};
	uint32_t new_uids[3];
	struct err err;

	assert_int_equal(mailbox_store(other, 2, MAILBOX_SET, MAILDIR_SEEN, 0, &err), MAILBOX_DONE);
	assert_int_equal(mailbox_remove(other, 3, &err), MAILBOX_DONE);
	assert_true(mailbox_copy(from, uids, 3, to, new_uids, &err));
	assert_true(new_uids[0] > 0 && new_uids[1] > 0 && new_uids[0] != new_uids[1]);
	assert_int_equal(new_uids[2], 0);
	refresh(to);
	assert_int_equal(count(to), 2);
	assert_int_equal(mailbox_find(to, new_uids[1])->flags, MAILDIR_SEEN);
	mailbox_close(from);
	mailbox_close(other);
	mailbox_close(to);
}

static void
moved_messages_leave(void **state)
{
	struct place *p = *state;
	struct mailbox *from = fill(p), *to = box_open(p, "to", MAILBOX_ADD);
	static const uint32_t uids[] = {1, 3};
	uint32_t new_uids[2];
	struct err err;

	assert_true(mailbox_move(from, uids, 2, to, new_uids, &err));
	assert_true(mailbox_sync(to, &err));
	assert_true(mailbox_sync(from, &err));
	assert_int_equal(count(from), 1);
	assert_non_null(mailbox_find(from, 2));
	refresh(from);
	assert_int_equal(count(from), 1);
	assert_int_equal(count_files(p, "cur", NULL), 1);
	assert_int_equal(count_files(p, ".to/cur", NULL), 2);
	mailbox_close(to);
	to = box_open(p, "to", MAILBOX_READ);
	assert_int_equal(mailbox_find(to, new_uids[0])->flags, MAILDIR_FLAGGED);
	assert_non_null(mailbox_find(to, new_uids[1]));
	mailbox_close(to);
	mailbox_close(from);
}

static void
a_folder_can_be_its_own_target(void **state)
{
	struct place *p = *state;
	struct mailbox *m = fill(p);
	static const uint32_t uids[] = {2};
	uint32_t new_uid;
	struct err err;

	assert_true(mailbox_copy(m, uids, 1, m, &new_uid, &err));
	assert_int_equal(new_uid, 4);
	refresh(m);
	assert_int_equal(count(m), 4);
	assert_true(mailbox_move(m, uids, 1, m, &new_uid, &err));
	assert_int_equal(new_uid, 5);
	refresh(m);
	assert_int_equal(count(m), 4);
	assert_null(mailbox_find(m, 2));
	mailbox_close(m);
}

static void
keywords_beyond_the_last_letter_are_lost_with_the_copy(void **state)
{
	struct place *p = *state;
	struct mailbox *from = fill(p), *to = box_open(p, "to", MAILBOX_WRITE);
	static const uint32_t uids[] = {1};
	uint32_t new_uid;
	struct err err;

	for (int i = 0; i < MAILDIR_KEYWORDS_MAX; i++) {
		char name[16];

		(void)snprintf(name, sizeof name, "k%d", i);
		assert_int_equal(mailbox_keyword_make(to, str_from(name), &err), i);
	}
	assert_true(mailbox_copy(from, uids, 1, to, &new_uid, &err));
	refresh(to);
	assert_int_equal(mailbox_find(to, new_uid)->keywords, 0);
	mailbox_close(from);
	mailbox_close(to);
}

static void
a_copy_that_fails_leaves_nothing(void **state)
{
	struct place *p = *state;
	struct mailbox *from = fill(p), *to = box_open(p, "to", MAILBOX_ADD);
	static const uint32_t uids[] = {1, 2, 3};
	uint32_t new_uids[3];
	struct err err;

	if (geteuid() == 0) /* whom no mode keeps from writing: a folder that is gone does */
		assert_true(store_delete(p->store, STR("to"), &err));
	else
		assert_int_equal(chmod(path_in(p, ".to/cur"), 0500), 0);
	assert_false(mailbox_copy(from, uids, 3, to, new_uids, &err));
	for (int i = 0; i < 3; i++)
		assert_int_equal(new_uids[i], 0);
	assert_int_equal(count(from), 3);
	(void)chmod(path_in(p, ".to/cur"), 0700);
	mailbox_close(from);
	mailbox_close(to);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(copies_have_flags_keywords_and_date),
	    TEST(a_message_whose_flags_changed_meanwhile_is_found),
	    TEST(moved_messages_leave),
	    TEST(a_folder_can_be_its_own_target),
	    TEST(keywords_beyond_the_last_letter_are_lost_with_the_copy),
	    TEST(a_copy_that_fails_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
