/*
 * A folder's file `merpati-mailbox` on the disk: its lock, the UID counter, writing it anew. For the store's modules
 * only.
 *
 * The lock is flock(2) on the file. The file is replaced as a whole when anything but the counter changes; whoever has
 * waited for the lock of a file that is no longer the one of that name waits again, for the new one.
 */
#ifndef COMMON_STATE_FILE_H
#define COMMON_STATE_FILE_H

#include "common/store/store.h"

#define STATE_FILE_NAME "merpati-mailbox"
#define STATE_LOCK_WAIT_MS 30000
/* UIDs that one sync reserves: that many are skipped at most after a crash. */
#define STATE_UID_BLOCK 256

struct state_file {
	const struct store_host *host;
	int directory; /* the folder's; borrowed */
	int fd;	       /* -1: not open */
	uint64_t device, inode; /* of fd */
	bool locked;
	bool known; /* state is what the file says */
	bool damaged_counter; /* not known, but only the counter is to blame: the rest of state is what the file says */
	struct mailbox_state state;
};

void state_file_init(struct state_file *file, const struct store_host *host, int directory);
void state_file_clear(struct state_file *file);

/*
 * Waits for the lock (at most STATE_LOCK_WAIT_MS: then TEMP), and brings `state` up to date. The file is made, empty,
 * when it is not there; known is then false. PERM with ENOENT: the folder was deleted.
 */
bool state_file_lock(struct state_file *file, struct err *err);
/* Harmless when not locked. */
void state_file_unlock(struct state_file *file);

/* Under the lock, with a known state: gives n UIDs, from *first on. Syncs only when a new block is begun. */
bool state_file_take_uids(struct state_file *file, size_t n, uint32_t *first, struct err *err);
/* The same, so that no UID below `next` will be given. */
bool state_file_skip_uids(struct state_file *file, uint32_t next, struct err *err);

/* Under the lock: replaces the file by one with `state`, durably; the lock then is on the new one, and known true. */
bool state_file_write(struct state_file *file, struct err *err);
/* Under the lock: a copy of the file as it is, under a name that tells that it was damaged. */
bool state_file_keep_aside(struct state_file *file, struct err *err);

#endif
