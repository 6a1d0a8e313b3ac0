/*
 * Closes files that have been removed, in threads. With its last descriptor the kernel frees what such a file held, and where
 * it tells the disk (the mount option `discard`) that may take milliseconds, which the loop does not have.
 */
#ifndef QUEUE_CLOSER_H
#define QUEUE_CLOSER_H

#include "common/base/loop.h"

struct closer;

/* Its threads block all signals. Fatal when the kernel refuses. */
struct closer *closer_new(struct loop *loop);
/* Takes the descriptor; it is closed soon, or, should very many wait already, at once. */
void closer_close(struct closer *closer, int fd);
/* When all are closed. */
void closer_free(struct closer *closer);

#endif
