/*
 * The sections [route NAME] of the configuration: which one mail for a domain takes, and where that leads. Pure.
 */
#ifndef QUEUE_RELAY_H
#define QUEUE_RELAY_H

#include "common/base/buf.h"
#include "common/conf/conf.h"

/* That of the domain itself, of the longest name above it, or "*"; NULL: there is none. */
const struct conf_route *relay_find(const struct conf *conf, struct str domain);
/* By its name. */
const struct conf_route *relay_named(const struct conf *conf, struct str name);
/* The next hop of queue/job.h that the route's relay is; false: the route has none, or it is malformed. */
bool relay_next_hop(const struct conf_route *route, struct buf *b);

#endif
