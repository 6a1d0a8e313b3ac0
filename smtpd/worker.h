/*
 * One process of smtpd: its listeners, its sessions, and the connections to those whom it asks. It may create files in
 * the drop box and do nothing else outside of its sockets.
 */
#ifndef SMTPD_WORKER_H
#define SMTPD_WORKER_H

#include "common/base/commit.h"
#include "common/daemon/daemon.h"
#include "common/login/sasl_client.h"
#include "common/net/socketmap.h"
#include "smtpd/guard_client.h"
#include "common/daemon/connector_client.h"
#include "smtpd/intake.h"
#include "smtpd/known.h"
#include "smtpd/milter_client.h"
#include "smtpd/policy_client.h"

struct session;
struct proxy_wait;
struct tls_context;

/* The places of these roles among the worker's peers. */
enum {
	WORKER_PEER_KEY,
	WORKER_PEER_CONNECTOR,
	WORKER_PEER_GUARD,
};

/* A listening socket with what its sessions have in common. */
struct worker_listener {
	struct loop_io io;
	struct worker *worker;
	const struct listener *listener;
	const struct listener_kind_facts *facts;
	struct tls_context *tls; /* NULL: TLS is not offered */
	const struct conf_listener *section; /* NULL: it has none */
};

struct worker {
	const struct conf *conf;
	struct loop *loop;
	struct intake intake;
	struct sasl_client *sasl;
	struct socketmap_client map;
	struct known known; /* recipients */
	struct connector_client connector;
	struct policy_client *policies; /* for each filter of the configuration; those of milters are not used */
	struct milter_pool milters;
	struct worker_listener *listeners;
	size_t nlisteners;
	TAILQ_HEAD(worker_sessions, session) sessions;
	TAILQ_HEAD(worker_proxies, proxy_wait) proxies; /* connections that are to become sessions */
	size_t nsessions;			       /* of both */
	size_t nlocals;				       /* of these: programs of this host */
	size_t sessions_peak; /* the most since memory was last given back */
	struct loop_timer trim;
	size_t ncommits; /* messages under way to the disk whose session has ended */
	struct guard_client_side guard;
	struct loop_timer accept_pause;
	bool accepting;
	bool draining; /* accepts nobody any more */
	bool stopping; /* and ends the sessions that there are */
};

/* The role's main: never returns before it was told to stop. incoming_fd: the drop box. */
void worker_run(struct daemon_self *self, int incoming_fd);
/* A session is over, or a message of a session that is over is on disk: there may be room for another, or this was the
 * last. */
void worker_session_over(struct worker *worker);

#endif
