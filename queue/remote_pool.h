/*
 * Connections between two transactions, kept for a moment in case another message goes to the same site.
 */
#ifndef QUEUE_REMOTE_POOL_H
#define QUEUE_REMOTE_POOL_H

#include "queue/remote_connection.h"

/* A connection serves at most so many messages, for at most so long: servers have limits, and exchangers change. */
#define REMOTE_POOL_TRANSACTIONS_MAX 200
#define REMOTE_POOL_AGE_MAX_MS 300000

TAILQ_HEAD(remote_connections, remote_connection);

struct remote_pool {
	struct remote_owner owner;
	struct remote_connections idle; /* the longest idle first */
};

void remote_pool_init(struct remote_pool *pool);
/* Keeps a connection that its owner does not need any more under this key; one that is not usable, or was used enough (by so many
 * messages; 0: as many as above), is released. */
void remote_pool_put(struct remote_pool *pool, struct remote_connection *connection, const char *key, uint64_t messages_max);
/* The one that was used last; NULL when there is none. It belongs to the owner now. */
struct remote_connection *remote_pool_take(struct remote_pool *pool, const char *key, struct remote_owner *owner);
/* Ends the longest idle one; false when none is idle. */
bool remote_pool_drop_one(struct remote_pool *pool);

#endif
