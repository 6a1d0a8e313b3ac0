/*
 * By command a message goes another way than its recipients' domains say: by a route of the configuration, or to a host.
 */
#ifndef QUEUE_REROUTE_H
#define QUEUE_REROUTE_H

#include "common/conf/conf.h"
#include "queue/queue.h"

/* Is that the name of a [route NAME], or a host as "[mx1.dua.test]:26" or "[127.0.0.3]"? Pure. */
bool reroute_is_way(const struct conf *conf, struct str way);
/* Is it a host? It is then a next hop of queue/job.h. Pure. */
bool reroute_is_host(struct str way);

/*
 * Writes that into the message's file, which is in active/ and not in memory, and makes it durable. Blocks for the length
 * of one sync: what a postmaster orders is rare, and is answered only when it holds.
 */
bool reroute_record(struct queue *q, const struct queue_id *id, struct str way, struct err *err);

#endif
