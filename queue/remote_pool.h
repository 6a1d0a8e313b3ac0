/*
 * Who has connections to a site, and who wants one: connections between two transactions are kept for a moment in case
 * another message goes to the same place, and whoever finds all of a place's in use waits a little for one to become free
 * before opening another. That is sooner than what a new one costs (TCP, greeting, EHLO, TLS) nearly always, and a burst
 * of messages needs about as many connections as it has sites. It is no limit: that is the schedule's.
 */
#ifndef QUEUE_REMOTE_POOL_H
#define QUEUE_REMOTE_POOL_H

#include "common/base/tree.h"
#include "queue/remote_connection.h"

/* A connection serves at most so many messages, for at most so long: servers have limits, and exchangers change. */
#define REMOTE_POOL_TRANSACTIONS_MAX 200
#define REMOTE_POOL_AGE_MAX_MS 300000
/* So many wait at a place, and no more than connections are in use there. */
#define REMOTE_POOL_WAITING_MAX 2
/* For so long: the server may be one that thinks long, or does not even greet. */
#define REMOTE_POOL_PATIENCE_MS 250

struct remote_place;
struct remote_seat;

TAILQ_HEAD(remote_connections, remote_connection);
TAILQ_HEAD(remote_seats, remote_seat);
RB_HEAD(remote_places, remote_place);

struct remote_pool {
	struct remote_owner owner;
	struct loop *loop;
	struct remote_places places;	/* all of which there is somebody or something */
	struct remote_connections idle; /* the longest idle first */
};

/* Who needs a connection for one message: embedded by whoever does, zeroed before the first use. */
struct remote_seat {
	/* The turn has come: with a connection, whose owner is to be set, or NULL: one is to be opened. */
	void (*turn)(struct remote_seat *seat, struct remote_connection *connection);
	uint64_t messages_max;	    /* of a connection; 0: as many as above */
	struct remote_pool *pool;   /* the rest is the pool's */
	struct remote_place *place; /* NULL: it has not entered */
	bool waits;
	TAILQ_ENTRY(remote_seat) link;
	struct loop_timer patience;
};

void remote_pool_init(struct remote_pool *pool, struct loop *loop);
/* Wants a connection to the place of this key. may_wait: a little, should there be some in use. Calls `turn` now or later,
 * unless the seat is left before. */
void remote_pool_enter(struct remote_pool *pool, const char *key, struct remote_seat *seat, bool may_wait);
/*
 * Needs it no more. What it had of a connection, or NULL, goes to whoever waits (who may use it from inside this call), or
 * is kept; one that is not usable, is for one domain alone, or was used enough, is released. Harmless without connection when it has not entered.
 */
void remote_pool_leave(struct remote_seat *seat, struct remote_connection *connection);
/* Ends the longest idle one; false when none is idle. */
bool remote_pool_drop_one(struct remote_pool *pool);

#endif
