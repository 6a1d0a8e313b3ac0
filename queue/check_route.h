/*
 * The part of `merpati check` that looks at [route] sections: relays, logins, files with passwords and tokens,
 * and whether the TLS that they want can be had.
 */
#ifndef QUEUE_CHECK_ROUTE_H
#define QUEUE_CHECK_ROUTE_H

#include "queue/check.h"

void check_routes(struct check *check);

#endif
