/*
 * remote's connector (common/daemon/connector.h): to the LMTP sockets that [route] sections name, which a worker in its empty
 * root directory does not see, by the route's number. It runs as _remote, outside of that directory, and reads nothing that
 * came over a network.
 */
#ifndef QUEUE_REMOTE_CONNECTOR_H
#define QUEUE_REMOTE_CONNECTOR_H

#include "common/daemon/connector.h"

extern const struct connector_places remote_places;

/* None without such routes. */
unsigned remote_connector_count(const struct conf *conf);
void remote_connector_main(struct daemon_self *self);

#endif
