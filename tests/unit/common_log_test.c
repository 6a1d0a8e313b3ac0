#include "tests/unit/rows.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/log.h"

/* Standard error is a pipe, from which seen() takes what has been written. */
static int from_log, saved_stderr;

static const char *
seen(void)
{
	static char text[65536];
	ssize_t n = read(from_log, text, sizeof text - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static unsigned
lines_of(const char *text)
{
	unsigned n = 0;

	for (; *text != '\0'; text++)
		n += *text == '\n';
	return n;
}

static int
divert(void **state)
{
	int fds[2];

	(void)state;
	if (pipe2(fds, O_NONBLOCK) != 0)
		return -1;
	saved_stderr = dup(STDERR_FILENO);
	from_log = fds[0];
	(void)dup2(fds[1], STDERR_FILENO);
	(void)close(fds[1]);
	log_open("merpati", "test", LOG_TO_STDERR);
	return 0;
}

static int
restore(void **state)
{
	(void)state;
	(void)dup2(saved_stderr, STDERR_FILENO);
	(void)close(saved_stderr);
	(void)close(from_log);
	return 0;
}

/* Before log_gather: each line by itself, and no byte of a stranger's as it is. */
static void
a_line_is_written_at_once_and_escaped(void **state)
{
	const char *text;

	(void)state;
	log_as("submission", "from=<%s>", "a\n\x1b\xff\xc3\xa9");
	text = seen();
	assert_int_equal(lines_of(text), 1);
	assert_non_null(strstr(text, "merpati/submission/test["));
	assert_non_null(strstr(text, "from=<a\\012\\033\\377\xc3\xa9>\n"));
}

static void
gathered_lines_leave_together(void **state)
{
	const char *text;

	(void)state;
	log_gather();
	log_info("satu");
	log_info("dua");
	assert_string_equal(seen(), "");
	log_flush();
	text = seen();
	assert_int_equal(lines_of(text), 2);
	assert_true(strstr(text, "satu\n") < strstr(text, "dua\n"));
	log_flush();
	assert_string_equal(seen(), "");
}

static void
a_warning_takes_along_what_waits(void **state)
{
	const char *text;

	(void)state;
	log_info("satu");
	log_warning("dua");
	text = seen();
	assert_int_equal(lines_of(text), 2);
	assert_true(strstr(text, "satu\n") < strstr(text, "warning: dua\n"));
}

static void
what_gathers_is_bounded(void **state)
{
	char longest[4000];

	(void)state;
	for (int i = 0; i < 100; i++)
		log_info("%d", i);
	assert_int_equal(lines_of(seen()), 96);
	log_flush();
	assert_int_equal(lines_of(seen()), 4);
	memset(longest, '\1', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	log_info("satu");
	log_info("%s", longest); /* escaped it fills a line */
	log_flush();
	assert_int_equal(lines_of(seen()), 2);
}

static void
a_child_does_not_repeat_its_parents_lines(void **state)
{
	pid_t pid;
	int status;

	(void)state;
	log_info("satu");
	pid = fork();
	if (pid == 0) {
		log_flush();
		log_info("dua");
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	log_flush();
	assert_int_equal(lines_of(seen()), 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_line_is_written_at_once_and_escaped, divert, restore),
	    cmocka_unit_test_setup_teardown(gathered_lines_leave_together, divert, restore),
	    cmocka_unit_test_setup_teardown(a_warning_takes_along_what_waits, divert, restore),
	    cmocka_unit_test_setup_teardown(what_gathers_is_bounded, divert, restore),
	    cmocka_unit_test_setup_teardown(a_child_does_not_repeat_its_parents_lines, divert, restore),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
