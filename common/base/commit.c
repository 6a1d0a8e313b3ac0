#include "common/base/commit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "common/base/aio_sync.h"
#include "common/base/log.h"
#include "common/base/str.h"

/*
 * From this many entries at once one syncfs costs less than syncing each, if nobody else writes. Measured on ext4 with two
 * processors, CPU a file and files a second: 10 writers 25 us and 9,800 against 70 us and 5,100; 50 writers 21 us and 12,000
 * against 43 us and 7,500.
 */
#define SYNCFS_FROM 6
/* Right after a syncfs those who come next are few only because its group has just been answered: two are enough then, so
 * that many connections do not fall apart into groups of all sizes. */
#define SYNCFS_FROM_AGAIN 2
#define AGAIN_NS (5 * UINT64_C(1000000))
#define THREADS_MAX 16

/*
 * But syncfs also writes what others left dirty on the file system: beside a compilation the same 10 writers made 320 a
 * second with it and 4,800 without. So what syncing each costs is measured now and then, and a syncfs that took longer is
 * the last one for a while.
 */
#define MEASURE_EVERY_NS (10 * UINT64_C(1000000000))
#define SYNCFS_PAUSE_NS (5 * UINT64_C(1000000000))
/* While there is no syncfs: so many entries are given to the kernel's threads at a time. */
#define EACH_MAX (AIO_SYNC_MAX / 2)

STAILQ_HEAD(entry_list, commit_entry);

/* What the kernel's threads got at a time. */
struct group {
	struct entry_list entries;
	size_t n;
	uint64_t began_ns;
	/* The files in the order of the entries, then each directory once. */
	size_t outstanding, nops;
	struct group_op {
		struct aio_sync_op op;
		struct group *group;
	} ops[];
};

/*
 * Entries are collected in `submitted` during a turn of the loop, then go to `waiting`, from where a thread takes all for
 * one syncfs, or its share to sync each; and from its own list to `done`, from where the loop takes them. Few entries go
 * from `waiting` to the kernel's threads where those are used. `mutex` guards what stands below it; the rest belongs to
 * the loop's thread.
 */
struct commit {
	struct loop *loop;
	struct loop_deferred turn_end;
	struct entry_list submitted;
	struct loop_io io; /* of the eventfd by which threads say that something is done */
	size_t under_way;
	unsigned nthreads;
	pthread_t threads[THREADS_MAX];
	struct aio_sync *aio; /* NULL: threads of our own do all */
	size_t in_kernel;     /* entries */

	pthread_mutex_t mutex;
	pthread_cond_t more;
	struct entry_list waiting, done;
	bool ending;
	bool syncfs_runs;	  /* one is enough: meanwhile the next group grows */
	bool syncfs_wanted;	  /* beside the kernel's threads: the loop has decided on one, no thread has begun it */
	bool suspicious;	  /* see late_error */
	uint64_t syncfs_after_ns; /* not before */
	uint64_t together_ns;	  /* when the last one ended */
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
 * An error in writing back some file's pages is told by syncfs once for each open directory: it fails the group that
 * asked, but may belong to a file of the next one. Each open file, though, remembers its own: with nothing left to write
 * this asks for that memory. It is a call for each file, so it is made from the first error on only, or where syncfs tells
 * of no such errors at all.
 */
static int
late_error(int file_fd)
{
	if (file_fd < 0 || sync_file_range(file_fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WAIT_AFTER) == 0)
		return 0;
	return errno;
}

/* Returns 0 or an errno. */
static int
device_of(int fd, dev_t *device)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return errno;
	*device = st.st_dev;
	return 0;
}

/* One syncfs a file system; a group is nearly always in one directory. */
static void
sync_file_systems(struct entry_list *group)
{
	struct commit_entry *entry, *first;

	STAILQ_FOREACH(entry, group, link) {
		STAILQ_FOREACH(first, group, link)
			if (first == entry || first->directory_fd == entry->directory_fd)
				break;
		if (first == entry)
			entry->errnum = device_of(entry->directory_fd, &entry->device);
		else
			entry->device = first->device;
		if (first == entry && entry->errnum == 0)
			STAILQ_FOREACH(first, group, link)
				if (first == entry || first->device == entry->device)
					break;
		/* An error is told once, so nobody asks again: it is everyone's. */
		if (first != entry)
			entry->errnum = first->errnum;
		else if (entry->errnum == 0 && syncfs(entry->directory_fd) != 0)
			entry->errnum = errno;
	}
}

static void
ask_files(struct entry_list *group)
{
	struct commit_entry *entry;

	STAILQ_FOREACH(entry, group, link)
		if (entry->errnum == 0)
			entry->errnum = late_error(entry->file_fd);
}

