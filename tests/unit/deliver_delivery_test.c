#include "tests/unit/rows.h"

#include <dirent.h>
#include <limits.h>

#include "tests/unit/maildir.h"

#include "deliver/delivery.h"

static void
loops_are_found_in_the_header_only(void **state)
{
	static const struct {
		const char *content, *recipient;
		bool loop;
	} rows[] = {
	    {"Subject: a\r\n\r\nx\r\n", "a@b", false},
	    {"Delivered-To: a@b\r\n\r\nx\r\n", "a@b", true},
	    {"DELIVERED-TO:A@B\r\n\r\n", "a@b", true},
	    {"Delivered-To: <a@b>\n\nx\n", "a@b", true},
	    {"Delivered-To: c@d\nDelivered-To: a@b\n\n", "a@b", true},
	    {"Delivered-To: aa@b\r\n\r\n", "a@b", false},
	    {"Subject: x\r\n Delivered-To: a@b\r\n\r\n", "a@b", false},
	    {"Subject: a\r\n\r\nDelivered-To: a@b\r\n", "a@b", false},
	    {"", "a@b", false},
	    {"Delivered-To:", "a@b", false},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		if (delivery_is_loop(str_from(rows[i].content), str_from(rows[i].recipient)) != rows[i].loop)
			fail_msg("row %zu", i);
}

static void
only_what_is_about_space_is_said_to_be(void **state)
{
	(void)state;
	assert_int_equal(delivery_status_of(&(struct err){.errnum = ENOSPC}), HANDOFF_DISK_FULL);
	assert_int_equal(delivery_status_of(&(struct err){.errnum = EDQUOT}), HANDOFF_QUOTA);
	assert_int_equal(delivery_status_of(&(struct err){.errnum = EIO}), HANDOFF_TROUBLE);
	assert_int_equal(delivery_status_of(&(struct err){.class = ERR_PERM}), HANDOFF_TROUBLE);
}

static void
letters_of_a_batch_are_delivered_together(void **state)
{
	struct place *p = *state;
	struct mailbox *m = box_open(p, "INBOX", MAILBOX_ADD);
	struct deliveries list = STAILQ_HEAD_INITIALIZER(list);
	struct handoff_letter letter = {.sender = STR("s@t"), .recipients = {STR("a@b"), STR("a+x@b"), STR("loop@b")},
	    .nrecipients = 3, .content = STR("Delivered-To: loop@b\r\n\r\nx\r\n")};
	struct delivery *delivery;

	letter.size = letter.content.n;
	for (unsigned i = 0; i < 20; i++) {
		delivery = delivery_new(m, i, &letter, false);
		STAILQ_INSERT_TAIL(&list, delivery, link);
	}
	assert_int_equal(count_files(p, "new", NULL), 0);
	assert_int_equal(count_files(p, "tmp", NULL), 40);
	assert_true(deliveries_commit(&list, m));
	assert_int_equal(count_files(p, "new", NULL), 40);
	assert_int_equal(count_files(p, "tmp", NULL), 0);
	while ((delivery = STAILQ_FIRST(&list)) != NULL) {
		STAILQ_REMOVE_HEAD(&list, link);
		assert_int_equal(delivery->result.status[0], HANDOFF_DELIVERED);
		assert_int_equal(delivery->result.status[1], HANDOFF_DELIVERED);
		assert_int_equal(delivery->result.status[2], HANDOFF_LOOP);
		delivery_free(delivery);
	}
	mailbox_close(m);
}

/* The one file in new/, whole. */
static struct str
new_file(struct place *p, char *bytes, size_t size)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir = opendir(path_in(p, "new"));
	size_t n = 0;
	FILE *file;

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			(void)snprintf(path, sizeof path, "%s/%s", path_in(p, "new"), entry->d_name);
	(void)closedir(dir);
	file = fopen(path, "r");
	assert_non_null(file);
	n = fread(bytes, 1, size, file);
	(void)fclose(file);
	return (struct str){bytes, n};
}

static void
what_is_verbatim_is_stored_byte_for_byte(void **state)
{
	struct place *p = *state;
	struct mailbox *m = box_open(p, "INBOX", MAILBOX_ADD);
	struct deliveries list = STAILQ_HEAD_INITIALIZER(list);
	struct handoff_letter letter = {.sender = STR("s@t"), .recipients = {STR("a@b")}, .nrecipients = 1, .verbatim = true,
	    .content = STR("Subject: x\r\n\r\n\r\r\n\n\0\r.\r\n")};
	struct delivery *delivery;
	char bytes[256];

	letter.size = letter.content.n;
	delivery = delivery_new(m, 1, &letter, false);
	STAILQ_INSERT_TAIL(&list, delivery, link);
	assert_true(deliveries_commit(&list, m));
	assert_str(new_file(p, bytes, sizeof bytes),
	    STR("Return-Path: <s@t>\r\nDelivered-To: a@b\r\nSubject: x\r\n\r\n\r\r\n\n\0\r.\r\n"));
	delivery_free(delivery);
	mailbox_close(m);
}

static void
what_is_dropped_before_the_commit_leaves_nothing(void **state)
{
	struct place *p = *state;
	struct mailbox *m = box_open(p, "INBOX", MAILBOX_ADD);
	struct handoff_letter letter = {.recipients = {STR("a@b")}, .nrecipients = 1, .content = STR("x\n"), .size = 2};

	delivery_free(delivery_new(m, 1, &letter, true));
	assert_int_equal(count_files(p, "tmp", NULL), 0);
	assert_int_equal(count_files(p, "new", NULL), 0);
	mailbox_close(m);
}

static void
a_mailbox_that_is_gone_is_trouble(void **state)
{
	struct place *p = *state;
	struct mailbox *m = box_open(p, "INBOX", MAILBOX_ADD);
	struct deliveries list = STAILQ_HEAD_INITIALIZER(list);
	struct handoff_letter letter = {.recipients = {STR("a@b")}, .nrecipients = 1, .content = STR("x\n"), .size = 2};
	struct delivery *delivery = delivery_new(m, 1, &letter, true);

	STAILQ_INSERT_TAIL(&list, delivery, link);
	assert_int_equal(nftw(path_in(p, ""), remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	assert_false(deliveries_commit(&list, m));
	assert_int_equal(delivery->result.status[0], HANDOFF_TROUBLE);
	delivery_free(delivery);
	mailbox_close(m);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, place_setup, place_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(loops_are_found_in_the_header_only),
	    cmocka_unit_test(only_what_is_about_space_is_said_to_be),
	    TEST(letters_of_a_batch_are_delivered_together),
	    TEST(what_is_verbatim_is_stored_byte_for_byte),
	    TEST(what_is_dropped_before_the_commit_leaves_nothing),
	    TEST(a_mailbox_that_is_gone_is_trouble),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
