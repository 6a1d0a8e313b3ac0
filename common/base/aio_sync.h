/*
 * fsync without waiting for it: the kernel's own threads do the work (io_submit(2)), one system call starts many, and an
 * eventfd says when some are through. For commit.c.
 */
#ifndef COMMON_AIO_SYNC_H
#define COMMON_AIO_SYNC_H

#include <stdbool.h>
#include <stddef.h>

struct aio_sync;

#define AIO_SYNC_MAX 128 /* under way at a time */

/* The caller's memory, until it came back from aio_sync_next. */
struct aio_sync_op {
	int fd;
	int errnum; /* the outcome; 0: all of the file is durable */
};

/* event_fd: borrowed; is written to by the kernel. NULL when it offers no such thing, or the sandbox forbids it. */
struct aio_sync *aio_sync_new(int event_fd);
/* Waits for what is under way. Harmless with NULL. */
void aio_sync_free(struct aio_sync *aio);

/* How many may still be started. */
size_t aio_sync_room(const struct aio_sync *aio);
/* Starts n, at most what there is room for. What the kernel does not take is synced here and now. */
void aio_sync_start(struct aio_sync *aio, struct aio_sync_op *const *ops, size_t n);
/* One that is through; NULL: no other now. With `wait` it waits for it if any is under way. */
struct aio_sync_op *aio_sync_next(struct aio_sync *aio, bool wait);

#endif
