#include "common/commit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"

/*
 * From this many entries at once one syncfs costs less than syncing each, if nobody else writes. Measured on ext4 with two
 * processors, CPU a file and files a second: 10 writers 25 us and 9,800 against 70 us and 5,100; 50 writers 21 us and 12,000
 * against 43 us and 7,500.
 */
#define SYNCFS_FROM 6
#define THREADS_MAX 16

/*
 * But syncfs also writes what others left dirty on the file system: beside a compilation the same 10 writers made 320 a
 * second with it and 4,800 without. So what syncing each costs is measured now and then, and a syncfs that took longer is
 * the last one for a while.
 */
#define MEASURE_EVERY_NS (10 * UINT64_C(1000000000))
#define SYNCFS_PAUSE_NS (5 * UINT64_C(1000000000))

STAILQ_HEAD(entry_list, commit_entry);

/*
 * Entries are collected in `submitted` during a turn of the loop, then go to `waiting`, from where a thread takes all for
 * one syncfs, or its share to sync each; and from its own list to `done`, from where the loop takes them. `mutex` guards
 * what stands below it; the rest belongs to the loop's thread.
 */
struct commit {
	struct loop *loop;
	struct loop_deferred turn_end;
	struct entry_list submitted;
	struct loop_io io; /* of the eventfd by which threads say that something is done */
	size_t under_way;
	unsigned nthreads;
	pthread_t threads[THREADS_MAX];

	pthread_mutex_t mutex;
	pthread_cond_t more;
	struct entry_list waiting, done;
	bool ending;
	bool syncfs_runs;	  /* one is enough: meanwhile the next group grows */
	uint64_t syncfs_after_ns; /* not before */
	uint64_t each_ns;	  /* what syncing an entry by itself takes, on average */
	uint64_t measured_ns;	  /* when that was; 0: never */
};

static size_t
list_count(const struct entry_list *list)
{
	const struct commit_entry *entry;
	size_t n = 0;

	STAILQ_FOREACH(entry, list, link)
		n++;
	return n;
}

/*
 * An error in writing back a file's pages may have been reported already to another thread's syncfs, but each open file
 * remembers its own: with nothing left to write this asks for that memory, at no cost.
 */
static int
late_error(int file_fd)
{
	if (file_fd < 0 || sync_file_range(file_fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WAIT_AFTER) == 0)
		return 0;
	return errno;
}

/* One syncfs a file system; a group is nearly always on one. */
static void
sync_file_systems(struct entry_list *group)
{
	struct commit_entry *entry, *first;

	STAILQ_FOREACH(entry, group, link) {
		struct stat st;

		if (fstat(entry->directory_fd, &st) != 0) {
			entry->errnum = errno;
			continue;
		}
		entry->device = st.st_dev;
		STAILQ_FOREACH(first, group, link)
			if (first == entry || first->device == entry->device)
				break;
		/* An error is told once, so nobody asks again: it is everyone's. */
		if (first != entry)
			entry->errnum = first->errnum;
		else if (syncfs(entry->directory_fd) != 0)
			entry->errnum = errno;
	}
	STAILQ_FOREACH(entry, group, link)
		if (entry->errnum == 0)
			entry->errnum = late_error(entry->file_fd);
}

/* Files first, then each directory once: a name that is durable has content that is. */
static void
sync_each(struct entry_list *group)
{
	struct commit_entry *entry, *other;

	STAILQ_FOREACH(entry, group, link)
		if (entry->file_fd >= 0 && fsync(entry->file_fd) != 0)
			entry->errnum = errno;
	STAILQ_FOREACH(entry, group, link) {
		int errnum;

		STAILQ_FOREACH(other, group, link)
			if (other == entry || other->directory_fd == entry->directory_fd)
				break;
		if (other != entry)
			continue; /* synced with an earlier one */
		errnum = fsync(entry->directory_fd) == 0 ? 0 : errno;
		STAILQ_FOREACH(other, group, link)
			if (other->directory_fd == entry->directory_fd && other->errnum == 0)
				other->errnum = errnum;
	}
}

static uint64_t
now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Under the mutex: what one thread is to do now. Empty: nothing yet. */
static void
group_take(struct commit *commit, struct entry_list *group, bool *together)
{
	size_t n = list_count(&commit->waiting), share = (n + commit->nthreads - 1) / commit->nthreads;
	uint64_t now = now_ns();

	*together = false;
	if (commit->syncfs_runs && !commit->ending)
		return;
	if (n >= SYNCFS_FROM && now >= commit->syncfs_after_ns && now - commit->measured_ns < MEASURE_EVERY_NS) {
		STAILQ_CONCAT(group, &commit->waiting);
		*together = commit->syncfs_runs = true;
		return;
	}
	while (share-- > 0) {
		struct commit_entry *entry = STAILQ_FIRST(&commit->waiting);

		STAILQ_REMOVE_HEAD(&commit->waiting, link);
		STAILQ_INSERT_TAIL(group, entry, link);
	}
}

/* Under the mutex: learns from how long it took. The others sync in parallel, as far as there are threads. */
static void
group_judge(struct commit *commit, size_t n, bool together, uint64_t took_ns)
{
	uint64_t now = now_ns();

	if (!together) {
		commit->each_ns = commit->measured_ns == 0 ? took_ns / n : (7 * commit->each_ns + took_ns / n) / 8;
		commit->measured_ns = now;
		return;
	}
	commit->syncfs_runs = false;
	if (took_ns > 2 * commit->each_ns * n / (n < commit->nthreads ? n : commit->nthreads))
		commit->syncfs_after_ns = now + SYNCFS_PAUSE_NS;
	(void)pthread_cond_broadcast(&commit->more);
}

