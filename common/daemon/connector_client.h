/*
 * A worker's side of common/daemon/connector.h: asks for a connection to a place of the configuration.
 */
#ifndef COMMON_CONNECTOR_CLIENT_H
#define COMMON_CONNECTOR_CLIENT_H

#include "common/daemon/connector.h"

struct connector_query;

struct connector_client {
	struct channel channel;
	struct loop *loop;
	const struct conf *conf;
	const struct connector_places *places;
	uint32_t last_id;
	LIST_HEAD(connector_queries, connector_query) queries;
};

struct connector_query {
	/* Called once for each connector_ask, never from inside it. fd: a connected, non-blocking stream socket, now the
	 * callee's; -1: there is none, and `reason` (never NULL) says why. The query may be freed, or asked with again. */
	void (*answered)(struct connector_query *query, int fd, const char *reason);
	struct connector_client *client; /* NULL when nothing is asked */
	uint32_t id;
	struct loop_timer timer;
	LIST_ENTRY(connector_query) link;
};

/* fd: the pair to the connector, which it takes; -1: every question is answered with "no connector". */
void connector_client_init(struct connector_client *client, struct loop *loop, int fd, const struct conf *conf,
    const struct connector_places *places);
/* Answered within the place's time-out and a second. The query must not be under way. */
void connector_ask(struct connector_client *client, struct connector_query *query, size_t number,
    void (*answered)(struct connector_query *, int, const char *));
/* The answer will not come. Harmless when nothing is asked. */
void connector_cancel(struct connector_query *query);

#endif
