/*
 * The messages between the processes of a login front. What comes from a worker was written by a process that reads
 * strangers' bytes, what comes from a session by one that reads its user's: both are data here.
 *
 *     worker -> parent   HANDOVER (fd)      a login that authd has granted, and its connection
 *     parent -> worker   HANDED, REFUSED    what became of it, under the same id
 *     parent -> session  CONNECTION (fd)    take this one
 *     session -> parent  TAKEN              under the same id: from here on it is the session's
 *     session -> parent  CLOSED             one of its connections
 *     session -> parent  LEAVING            it would end; says how many connections it was ever given
 *     parent -> session  GOODBYE            it may: there is none on its way
 */
#ifndef COMMON_LOGIN_MESSAGE_H
#define COMMON_LOGIN_MESSAGE_H

#include "common/login/login.h"
#include "common/base/msg.h"

enum login_message {
	LOGIN_HANDOVER = 1,
	LOGIN_HANDED,
	LOGIN_NOT_HANDED,
	LOGIN_CONNECTION,
	LOGIN_TAKEN,
	LOGIN_CLOSED,
	LOGIN_LEAVING,
	LOGIN_GOODBYE,
};

#define LOGIN_COOKIE_MAX 128
#define LOGIN_ADDRESS_MAX 63

/* By what authd knows the login: with the worker's pid, which the parent knows for itself. */
struct login_claim {
	uint32_t exchange;
	struct str cookie;
};

/* connection->fd is not part of the bytes. */
void login_handover_write(struct buf *b, uint32_t id, const struct login_claim *claim,
    const struct login_connection *connection);
/* The strings are borrowed; connection->fd is taken out of the message. False (fd stays in m) when a field is missing,
 * too long or unprintable where it is for the log, or there is no descriptor. */
bool login_handover_read(struct msg *m, struct login_claim *claim, struct login_connection *connection);

void login_connection_write(struct buf *b, uint32_t id, const struct login_connection *connection);
bool login_connection_read(struct msg *m, struct login_connection *connection);

#endif
