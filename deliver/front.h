/*
 * The front: the LMTP server. It has no right to anything but its sockets: letters go to writers, who are asked for from
 * the parent.
 */
#ifndef DELIVER_FRONT_H
#define DELIVER_FRONT_H

#include "deliver/link.h"
#include "deliver/spool.h"

#define FRONT_PEERS_MAX 3

struct session;

struct front_listener {
	struct loop_io io;
	struct front *front;
	const struct listener *listener;
};

struct front {
	struct daemon_self *self;
	const struct conf *conf;
	struct loop *loop;
	struct links links;
	struct spool_budget budget;
	struct front_listener *listeners;
	size_t nlisteners;
	uid_t peers[FRONT_PEERS_MAX]; /* who may use the socket in run_directory */
	size_t npeers;
	TAILQ_HEAD(front_sessions, session) sessions;
	size_t nsessions;
	bool accepting, draining, stopping;
};

/* The role's main. */
void front_main(struct daemon_self *self);
/* A session is over. */
void front_session_over(struct front *front);

#endif
