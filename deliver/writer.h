/*
 * The process that writes into one account's mailbox, as its owner, in a sandbox that is open for the Maildir alone. It
 * takes letters from one front (self->fds[0]) and ends when the front closes that socket. Letters that came while others
 * were being made durable are made durable together.
 */
#ifndef DELIVER_WRITER_H
#define DELIVER_WRITER_H

#include "common/login/account.h"
#include "common/daemon/daemon.h"

/* The role's main; self->argument is a struct account. */
void writer_main(struct daemon_self *self);

#endif
