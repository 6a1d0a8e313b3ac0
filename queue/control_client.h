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
/*
 * Several requests, some of them under way at a time; each answer, also that queued is busy, is shown as it comes, in the
 * order of the requests. False: not all were answered.
 */
bool control_client_ask_many(struct control_client *client, const struct control_request *requests, size_t n,
    void (*replied)(struct control_client *client, size_t index, const struct control_reply *reply), struct err *err);

#endif
