/*
 * read_limit DIRECTORY THREADS   reads every file in the directories of DIRECTORY, each thread one directory after the other
 *
 * Prints "count seconds cpu_seconds": what any program needs that looks at every file.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/str.h"

#define THREADS_MAX 64
#define READ_BYTES 4096

static struct {
	DIR *top;
	pthread_mutex_t lock; /* of top, and of count */
	uint64_t count;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

static _Noreturn void
die(const char *what)
{
	(void)fprintf(stderr, "read_limit: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* -1: there is none left. */
static int
directory_next(void)
{
	const struct dirent *entry;
	int fd = -1;

	(void)pthread_mutex_lock(&all.lock);
	do
		entry = readdir(all.top);
	while (entry != NULL && entry->d_name[0] == '.');
	if (entry != NULL)
		fd = openat(dirfd(all.top), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)pthread_mutex_unlock(&all.lock);
	return fd;
}

static uint64_t
directory_read(int fd, char *bytes)
{
	DIR *directory = fdopendir(fd);
	const struct dirent *entry;
	uint64_t count = 0;

	if (directory == NULL)
		die("fdopendir");
	while ((entry = readdir(directory)) != NULL) {
		int file;

		if (entry->d_name[0] == '.')
			continue;
		file = openat(fd, entry->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (file < 0 || read(file, bytes, READ_BYTES) <= 0)
			die(entry->d_name);
		(void)close(file);
		count++;
	}
	(void)closedir(directory);
	return count;
}

static void *
work(void *unused)
{
	char bytes[READ_BYTES];
	int fd;

	while ((fd = directory_next()) >= 0) {
		uint64_t count = directory_read(fd, bytes);

		(void)pthread_mutex_lock(&all.lock);
		all.count += count;
		(void)pthread_mutex_unlock(&all.lock);
	}
	return unused;
}

static double
clock_s(clockid_t clock)
{
	struct timespec ts;

	(void)clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int
main(int argc, char **argv)
{
	double begin = clock_s(CLOCK_MONOTONIC);
	pthread_t threads[THREADS_MAX];
	uint64_t n;

	if (argc != 3 || !str_to_u64(str_from(argv[2]), THREADS_MAX, &n)) {
		(void)fprintf(stderr, "usage: read_limit DIRECTORY THREADS\n");
		return 64;
	}
	all.top = opendir(argv[1]);
	if (all.top == NULL)
		die(argv[1]);
	for (uint64_t i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, work, NULL) != 0)
			die("pthread_create");
	for (uint64_t i = 0; i < n; i++)
		(void)pthread_join(threads[i], NULL);
	printf("%lu %.6f %.6f\n", (unsigned long)all.count, clock_s(CLOCK_MONOTONIC) - begin, clock_s(CLOCK_PROCESS_CPUTIME_ID));
	return 0;
}
