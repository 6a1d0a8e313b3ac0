#include "tests/unit/rows.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <sys/eventfd.h>

#include "common/base/aio_sync.h"
#include "common/base/commit.h"

static char directory[] = "/tmp/mcomXXXXXX";

/* --- the kernel's calls, counted, and made to fail when a test says so --------------------------------------------- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static unsigned fsyncs, syncfses;
static int failing_fd = -1, failing_errno, syncfs_errno;
static pthread_cond_t released = PTHREAD_COND_INITIALIZER;
static bool held; /* every call waits */
static unsigned syncfs_us;

static int
counted(unsigned *counter, int errnum)
{
	pthread_mutex_lock(&mutex);
	(*counter)++;
	while (held)
		pthread_cond_wait(&released, &mutex);
	pthread_mutex_unlock(&mutex);
	errno = errnum;
	return errnum == 0 ? 0 : -1;
}

int
fsync(int fd)
{
	return counted(&fsyncs, fd == failing_fd ? failing_errno : fcntl(fd, F_GETFD) < 0 ? EBADF : 0);
}

int
syncfs(int fd)
{
	struct statfs st;

	usleep(syncfs_us);
	return counted(&syncfses, fstatfs(fd, &st) != 0 ? EBADF : syncfs_errno);
}

static void
hold(bool on)
{
	pthread_mutex_lock(&mutex);
	held = on;
	pthread_cond_broadcast(&released);
	pthread_mutex_unlock(&mutex);
}

static int
reset(void **state)
{
	(void)state;
	fsyncs = syncfses = 0;
	failing_fd = -1;
	failing_errno = syncfs_errno = 0;
	syncfs_us = 0;
	return 0;
}

/* --- those who wait ------------------------------------------------------------------------------------------------- */

struct letter {
	struct commit_entry entry;
	int fd;
	bool told, ok;
	struct err err;
};

static void
told(struct commit_entry *entry, bool ok, const struct err *err)
{
	struct letter *letter = container_of(entry, struct letter, entry);

	assert_false(letter->told);
	letter->told = true;
	letter->ok = ok;
	assert_int_equal(ok, err == NULL);
	if (err != NULL)
		letter->err = *err;
}

static void
letters_make(struct letter *letters, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char name[64];

		snprintf(name, sizeof name, "%s/%zu", directory, i);
		letters[i] = (struct letter){.fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600)};
		assert_true(letters[i].fd >= 0);
		assert_int_equal(write(letters[i].fd, "isi\n", 4), 4);
	}
}

static void
letters_drop(struct letter *letters, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char name[64];

		snprintf(name, sizeof name, "%s/%zu", directory, i);
		close(letters[i].fd);
		unlink(name);
	}
}

static void
wait_for_all(struct loop *loop, struct commit *commit)
{
	for (int turns = 0; commit_waiting(commit) > 0 && turns < 1000; turns++)
		loop_once(loop, 100);
	assert_int_equal(commit_waiting(commit), 0);
}

/* Submits one letter and waits until a thread is in the midst of it; what comes next has to wait, and is a group. */
static void
occupy(struct loop *loop, struct commit *commit, struct letter *letter, int directory_fd)
{
	hold(true);
	commit_submit(commit, &letter->entry, letter->fd, directory_fd, told);
	loop_once(loop, 0);
	for (int i = 0; i < 1000; i++) {
		bool begun;

		pthread_mutex_lock(&mutex);
		begun = fsyncs + syncfses > 0;
		pthread_mutex_unlock(&mutex);
		if (begun)
			return;
		usleep(1000);
	}
	fail_msg("no thread began");
}

#define MANY 50

static struct letter letters[MANY];

