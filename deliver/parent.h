/*
 * What deliver's parent does besides forking fronts: it asks authd whose mailbox an address is, and forks a writer for
 * it. A front can name any account, but only have letters written into it: nothing comes back but whether they were.
 */
#ifndef DELIVER_PARENT_H
#define DELIVER_PARENT_H

#include "common/daemon/daemon.h"

void parent_init(struct daemon *daemon, const struct daemon_role *writer_role);
/* Callbacks of the roles. */
void parent_front_received(struct daemon_child *front, struct msg *m);
void parent_front_ended(struct daemon_child *front);
void parent_writer_ended(struct daemon_child *writer);

#endif
