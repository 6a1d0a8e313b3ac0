/*
 * queue_fill SPOOL [NAME=VALUE ...]   fills the queue with deferred messages, by several threads and without any sync
 *
 * Prints "messages seconds cpu_seconds bytes directories". The same words give the same files: nothing is random, and
 * `now` is the only clock. As root the files belong to whom SPOOL/deferred belongs to.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/queue/queue_file.h"
#include "common/queue/queue_id.h"

#define THREADS_MAX 64
#define FILE_MAX_BYTES (64UL * 1024 * 1024)

/* X(name, default, what it says) */
#define WORDS(X)                                                                                              \
	X(count, 1000, "messages")                                                                                \
	X(first, 0, "number of the first: so that several calls fill one spool")                                  \
	X(sites, 100, "they go to the domains d0.DOMAIN, d1.DOMAIN ... in turns; 1: to DOMAIN itself")            \
	X(senders, 1000, "and come from u0@kirim.test, u1@kirim.test ...")                                        \
	X(age, 86400, "the oldest arrived so many seconds before now, the others evenly since")                   \
	X(ahead, 3600, "the first is due so many seconds behind now")                                             \
	X(past, 0, "or, if this is not 0, so many before")                                                        \
	X(span, 3600, "and the last so many seconds later")                                                       \
	X(recipients, 1, "of each message")                                                                       \
	X(bytes, 400, "of content at least; every hundredth message has ten times as much")                       \
	X(threads, 2, "that write")                                                                               \
	X(now, 0, "seconds since 1970; 0: what the clock says")

struct words {
#define X(name, standard, document) uint64_t name;
	WORDS(X)
#undef X
	const char *domain;
};

struct job {
	const struct words *words;
	int deferred;
	uint64_t begin, end; /* of the message numbers, counted from 0 */
	uint64_t bytes, directories;
};

