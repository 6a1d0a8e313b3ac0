/*
 * The other end of queue/control.h: a command asks queued. Blocking.
 */
#ifndef QUEUE_CONTROL_CLIENT_H
#define QUEUE_CONTROL_CLIENT_H

#include "common/conf/conf.h"
#include "queue/control.h"

struct control_client {
	int fd;
	struct buf packet; /* the last answer, from which replies borrow */
};

bool control_client_open(struct control_client *client, const struct conf *conf, struct err *err);
void control_client_close(struct control_client *client);
/* One request and its answer, whose text is borrowed until the next. As long as queued is busy it is asked again. */
bool control_client_ask(struct control_client *client, const struct control_request *request, struct control_reply *reply,
    struct err *err);

#endif