/* The first letter alone, then n - 1 as one group, with one thread. */
static void
run_group(size_t n)
{
	struct loop *loop = loop_new();
	struct commit *commit = commit_new(loop, 1);
	int directory_fd = open(directory, O_RDONLY | O_DIRECTORY);

	letters_make(letters, n);
	if (failing_fd == -2)
		failing_fd = letters[2].fd;
	if (failing_fd == -3)
		failing_fd = directory_fd;
	occupy(loop, commit, &letters[0], directory_fd);
	for (size_t i = 1; i < n; i++)
		commit_submit(commit, &letters[i].entry, letters[i].fd, directory_fd, told);
	assert_int_equal(commit_waiting(commit), n);
	loop_once(loop, 0);
	hold(false);
	wait_for_all(loop, commit);
	letters_drop(letters, n);
	for (size_t i = 0; i < n; i++)
		assert_true(letters[i].told);
	close(directory_fd);
	commit_free(commit);
	loop_free(loop);
}

static void
one_letter_costs_a_sync_of_the_file_and_one_of_the_directory(void **state)
{
	(void)state;
	run_group(1);
	assert_true(letters[0].ok);
	assert_int_equal(fsyncs, 2);
	assert_int_equal(syncfses, 0);
}

static void
a_few_letters_share_the_sync_of_the_directory(void **state)
{
	(void)state;
	run_group(5);
	for (size_t i = 0; i < 5; i++)
		assert_true(letters[i].ok);
	assert_int_equal(fsyncs, 2 + 4 + 1);
	assert_int_equal(syncfses, 0);
}

static void
many_letters_share_one_syncfs(void **state)
{
	(void)state;
	run_group(MANY);
	for (size_t i = 0; i < MANY; i++)
		assert_true(letters[i].ok);
	assert_int_equal(fsyncs, 2);
	assert_int_equal(syncfses, 1);
}

static void
a_file_that_cannot_be_synced_fails_alone(void **state)
{
	(void)state;
	failing_fd = -2;
	failing_errno = EIO;
	run_group(5);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(letters[i].ok, i != 2);
	assert_int_equal(letters[2].err.class, ERR_TEMP);
	assert_int_equal(letters[2].err.errnum, EIO);
}

static void
a_directory_that_cannot_be_synced_fails_all_its_letters(void **state)
{
	(void)state;
	failing_fd = -3;
	failing_errno = ENOSPC;
	run_group(5);
	for (size_t i = 0; i < 5; i++) {
		assert_false(letters[i].ok);
		assert_int_equal(letters[i].err.errnum, ENOSPC);
	}
}

static void
a_syncfs_that_fails_fails_the_whole_group(void **state)
{
	(void)state;
	syncfs_errno = EIO;
	run_group(MANY);
	assert_true(letters[0].ok); /* was alone */
	for (size_t i = 1; i < MANY; i++)
		assert_false(letters[i].ok);
}

/* Somebody else writes a lot to the same file system. */
static void
a_syncfs_that_takes_too_long_is_given_up_for_a_while(void **state)
{
	struct loop *loop = loop_new();
	struct commit *commit = commit_new(loop, 1);
	int directory_fd = open(directory, O_RDONLY | O_DIRECTORY);

	(void)state;
	syncfs_us = 300000;
	letters_make(letters, MANY);
	for (int group = 0; group < 3; group++) {
		for (size_t i = 0; i < MANY; i++)
			commit_submit(commit, &letters[i].entry, letters[i].fd, directory_fd, told);
		wait_for_all(loop, commit);
		for (size_t i = 0; i < MANY; i++)
			letters[i].told = false;
	}
	/* the first group is measured, the second has a slow syncfs, the third has none */
	assert_int_equal(syncfses, 1);
	assert_int_equal(fsyncs, 2 * (MANY + 1));
	letters_drop(letters, MANY);
	close(directory_fd);
	commit_free(commit);
	loop_free(loop);
}

/* --- with the kernel's threads, whose calls are not ours to count ---------------------------------------------------- */

static bool
has_kernel_threads(void)
{
	int fd = eventfd(0, EFD_NONBLOCK);
	struct aio_sync *aio = aio_sync_new(fd);
	bool has = aio != NULL;

	aio_sync_free(aio);
	close(fd);
	return has;
}

