/*
 * What the parts of authd's front share. The front speaks with every program that wants something of authd, parses all
 * of that, and can itself read nothing: it asks the checkers.
 */
#ifndef AUTH_FRONT_H
#define AUTH_FRONT_H

#include "auth/oauth.h"
#include "auth/peer.h"
#include "auth/penalty.h"
#include "auth/pool.h"
#include "common/daemon/daemon.h"

#define FRONT_SUITE_UIDS_MAX 16

struct sasl_exchange;
TAILQ_HEAD(sasl_ready, sasl_exchange);

struct front {
	const struct conf *conf;
	struct daemon_self *self;
	struct pool pool;
	struct oauth_client oauth;
	struct penalty penalty;
	uint64_t slow_ms;	 /* how long checks that end in a refusal take, of late */
	unsigned offers;	 /* CHECK_OFFERs */
	struct sasl_ready ready; /* exchanges whose password waits for a checker */
	struct peer_server sasl, map, master;
	uid_t suite_uids[FRONT_SUITE_UIDS_MAX]; /* of the suite's programs, and the own */
	size_t nsuite_uids;
	bool draining, released;
	unsigned drain_looks;
	struct loop_timer drain_timer;
};

/* Root, the own uid, or one of the suite's. */
bool front_is_suite(const struct front *front, uid_t uid);

/* Process mains, for authd_main.c. */
void front_main(struct daemon_self *self);
void checker_main(struct daemon_self *self);

#endif
