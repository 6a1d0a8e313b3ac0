#include "tests/unit/rows.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "smtpd/guard_memory.h"

static char directory[] = "/tmp/guardXXXXXX";
static char path[64];

static int
begin(void **state)
{
	(void)state;
	memcpy(directory + sizeof directory - 7, "XXXXXX", 6);
	assert_non_null(mkdtemp(directory));
	(void)snprintf(path, sizeof path, "%s/guard", directory);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	(void)unlink(path);
	return rmdir(directory);
}

static void
remember(uint64_t hash)
{
	struct guard_memory memory;
	struct err err;

	assert_true(guard_memory_open(&memory, path, &err));
	(void)guard_table_make(&memory.passed, hash, 1000);
	guard_memory_close(&memory);
}

static bool
remembers(uint64_t hash)
{
	struct guard_memory memory;
	struct err err;
	bool found;

	assert_true(guard_memory_open(&memory, path, &err));
	found = guard_table_find(&memory.passed, hash) != NULL;
	guard_memory_close(&memory);
	return found;
}

static void
what_is_learnt_outlives_the_process(void **state)
{
	struct guard_memory one, two;
	struct err err;
	struct stat st;

	(void)state;
	remember(77);
	assert_true(remembers(77));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_true(guard_memory_open(&one, path, &err));
	assert_true(guard_memory_open(&two, path, &err)); /* of an old and a new configuration */
	assert_memory_equal(&one.key, &two.key, sizeof one.key);
	(void)guard_table_make(&one.grey, 78, 1000);
	assert_non_null(guard_table_find(&two.grey, 78));
	guard_memory_close(&one);
	guard_memory_close(&two);
}

static void
a_file_of_another_kind_is_made_anew(void **state)
{
	static const struct {
		off_t at, size;
	} rows[] = {{0, 0}, {20, 0}, {0, 100}, {0, 1}};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		int fd;

		remember(77);
		fd = open(path, O_RDWR);
		assert_true(fd >= 0);
		assert_int_equal(pwrite(fd, "\377", 1, rows[i].at), 1);
		if (rows[i].size > 0)
			assert_int_equal(ftruncate(fd, rows[i].size), 0);
		(void)close(fd);
		assert_false(remembers(77));
		remember(77);
		assert_true(remembers(77));
	}
}

static void
without_a_file_the_process_remembers_for_itself(void **state)
{
	struct guard_memory memory;
	struct err err;

	(void)state;
	assert_false(guard_memory_open(&memory, "/nowhere/guard", &err));
	assert_non_null(strstr(err.text, "/nowhere/guard"));
	(void)guard_table_make(&memory.passed, 77, 1000);
	assert_non_null(guard_table_find(&memory.passed, 77));
	guard_memory_close(&memory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(what_is_learnt_outlives_the_process, begin, end),
	    cmocka_unit_test_setup_teardown(a_file_of_another_kind_is_made_anew, begin, end),
	    cmocka_unit_test(without_a_file_the_process_remembers_for_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
