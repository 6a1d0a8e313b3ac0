#include "queue/remote_worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/log.h"
#include "common/dns/resolver.h"
#include "common/daemon/sandbox.h"
#include "common/tls/tls.h"
#include "common/net/unix_socket.h"
#include "queue/policy.h"
#include "queue/remote_connector.h"
#include "queue/remote_job.h"
#include "queue/remote_login.h"

/* Between two attempts at reaching queued. */
#define RECONNECT_MS 200
/* How long what is under way may go on after SIGTERM. */
#define STOP_MS 4000
/* Look-ups at a time; queued asks for a site once. */
#define LOOKUPS_MAX 10000
#define LOOKUP_ARENA_MAX 65536

struct worker {
	struct daemon_self *self;
	struct loop *loop;
	struct channel channel; /* to queued */
	struct loop_timer reconnect;
	struct loop_timer deadline; /* of a stop */
	struct remote_jobs jobs;
	struct sts_client sts; /* the process `policy`, where there is one */
	LIST_HEAD(lookup_list, lookup) lookups;
	size_t nlookups;
	struct buf packet;
	bool complained; /* that queued cannot be reached */
	bool ending;
};

/* One RESOLVE. */
struct lookup {
	LIST_ENTRY(lookup) link;
	struct worker *worker;
	uint32_t id;
	struct arena arena;
	struct next_hop next_hop;
	struct remote_route route;
	struct loop_timer known; /* nothing had to be asked: answered at the next turn */
};

static struct worker worker;

static void reconnect(struct loop_timer *timer);

/* --- the connection to queued --------------------------------------------------------------------------------------- */

static void
lookup_free(struct lookup *lookup)
{
	LIST_REMOVE(lookup, link);
	lookup->worker->nlookups--;
	remote_route_stop(&lookup->route);
	loop_timer_cancel(&lookup->known);
	arena_clear(&lookup->arena);
	free(lookup);
}

/* Without queued nobody is there to be told: it will give what was under way again. */
static void
drop_all(struct worker *w)
{
	struct lookup *lookup, *next;

	remote_jobs_drop(&w->jobs);
	LIST_FOREACH_SAFE(lookup, &w->lookups, link, next)
		lookup_free(lookup);
}

static void
disconnected(struct worker *w)
{
	drop_all(w);
	if (w->ending)
		loop_stop(w->loop);
	else
		loop_timer_set(w->loop, &w->reconnect, RECONNECT_MS, reconnect);
}

static void
packet_send(struct worker *w)
{
	if (!channel_is_open(&w->channel))
		return;
	if (channel_send(&w->channel, &w->packet, -1))
		return;
	/* It does not read what we have to say: its word is not kept, ours need not be. Not from here, because the
	 * caller's job would be dropped under its feet. */
	log_warning("queued does not take its messages; starting anew with it");
	channel_close(&w->channel);
	loop_timer_set(w->loop, &w->reconnect, RECONNECT_MS, reconnect);
}

static void
hello(struct worker *w)
{
	const struct conf_queue *conf = &w->self->conf->queue;
	struct job_hello message = {.role = STR("remote"), .capacity = w->ending ? 0 : conf->remote_connections};

	job_hello_encode(&w->packet, &message);
	packet_send(w);
}

/* --- look-ups --------------------------------------------------------------------------------------------------------- */

static void
lookup_answer(struct lookup *lookup)
{
	struct remote_route *route = &lookup->route;
	struct job_site site = {.status = route->status, .ttl_s = route->ttl_s};

	if (route->status == JOB_DELIVERED) {
		site.key = route->list.site;
		site.security = remote_route_security(route);
	} else {
		site.code = route->code;
		site.reason = str_sub(route->reason, 0, JOB_REPLY_MAX);
	}
	job_site_encode(&lookup->worker->packet, lookup->id, &site);
	packet_send(lookup->worker);
	lookup_free(lookup);
}

static void
route_found(struct remote_route *route)
{
	lookup_answer(container_of(route, struct lookup, route));
}

static void
route_known(struct loop_timer *timer)
{
	lookup_answer(container_of(timer, struct lookup, known));
}

static struct lookup *
lookup_new(struct worker *w, uint32_t id)
{
	struct lookup *lookup = calloc(1, sizeof *lookup);

	if (lookup == NULL)
		fatal("out of memory for a look-up");
	lookup->worker = w;
	lookup->id = id;
	arena_init(&lookup->arena, LOOKUP_ARENA_MAX);
	LIST_INSERT_HEAD(&w->lookups, lookup, link);
	w->nlookups++;
	return lookup;
}

static bool
resolve_received(struct worker *w, struct msg *m)
{
	const struct conf *conf = w->self->conf;
	struct job_resolve resolve;
	struct lookup *lookup;
	struct str next_hop;

	if (!job_resolve_decode(m, &resolve) || w->nlookups >= LOOKUPS_MAX)
		return false;
	lookup = lookup_new(w, m->id);
	next_hop = arena_copy(&lookup->arena, resolve.next_hop);
	if (!next_hop_parse(next_hop, resolve.transport, (uint16_t)conf->relay_port, &lookup->next_hop)) {
		lookup->route = (struct remote_route){.status = JOB_FAILED, .code = STR("5.1.3"),
		    .reason = STR("the domain is malformed"), .ttl_s = REMOTE_ROUTE_TTL_S};
		loop_timer_set(w->loop, &lookup->known, 0, route_known);
	} else if (remote_route_start(&lookup->route, &w->jobs.sources, &lookup->next_hop, &lookup->arena, route_found)) {
		loop_timer_set(w->loop, &lookup->known, 0, route_known);
	}
	return true;
}

