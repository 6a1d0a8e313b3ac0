/*
 * The bounce process: writes notifications into files that queued hands to it. It reads strangers' messages, so it has
 * nothing else: no file system, no network, no way to make a process.
 */
#ifndef QUEUE_BOUNCE_H
#define QUEUE_BOUNCE_H

#include "common/daemon/daemon.h"

/* The role's main; its only peer is the queue role. */
void bounce_main(struct daemon_self *self);

#endif
