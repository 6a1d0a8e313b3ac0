/*
 * A process of remote: holds the connection to queued, takes look-ups and jobs from it and gives back what became of
 * them. It owns no file: what it sends comes from descriptors that queued passes.
 */
#ifndef QUEUE_REMOTE_WORKER_H
#define QUEUE_REMOTE_WORKER_H

#include "common/daemon/daemon.h"

/* Its peers, in their order. */
enum {
	REMOTE_PEER_POLICY,
	REMOTE_PEER_CONNECTOR,
};

/* The role's main, for common/daemon/daemon.h. */
void remote_worker_main(struct daemon_self *self);

#endif
