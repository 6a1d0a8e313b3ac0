/*
 * machine_limit files DIRECTORY COUNT BYTES THREADS   create, write and fsync COUNT files, each thread its own
 * machine_limit group DIRECTORY COUNT BYTES THREADS   the same with one syncfs for 50 files; they are left there
 * machine_limit take DIRECTORY COUNT BYTES            of COUNT files that are there: open, rename into another directory, read,
 *                                                     unlink, close; what a queue does with a message at least
 * machine_limit echo COUNT                            round trips of 64 bytes over a loopback connection
 * Prints "count seconds cpu_seconds": what this machine can do, beside which the suite's figures stand.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/str.h"

#define GROUP 50

struct job {
	const char *directory;
	uint64_t count, bytes, number;
	bool group;
};

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "machine_limit: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void *
files_write(void *argument)
{
	struct job *job = argument;
	int directory = open(job->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char *bytes = calloc(1, job->bytes);

	if (directory < 0 || bytes == NULL)
		die(job->directory);
	for (uint64_t i = 0; i < job->count; i++) {
		char name[64];
		int fd;

		(void)snprintf(name, sizeof name, "limit-%lu-%lu", (unsigned long)job->number, (unsigned long)i);
		fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 || write(fd, bytes, job->bytes) != (ssize_t)job->bytes)
			die(name);
		if (!job->group && (fsync(fd) != 0 || fsync(directory) != 0))
			die("fsync");
		if (job->group && (i % GROUP == GROUP - 1 || i + 1 == job->count) && syncfs(fd) != 0)
			die("syncfs");
		if (close(fd) != 0)
			die("close");
	}
	free(bytes);
	(void)close(directory);
	return NULL;
}

static void
files_remove(const struct job *job)
{
	char path[4096];

	for (uint64_t i = 0; i < job->count; i++) {
		(void)snprintf(path, sizeof path, "%s/limit-%lu-%lu", job->directory, (unsigned long)job->number,
		    (unsigned long)i);
		(void)unlink(path);
	}
}

static int
directory_make(const char *parent, const char *name)
{
	int at = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;

	if (at < 0 || (mkdirat(at, name, 0700) != 0 && errno != EEXIST))
		die(parent);
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		die(name);
	(void)close(at);
	return fd;
}

static void
name_make(char *name, size_t size, uint64_t i)
{
	(void)snprintf(name, size, "limit-%lu", (unsigned long)i);
}

static void
files_make(int directory, uint64_t count, uint64_t bytes)
{
	char *content = calloc(1, bytes), name[64];

	for (uint64_t i = 0; content != NULL && i < count; i++) {
		int fd;

		name_make(name, sizeof name, i);
		fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 || write(fd, content, bytes) != (ssize_t)bytes || close(fd) != 0)
			die(name);
	}
	if (syncfs(directory) != 0)
		die("syncfs");
	free(content);
}

static void
files_take(int from, int to, uint64_t count)
{
	static char bytes[65536];
	char name[64];

	for (uint64_t i = 0; i < count; i++) {
		int fd;

		name_make(name, sizeof name, i);
		fd = openat(from, name, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || renameat2(from, name, to, name, RENAME_NOREPLACE) != 0 || pread(fd, bytes, sizeof bytes, 0) < 0 ||
		    unlinkat(to, name, 0) != 0 || close(fd) != 0)
			die(name);
	}
}

static void *
echo_serve(void *argument)
{
	int fd = accept(*(int *)argument, NULL, NULL);
	char bytes[64];

	while (recv(fd, bytes, sizeof bytes, MSG_WAITALL) == sizeof bytes)
		if (send(fd, bytes, sizeof bytes, MSG_NOSIGNAL) < 0)
			break;
	(void)close(fd);
	return NULL;
}

static void
echo(uint64_t count)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof address;
	int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
	char bytes[64] = "";
	pthread_t thread;

	if (bind(listener, (struct sockaddr *)&address, n) != 0 || listen(listener, 1) != 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &n) != 0 ||
	    pthread_create(&thread, NULL, echo_serve, &listener) != 0 ||
	    connect(fd, (struct sockaddr *)&address, n) != 0)
		die("echo");
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	for (uint64_t i = 0; i < count; i++)
		if (send(fd, bytes, sizeof bytes, 0) != sizeof bytes ||
		    recv(fd, bytes, sizeof bytes, MSG_WAITALL) != sizeof bytes)
			die("echo");
	(void)close(fd);
	(void)pthread_join(thread, NULL);
	(void)close(listener);
}

static double
now_s(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double
cpu_s(void)
{
	struct rusage use;

	(void)getrusage(RUSAGE_SELF, &use);
	return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
	    (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

static uint64_t
number(const char *word, uint64_t max)
{
	uint64_t value;

	if (!str_to_u64(str_from(word), max, &value) || value == 0) {
		fprintf(stderr, "machine_limit: '%s' is not a number from 1 to %lu\n", word, (unsigned long)max);
		exit(64);
	}
	return value;
}

static void
take(const char *directory, uint64_t count, uint64_t bytes)
{
	int from = directory_make(directory, "from"), to = directory_make(directory, "to");
	double begin, cpu;

	files_make(from, count, bytes);
	begin = now_s();
	cpu = cpu_s();
	files_take(from, to, count);
	printf("%lu %.6f %.6f\n", (unsigned long)count, now_s() - begin, cpu_s() - cpu);
}

int
main(int argc, char **argv)
{
	struct job jobs[64];
	pthread_t threads[64];
	uint64_t count, n;
	double begin;

	if (argc == 3 && strcmp(argv[1], "echo") == 0) {
		count = number(argv[2], 10000000);
		begin = now_s();
		echo(count);
		printf("%lu %.6f %.6f\n", (unsigned long)count, now_s() - begin, cpu_s());
		return 0;
	}
	if (argc == 5 && strcmp(argv[1], "take") == 0) {
		take(argv[2], number(argv[3], 1000000), number(argv[4], 1 << 20));
		return 0;
	}
	if (argc != 6) {
		fprintf(stderr, "usage: machine_limit files|group DIRECTORY COUNT BYTES THREADS | take DIRECTORY COUNT BYTES |"
		    " echo COUNT\n");
		return 64;
	}
	n = number(argv[5], 64);
	count = number(argv[3], 10000000) / n;
	for (uint64_t i = 0; i < n; i++)
		jobs[i] = (struct job){argv[2], count, number(argv[4], 1 << 30), i, strcmp(argv[1], "group") == 0};
	begin = now_s();
	for (uint64_t i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, files_write, &jobs[i]) != 0)
			die("pthread_create");
	for (uint64_t i = 0; i < n; i++)
		(void)pthread_join(threads[i], NULL);
	printf("%lu %.6f %.6f\n", (unsigned long)(count * n), now_s() - begin, cpu_s());
	for (uint64_t i = 0; i < n && !jobs[i].group; i++)
		files_remove(&jobs[i]);
	return 0;
}