/* --- jobs --------------------------------------------------------------------------------------------------------------- */

static void
job_result(struct remote_jobs *jobs, uint32_t id, const struct job_result *result)
{
	struct worker *w = container_of(jobs, struct worker, jobs);

	job_result_encode(&w->packet, id, result);
	packet_send(w);
}

static void
job_done(struct remote_jobs *jobs, uint32_t id, const struct job_done *done)
{
	struct worker *w = container_of(jobs, struct worker, jobs);

	job_done_encode(&w->packet, id, done);
	packet_send(w);
}

static bool
start_received(struct worker *w, struct msg *m)
{
	return w->jobs.n < w->self->conf->queue.remote_connections && remote_job_start(&w->jobs, m);
}

/* --- messages ----------------------------------------------------------------------------------------------------------- */

static void
received(struct channel *channel, struct msg *m)
{
	struct worker *w = container_of(channel, struct worker, channel);
	bool good = false;

	if (m->type == JOB_RESOLVE)
		good = resolve_received(w, m);
	else if (m->type == JOB_START)
		good = start_received(w, m);
	if (good)
		return;
	log_error("message %u of queued is malformed or too much; starting anew with it", m->type);
	channel_close(&w->channel);
	disconnected(w);
}

static void
closed(struct channel *channel)
{
	disconnected(container_of(channel, struct worker, channel));
}

static void
reconnect(struct loop_timer *timer)
{
	struct worker *w = container_of(timer, struct worker, reconnect);
	const char *path = daemon_socket_path(w->self->conf, "queue");
	struct err err;
	int fd;

	drop_all(w);
	if (w->ending) {
		loop_stop(w->loop);
		return;
	}
	fd = unix_connect(path, SOCK_SEQPACKET | SOCK_NONBLOCK, &err);
	if (fd < 0) {
		if (!w->complained)
			log_warning("%s: %s; trying on", path, err.text);
		w->complained = true;
		loop_timer_set(w->loop, &w->reconnect, RECONNECT_MS, reconnect);
		return;
	}
	w->complained = false;
	channel_open(&w->channel, w->loop, fd, received, closed);
	channel_gather(&w->channel);
	hello(w);
}

/* --- life --------------------------------------------------------------------------------------------------------------- */

static void
deadline_met(struct loop_timer *timer)
{
	loop_stop(container_of(timer, struct worker, deadline)->loop);
}

/* queued closes the connection when the last job is done. */
static void
drain(struct daemon_self *self)
{
	(void)self;
	if (worker.ending)
		return;
	worker.ending = true;
	loop_timer_cancel(&worker.reconnect);
	if (channel_is_open(&worker.channel))
		hello(&worker);
	if (!channel_is_open(&worker.channel))
		loop_stop(worker.loop);
}

static void
stop(struct daemon_self *self)
{
	drain(self);
	loop_timer_set(worker.loop, &worker.deadline, STOP_MS, deadline_met);
}

void
remote_worker_main(struct daemon_self *self)
{
	struct sandbox_spec spec = {
	    .promises = SANDBOX_STDIO | SANDBOX_LOOP | SANDBOX_SERVE | SANDBOX_UNIX | SANDBOX_INET,
	    /* A job has a file and a connection, its look-ups have sockets, and connections linger after QUIT. */
	    .descriptors_max = 4 * self->conf->queue.remote_connections + 2 * DNS_LOOKUPS_MAX + 64,
	};
	struct resolver_servers servers;
	struct err err;

	worker.self = self;
	worker.loop = loop_new();
	buf_init(&worker.packet, MSG_MAX_BYTES);
	worker.jobs.context = (struct remote_context){.loop = worker.loop, .conf = self->conf};
	worker.jobs.context.tls = tls_client_new(&err);
	if (worker.jobs.context.tls == NULL)
		log_warning("mail is sent without TLS: %s", err.text);
	else if (!tls_client_trust(worker.jobs.context.tls, self->conf->queue.tls_authorities, &err))
		log_warning("no server's name can be verified: %s", err.text);
	resolver_find(self->conf, &servers);
	worker.jobs.sources = (struct remote_sources){.dns = resolver_new(worker.loop, &servers), .own = str_from(self->conf->hostname)};
	if (policy_count(self->conf) > 0) {
		sts_client_start(&worker.sts, worker.loop, self->peers[REMOTE_PEER_POLICY]);
		worker.jobs.sources.sts = self->conf->queue.mta_sts ? &worker.sts : NULL;
		worker.jobs.sources.reports = self->conf->queue.tlsrpt ? &worker.sts : NULL;
		worker.jobs.report_sender = policy_report_sender(self->conf);
	}
	connector_client_init(&worker.jobs.context.connector, worker.loop,
	    remote_connector_count(self->conf) > 0 ? self->peers[REMOTE_PEER_CONNECTOR] : -1, self->conf, &remote_places);
	worker.jobs.result = job_result;
	worker.jobs.done = job_done;
	worker.jobs.credentials = remote_logins_read(self->conf);
	remote_own_find(&worker.jobs.own, self->conf);
	remote_pool_init(&worker.jobs.pool, worker.loop);
	daemon_confine(self, &spec);
	self->drain = drain;
	self->stop = stop;
	daemon_self_open(self, worker.loop);
	log_gather();
	loop_before_wait(worker.loop, log_flush);
	reconnect(&worker.reconnect);
	loop_run(worker.loop);
	channel_flush(&worker.channel);
	drop_all(&worker);
}
