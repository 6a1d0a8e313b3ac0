#include "tests/unit/rows.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/cache_file.h"

static char path[] = "/tmp/cache_file_XXXXXX";
static int directory;

static int
set_up(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(path));
	directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return directory >= 0 ? 0 : -1;
}

static void
remove_it(void *owner, const char *name)
{
	(*(int *)owner)++;
	cache_file_remove(directory, name);
}

static int
tear_down(void **state)
{
	int n = 0;
	struct err err;

	(void)state;
	(void)cache_file_list(directory, remove_it, &n, &err);
	(void)close(directory);
	return rmdir(path);
}

static void
what_was_written_is_read(void **state)
{
	struct err err = {0};
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	assert_false(cache_file_read(directory, "dua.test", &out, &err));
	assert_int_equal(err.errnum, ENOENT);
	assert_true(cache_file_replace(directory, "dua.test", STR("satu\n"), &err));
	assert_true(cache_file_replace(directory, "dua.test", STR("dua\n"), &err));
	assert_true(cache_file_read(directory, "dua.test", &out, &err));
	assert_str(buf_str(&out), STR("dua\n"));
	buf_clear(&out);
}

static void
what_is_too_large_or_no_file_is_not_read(void **state)
{
	struct err err = {0};
	struct buf out;

	(void)state;
	buf_init(&out, 4);
	assert_true(cache_file_replace(directory, "large", STR("12345"), &err));
	assert_false(cache_file_read(directory, "large", &out, &err));
	assert_int_equal(out.n, 0);
	assert_int_equal(symlinkat("large", directory, "link"), 0);
	assert_false(cache_file_read(directory, "link", &out, &err));
	assert_int_equal(mkfifoat(directory, "fifo", 0600), 0);
	assert_false(cache_file_read(directory, "fifo", &out, &err));
	buf_clear(&out);
}

static void
a_crash_in_the_middle_leaves_the_old_one(void **state)
{
	struct err err = {0};
	struct buf out;
	int n = 0, fd;

	(void)state;
	buf_init(&out, 100);
	assert_true(cache_file_replace(directory, "dua.test", STR("old"), &err));
	fd = openat(directory, ".new.1", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "half", 4), 4);
	(void)close(fd);
	assert_true(cache_file_read(directory, "dua.test", &out, &err));
	assert_str(buf_str(&out), STR("old"));
	assert_true(cache_file_replace(directory, "dua.test", STR("new"), &err));
	buf_reset(&out);
	assert_true(cache_file_read(directory, "dua.test", &out, &err));
	assert_str(buf_str(&out), STR("new"));
	assert_true(cache_file_list(directory, remove_it, &n, &err));
	assert_int_not_equal(faccessat(directory, ".new.1", F_OK, 0), 0);
	assert_int_equal(n, 4); /* dua.test and what the test before has made */
	buf_clear(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_was_written_is_read),
	    cmocka_unit_test(what_is_too_large_or_no_file_is_not_read),
	    cmocka_unit_test(a_crash_in_the_middle_leaves_the_old_one),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
