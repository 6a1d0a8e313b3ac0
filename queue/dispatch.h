/*
 * The workers at the other end of the `queue` socket: which are there, what runs on them, what they answer. The same
 * socket takes the postmaster's commands.
 */
#ifndef QUEUE_DISPATCH_H
#define QUEUE_DISPATCH_H

#include "queue/queue.h"

/* Uids that may connect besides root and our own: those of the remote workers, who may not give commands. */
struct dispatch *dispatch_new(struct queue *q, int listen_fd, uid_t remote_uid);
/* Closes all connections. Messages with deliveries under way stay as they are. */
void dispatch_free(struct dispatch *dispatch);
/* What may be started is, at the end of this turn of the loop. Messages may be gone then. */
void dispatch_pump(struct dispatch *dispatch);
/* Has some worker asked for the site of a domain; false when there is none. */
bool dispatch_resolve(struct dispatch *dispatch, uint32_t id, struct str domain);
/* How many deliveries are under way. */
size_t dispatch_running(const struct dispatch *dispatch);

#endif
