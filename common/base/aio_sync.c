#include "common/base/aio_sync.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* glibc has no wrappers for these calls, and libaio's would be the only use of that library. */

#define TAKE 32 /* at once */

/*
 * The context's address is that of a ring in our memory, from which finished operations can be taken without a call:
 * the kernel moves the tail, who takes moves the head. Its layout is part of the kernel's interface (fio and others rely
 * on it) and is known by its magic number.
 */
struct ring {
	uint32_t id, n;
	uint32_t head;
	uint32_t tail;
	uint32_t magic, compatible, incompatible, header_bytes;
	struct io_event events[];
};

#define RING_MAGIC 0xa10a10a1U

struct aio_sync {
	aio_context_t context;
	int event_fd;
	size_t in_kernel;
	bool looked; /* since the last time that there was nothing to give out */
	/* What is through but not yet given out: from the kernel, or synced here. */
	struct aio_sync_op *done[AIO_SYNC_MAX];
	size_t ndone;
};

struct aio_sync *
aio_sync_new(int event_fd)
{
	struct aio_sync *aio = calloc(1, sizeof *aio);

	if (aio == NULL)
		return NULL;
	aio->event_fd = event_fd;
	if (syscall(SYS_io_setup, (unsigned)AIO_SYNC_MAX, &aio->context) == 0)
		return aio;
	free(aio);
	return NULL;
}

void
aio_sync_free(struct aio_sync *aio)
{
	if (aio == NULL)
		return;
	while (aio->in_kernel > 0 || aio->ndone > 0)
		(void)aio_sync_next(aio, true);
	(void)syscall(SYS_io_destroy, aio->context);
	free(aio);
}

size_t
aio_sync_room(const struct aio_sync *aio)
{
	return AIO_SYNC_MAX - aio->in_kernel - aio->ndone;
}

static void
sync_here(struct aio_sync *aio, struct aio_sync_op *op)
{
	op->errnum = fsync(op->fd) == 0 ? 0 : errno;
	aio->done[aio->ndone++] = op;
}

void
aio_sync_start(struct aio_sync *aio, struct aio_sync_op *const *ops, size_t n)
{
	struct iocb blocks[AIO_SYNC_MAX], *pointers[AIO_SYNC_MAX];
	long taken;

	for (size_t i = 0; i < n; i++) {
		blocks[i] = (struct iocb){.aio_data = (uint64_t)(uintptr_t)ops[i], .aio_lio_opcode = IOCB_CMD_FSYNC,
		    .aio_fildes = (uint32_t)ops[i]->fd, .aio_flags = IOCB_FLAG_RESFD, .aio_resfd = (uint32_t)aio->event_fd};
		pointers[i] = &blocks[i];
	}
	taken = syscall(SYS_io_submit, aio->context, (long)n, pointers);
	if (taken < 0)
		taken = 0;
	aio->in_kernel += (size_t)taken;
	for (size_t i = (size_t)taken; i < n; i++)
		sync_here(aio, ops[i]);
	if ((size_t)taken < n) {
		uint64_t one = 1;
		ssize_t ignored = write(aio->event_fd, &one, sizeof one);

		(void)ignored; /* the counter cannot overflow */
	}
}

static void
take_event(struct aio_sync *aio, const struct io_event *event)
{
	struct aio_sync_op *op = (struct aio_sync_op *)(uintptr_t)event->data;

	op->errnum = event->res < 0 ? (int)-event->res : 0;
	aio->done[aio->ndone++] = op;
	aio->in_kernel--;
}

/* False: it has another layout. */
static bool
take_from_ring(struct aio_sync *aio)
{
	struct ring *ring = (struct ring *)aio->context;
	uint32_t head, tail;

	if (ring->magic != RING_MAGIC || ring->incompatible != 0)
		return false;
	head = ring->head;
	tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
	while (head != tail && aio->in_kernel > 0) {
		take_event(aio, &ring->events[head]);
		head = (head + 1) % ring->n;
	}
	__atomic_store_n(&ring->head, head, __ATOMIC_RELEASE);
	return true;
}

static void
take_by_call(struct aio_sync *aio, bool wait)
{
	struct timespec at_once = {0};
	struct io_event events[TAKE];
	long n = syscall(SYS_io_getevents, aio->context, wait ? 1L : 0L, (long)TAKE, events, wait ? NULL : &at_once);

	for (long i = 0; i < n; i++)
		take_event(aio, &events[i]);
}

struct aio_sync_op *
aio_sync_next(struct aio_sync *aio, bool wait)
{
	if (aio->ndone == 0 && aio->in_kernel > 0 && (!aio->looked || wait)) {
		if (wait || !take_from_ring(aio))
			take_by_call(aio, wait);
		aio->looked = true;
	}
	if (aio->ndone > 0)
		return aio->done[--aio->ndone];
	aio->looked = false; /* whatever is through from now on, the eventfd tells of */
	return NULL;
}
