#include "tests/unit/rows.h"

#include <fcntl.h>
#include <unistd.h>

#include "common/daemon/file_watch.h"

static void
file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(close(fd), 0);
}

static void
a_renewal_is_told_once_and_only_when_both_files_have_settled(void **state)
{
	char certificate[] = "/tmp/mwatchXXXXXX", key[64], fresh[64];
	const char *const paths[] = {certificate, key};
	struct file_watch watch = {0};
	int fd = mkstemp(certificate);

	(void)state;
	assert_true(fd >= 0);
	(void)close(fd);
	(void)snprintf(key, sizeof key, "%s.key", certificate);
	(void)snprintf(fresh, sizeof fresh, "%s.new", certificate);
	file_write(key, "one");
	file_watch_begin(&watch, paths, 2);
	assert_false(file_watch_look(&watch, paths, 2));
	/* the certificate is replaced, at the next look the key too */
	file_write(fresh, "two!");
	assert_int_equal(rename(fresh, certificate), 0);
	assert_false(file_watch_look(&watch, paths, 2));
	file_write(key, "two!!");
	assert_false(file_watch_look(&watch, paths, 2));
	assert_true(file_watch_look(&watch, paths, 2));
	assert_false(file_watch_look(&watch, paths, 2));
	/* one that is away is waited for */
	assert_int_equal(unlink(key), 0);
	assert_false(file_watch_look(&watch, paths, 2));
	assert_false(file_watch_look(&watch, paths, 2));
	file_write(key, "three");
	assert_false(file_watch_look(&watch, paths, 2));
	assert_true(file_watch_look(&watch, paths, 2));
	file_watch_clear(&watch);
	(void)unlink(key);
	(void)unlink(certificate);
}

static void
a_file_that_never_was_there_keeps_none_of_the_others_back(void **state)
{
	char token[] = "/tmp/mwatchXXXXXX";
	const char *const paths[] = {token, "/nonexistent/token"};
	struct file_watch watch = {0};
	int fd = mkstemp(token);

	(void)state;
	assert_true(fd >= 0);
	(void)close(fd);
	file_watch_begin(&watch, paths, 2);
	file_write(token, "new");
	assert_false(file_watch_look(&watch, paths, 2));
	assert_true(file_watch_look(&watch, paths, 2));
	file_watch_clear(&watch);
	(void)unlink(token);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_renewal_is_told_once_and_only_when_both_files_have_settled),
	    cmocka_unit_test(a_file_that_never_was_there_keeps_none_of_the_others_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
