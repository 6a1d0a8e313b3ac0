/*
 * The processes of a daemon. The parent reads the configuration, takes the listening sockets, forks one process for
 * each role, forks it anew when it dies, and does nothing else: it reads no byte from the network. As root it keeps its
 * privilege, because only that can fork a role; each role drops to its own user. As an ordinary user every role is that
 * user, boxed in all the same.
 *
 *     int
 *     main(int argc, char **argv)
 *     {
 *             static const struct daemon_role roles[] = {
 *                 {.name = "worker", .user = "_smtpd", .count = worker_count, .main = worker_main,
 *                     .listeners = LISTENER_BIT(LISTENER_MX) | ..., .peers = {"key"}},
 *                 {.name = "key", .user = "_key", .count = key_count, .main = key_main},
 *             };
 *             static struct daemon daemon = {.name = "smtpd", .roles = roles, .nroles = 2};
 *
 *             return daemon_main(&daemon, argc, argv);
 *     }
 *
 * A role's main opens what only privilege can open, calls daemon_confine, makes its loop, calls daemon_self_open, and
 * runs the loop. It has these descriptors and no others: standard ones, the log's, the channel to the parent, the
 * listeners of its role, its peers' socket pairs, and what daemon_spawn was given.
 *
 * A role that is not on demand must come back to its loop: one that does not answer its parent for minutes is taken to hang,
 * and is killed and forked anew.
 *
 * SIGHUP, or a certificate (or password) that was renewed, makes a new generation: the configuration is read again, all
 * roles are forked anew, and when all of them are ready the old ones are told to drain. If they do not get ready the old ones stay. SIGTERM and SIGINT end everything
 * in good order.
 */
#ifndef COMMON_DAEMON_H
#define COMMON_DAEMON_H

#include "common/conf/conf.h"
#include "common/daemon/file_watch.h"
#include "common/daemon/listener.h"
#include "common/base/loop.h"
#include "common/base/msg.h"

struct daemon;
struct daemon_child;
struct daemon_self;
struct daemon_generation;
struct sandbox_spec;
struct tls_ticket_secret;

/* Resolved by the parent, before it forks. */
struct daemon_user {
	char name[33];
	uid_t uid;
	gid_t gid;
};

#define DAEMON_PEERS_MAX 3

struct daemon_role {
	const char *name; /* in process titles and in the parent's log */
	const char *user; /* of the suite, such as "_smtpd"; NULL: the parent's own (or what daemon_spawn says) */
	/* How many processes; NULL: one. 0 is fine: without TLS no key process. */
	unsigned (*count)(const struct conf *conf);
	bool on_demand;	    /* none at the start, only by daemon_spawn; not forked anew when it ends */
	bool exclusive;	    /* at a reload the old process must have ended before the new one begins (queued) */
	bool keeps_root;    /* needs the file system: held by uid and Landlock, not by an empty root directory */
	unsigned listeners; /* LISTENER_BITs of the kinds that these processes get */
	/*
	 * Names of other roles (of one process each) to which each of these processes has a SOCK_SEQPACKET pair of its own.
	 * The parent keeps the pairs, so they outlive both sides: after a death the successor goes on with the same pair.
	 * A request that the dead one had taken is never answered, so the asking side needs a deadline; an answer may
	 * come that the dead one's predecessor had asked for, so requests carry numbers.
	 */
	const char *peers[DAEMON_PEERS_MAX];
	/* The life of the process; when it returns the process ends with status 0. Must not return before it was told
	 * to drain or stop, unless on demand. */
	void (*main)(struct daemon_self *self);
	/* In the parent: a message from the child (types below DAEMON_MESSAGES). NULL: it has nothing to say. The
	 * parent takes it as data: what breaks the rules of its type is logged and dropped. */
	void (*received)(struct daemon_child *child, struct msg *m);
	/* In the parent: the child is gone and its channel closed. Its struct may now be freed, if it came from
	 * daemon_spawn. May be NULL. */
	void (*ended)(struct daemon_child *child);
};

/* --- the parent ------------------------------------------------------------------------------------------------------- */

struct daemon {
	/* Set by main, constant: */
	const char *name;
	const struct daemon_role *roles;
	size_t nroles;
	bool logs_in;	  /* with what [route] sections name: a renewed password or token makes a new generation, too */
	uint64_t ping_ms; /* how often each role is asked whether its loop still turns; 0: every minute */
	/* In the parent, before the first role is forked. False, after logging: the daemon ends. May be NULL. */
	bool (*started)(struct daemon *daemon);
	/* In the parent, when a new configuration is in force. May be NULL. */
	void (*reloaded)(struct daemon *daemon);

	/* To be read by the callbacks: */
	struct conf *conf; /* the one in force; a reload replaces it */
	struct loop *loop;
	bool stopping;

	/* daemon.c's own: */
	struct listener_set listeners;
	TAILQ_HEAD(daemon_generations, daemon_generation) generations; /* oldest first */
	struct loop_signal hup, term, interrupt;
	struct loop_timer watchdog, ping;
	struct file_watch renewable;
	bool ready, debug;
	const char *conf_path;
};

