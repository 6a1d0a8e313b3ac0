/*
 * A worker's connections to one policy server. They are kept and used again; each serves one question at a time, as the
 * protocol wants it, and so many are open at most; further questions wait for their turn, but never longer than the
 * filter's time-out.
 */
#ifndef SMTPD_POLICY_CLIENT_H
#define SMTPD_POLICY_CLIENT_H

#include "common/net/stream.h"
#include "common/daemon/connector_client.h"
#include "smtpd/policy_protocol.h"

#define POLICY_CONNECTIONS_MAX 8
#define POLICY_IDLE_MS 60000 /* one that is not needed is closed */

struct policy_connection;
struct policy_query;

TAILQ_HEAD(policy_queries, policy_query);
LIST_HEAD(policy_connections, policy_connection);

struct policy_client {
	struct loop *loop;
	struct connector_client *connector;
	const struct conf_filter *filter;
	size_t index; /* of the filter */
	struct policy_queries waiting;
	struct policy_connections connections;
	size_t nconnections;
};

struct policy_query {
	/* Called once, never from inside policy_ask. reply: NULL when there is none, and reason says why; both live during
	 * the call. The query may be freed or asked with again. */
	void (*answered)(struct policy_query *query, const struct policy_reply *reply, const char *reason);
	struct policy_client *client; /* NULL when nothing is asked */
	struct policy_connection *connection; /* that has it; NULL while it waits */
	struct buf request;
	struct loop_timer deadline;
	bool retried; /* on a new connection, because a kept one was dead */
	TAILQ_ENTRY(policy_query) link;
};

void policy_client_init(struct policy_client *client, struct loop *loop, struct connector_client *connector, size_t index);
/* The query must not be under way. */
void policy_ask(struct policy_client *client, struct policy_query *query, const struct policy_request *request,
    void (*answered)(struct policy_query *, const struct policy_reply *, const char *));
/* What counts as the answer of one that gives none, as its on_failure says: no opinion, or a refusal for now or for ever. */
struct policy_reply policy_failure(const struct conf_filter *filter);
/* The answer will not come. Harmless when nothing is asked. */
void policy_cancel(struct policy_query *query);

#endif
