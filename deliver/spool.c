#include "deliver/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/daemon/descriptors.h"
#include "deliver/handoff.h"

void
spool_init(struct spool *spool, struct spool_budget *budget)
{
	*spool = (struct spool){.budget = budget, .fd = -1};
	buf_init(&spool->head, HANDOFF_INLINE_MAX);
}

void
spool_clear(struct spool *spool)
{
	if (spool->budget != NULL)
		spool->budget->used -= spool->size;
	spool->size = 0;
	if (spool->fd >= 0)
		(void)close(spool->fd);
	spool->fd = -1;
	buf_clear(&spool->head);
}

static bool
write_out(struct spool *spool, struct str bytes, struct err *err)
{
	return descriptor_write_all(spool->fd, bytes) || err_sys(err, "cannot write to memory");
}

static bool
make_file(struct spool *spool, struct err *err)
{
	if (spool->fd >= 0)
		return true;
	spool->fd = memfd_create("letter", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (spool->fd < 0)
		return err_sys(err, "cannot make a file in memory");
	if (!write_out(spool, buf_str(&spool->head), err))
		return false;
	buf_clear(&spool->head);
	return true;
}

bool
spool_add(struct spool *spool, struct str piece, struct err *err)
{
	struct spool_budget *budget = spool->budget;

	if (piece.n > budget->max - spool->size)
		return err_set(err, ERR_LIMIT, "the message is larger than all that may come in at a time");
	if (piece.n > budget->max - budget->used)
		return err_set(err, ERR_TEMP, "too much mail is coming in at a time");
	budget->used += piece.n;
	spool->size += piece.n;
	if (spool->fd < 0 && piece.n <= HANDOFF_INLINE_MAX - spool->head.n) {
		buf_add(&spool->head, piece);
		return buf_ok(&spool->head) || err_set(err, ERR_TEMP, "out of memory");
	}
	return make_file(spool, err) && write_out(spool, piece, err);
}

bool
spool_to_file(struct spool *spool, struct err *err)
{
	if (!make_file(spool, err))
		return false;
	return fcntl(spool->fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0 ||
	       errno == EPERM /* it is sealed already */ || err_sys(err, "cannot seal a file in memory");
}
