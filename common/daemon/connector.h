/*
 * A process that connects to certain places of the configuration for workers, who cannot: they see no file, and perhaps have
 * no network of their own. It reads nothing but a number, and hands the connected descriptor over. Which places there are,
 * and by which number, both sides are told by one function of the program.
 *
 *     worker                                 connector
 *       | CONNECT id: number of the place -->   |
 *       | <--     DONE id: "" + descriptor      |   or a reason and no descriptor
 *
 * It runs with the groups that its user is a member of, since sockets are guarded by groups.
 */
#ifndef COMMON_CONNECTOR_H
#define COMMON_CONNECTOR_H

#include "common/daemon/daemon.h"

enum connector_message {
	CONNECTOR_CONNECT = 1,
	CONNECTOR_DONE,
};

/* Of one worker at a time; a further one is refused. */
#define CONNECTOR_DIALS_MAX 1000
#define CONNECTOR_REASON_MAX 200

struct connector_place {
	struct endpoint to;
	uint64_t timeout_ms;
};

/* What the number stands for; false: nothing. */
struct connector_places {
	bool (*find)(const struct conf *conf, uint64_t number, struct connector_place *place);
};

/* The main of a role that keeps_root. */
void connector_run(struct daemon_self *self, const struct connector_places *places);

#endif
