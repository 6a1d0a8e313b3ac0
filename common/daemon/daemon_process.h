/*
 * The inner side of common/daemon/daemon.h: generations of child processes. For daemon*.c only.
 */
#ifndef COMMON_DAEMON_PROCESS_H
#define COMMON_DAEMON_PROCESS_H

#include "common/daemon/daemon.h"
#include "common/tls/tls_ticket.h"

enum daemon_message {
	DAEMON_READY = DAEMON_MESSAGES, /* child: I am */
	DAEMON_DRAIN,			/* parent: finish what is under way and end */
	DAEMON_STOP,			/* parent: end now */
	DAEMON_PING,			/* parent: does your loop still turn? */
	DAEMON_PONG,			/* child: yes */
};

enum daemon_state {
	DAEMON_STARTING, /* not all of it is ready yet */
	DAEMON_RUNNING,
	DAEMON_DRAINING, /* a newer one runs, or the daemon stops */
};

TAILQ_HEAD(daemon_children, daemon_child);

/* The processes that were forked with one reading of the configuration. */
struct daemon_generation {
	struct daemon *daemon;
	struct conf *conf;
	enum daemon_state state;
	bool haste; /* draining: by order of STOP */
	struct daemon_child *regular; /* those of roles with a count */
	size_t nregular;
	struct daemon_children children; /* all that are alive or to be forked anew, those on demand too */
	struct loop_timer deadline;	 /* while it starts beside an older one */
	struct tls_ticket_secret tickets; /* the workers have it from here, those too that are forked late */
	TAILQ_ENTRY(daemon_generation) link;
};

/* --- daemon_generation.c */

/* Forks all roles of a new generation, which then owns conf. */
void daemon_generation_start(struct daemon *daemon, struct conf *conf);
/* Tells everything to end; haste: stop, else drain. */
void daemon_generation_end(struct daemon_generation *generation, bool haste);
/* Is it starting while an older one still does the work? */
bool daemon_generation_is_trial(const struct daemon_generation *generation);
/* Such a one is not going to work: it ends, the older one stays. */
void daemon_generation_give_up(struct daemon_generation *generation);
/* A child said that it is ready. */
void daemon_generation_ready(struct daemon_generation *generation);
/* A child is gone for good and off the list; a generation that is to end is freed after its last one. */
void daemon_generation_left(struct daemon_generation *generation);
/* The place of `peer` among the role's peers; -1: it is none. */
int daemon_role_peer_index(const struct daemon_role *role, const struct daemon_role *peer);
/* Is this child's role the peer of another one? Those end last. */
bool daemon_role_is_peer(const struct daemon *daemon, const struct daemon_role *role);
/* Does it have the key process as a peer? */
bool daemon_role_speaks_tls(const struct daemon_role *role);
/* Must the child wait for an older process of its exclusive role to end? */
bool daemon_child_must_wait(const struct daemon_child *child);

/* --- daemon_child.c */

/* Forks a regular child; on failure tries again later. */
void daemon_child_start(struct daemon_child *child);
/* Kills the child if it has not answered for long; else asks it. */
void daemon_child_ping(struct daemon_child *child);
/* Sends DRAIN or STOP (with its deadline), each once. */
void daemon_child_order(struct daemon_child *child, bool haste);

/* --- daemon_self.c */

/* The child's side of fork: never returns. */
_Noreturn void daemon_self_main(struct daemon_child *child, const struct daemon_spawn *spawn, int channel_fd);

#endif
