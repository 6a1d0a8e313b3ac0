/*
 * The process that connects to filters for the workers, who cannot: they have no network of their own and see no file. It
 * reads nothing but the number of a [filter] of its own configuration, and hands the connected descriptor over.
 *
 *     worker                                 connector
 *       | CONNECT id: number of the filter -->  |
 *       | <--     DONE id: "" + descriptor      |   or a reason and no descriptor
 *
 * It runs as _filter with the groups that this user is a member of, since filters guard their sockets by groups.
 */
#ifndef SMTPD_CONNECTOR_H
#define SMTPD_CONNECTOR_H

#include "common/daemon/daemon.h"

enum connector_message {
	CONNECTOR_CONNECT = 1,
	CONNECTOR_DONE,
};

/* Of one worker at a time; a further one is refused. */
#define CONNECTOR_DIALS_MAX 1000
#define CONNECTOR_REASON_MAX 200

/* None without filters. */
unsigned connector_count(const struct conf *conf);
void connector_main(struct daemon_self *self);

#endif