/* Linux 5.8 was the first. */
static bool
syncfs_tells_errors(void)
{
	struct utsname name;
	struct str rest, major, minor;
	uint64_t a, b;

	if (uname(&name) != 0)
		return false;
	rest = str_from(name.release);
	return str_token(&rest, '.', &major) && str_token(&rest, '.', &minor) && str_to_u64(major, 1000, &a) &&
	    str_to_u64(minor, 1000, &b) && (a > 5 || (a == 5 && b >= 8));
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

static bool
has_error(const struct entry_list *group)
{
	const struct commit_entry *entry;

	STAILQ_FOREACH(entry, group, link)
		if (entry->errnum != 0)
			return true;
	return false;
}

static uint64_t
now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Under the mutex: has it not been slow of late, and is there something fresh to compare it with? */
static bool
syncfs_is_good(const struct commit *commit)
{
	uint64_t now = now_ns();

	return now >= commit->syncfs_after_ns && commit->measured_ns != 0 && now - commit->measured_ns < MEASURE_EVERY_NS;
}

/* Under the mutex: from how many on. */
static size_t
syncfs_from(const struct commit *commit)
{
	return now_ns() - commit->together_ns < AGAIN_NS ? SYNCFS_FROM_AGAIN : SYNCFS_FROM;
}

static void
entries_move(struct entry_list *to, struct entry_list *from, size_t n)
{
	while (n-- > 0) {
		struct commit_entry *entry = STAILQ_FIRST(from);

		STAILQ_REMOVE_HEAD(from, link);
		STAILQ_INSERT_TAIL(to, entry, link);
	}
}

/* Under the mutex: what one thread is to do now. Empty: nothing yet. */
static void
group_take(struct commit *commit, struct entry_list *group, bool *together)
{
	size_t n = list_count(&commit->waiting), share = (n + commit->nthreads - 1) / commit->nthreads;

	*together = false;
	if (commit->syncfs_runs && !commit->ending)
		return;
	if (commit->aio != NULL ? commit->syncfs_wanted : n >= SYNCFS_FROM && syncfs_is_good(commit)) {
		STAILQ_CONCAT(group, &commit->waiting);
		*together = commit->syncfs_runs = true;
		commit->syncfs_wanted = false;
		return;
	}
	if (commit->aio != NULL && !commit->ending)
		return;
	entries_move(group, &commit->waiting, share);
}

/* Under the mutex: learns from how long it took. */
static void
judge_each(struct commit *commit, size_t n, uint64_t took_ns)
{
	commit->each_ns = commit->measured_ns == 0 ? took_ns / n : (7 * commit->each_ns + took_ns / n) / 8;
	commit->measured_ns = now_ns();
}

/* Syncing each goes on in parallel, as far as there are threads of our own; for the kernel's the measured time tells. */
static void
judge_together(struct commit *commit, size_t n, uint64_t took_ns)
{
	size_t parallel = commit->aio != NULL ? 1 : n < commit->nthreads ? n : commit->nthreads;

	commit->syncfs_runs = false;
	commit->together_ns = now_ns();
	if (took_ns > 2 * commit->each_ns * n / parallel)
		commit->syncfs_after_ns = now_ns() + SYNCFS_PAUSE_NS;
	if (commit->aio == NULL)
		(void)pthread_cond_broadcast(&commit->more);
}

static void
group_sync(struct commit *commit, struct entry_list *group, bool together)
{
	uint64_t began_ns = now_ns(), one = 1;
	bool suspicious = commit->suspicious;
	size_t n = list_count(group);

	(void)pthread_mutex_unlock(&commit->mutex);
	if (together)
		sync_file_systems(group);
	else
		sync_each(group);
	if (together && suspicious)
		ask_files(group);
	(void)pthread_mutex_lock(&commit->mutex);
	if (together)
		judge_together(commit, n, now_ns() - began_ns);
	else
		judge_each(commit, n, now_ns() - began_ns);
	commit->suspicious = commit->suspicious || has_error(group);
	STAILQ_CONCAT(&commit->done, group);
	/* Whoever is woken here and below wants the mutex next, so it is free by then. */
	(void)pthread_mutex_unlock(&commit->mutex);
	/* The counter cannot overflow. */
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

/* --- with the kernel's threads ------------------------------------------------------------------------------------------ */

static void
op_add(struct group *group, int fd)
{
	struct group_op *op = &group->ops[group->nops++];

	op->op.fd = fd;
	op->group = group;
}

static struct group *
group_new(struct entry_list *entries, size_t n)
{
	struct group *group = calloc(1, sizeof *group + 2 * n * sizeof group->ops[0]);
	struct commit_entry *entry, *first;

	if (group == NULL)
		fatal("commit: out of memory");
	group->n = n;
	group->began_ns = now_ns();
	STAILQ_INIT(&group->entries);
	STAILQ_CONCAT(&group->entries, entries);
	STAILQ_FOREACH(entry, &group->entries, link)
		if (entry->file_fd >= 0)
			op_add(group, entry->file_fd);
	STAILQ_FOREACH(entry, &group->entries, link) {
		STAILQ_FOREACH(first, &group->entries, link)
			if (first->directory_fd == entry->directory_fd)
				break;
		if (first == entry)
			op_add(group, entry->directory_fd);
	}
	return group;
}

static void
group_start(struct commit *commit, struct group *group)
{
	struct aio_sync_op *ops[2 * EACH_MAX];

	for (size_t i = 0; i < group->nops; i++)
		ops[i] = &group->ops[i].op;
	group->outstanding = group->nops;
	commit->in_kernel += group->n;
	aio_sync_start(commit->aio, ops, group->nops);
}

/* Under the mutex, of n that wait: how many the kernel's threads are to get now, unless one syncfs is better for all. */
static size_t
kernel_share(struct commit *commit, size_t n)
{
	size_t max = SYNCFS_FROM - 1;

	if (now_ns() < commit->syncfs_after_ns)
		max = EACH_MAX - commit->in_kernel;
	else if (commit->in_kernel > 0 || commit->syncfs_runs || commit->syncfs_wanted)
		max = 0; /* a group grows */
	else if (n >= syncfs_from(commit) && syncfs_is_good(commit))
		commit->syncfs_wanted = true;
	return commit->syncfs_wanted ? 0 : n < max ? n : max;
}

/* A file's error is its own, a directory's that of all. */
static void
group_outcome(struct group *group)
{
	struct commit_entry *entry;
	size_t i = 0;

	STAILQ_FOREACH(entry, &group->entries, link)
		if (entry->file_fd >= 0)
			entry->errnum = group->ops[i++].op.errnum;
	for (; i < group->nops; i++)
		STAILQ_FOREACH(entry, &group->entries, link)
			if (entry->directory_fd == group->ops[i].op.fd && entry->errnum == 0)
				entry->errnum = group->ops[i].op.errnum;
}

static void
group_over(struct commit *commit, struct group *group)
{
	group_outcome(group);
	commit->in_kernel -= group->n;
	(void)pthread_mutex_lock(&commit->mutex);
	judge_each(commit, group->n, now_ns() - group->began_ns);
	STAILQ_CONCAT(&commit->done, &group->entries);
	(void)pthread_mutex_unlock(&commit->mutex);
	free(group);
}

/* Takes what the kernel has finished. */
static void
kernel_look(struct commit *commit, bool wait)
{
	struct aio_sync_op *done;

	while (commit->aio != NULL && (done = aio_sync_next(commit->aio, wait)) != NULL) {
		struct group *group = container_of(done, struct group_op, op)->group;

		if (--group->outstanding == 0)
			group_over(commit, group);
	}
}

/* --- in the loop -------------------------------------------------------------------------------------------------------- */

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

/* Gives the kernel's threads what is for them, and wakes as many of ours as there is work for. */
static void
dispatch(struct commit *commit)
{
	struct entry_list share = STAILQ_HEAD_INITIALIZER(share);
	size_t nshare = 0, wake;

	(void)pthread_mutex_lock(&commit->mutex);
	STAILQ_CONCAT(&commit->waiting, &commit->submitted);
	wake = list_count(&commit->waiting);
	if (commit->aio != NULL) {
		bool wanted = commit->syncfs_wanted;

		nshare = kernel_share(commit, wake);
		entries_move(&share, &commit->waiting, nshare);
		wake = commit->syncfs_wanted && !wanted;
	} else if (wake >= SYNCFS_FROM) {
		wake = 1;
	}
	(void)pthread_mutex_unlock(&commit->mutex);
	while (wake-- > 0)
		(void)pthread_cond_signal(&commit->more);
	if (nshare > 0)
		group_start(commit, group_new(&share, nshare));
}

static void
turn_ended(struct loop_deferred *deferred)
{
	dispatch(container_of(deferred, struct commit, turn_end));
}

static void
done_ready(struct loop_io *io, unsigned events)
{
	struct commit *commit = container_of(io, struct commit, io);

	(void)events;
	kernel_look(commit, false);
	answer(commit);
	dispatch(commit); /* what has waited for these to be over */
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
	commit->suspicious = !syncfs_tells_errors();
	loop_io_add(loop, &commit->io, fd, LOOP_READ | LOOP_EDGE, done_ready);
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
commit_use_kernel_threads(struct commit *commit)
{
	commit->aio = aio_sync_new(commit->io.fd);
}

void
commit_free(struct commit *commit)
{
	loop_defer_cancel(&commit->turn_end);
	dispatch(commit);
	(void)pthread_mutex_lock(&commit->mutex);
	commit->ending = true;
	(void)pthread_cond_broadcast(&commit->more);
	(void)pthread_mutex_unlock(&commit->mutex);
	for (unsigned i = 0; i < commit->nthreads; i++)
		(void)pthread_join(commit->threads[i], NULL);
	kernel_look(commit, true);
	answer(commit);
	aio_sync_free(commit->aio);
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