static void
run_in_kernel(size_t n, int bad_directory_fd)
{
	struct loop *loop = loop_new();
	struct commit *commit = commit_new(loop, 1);
	int directory_fd = open(directory, O_RDONLY | O_DIRECTORY);

	if (!has_kernel_threads())
		skip();
	commit_use_kernel_threads(commit);
	letters_make(letters, n);
	for (size_t i = 0; i < n; i++)
		commit_submit(commit, &letters[i].entry, letters[i].fd, bad_directory_fd >= 0 ? bad_directory_fd : directory_fd, told);
	wait_for_all(loop, commit);
	letters_drop(letters, n);
	close(directory_fd);
	commit_free(commit);
	loop_free(loop);
}

static void
the_kernels_threads_sync_a_few(void **state)
{
	(void)state;
	for (size_t n = 1; n <= 5; n++) {
		run_in_kernel(n, -1);
		for (size_t i = 0; i < n; i++)
			assert_true(letters[i].told && letters[i].ok);
	}
	assert_int_equal(fsyncs + syncfses, 0);
}

/* A wake-up that got lost would show as a wait without end. */
static void
one_after_the_other_is_told_of(void **state)
{
	struct loop *loop = loop_new();
	struct commit *commit = commit_new(loop, 1);
	int directory_fd = open(directory, O_RDONLY | O_DIRECTORY);

	(void)state;
	if (!has_kernel_threads())
		skip();
	commit_use_kernel_threads(commit);
	letters_make(letters, 1);
	for (int i = 0; i < 50; i++) {
		letters[0].told = false;
		commit_submit(commit, &letters[0].entry, letters[0].fd, directory_fd, told);
		for (int turns = 0; turns < 20 && commit_waiting(commit) > 0; turns++)
			loop_once(loop, 10000);
		assert_true(letters[0].told && letters[0].ok);
	}
	letters_drop(letters, 1);
	close(directory_fd);
	commit_free(commit);
	loop_free(loop);
}

static void
many_are_still_one_syncfs(void **state)
{
	(void)state;
	run_in_kernel(MANY, -1);
	for (size_t i = 0; i < MANY; i++)
		assert_true(letters[i].told && letters[i].ok);
	assert_int_equal(fsyncs, 0); /* the first few are for comparison */
	assert_int_equal(syncfses, 1);
}

/* A file takes so long that what is slow for the others is not slow for us. */
static bool
disk_is_busy(void)
{
	struct timespec begin, end;

	(void)clock_gettime(CLOCK_MONOTONIC, &begin);
	for (size_t i = 0; i < 10; i++)
		if (write(letters[i].fd, "x", 1) != 1 || syscall(SYS_fsync, letters[i].fd) != 0)
			return true;
	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	return end.tv_sec - begin.tv_sec > 0 || end.tv_nsec - begin.tv_nsec > 50 * 1000000;
}

static void
beside_a_slow_syncfs_the_kernels_threads_do_all(void **state)
{
	struct loop *loop = loop_new();
	struct commit *commit = commit_new(loop, 1);
	int directory_fd = open(directory, O_RDONLY | O_DIRECTORY);

	(void)state;
	if (!has_kernel_threads())
		skip();
	commit_use_kernel_threads(commit);
	syncfs_us = 1500000; /* slower than syncing fifty files, unless the disk is very busy */
	letters_make(letters, MANY);
	for (int group = 0; group < 3; group++) {
		for (size_t i = 0; i < MANY; i++)
			commit_submit(commit, &letters[i].entry, letters[i].fd, directory_fd, told);
		wait_for_all(loop, commit);
		for (size_t i = 0; i < MANY; i++) {
			assert_true(letters[i].ok);
			letters[i].told = false;
		}
	}
	if (syncfses != 1 && disk_is_busy())
		skip();
	assert_int_equal(syncfses, 1);
	letters_drop(letters, MANY);
	close(directory_fd);
	commit_free(commit);
	loop_free(loop);
}

static void
what_the_kernel_does_not_take_fails(void **state)
{
	(void)state;
	run_in_kernel(3, 9999);
	for (size_t i = 0; i < 3; i++) {
		assert_false(letters[i].ok);
		assert_int_equal(letters[i].err.errnum, EBADF);
	}
}

