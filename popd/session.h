/*
 * A POP3 session after the login: a connection, the INBOX, and the protocol between them. Runs in the process of the
 * mailbox's owner.
 */
#ifndef POPD_SESSION_H
#define POPD_SESSION_H

#include "common/login/login.h"

/* Two of struct login_service. */
void session_connection(struct login_session *session, const struct login_connection *connection);
void session_stop(struct login_session *session);

#endif
