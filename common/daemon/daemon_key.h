/*
 * The role `key` of every daemon that speaks TLS: the one process that holds the private keys. It loads them while it
 * still may read it, drops everything, and from then on signs what the daemon's workers ask for.
 *
 *     static const struct daemon_role roles[] = {
 *             {.name = "worker", ..., .peers = {"key"}},
 *             DAEMON_KEY_ROLE,
 *     };
 */
#ifndef COMMON_DAEMON_KEY_H
#define COMMON_DAEMON_KEY_H

#include "common/daemon/daemon.h"

/* Without a certificate there is no such process; self->peers[0] of the workers is there all the same. */
#define DAEMON_KEY_ROLE \
	{ \
		.name = "key", .user = "_key", .count = daemon_key_count, .main = daemon_key_main \
	}

unsigned daemon_key_count(const struct conf *conf);
void daemon_key_main(struct daemon_self *self);

#endif
