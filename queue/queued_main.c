/*
 * queued: the queue. Two processes: `queue` has the spool and decides what is tried when; `bounce` writes
 * notifications and has nothing.
 */
#include <stdlib.h>

#include "common/daemon/daemon.h"
#include "common/base/log.h"
#include "common/daemon/sandbox.h"
#include "queue/bounce.h"
#include "queue/closer.h"
#include "queue/dispatch.h"
#include "queue/intake.h"
#include "queue/notice.h"
#include "queue/outcome.h"
#include "queue/queue.h"
#include "queue/route.h"
#include "queue/site_keeper.h"
#include "queue/wake.h"

#define COMMIT_THREADS 2
/* At the end deliveries that are under way get this long. */
#define DRAIN_MS 4000

struct process {
	struct queue queue;
	struct loop_timer drain;
	uint64_t drain_until_ms;
};

/* Set once, for the callbacks of daemon_self, which has no place for it. */
static struct process process;

static int
listener_of(const struct daemon_self *self, enum listener_kind kind)
{
	for (size_t i = 0; i < self->nlisteners; i++)
		if (self->listeners[i].kind == kind)
			return self->listeners[i].fd;
	fatal("the %s socket was not passed; start queued by \"merpati run\" or systemd",
	    kind == LISTENER_QUEUE ? "queue" : "poke");
}

/* ---- the end --------------------------------------------------------------------------------------------------- */

static void
drain_expired(struct loop_timer *timer)
{
	struct queue *q = &process.queue;

	if ((dispatch_running(q->dispatch) > 0 || commit_waiting(q->commit) > 0) &&
	    loop_now_ms(q->loop) < process.drain_until_ms) {
		loop_timer_set(q->loop, timer, 20, drain_expired);
		return;
	}
	outcome_record_all(q->outcome);
	site_keeper_write(q->site_keeper);
	loop_stop(q->loop);
}

/* Nothing is begun any more; what is under way may end, so that nothing is delivered twice. */
static void
stop(struct daemon_self *self)
{
	struct queue *q = &process.queue;

	if (q->stopping)
		return;
	q->stopping = true;
	process.drain_until_ms = loop_now_ms(self->loop) + DRAIN_MS;
	loop_timer_set(q->loop, &process.drain, 0, drain_expired);
}

/* ---- the beginning --------------------------------------------------------------------------------------------- */

static void
confine(struct daemon_self *self, const struct spool *spool)
{
	struct sandbox_spec spec = {.promises = SANDBOX_STDIO | SANDBOX_LOOP | SANDBOX_SERVE | SANDBOX_UNIX |
		SANDBOX_OPEN | SANDBOX_CREATE | SANDBOX_CHANGE | SANDBOX_THREADS,
	    .descriptors_max = 2048};

	for (size_t i = 0; i < SPOOL_PLACES; i++)
		spec.paths[i] = (struct sandbox_path){
		    .fd = spool->fds[i], .access = SANDBOX_READ | SANDBOX_WRITE | SANDBOX_REMOVE};
	/* For `sites`. */
	spec.paths[SPOOL_PLACES + 1] = (struct sandbox_path){.fd = spool->root, .access = SANDBOX_READ | SANDBOX_WRITE | SANDBOX_REMOVE};
	spec.paths[SPOOL_PLACES] =
	    (struct sandbox_path){.fd = -1, .path = self->conf->run_directory, .access = SANDBOX_READ | SANDBOX_WRITE};
	daemon_confine(self, &spec);
}

static void
parts_make(struct queue *q, const struct daemon_self *self, uid_t remote_uid)
{
	const struct schedule_limits limits = {.idle_sites = (unsigned)q->conf->queue.sites_remembered,
	    .share = (unsigned)q->conf->queue.active_share, .room = q->conf->queue.active_limit};

	schedule_init(&q->schedule, &limits);
	shares_init(&q->shares);
	q->site_keeper = site_keeper_new(q);
	q->commit = commit_new(q->loop, COMMIT_THREADS);
	q->closer = closer_new(q->loop);
	q->outcome = outcome_new(q);
	q->routes = routes_new(q);
	q->notices = notices_new(q, self->npeers > 0 ? self->peers[0] : -1);
	q->wake = wake_new(q);
	q->dispatch = dispatch_new(q, listener_of(self, LISTENER_QUEUE), remote_uid);
	q->intake = intake_new(q, listener_of(self, LISTENER_POKE));
}

static void
queue_main(struct daemon_self *self)
{
	struct queue *q = &process.queue;
	struct daemon_user remote;
	struct err err;

	q->conf = self->conf;
	q->hash_key = siphash_key_new();
	RB_INIT(&q->messages);
	if (!spool_open(&q->spool, q->conf->spool_directory, &err) || !daemon_user_find("_remote", &remote, &err))
		fatal("%s", err.text);
	confine(self, &q->spool);
	q->loop = loop_new();
	self->drain = self->stop = stop;
	parts_make(q, self, remote.uid);
	daemon_self_open(self, q->loop);
	log_gather();
	loop_before_wait(q->loop, log_flush);
	loop_run(q->loop);
}

int
main(int argc, char **argv)
{
	static const struct daemon_role roles[] = {
	    {.name = "queue", .user = "_queue", .exclusive = true, .main = queue_main, .peers = {"bounce"},
	        .listeners = LISTENER_BIT(LISTENER_QUEUE) | LISTENER_BIT(LISTENER_POKE)},
	    {.name = "bounce", .user = "_queue", .main = bounce_main},
	};
	static struct daemon daemon = {.name = "queued", .roles = roles, .nroles = sizeof roles / sizeof roles[0]};

	return daemon_main(&daemon, argc, argv);
}