static void
group_sync(struct commit *commit, struct entry_list *group, bool together)
{
	uint64_t began_ns = now_ns(), one = 1;
	size_t n = list_count(group);

	(void)pthread_mutex_unlock(&commit->mutex);
	if (together)
		sync_file_systems(group);
	else
		sync_each(group);
	(void)pthread_mutex_lock(&commit->mutex);
	group_judge(commit, n, together, now_ns() - began_ns);
	STAILQ_CONCAT(&commit->done, group);
	/* Whoever is woken here and below wants the mutex next, so it is free by then. */
	(void)pthread_mutex_unlock(&commit->mutex);
	/* The counter cannot overflow: the loop resets it at every turn. */
	if (write(commit->io.fd, &one, sizeof one) != (ssize_t)sizeof one)
		log_error("commit: eventfd: %s", strerror(errno));
	(void)pthread_mutex_lock(&commit->mutex);
}

static void *
thread_main(void *argument)
{
	struct commit *commit = argument;
	struct entry_list group = STAILQ_HEAD_INITIALIZER(group);
	bool together;

	(void)pthread_mutex_lock(&commit->mutex);
	while (!STAILQ_EMPTY(&commit->waiting) || !commit->ending) {
		group_take(commit, &group, &together);
		if (STAILQ_EMPTY(&group))
			(void)pthread_cond_wait(&commit->more, &commit->mutex);
		else
			group_sync(commit, &group, together);
	}
	(void)pthread_mutex_unlock(&commit->mutex);
	return NULL;
}

static void
answer(struct commit *commit)
{
	struct entry_list done = STAILQ_HEAD_INITIALIZER(done);
	struct commit_entry *entry;

	(void)pthread_mutex_lock(&commit->mutex);
	STAILQ_CONCAT(&done, &commit->done);
	(void)pthread_mutex_unlock(&commit->mutex);
	while ((entry = STAILQ_FIRST(&done)) != NULL) {
		struct err err = {.class = ERR_NONE};
		bool ok = entry->errnum == 0;

		STAILQ_REMOVE_HEAD(&done, link);
		commit->under_way--;
		errno = entry->errnum;
		if (!ok)
			(void)err_sys(&err, "cannot make a file durable");
		entry->durable(entry, ok, ok ? NULL : &err);
	}
}

/* Wakes as many threads as there is work for. */
static void
submit_all(struct commit *commit)
{
	size_t n;

	(void)pthread_mutex_lock(&commit->mutex);
	STAILQ_CONCAT(&commit->waiting, &commit->submitted);
	n = list_count(&commit->waiting);
	if (n >= SYNCFS_FROM)
		n = 1;
	(void)pthread_mutex_unlock(&commit->mutex);
	while (n-- > 0)
		(void)pthread_cond_signal(&commit->more);
}

static void
turn_ended(struct loop_deferred *deferred)
{
	submit_all(container_of(deferred, struct commit, turn_end));
}

static void
done_ready(struct loop_io *io, unsigned events)
{
	struct commit *commit = container_of(io, struct commit, io);
	uint64_t count;

	(void)events;
	if (read(io->fd, &count, sizeof count) != (ssize_t)sizeof count)
		return;
	answer(commit);
}

struct commit *
commit_new(struct loop *loop, unsigned threads)
{
	struct commit *commit = calloc(1, sizeof *commit);
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	sigset_t all, before;

	if (commit == NULL || fd < 0)
		fatal("commit: out of memory or descriptors");
	commit->loop = loop;
	commit->nthreads = threads < 1 ? 1 : threads < THREADS_MAX ? threads : THREADS_MAX;
	STAILQ_INIT(&commit->submitted);
	STAILQ_INIT(&commit->waiting);
	STAILQ_INIT(&commit->done);
	if (pthread_mutex_init(&commit->mutex, NULL) != 0 || pthread_cond_init(&commit->more, NULL) != 0)
		fatal("commit: cannot make a mutex");
	loop_io_add(loop, &commit->io, fd, LOOP_READ, done_ready);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	for (unsigned i = 0; i < commit->nthreads; i++) {
		int errnum = pthread_create(&commit->threads[i], NULL, thread_main, commit);

		if (errnum != 0)
			fatal("commit: cannot make a thread: %s", strerror(errnum));
	}
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return commit;
}

void
commit_free(struct commit *commit)
{
	loop_defer_cancel(&commit->turn_end);
	submit_all(commit);
	(void)pthread_mutex_lock(&commit->mutex);
	commit->ending = true;
	(void)pthread_cond_broadcast(&commit->more);
	(void)pthread_mutex_unlock(&commit->mutex);
	for (unsigned i = 0; i < commit->nthreads; i++)
		(void)pthread_join(commit->threads[i], NULL);
	answer(commit);
	loop_io_remove(&commit->io);
	(void)close(commit->io.fd);
	(void)pthread_cond_destroy(&commit->more);
	(void)pthread_mutex_destroy(&commit->mutex);
	free(commit);
}

void
commit_submit(struct commit *commit, struct commit_entry *entry, int file_fd, int directory_fd,
    void (*durable)(struct commit_entry *, bool, const struct err *))
{
	*entry = (struct commit_entry){.durable = durable, .file_fd = file_fd, .directory_fd = directory_fd};
	commit->under_way++;
	STAILQ_INSERT_TAIL(&commit->submitted, entry, link);
	loop_defer(commit->loop, &commit->turn_end, turn_ended);
}

size_t
commit_waiting(const struct commit *commit)
{
	return commit->under_way;
}
