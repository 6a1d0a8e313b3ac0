/*
 * Group commit: makes files and their directory entries durable, many at a time. Few files at once are synced one by
 * one with their directory, many by one syncfs. Threads do the work, of this process or of the kernel; answers come in
 * the loop.
 */
#ifndef COMMON_COMMIT_H
#define COMMON_COMMIT_H

#include <sys/types.h>

#include "common/base/err.h"
#include "common/base/loop.h"

struct commit;

/* Embedded by whoever waits; its memory stays until `durable` was called. */
struct commit_entry {
	/* ok: file and directory entry would survive a power cut. Otherwise err says why; the file is in doubt. */
	void (*durable)(struct commit_entry *entry, bool ok, const struct err *err);
	int file_fd;
	int directory_fd;
	/* commit.c's own: */
	int errnum;
	dev_t device;
	STAILQ_ENTRY(commit_entry) link;
};

/* threads: 1 to 16. The threads block all signals. Fatal when the kernel refuses. */
struct commit *commit_new(struct loop *loop, unsigned threads);
/* Few files at once are synced by the kernel's threads from now on: one system call starts all of them, where a thread of
 * our own needs some for each. Where the kernel has no such thing all stays as it was. Costs the kernel some memory a
 * process, so it is for those who commit all the time. */
void commit_use_kernel_threads(struct commit *commit);
/* Waits for what is under way (calling durable for it), then ends the threads. */
void commit_free(struct commit *commit);

/*
 * Makes file_fd (all of its data and metadata) and its name in directory_fd durable, then calls durable from the loop.
 * file_fd may be -1: only the directory (after a rename). Both descriptors stay the caller's and open until then.
 */
void commit_submit(struct commit *commit, struct commit_entry *entry, int file_fd, int directory_fd,
    void (*durable)(struct commit_entry *, bool, const struct err *));
/* How many entries wait. */
size_t commit_waiting(const struct commit *commit);

#endif
