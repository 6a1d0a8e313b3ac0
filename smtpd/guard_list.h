/*
 * What the guard knows, for the postmaster's `merpati clients`: one request over the socket `clients`, then rows
 * (smtpd/guard_message.h). Only root and the guard's own user are heard.
 */
#ifndef SMTPD_GUARD_LIST_H
#define SMTPD_GUARD_LIST_H

#include "common/daemon/daemon.h"
#include "smtpd/guard_core.h"

#define GUARD_LIST_READERS_MAX 8
#define GUARD_LIST_LISTENERS_MAX 2

struct guard_list_listener {
	struct loop_io io;
	struct guard_list *list;
};

struct guard_list {
	struct loop *loop;
	struct guard_core *core;
	struct guard_list_listener listeners[GUARD_LIST_LISTENERS_MAX];
	size_t nlisteners, nreaders;
};

/* Serves the listeners of the role. */
void guard_list_start(struct guard_list *list, struct loop *loop, struct guard_core *core,
    const struct daemon_self *self);
/* Leaves them to a successor. */
void guard_list_stop(struct guard_list *list);

#endif
