/*
 * The sections [route NAME] of the configuration: which one mail for a domain takes, and where that leads. Pure.
 */
#ifndef QUEUE_RELAY_H
#define QUEUE_RELAY_H

#include "common/base/buf.h"
#include "common/conf/conf.h"
#include "queue/job.h"

/* That of the domain itself, of the longest name above it, or "*"; NULL: there is none. */
const struct conf_route *relay_find(const struct conf *conf, struct str domain);
/* By its name. */
const struct conf_route *relay_named(const struct conf *conf, struct str name);
/* lmtp: in front of the relay. */
enum job_transport relay_transport(const struct conf_route *route);
/* The next hop of queue/job.h that the route's relay is; false: the route has none, or it is malformed. */
bool relay_next_hop(const struct conf_route *route, struct buf *b);
/* The socket that it is; false: it is none. */
bool relay_socket(const struct conf_route *route, struct endpoint *endpoint);
/* An own domain's mailboxes are somewhere else: the route of exactly its name has a relay. NULL: they are here. */
const struct conf_route *relay_of_own(const struct conf *conf, struct str domain);

#endif
