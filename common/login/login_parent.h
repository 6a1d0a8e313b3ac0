/*
 * The parent's part of a login front: asks authd whether a worker's claim is true, and gives the connection to the
 * user's session process, which it forks if there is none. It reads nothing but messages of fixed form, and authd's
 * answers.
 */
#ifndef COMMON_LOGIN_PARENT_H
#define COMMON_LOGIN_PARENT_H

#include "common/daemon/daemon.h"
#include "common/login/login.h"

/* For the roles and the daemon of login.c. */
void login_parent_init(struct daemon *daemon, const struct login_service *service,
    const struct daemon_role *session_role);
void login_parent_worker_received(struct daemon_child *worker, struct msg *m);
void login_parent_worker_ended(struct daemon_child *worker);
void login_parent_session_received(struct daemon_child *session, struct msg *m);
void login_parent_session_ended(struct daemon_child *session);
void login_parent_reloaded(struct daemon *daemon);

/* What login_session.c's process gets as its argument. */
struct login_session_start {
	struct account account;
	const struct login_service *service;
};

void login_session_main(struct daemon_self *self);

#endif
