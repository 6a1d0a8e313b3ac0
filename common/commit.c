#include "common/commit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"

/* From this many entries at once one syncfs costs less than syncing each (DESIGN: 25 us against 80 to 175). */
#define SYNCFS_FROM 8
#define THREADS_MAX 16

STAILQ_HEAD(entry_list, commit_entry);

/*
 * Entries go from `waiting` (a thread takes all of it at once: that is the group) through a thread's own list to `done`,
 * from where the loop takes them. `mutex` guards the lists and `ending`; the rest belongs to the loop's thread.
 */
struct commit {
	pthread_mutex_t mutex;
	pthread_cond_t more;
	struct entry_list waiting, done;
	bool ending;

	struct loop_io io; /* of the eventfd by which threads say that something is done */
	size_t under_way;
	unsigned nthreads;
	pthread_t threads[THREADS_MAX];
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

static void *
thread_main(void *argument)
{
	struct commit *commit = argument;
	struct entry_list group = STAILQ_HEAD_INITIALIZER(group);
	uint64_t one = 1;

	(void)pthread_mutex_lock(&commit->mutex);
	for (;;) {
		while (STAILQ_EMPTY(&commit->waiting) && !commit->ending)
			(void)pthread_cond_wait(&commit->more, &commit->mutex);
		if (STAILQ_EMPTY(&commit->waiting))
			break;
		STAILQ_CONCAT(&group, &commit->waiting);
		(void)pthread_mutex_unlock(&commit->mutex);
		if (list_count(&group) >= SYNCFS_FROM)
			sync_file_systems(&group);
		else
			sync_each(&group);
		(void)pthread_mutex_lock(&commit->mutex);
		STAILQ_CONCAT(&commit->done, &group);
		/* The counter cannot overflow: the loop resets it at every turn. */
		if (write(commit->io.fd, &one, sizeof one) != (ssize_t)sizeof one)
			log_error("commit: eventfd: %s", strerror(errno));
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
	STAILQ_INIT(&commit->waiting);
	STAILQ_INIT(&commit->done);
	if (pthread_mutex_init(&commit->mutex, NULL) != 0 || pthread_cond_init(&commit->more, NULL) != 0)
		fatal("commit: cannot make a mutex");
	loop_io_add(loop, &commit->io, fd, LOOP_READ, done_ready);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	for (; commit->nthreads < threads && commit->nthreads < THREADS_MAX; commit->nthreads++) {
		int errnum = pthread_create(&commit->threads[commit->nthreads], NULL, thread_main, commit);

		if (errnum != 0)
			fatal("commit: cannot make a thread: %s", strerror(errnum));
	}
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return commit;
}

void
commit_free(struct commit *commit)
{
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
	(void)pthread_mutex_lock(&commit->mutex);
	STAILQ_INSERT_TAIL(&commit->waiting, entry, link);
	(void)pthread_cond_signal(&commit->more);
	(void)pthread_mutex_unlock(&commit->mutex);
}

size_t
commit_waiting(const struct commit *commit)
{
	return commit->under_way;
}
