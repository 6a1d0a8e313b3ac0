/*
 * Connections to milters: the connector makes them, milter.h speaks over them, a deadline watches over every answer. One that
 * a session has no more use for is kept for a while, for the next one (SMFIC_QUIT_NC): each process keeps a few for each filter.
 */
#ifndef SMTPD_MILTER_CLIENT_H
#define SMTPD_MILTER_CLIENT_H

#include "common/net/stream.h"
#include "smtpd/connector_client.h"
#include "smtpd/milter.h"

#define MILTER_IDLE_MAX 4 /* connections to a filter that are kept */
#define MILTER_IDLE_MS 30000
/* A filter has so many times its time-out for its verdict on a whole message. */
#define MILTER_END_TIMES 10
/* A filter that says that it is still at it is believed this long: clients wait ten minutes (RFC 5321 4.5.3.2.6). */
#define MILTER_PROGRESS_MS (9 * 60 * 1000)

struct milter_user;
struct milter_client;

/* In them, and elsewhere, the user may release the client, or say more and milter_client_send. */
struct milter_user_events {
	void (*ready)(struct milter_user *user);
	void (*verdict)(struct milter_user *user);
	void (*changed)(struct milter_user *user);
	/* All that was said has been sent, after a time in which it could not. */
	void (*drained)(struct milter_user *user);
	/* It is released already. is_stale: a connection that was kept, and was no good any more: worth another try at once. */
	void (*failed)(struct milter_user *user, const char *why, bool is_stale);
};

/* Who speaks with a filter: embedded by the owner. */
struct milter_user {
	const struct milter_user_events *events;
	struct milter_client *client; /* NULL: no connection */
};

struct milter_client {
	struct milter milter;
	struct stream stream; /* append to stream.out by milter.h's functions, then milter_client_send */

	/* milter_client.c's own: */
	struct milter_pool *pool;
	struct milter_user *user; /* NULL: it waits in the pool */
	struct connector_query query;
	size_t filter;
	bool is_reused; /* and has not said anything since */
	uint64_t asked_ms;
	struct loop_deferred later;
	LIST_ENTRY(milter_client) link;
};

/* One a process. */
struct milter_pool {
	struct loop *loop;
	struct connector_client *connector;
	const struct conf *conf;
	LIST_HEAD(milter_clients, milter_client) idle;
};

void milter_pool_init(struct milter_pool *pool, struct loop *loop, struct connector_client *connector, const struct conf *conf);

/* Connects to the filter (its index in the configuration) and agrees with it. True: it is ready already. Otherwise ready
 * or failed follows, never from inside. */
bool milter_client_open(struct milter_pool *pool, size_t filter, struct milter_user *user);
/* Sends what was said; from now on the filter's time runs. */
void milter_client_send(struct milter_client *client);
/* For who says much that is not answered. False: the filter does not take it as fast as it comes; `drained` follows. */
bool milter_client_has_room(struct milter_client *client);
/* No event follows. is_clean: it owes no answer and has no message, so another session may have the connection. Harmless
 * when there is none. */
void milter_client_release(struct milter_user *user, bool is_clean);

#endif
