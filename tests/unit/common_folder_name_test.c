#include "tests/unit/rows.h"

#include "common/store/folder_name.h"

static const struct {
	const char *name, *disk;
} rows[] = {
    {"Sent", ".Sent"},
    {"Archive/2024", ".Archive.2024"},
    {"v1.2", ".v1\\2e2"},
    {"a\\b", ".a\\5cb"},
    {"R&D", ".R&D"},
    {"R&-D", ".R\\26-D"},
    {"Entw\xc3\xbcrfe", ".Entw\xc3\xbcrfe"},
    {"Entw&APw-rfe", ".Entw\\26APw-rfe"},
    {"x.y & &-", ".x\\2ey & &-"},
    {"INBOX/a", ".INBOX.a"},
    {".a", ".\\2ea"},
    {"..", ".\\2e\\2e"},
    {"Sent Items", ".Sent Items"},
};

static void
names_and_directories_belong_together(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	for (size_t i = 0; i < ROWS(rows); i++) {
		buf_reset(&out);
		assert_true(folder_name_to_disk(&out, str_from(rows[i].name)));
		assert_str(buf_str(&out), str_from(rows[i].disk));
		buf_reset(&out);
		assert_true(folder_name_from_disk(&out, str_from(rows[i].disk)));
		assert_str(buf_str(&out), str_from(rows[i].name));
	}
	buf_clear(&out);
}

static void
modified_utf7_of_other_servers_is_understood(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	assert_true(folder_name_from_disk(&out, STR(".Entw&APw-rfe.R&-D")));
	assert_str(buf_str(&out), STR("Entw\xc3\xbcrfe/R&D"));
	buf_reset(&out);
	assert_true(folder_name_to_disk_mutf7(&out, STR("Entw\xc3\xbcrfe/R&D")));
	assert_str(buf_str(&out), STR(".Entw&APw-rfe.R&-D"));
	buf_reset(&out);
	assert_false(folder_name_to_disk_mutf7(&out, STR("Sent")));
	buf_reset(&out);
	assert_false(folder_name_to_disk_mutf7(&out, STR("\xc3\xbc.x")));
	buf_clear(&out);
}

static void
what_cannot_be_a_folder_is_refused(void **state)
{
	static const char *const names[] = {
	    "", "/", "/a", "a/", "a//b", "a\nb", "a\x7f", "\xc2\x85", "\xff", "INBOX", "inbox",
	};
	static const char *const directories[] = {
	    "", ".", "..", ".a.", "..a", ".a..b", "cur", ".INBOX", ".inbox", ".a\\2x", ".a\\", ".a\\2", ".\xff", ".&AAk-",
	};
	char long_name[FOLDER_NAME_MAX + 2];
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	for (size_t i = 0; i < ROWS(names); i++) {
		buf_reset(&out);
		if (folder_name_to_disk(&out, str_from(names[i])))
			fail_msg("the name \"%s\" was accepted", names[i]);
	}
	for (size_t i = 0; i < ROWS(directories); i++) {
		buf_reset(&out);
		if (folder_name_from_disk(&out, str_from(directories[i])))
			fail_msg("the directory \"%s\" was accepted", directories[i]);
	}
	memset(long_name, 'a', sizeof long_name);
	assert_false(folder_name_is_good((struct str){long_name, FOLDER_NAME_MAX + 1}));
	assert_true(folder_name_is_good((struct str){long_name, FOLDER_NAME_MAX}));
	buf_reset(&out);
	assert_false(folder_name_to_disk(&out, (struct str){long_name, FOLDER_NAME_MAX})); /* with its dot */
	buf_reset(&out);
	assert_true(folder_name_to_disk(&out, (struct str){long_name, FOLDER_NAME_MAX - 1}));
	for (size_t i = 0; i < sizeof long_name; i += 2)
		long_name[i] = '/';
	assert_false(folder_name_is_good((struct str){long_name + 1, 2 * FOLDER_LEVELS_MAX + 1}));
	assert_true(folder_name_is_good((struct str){long_name + 1, 2 * FOLDER_LEVELS_MAX - 1}));
	assert_true(folder_name_is_good(STR("iNbOx")));
	assert_true(folder_name_is_inbox(STR("iNbOx")));
	buf_clear(&out);
}

static void
inbox_below_has_one_spelling(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	assert_true(folder_name_to_disk(&out, STR("inbox/a")));
	assert_str(buf_str(&out), STR(".INBOX.a"));
	buf_clear(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_and_directories_belong_together),
	    cmocka_unit_test(modified_utf7_of_other_servers_is_understood),
	    cmocka_unit_test(what_cannot_be_a_folder_is_refused),
	    cmocka_unit_test(inbox_below_has_one_spelling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
