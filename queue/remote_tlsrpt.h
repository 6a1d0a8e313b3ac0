/*
 * What a session with an exchanger means for the report of its domain (RFC 8460 4.3). Workers tell the process `policy`, which
 * counts it where the domain wants reports.
 */
#ifndef QUEUE_REMOTE_TLSRPT_H
#define QUEUE_REMOTE_TLSRPT_H

#include "queue/remote_connection.h"
#include "queue/remote_route.h"

/* The connection is ready, or has failed; what failed before TLS could matter is no session to be told of. */
void remote_tlsrpt_session(struct sts_client *client, const struct remote_route *route,
    const struct remote_connection *connection, struct str host, const struct endpoint *to);
/* The exchanger was not even connected to. */
void remote_tlsrpt_refused(struct sts_client *client, const struct remote_route *route, struct str host,
    const struct tls_policy *policy);

#endif
