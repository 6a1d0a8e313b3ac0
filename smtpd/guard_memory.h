/*
 * What the guard remembers: a file in cache_directory that is mapped into memory, so that it outlives the process, and so
 * that the guards of an old and a new configuration see the same while the old one's sessions end. It may be deleted at
 * any time. Without a file (no right, no room) the memory is the process's own.
 */
#ifndef SMTPD_GUARD_MEMORY_H
#define SMTPD_GUARD_MEMORY_H

#include "common/base/err.h"
#include "common/base/siphash.h"
#include "smtpd/guard_table.h"

struct guard_memory {
	struct siphash_key key; /* of all hashes in it */
	struct guard_table rates;  /* of guard_rate_record */
	struct guard_table grey;   /* of guard_grey_record */
	struct guard_table passed; /* of guard_slot: who waited for the greeting; used_ms says when last */
	void *map;
	size_t size;
};

/* Before the process is locked in. False: the memory is the process's own, and err says why; fatal when there is none. */
bool guard_memory_open(struct guard_memory *memory, const char *path, struct err *err);
/* Memory of the process's own. */
void guard_memory_open_private(struct guard_memory *memory);
void guard_memory_close(struct guard_memory *memory);

#endif
