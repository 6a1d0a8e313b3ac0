/*
 * Connections to milters: the connector makes them, milter.h speaks over them, a deadline watches over every answer. Each
 * session has its own: with the packaged opendkim, one that went on after SMFIC_QUIT_NC at times got no answer for long.
 */
#ifndef SMTPD_MILTER_CLIENT_H
#define SMTPD_MILTER_CLIENT_H

#include "common/net/stream.h"
#include "common/daemon/connector_client.h"
#include "smtpd/milter.h"

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
	/* It is released already. */
	void (*failed)(struct milter_user *user, const char *why);
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
	struct milter_user *user; /* NULL once it is released */
	struct connector_query query;
	size_t filter;
	uint64_t asked_ms;
	struct loop_deferred later;
};

/* One a process. */
struct milter_pool {
	struct loop *loop;
	struct connector_client *connector;
	const struct conf *conf;
};

void milter_pool_init(struct milter_pool *pool, struct loop *loop, struct connector_client *connector, const struct conf *conf);

/* Connects to the filter (its index in the configuration) and agrees with it: ready or failed follows, never from inside. */
void milter_client_open(struct milter_pool *pool, size_t filter, struct milter_user *user);
/* Sends what was said; from now on the filter's time runs. */
void milter_client_send(struct milter_client *client);
/* For who says much that is not answered. False: the filter does not take it as fast as it comes; `drained` follows. */
bool milter_client_has_room(struct milter_client *client);
/* No event follows. Harmless when there is no connection. */
void milter_client_release(struct milter_user *user);

#endif