/* Options (-c FILE, -d for debugging), configuration, sockets, roles, loop. Returns the exit status. */
int daemon_main(struct daemon *daemon, int argc, char **argv);

/* One child process, as the parent sees it. */
struct daemon_child {
	struct daemon *daemon;
	const struct daemon_role *role;
	unsigned index; /* among those of its role */
	pid_t pid;	/* 0 while there is none */

	/* daemon_child.c's own: */
	struct channel channel;
	struct loop_child process;
	struct loop_timer respawn;
	struct daemon_generation *generation;
	uint64_t started_ms;
	uint64_t backoff_ms;
	int peer_fds[DAEMON_PEERS_MAX];	      /* of the pairs to its peers: its own ends, and */
	int peer_other_fds[DAEMON_PEERS_MAX]; /* the ends that the peer roles' processes get */
	unsigned unanswered; /* pings */
	bool ready, told_to_drain, told_to_stop;
	TAILQ_ENTRY(daemon_child) link;
};

/* Queues a message to the child; false when it is gone or does not read (the caller drops what it was about). */
bool daemon_child_send(struct daemon_child *child, const struct buf *b, int pass_fd);
/* Asks it to stop; it is killed if it has not ended within 10 seconds. role->ended follows, later. */
void daemon_child_stop(struct daemon_child *child);

/* What a process on demand is to be. Everything is borrowed during the call; the child has its copy. */
struct daemon_spawn {
	const struct daemon_user *user; /* NULL: the role's */
	const char *title;		/* for ps: whose it is; may be NULL */
	const int *fds;			/* stay open in the child, as self->fds; the parent keeps its own */
	size_t nfds;
	const void *argument; /* self->argument: memory of the parent, of which fork makes a copy */
};

/*
 * Forks a process of an on-demand role. child is the caller's memory, embedded where it is wanted, until role->ended was
 * called for it. False (and role->ended is not called) when the kernel refuses.
 */
bool daemon_spawn(struct daemon *daemon, struct daemon_child *child, const struct daemon_role *role,
    const struct daemon_spawn *spawn, struct err *err);

/* A user of this system by name. As an ordinary user, who can become nobody else: always that one. */
bool daemon_user_find(const char *name, struct daemon_user *user, struct err *err);
/* May this process become other users? False for an ordinary user. */
bool daemon_is_privileged(void);

/* --- in a role's process ---------------------------------------------------------------------------------------------- */

struct daemon_self {
	const struct daemon_role *role;
	unsigned index;
	const struct conf *conf;
	const struct listener *listeners; /* those of the role's kinds */
	size_t nlisteners;
	struct daemon_user user; /* to become in daemon_confine */
	/* The ends of socket pairs: first those to the role's own peers, in their order; then one for each process that has
	 * this role as peer. Blocking, close-on-exec. */
	const int *peers;
	size_t npeers;
	const int *fds; /* as given to daemon_spawn */
	size_t nfds;
	const void *argument;
	/* The secret of this generation's TLS tickets; zeros in a role that has not "key" as a peer. */
	const struct tls_ticket_secret *tickets;

	/* Set by the role's main before daemon_self_open: */
	void *owner; /* what the callbacks below need; the daemon never looks at it */
	/* A message from the parent. May be NULL. */
	void (*received)(struct daemon_self *self, struct msg *m);
	/* Accept nothing any more, finish what is under way, then leave the loop and return from main. There is no hurry.
	 * NULL: the same as stop. */
	void (*drain)(struct daemon_self *self);
	/* The same with haste: a few seconds. Afterwards the process is killed. NULL: the process ends at once. */
	void (*stop)(struct daemon_self *self);

	struct loop *loop;	/* of daemon_self_open */
	struct channel channel; /* to the parent */
	int channel_fd;		/* until daemon_self_open */
	struct loop_timer orphan;
	bool draining, stopping;
};

/*
 * Enters the sandbox of the spec, whose user, group and root are filled in here: self->user, and run_directory unless the
 * role keeps_root, as far as the parent's privilege allows. Fatal when that fails.
 */
void daemon_confine(struct daemon_self *self, struct sandbox_spec *spec);

/*
 * Listens to the parent from now on, and tells it that this process is ready. When the parent is gone the process is
 * stopped as by `stop`.
 */
void daemon_self_open(struct daemon_self *self, struct loop *loop);
/* Queues a message to the parent (types below DAEMON_MESSAGES); false when it does not read. */
bool daemon_self_send(struct daemon_self *self, const struct buf *b, int pass_fd);

/* The place of one of our own sockets ("sasl"), from inside or outside of the empty root. Holds until the next call. */
const char *daemon_socket_path(const struct conf *conf, const char *name);

/* Message types from here on are the daemon's own. */
#define DAEMON_MESSAGES 0xffff0000U

#endif