static void
the_end_waits_for_the_kernel_too(void **state)
{
	struct loop *loop = loop_new();
	struct commit *commit = commit_new(loop, 2);
	int directory_fd = open(directory, O_RDONLY | O_DIRECTORY);

	(void)state;
	commit_use_kernel_threads(commit);
	letters_make(letters, MANY);
	for (size_t i = 0; i < MANY; i++)
		commit_submit(commit, &letters[i].entry, letters[i].fd, directory_fd, told);
	commit_free(commit);
	for (size_t i = 0; i < MANY; i++)
		assert_true(letters[i].told && letters[i].ok);
	letters_drop(letters, MANY);
	close(directory_fd);
	loop_free(loop);
}

static void
only_the_directory_can_be_committed(void **state)
{
	struct loop *loop = loop_new();
	struct commit *commit = commit_new(loop, 2);
	int directory_fd = open(directory, O_RDONLY | O_DIRECTORY);
	struct letter letter = {.fd = -1};

	(void)state;
	commit_submit(commit, &letter.entry, -1, directory_fd, told);
	wait_for_all(loop, commit);
	assert_true(letter.ok);
	assert_int_equal(fsyncs, 1);
	commit_free(commit);
	close(directory_fd);
	loop_free(loop);
}

static void
a_directory_that_is_none_is_an_error_and_not_a_promise(void **state)
{
	struct loop *loop = loop_new();
	struct commit *commit = commit_new(loop, 1);

	(void)state;
	letters_make(letters, 20);
	occupy(loop, commit, &letters[0], 9999);
	for (size_t i = 1; i < 20; i++)
		commit_submit(commit, &letters[i].entry, letters[i].fd, 9999, told);
	loop_once(loop, 0);
	hold(false);
	wait_for_all(loop, commit);
	for (size_t i = 0; i < 20; i++)
		assert_false(letters[i].ok);
	letters_drop(letters, 20);
	commit_free(commit);
	loop_free(loop);
}

static void
the_end_waits_for_what_is_under_way(void **state)
{
	struct loop *loop = loop_new();
	struct commit *commit = commit_new(loop, 4);
	int directory_fd = open(directory, O_RDONLY | O_DIRECTORY);

	(void)state;
	letters_make(letters, MANY);
	for (size_t i = 0; i < MANY; i++)
		commit_submit(commit, &letters[i].entry, letters[i].fd, directory_fd, told);
	commit_free(commit);
	for (size_t i = 0; i < MANY; i++)
		assert_true(letters[i].told && letters[i].ok);
	letters_drop(letters, MANY);
	close(directory_fd);
	loop_free(loop);
}

static int
make_directory(void **state)
{
	(void)state;
	return mkdtemp(directory) == NULL;
}

static int
remove_directory(void **state)
{
	(void)state;
	return rmdir(directory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(one_letter_costs_a_sync_of_the_file_and_one_of_the_directory, reset),
	    cmocka_unit_test_setup(a_few_letters_share_the_sync_of_the_directory, reset),
	    cmocka_unit_test_setup(many_letters_share_one_syncfs, reset),
	    cmocka_unit_test_setup(a_file_that_cannot_be_synced_fails_alone, reset),
	    cmocka_unit_test_setup(a_directory_that_cannot_be_synced_fails_all_its_letters, reset),
	    cmocka_unit_test_setup(a_syncfs_that_fails_fails_the_whole_group, reset),
	    cmocka_unit_test_setup(a_syncfs_that_takes_too_long_is_given_up_for_a_while, reset),
	    cmocka_unit_test_setup(the_kernels_threads_sync_a_few, reset),
	    cmocka_unit_test_setup(one_after_the_other_is_told_of, reset),
	    cmocka_unit_test_setup(many_are_still_one_syncfs, reset),
	    cmocka_unit_test_setup(beside_a_slow_syncfs_the_kernels_threads_do_all, reset),
	    cmocka_unit_test_setup(what_the_kernel_does_not_take_fails, reset),
	    cmocka_unit_test_setup(the_end_waits_for_the_kernel_too, reset),
	    cmocka_unit_test_setup(only_the_directory_can_be_committed, reset),
	    cmocka_unit_test_setup(a_directory_that_is_none_is_an_error_and_not_a_promise, reset),
	    cmocka_unit_test_setup(the_end_waits_for_what_is_under_way, reset),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