static _Noreturn void
die(const char *what)
{
	(void)fprintf(stderr, "queue_fill: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Spreads the numbers evenly, and the same each time. */
static uint64_t
mixed(uint64_t n)
{
	n = (n ^ (n >> 30)) * 0xbf58476d1ce4e5b9U;
	n = (n ^ (n >> 27)) * 0x94d049bb133111ebU;
	return n ^ (n >> 31);
}

/* ---- a message ------------------------------------------------------------------------------------------------- */

static void
add_recipients(struct queue_writer *w, const struct words *words, uint64_t number)
{
	char address[128];

	for (uint64_t i = 0; i < words->recipients; i++) {
		uint64_t site = (number + i) % words->sites;
		int n = words->sites == 1
		    ? snprintf(address, sizeof address, "r%lu.%lu@%s", (unsigned long)number, (unsigned long)i, words->domain)
		    : snprintf(address, sizeof address, "r%lu.%lu@d%lu.%s", (unsigned long)number, (unsigned long)i,
			  (unsigned long)site, words->domain);

		queue_writer_recipient(w, (struct str){address, (size_t)n});
	}
}

static void
add_content(struct queue_writer *w, const struct words *words, uint64_t number, const char *sender)
{
	uint64_t least = number % 100 == 99 ? words->bytes * 10 : words->bytes;
	char line[128];
	int n = snprintf(line, sizeof line, "From: <%s>\r\nSubject: surat %lu\r\nMIME-Version: 1.0\r\n\r\n", sender,
	    (unsigned long)number);

	queue_writer_content(w, (struct str){line, (size_t)n});
	for (uint64_t done = (uint64_t)n; done < least; done += 66)
		queue_writer_content(w, STR("Halo, apa kabar? Surat ini menunggu sampai tuan rumah ada lagi.\r\n"));
}

static void
add_history(struct buf *b, const struct words *words, uint64_t arrival_ms, uint64_t due_ms, uint64_t site)
{
	struct queue_attempt attempt = {.time_ms = arrival_ms + 1500, .outcome = QUEUE_WAITING, .code = STR("4.4.1"),
	    .relay = STR("none")};
	char reply[256], deferred[64];
	struct buf value;
	int n = snprintf(reply, sizeof reply, "connect to mx.d%lu.%s[127.9.%lu.%lu]:25: Connection refused", (unsigned long)site,
	    words->domain, (unsigned long)(site / 256 % 256), (unsigned long)(site % 256));

	attempt.reply = (struct str){reply, (size_t)n};
	buf_init(&value, QUEUE_VALUE_MAX);
	for (; attempt.recipient < words->recipients; attempt.recipient++) {
		buf_reset(&value);
		queue_attempt_format(&value, &attempt);
		queue_append_record(b, QUEUE_ATTEMPT, buf_str(&value));
	}
	buf_clear(&value);
	n = snprintf(deferred, sizeof deferred, "%lu 1 %lu", (unsigned long)(arrival_ms + 1600), (unsigned long)due_ms);
	queue_append_record(b, QUEUE_DEFERRED, (struct str){deferred, (size_t)n});
}

/* Into w->out. */
static void
message_make(struct queue_writer *w, const struct words *words, uint64_t number, uint64_t arrival_us, uint64_t due_s)
{
	char sender[64];
	int n = snprintf(sender, sizeof sender, "u%lu@kirim.test", (unsigned long)(mixed(number) % words->senders));

	queue_writer_reset(w);
	queue_writer_begin(w, arrival_us / 1000, (struct str){sender, (size_t)n});
	queue_writer_record(w, QUEUE_CLIENT, STR("mail.kirim.test [192.0.2.7]"));
	add_recipients(w, words, number);
	add_content(w, words, number, sender);
	queue_writer_end(w);
	add_history(&w->out, words, arrival_us / 1000, due_s * 1000, number % words->sites);
	if (!queue_writer_ok(w))
		die("a message became too large");
}

static void
file_write(int directory, const struct queue_id *id, struct str bytes)
{
	int fd = openat(directory, id->text, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, bytes.p, bytes.n) != (ssize_t)bytes.n || close(fd) != 0)
		die(id->text);
}

/* ---- all of them ----------------------------------------------------------------------------------------------- */

/* The n-th of them in the order in which they are due; all of one directory follow one another. */
static uint64_t
due_of(const struct words *words, uint64_t n)
{
	uint64_t begin_s = words->past > 0 ? words->now - words->past : words->now + words->ahead;

	return (begin_s + n * words->span / words->count + 59) / 60 * 60;
}

static int
directory_open(int deferred, uint64_t due_s)
{
	time_t t = (time_t)due_s;
	char name[32];
	struct tm tm;
	int fd;

	if (gmtime_r(&t, &tm) == NULL || strftime(name, sizeof name, "%Y%m%dT%H%M%SZ", &tm) == 0)
		die("a time");
	if (mkdirat(deferred, name, 0700) != 0 && errno != EEXIST)
		die(name);
	fd = openat(deferred, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		die(name);
	return fd;
}

/* When it arrived says nothing of when it is due, but no two arrived at the same time. */
static uint64_t
arrival_us(const struct words *words, uint64_t n)
{
	uint64_t step_us = words->age * 1000000 / words->count, place = n * 7919 % words->count;

	return words->now * 1000000 - place * (step_us > 0 ? step_us : 1) - words->first % 1000;
}

static void *
job_run(void *argument)
{
	struct job *job = argument;
	struct queue_writer w;
	uint64_t open_s = 0;
	int directory = -1;

	queue_writer_init(&w, FILE_MAX_BYTES);
	for (uint64_t n = job->begin; n < job->end; n++) {
		uint64_t number = job->words->first + n, due_s = due_of(job->words, n), us = arrival_us(job->words, n);
		struct queue_id id;

		if (due_s != open_s) {
			if (directory >= 0)
				(void)close(directory);
			directory = directory_open(job->deferred, due_s);
			open_s = due_s;
			job->directories++;
		}
		queue_id_make(&id, us, (uint32_t)mixed(number));
		message_make(&w, job->words, number, us, due_s);
		file_write(directory, &id, queue_writer_output(&w));
		job->bytes += w.out.n;
	}
	queue_writer_clear(&w);
	if (directory >= 0)
		(void)close(directory);
	return NULL;
}

/* Each thread has directories of its own, but for one at either end: the kernel lets one at a time create in a directory. */
static void
fill(const struct words *words, int deferred, struct job *jobs)
{
	pthread_t threads[THREADS_MAX];

	for (uint64_t i = 0; i < words->threads; i++) {
		jobs[i] = (struct job){.words = words, .deferred = deferred, .begin = words->count * i / words->threads,
		    .end = words->count * (i + 1) / words->threads};
		if (pthread_create(&threads[i], NULL, job_run, &jobs[i]) != 0)
			die("pthread_create");
	}
	for (uint64_t i = 0; i < words->threads; i++)
		(void)pthread_join(threads[i], NULL);
}

/* ---- the command ----------------------------------------------------------------------------------------------- */

static bool
word_take(struct words *words, struct str word)
{
	struct str name = str_sub(word, 0, str_find(word, '=')), value = str_skip(word, name.n + 1);

	if (str_equal(name, STR("domain")) && value.n > 0 && value.n < 64) {
		words->domain = value.p;
		return true;
	}
#define X(field, standard, document)     \
	if (str_equal(name, STR(#field))) \
		return str_to_u64(value, 1000000000000, &words->field);
	WORDS(X)
#undef X
	return false;
}

static _Noreturn void
usage(void)
{
	(void)fprintf(stderr, "usage: queue_fill SPOOL [NAME=VALUE ...]\n  domain (tujuan.test) of the recipients\n");
#define X(field, standard, document) (void)fprintf(stderr, "  %s (%lu) %s\n", #field, (unsigned long)(standard), document);
	WORDS(X)
#undef X
	exit(64);
}

static void
words_take(struct words *words, char **argv)
{
	for (; *argv != NULL; argv++)
		if (!word_take(words, str_from(*argv)))
			usage();
	if (words->now == 0)
		words->now = (uint64_t)time(NULL);
	if (words->count == 0 || words->sites == 0 || words->senders == 0 || words->recipients == 0 || words->threads == 0 ||
	    words->threads > THREADS_MAX || words->past > words->now)
		usage();
}

static int
deferred_open(const char *spool)
{
	int root = open(spool, O_PATH | O_DIRECTORY | O_CLOEXEC), fd;
	struct stat st;

	if (root < 0)
		die(spool);
	fd = openat(root, "deferred", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0)
		die("deferred");
	(void)close(root);
	if (geteuid() == 0 && (setegid(st.st_gid) != 0 || seteuid(st.st_uid) != 0))
		die("the owner of deferred");
	return fd;
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
	static struct job jobs[THREADS_MAX];
	struct words words = {.domain = "tujuan.test",
#define X(name, standard, document) .name = (standard),
	    WORDS(X)
#undef X
	};
	uint64_t bytes = 0, directories = 0;
	double begin = clock_s(CLOCK_MONOTONIC);

	if (argc < 2)
		usage();
	words_take(&words, argv + 2);
	fill(&words, deferred_open(argv[1]), jobs);
	for (uint64_t i = 0; i < words.threads; i++) {
		bytes += jobs[i].bytes;
		directories += jobs[i].directories;
	}
	printf("%lu %.6f %.6f %lu %lu\n", (unsigned long)words.count, clock_s(CLOCK_MONOTONIC) - begin,
	    clock_s(CLOCK_PROCESS_CPUTIME_ID), (unsigned long)bytes, (unsigned long)directories);
	return 0;
}
