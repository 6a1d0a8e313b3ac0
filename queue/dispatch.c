#include "queue/dispatch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/net/unix_socket.h"
#include "queue/commands.h"
#include "queue/control.h"
#include "queue/outcome.h"
#include "queue/route.h"
#include "queue/site_keeper.h"
#include "queue/timing.h"

/* A message with which so many workers died is not tried again at once. */
#define DEATHS_MAX 3
#define PEERS_MAX 200
#define CAPACITY_MAX 100000
/* Deliveries that are begun together. */
#define STARTS_MAX 64
/* Deliveries to a dead site that are put off in one turn of the loop. */
#define GIVEN_UP_A_TURN 32

LIST_HEAD(running, delivery);

/* Whoever is connected; a worker once it has said HELLO. */
struct worker {
	struct dispatch *dispatch;
	struct channel channel;
	LIST_ENTRY(worker) link;
	bool may_command;
	bool is_remote;
	uint64_t capacity;
	size_t nrunning;
	struct running running;
};

RB_HEAD(running_tree, delivery);

struct dispatch {
	struct queue *queue;
	struct loop_io listener;
	uid_t remote_uid;
	LIST_HEAD(, worker) workers;
	unsigned nworkers;
	struct running_tree running; /* by id */
	size_t nrunning;
	uint32_t next_id;
	uint64_t deaths;
	struct loop_deferred pump;
	struct loop_timer rate;	     /* a site's rate lets something start */
	struct loop_timer giving_up; /* there are more that waited for a site which died */
	struct buf packet;
};

static int
id_compare(struct delivery *a, struct delivery *b)
{
	return a->id < b->id ? -1 : a->id > b->id;
}

TREE_GENERATE(running_tree, delivery, id_link, id_compare)

size_t
dispatch_running(const struct dispatch *dispatch)
{
	return dispatch->nrunning;
}

/* The schedule starts no more than the workers take together. */
static void
capacity_update(struct dispatch *dispatch)
{
	const struct worker *w;
	uint64_t sum = 0;

	LIST_FOREACH(w, &dispatch->workers, link)
		sum += w->is_remote ? w->capacity : 0;
	dispatch->queue->schedule.limits.running = (unsigned)sum;
}

/* ---- starting -------------------------------------------------------------------------------------------------- */

/* The same one for the same site, so that its open connections are used; another when that one is full. */
static struct worker *
worker_for(struct dispatch *dispatch, struct str site)
{
	uint64_t wanted = siphash(&dispatch->queue->hash_key, site), best = 0;
	struct worker *w, *choice = NULL;

	LIST_FOREACH(w, &dispatch->workers, link) {
		uint64_t score = (uint64_t)(uintptr_t)w * (wanted | 1);

		if (!w->is_remote || w->nrunning >= w->capacity)
			continue;
		if (choice == NULL || score > best) {
			choice = w;
			best = score;
		}
	}
	return choice;
}

static void
run(struct dispatch *dispatch, struct worker *w, struct delivery *d)
{
	d->worker = w;
	d->started_ms = queue_now_ms();
	(void)RB_INSERT(running_tree, &dispatch->running, d);
	LIST_INSERT_HEAD(&w->running, d, worker_link);
	w->nrunning++;
	dispatch->nrunning++;
}

static void
unrun(struct dispatch *dispatch, struct delivery *d)
{
	(void)RB_REMOVE(running_tree, &dispatch->running, d);
	LIST_REMOVE(d, worker_link);
	d->worker->nrunning--;
	dispatch->nrunning--;
	d->worker = NULL;
}

static uint64_t
flags_of(const struct envelope *e)
{
	return (e->is_8bit ? JOB_8BIT : 0) | (e->is_binary ? JOB_BINARY : 0) | (e->is_smtputf8 ? JOB_SMTPUTF8 : 0) |
	    (e->requires_tls ? JOB_REQUIRETLS : 0) | (e->has_priority ? JOB_PRIORITY : 0) |
	    (e->by.mode == 'R' ? JOB_BY_RETURN : 0) | (e->by.mode == 'N' ? JOB_BY_NOTIFY : 0) |
	    (e->by.trace ? JOB_BY_TRACE : 0);
}

/* What is too long to be passed on is not. */
static struct str
at_most(struct str s, size_t max)
{
	return s.n > max ? STR_NONE : s;
}

/* The sender's wishes go with the sender's name: a list's members have another (RFC 3461 5.2.7.4). */
static void
encode_sender(struct job *job, const struct envelope *e, struct str return_path)
{
	job->sender = return_path;
	if (!str_equal(return_path, e->sender))
		return;
	job->ret = at_most(e->ret, JOB_TEXT_MAX);
	job->envid = at_most(e->envid, JOB_ENVID_MAX);
}

/* The START message of a delivery into dispatch->packet; how many of its recipients are in it. */
static size_t
encode(struct dispatch *dispatch, struct delivery *d)
{
	const struct envelope *e = &d->message->envelope;
	struct job_recipient recipients[DELIVERY_RECIPIENTS_MAX];
	struct job job = {.transport = d->transport,
	    .next_hop = d->next_hop,
	    .route = d->route,
	    .site = d->site,
	    .messages = d->section != NULL ? d->section->messages : 0,
	    .security = d->security,
	    .queue_id = queue_id_str(&d->message->id),
	    .flags = flags_of(e),
	    .size = e->head.message_size,
	    .priority = e->priority,
	    .by_left_ms = e->by.mode == 0 ? 0 : (int64_t)e->by.time_ms - (int64_t)queue_now_ms(),
	    .pieces = e->pieces,
	    .npieces = e->npieces,
	    .recipients = recipients,
	    .nrecipients = d->nrecipients};

	encode_sender(&job, e, d->return_path);
	for (size_t i = 0; i < d->nrecipients; i++) {
		const struct recipient *r = &e->recipients[d->recipients[i]];

		/* Of a notification nobody is to be notified (RFC 3461 6.1). */
		recipients[i] = (struct job_recipient){.index = d->recipients[i], .address = r->address,
		    .orcpt = at_most(r->orcpt, JOB_ORCPT_MAX),
		    .notify = e->about.p != NULL ? STR("NEVER") : at_most(r->notify, JOB_TEXT_MAX)};
	}
	d->id = dispatch->next_id++;
	return job_encode(&dispatch->packet, d->id, &job);
}

enum start {
	STARTED,
	START_IMPOSSIBLE, /* for this message; err says why */
	START_NO_WORKER,
};

static enum start
start(struct dispatch *dispatch, struct delivery *d, struct err *err)
{
	struct worker *w = worker_for(dispatch, d->site);
	struct message *m = d->message;
	size_t fitting;

	if (w == NULL)
		return START_NO_WORKER;
	if (!message_open(m, err))
		return START_IMPOSSIBLE;
	fitting = encode(dispatch, d);
	if (fitting == 0) {
		(void)err_set(err, ERR_PERM, "the envelope does not fit");
		return START_IMPOSSIBLE;
	}
	if (!channel_send(&w->channel, &dispatch->packet, m->fd))
		return START_NO_WORKER;
	/* What does not fit into one message is a delivery of its own. */
	if (fitting < d->nrecipients)
		route_schedule(dispatch->queue->routes, delivery_split(d, fitting));
	run(dispatch, w, d);
	return STARTED;
}

/* It counts as not tried; without a worker all of it waits for the next one. */
static bool
start_next(struct dispatch *dispatch)
{
	struct queue *q = dispatch->queue;
	struct schedule_job *job = schedule_next(&q->schedule, loop_now_ms(q->loop));
	struct delivery *d;
	struct message *m;
	struct err err;

	if (job == NULL)
		return false;
	d = container_of(job, struct delivery, job);
	m = d->message;
	if (timing_is_late(&m->envelope, queue_now_ms())) {
		schedule_done(&q->schedule, job, SCHEDULE_UNTOLD, loop_now_ms(q->loop));
		route_fail(d, STR("5.4.7"), STR("the message was not delivered by the time that was asked for"));
		outcome_progress(m);
		return true;
	}
	switch (start(dispatch, d, &err)) {
	case STARTED:
		return true;
	case START_NO_WORKER:
		schedule_done(&q->schedule, job, SCHEDULE_UNTOLD, loop_now_ms(q->loop));
		route_schedule(q->routes, d);
		outcome_progress(m);
		break;
	case START_IMPOSSIBLE:
		log_error("%s: %s", m->id.text, err.text);
		schedule_done(&q->schedule, job, SCHEDULE_UNTOLD, loop_now_ms(q->loop));
		route_defer(d, STR("4.3.0"), str_from(err.text));
		outcome_progress(m);
		return true;
	}
	return false;
}

static void
rate_expired(struct loop_timer *timer)
{
	dispatch_pump(container_of(timer, struct dispatch, rate));
}

/* What only its site's rate holds back is started when that allows. */
static void
rate_wait(struct dispatch *dispatch)
{
	struct queue *q = dispatch->queue;
	uint64_t wait_ms = schedule_wait_ms(&q->schedule, loop_now_ms(q->loop));

	if (wait_ms == UINT64_MAX)
		loop_timer_cancel(&dispatch->rate);
	else
		loop_timer_set(q->loop, &dispatch->rate, wait_ms > 0 ? wait_ms : 1, rate_expired);
}

/* What is started leaves together, but no more at a time than files may be open. False: that is all. */
static bool
start_some(struct dispatch *dispatch)
{
	struct worker *w, *next;
	bool more = true;

	LIST_FOREACH(w, &dispatch->workers, link)
		channel_cork(&w->channel);
	for (int i = 0; more && i < STARTS_MAX; i++)
		more = start_next(dispatch);
	/* One may turn out to be gone, which frees it. */
	LIST_FOREACH_SAFE(w, &dispatch->workers, link, next)
		channel_flush(&w->channel);
	return more;
}

/* The files of what is under way: what was begun last has them open, if any. */
static void
files_close(struct dispatch *dispatch)
{
	struct worker *w;
	struct delivery *d;

	LIST_FOREACH(w, &dispatch->workers, link)
		LIST_FOREACH(d, &w->running, worker_link) {
			if (dispatch->queue->nopen <= MESSAGE_OPEN_MAX)
				return;
			message_close(d->message);
		}
}

static void
pump(struct loop_deferred *deferred)
{
	struct dispatch *dispatch = container_of(deferred, struct dispatch, pump);

	while (!dispatch->queue->stopping && start_some(dispatch))
		files_close(dispatch);
	files_close(dispatch);
	rate_wait(dispatch);
}

void
dispatch_pump(struct dispatch *dispatch)
{
	loop_defer(dispatch->queue->loop, &dispatch->pump, pump);
}

bool
dispatch_resolve(struct dispatch *dispatch, uint32_t id, struct str domain)
{
	struct job_resolve resolve = {.transport = JOB_SMTP, .next_hop = domain};
	struct worker *w;

	LIST_FOREACH(w, &dispatch->workers, link) {
		if (!w->is_remote || w->capacity == 0)
			continue;
		job_resolve_encode(&dispatch->packet, id, &resolve);
		if (channel_send(&w->channel, &dispatch->packet, -1))
			return true;
	}
	return false;
}

/* ---- answers --------------------------------------------------------------------------------------------------- */

static struct delivery *
delivery_of(struct worker *w, uint32_t id)
{
	struct delivery probe = {.id = id};
	struct delivery *d = RB_FIND(running_tree, &w->dispatch->running, &probe);

	return d != NULL && d->worker == w ? d : NULL;
}

static enum queue_state
outcome_of(enum job_status status)
{
	switch (status) {
	case JOB_DELIVERED:
		return QUEUE_DELIVERED;
	case JOB_FAILED:
		return QUEUE_FAILED;
	case JOB_DEFERRED:
		break;
	}
	return QUEUE_WAITING;
}

static bool
received_result(struct worker *w, struct msg *msg)
{
	struct delivery *d = delivery_of(w, msg->id);
	struct job_result result;
	struct queue_attempt attempt;
	struct queue_log_times times;
	char security[2 * JOB_TEXT_MAX + 2];

	if (!job_result_decode(msg, &result) || d == NULL || !delivery_take(d, result.index))
		return false;
	times = (struct queue_log_times){.started_ms = d->started_ms, .now_ms = queue_now_ms(),
	    .setup_ms = result.setup_ms, .transfer_ms = result.transfer_ms};
	(void)snprintf(security, sizeof security, "%.*s%s%.*s", STR_FMT(result.policy), result.tls.n > 0 ? " " : "",
	    STR_FMT(result.tls));
	attempt = (struct queue_attempt){.time_ms = times.now_ms, .recipient = result.index,
	    .outcome = outcome_of(result.status), .code = result.code, .relay = result.relay, .reply = result.reply,
	    .security = result.policy.n > 0 ? str_from(security) : STR_NONE};
	site_record_policy(&d->job.site->record, result.policy, result.tls);
	message_attempt(d->message, result.index, &attempt, &times);
	/* The next server has taken that over (RFC 3461 5.2.2). */
	if (result.dsn && result.status == JOB_DELIVERED && !d->message->envelope.by.trace)
		d->message->envelope.recipients[result.index].told = true;
	outcome_result(d->message);
	return true;
}

static enum schedule_ending
ending_of(enum job_health health)
{
	switch (health) {
	case JOB_HEALTH_GOOD:
		return SCHEDULE_GOOD;
	case JOB_HEALTH_TROUBLE:
	case JOB_HEALTH_DEAD:
		return SCHEDULE_TROUBLE;
	case JOB_HEALTH_UNKNOWN:
		break;
	}
	return SCHEDULE_UNTOLD;
}

static void given_up(struct dispatch *dispatch);

static void
given_up_expired(struct loop_timer *timer)
{
	given_up(container_of(timer, struct dispatch, giving_up));
}

/* When a site died, those that wait for it are told so; they may be thousands, and other mail has its turn between them. */
static void
given_up(struct dispatch *dispatch)
{
	struct queue *q = dispatch->queue;

	for (int i = 0; i < GIVEN_UP_A_TURN; i++) {
		struct schedule_job *job = schedule_given_up(&q->schedule);
		struct delivery *d;
		struct message *m;

		if (job == NULL)
			return;
		d = container_of(job, struct delivery, job);
		m = d->message;
		route_suspend(d);
		outcome_progress(m);
	}
	loop_timer_set(q->loop, &dispatch->giving_up, 0, given_up_expired);
}

/* The words of the last result say what the trouble is, unless they are a success's: the trouble came after it. */
static void
blame(struct delivery *d)
{
	const struct recipient *r = &d->message->envelope.recipients[d->last_told];

	if (r->state == QUEUE_WAITING && r->reply.n > 0)
		schedule_site_blame(d->job.site, r->reply);
}

static bool
received_done(struct worker *w, struct msg *msg)
{
	struct queue *q = w->dispatch->queue;
	struct delivery *d = delivery_of(w, msg->id);
	enum schedule_ending ending;
	struct job_done done;
	struct message *m;

	if (!job_done_decode(msg, &done) || d == NULL)
		return false;
	m = d->message;
	ending = ending_of(done.health);
	if (ending == SCHEDULE_GOOD)
		d->job.site->record.good_ms = queue_now_ms();
	if (ending == SCHEDULE_TROUBLE) {
		d->job.site->record.failed_ms = queue_now_ms();
		blame(d);
		m->again_soon = m->again_soon || delivery_is_local(d);
	}
	unrun(w->dispatch, d);
	schedule_done(&q->schedule, &d->job, ending, loop_now_ms(q->loop));
	route_defer(d, STR("4.3.0"), STR("the delivery process gave no result"));
	outcome_progress(m);
	given_up(w->dispatch);
	site_keeper_look(q->site_keeper);
	return true;
}

static bool
received_site(struct worker *w, struct msg *msg)
{
	struct queue *q = w->dispatch->queue;
	struct job_site site;

	if (!job_site_decode(msg, &site))
		return false;
	destination_answer(routes_destinations(q->routes), msg->id, &site, loop_now_ms(q->loop));
	return true;
}

static bool
received_hello(struct worker *w, struct msg *msg)
{
	struct job_hello hello;

	if (!job_hello_decode(msg, &hello) || !str_equal(hello.role, STR("remote")))
		return false;
	w->is_remote = true;
	w->capacity = hello.capacity < CAPACITY_MAX ? hello.capacity : CAPACITY_MAX;
	capacity_update(w->dispatch);
	if (w->capacity > 0)
		destinations_ask_all(routes_destinations(w->dispatch->queue->routes));
	return true;
}

/* ---- connections ----------------------------------------------------------------------------------------------- */

/* What the dead worker had under way is tried again, but a message that kills workers has to wait. */
static void
orphan(struct queue *q, struct delivery *d)
{
	struct message *m = d->message;

	schedule_done(&q->schedule, &d->job, SCHEDULE_UNTOLD, loop_now_ms(q->loop));
	if (m->last_death != q->dispatch->deaths)
		m->deaths++;
	m->last_death = q->dispatch->deaths;
	if (d->nrecipients == 0)
		delivery_free(d);
	else if (m->deaths >= DEATHS_MAX)
		route_defer(d, STR("4.3.0"), STR("the delivery process ended unexpectedly"));
	else
		route_schedule(q->routes, d);
	outcome_progress(m);
}

static void
worker_free(struct worker *w)
{
	struct dispatch *dispatch = w->dispatch;

	LIST_REMOVE(w, link);
	dispatch->nworkers--;
	channel_close(&w->channel);
	free(w);
	capacity_update(dispatch);
}

/* The connection is gone, or made no sense. */
static void
worker_lost(struct worker *w)
{
	struct dispatch *dispatch = w->dispatch;
	struct queue *q = dispatch->queue;
	bool was_remote = w->is_remote;
	struct delivery *d;

	/* Nothing is to be started on it any more. */
	w->is_remote = false;
	dispatch->deaths++;
	while ((d = LIST_FIRST(&w->running)) != NULL) {
		unrun(dispatch, d);
		orphan(q, d);
	}
	worker_free(w);
	if (!was_remote)
		return;
	destinations_ask_all(routes_destinations(q->routes));
	dispatch_pump(dispatch);
}

static bool
received_message(struct worker *w, struct msg *m)
{
	if (m->type >= CONTROL_FIRST)
		return w->may_command && commands_received(w->dispatch->queue, &w->channel, m);
	switch ((enum job_message)m->type) {
	case JOB_HELLO:
		return received_hello(w, m);
	case JOB_SITE:
		return received_site(w, m);
	case JOB_RESULT:
		return received_result(w, m);
	case JOB_DONE:
		return received_done(w, m);
	case JOB_RESOLVE:
	case JOB_START:
		break;
	}
	return false;
}

static void
channel_received(struct channel *channel, struct msg *m)
{
	struct worker *w = container_of(channel, struct worker, channel);
	struct dispatch *dispatch = w->dispatch;

	if (!received_message(w, m)) {
		log_warning("a process on the queue socket said something senseless (type %u): disconnected", m->type);
		worker_lost(w);
		return;
	}
	if (w->is_remote && w->capacity == 0 && w->nrunning == 0)
		worker_lost(w);
	dispatch_pump(dispatch);
}

static void
channel_closed(struct channel *channel)
{
	worker_lost(container_of(channel, struct worker, channel));
}

static bool
is_welcome(const struct dispatch *dispatch, const struct unix_peer *peer)
{
	return peer->uid == 0 || peer->uid == geteuid() || peer->uid == dispatch->remote_uid;
}

static void
accepted(struct dispatch *dispatch, int fd)
{
	struct unix_peer peer;
	struct worker *w;
	struct err err;

	if (!unix_peer_get(fd, &peer, &err)) {
		log_warning("%s", err.text);
		(void)close(fd);
		return;
	}
	if (!is_welcome(dispatch, &peer) || dispatch->nworkers >= PEERS_MAX) {
		log_warning("a connection of uid %u to the queue socket was refused", (unsigned)peer.uid);
		(void)close(fd);
		return;
	}
	w = calloc(1, sizeof *w);
	if (w == NULL)
		fatal("out of memory for a connection");
	w->dispatch = dispatch;
	w->may_command = peer.uid == 0 || peer.uid == geteuid();
	LIST_INIT(&w->running);
	LIST_INSERT_HEAD(&dispatch->workers, w, link);
	dispatch->nworkers++;
	channel_open(&w->channel, dispatch->queue->loop, fd, channel_received, channel_closed);
}

static void
listener_ready(struct loop_io *io, unsigned events)
{
	struct dispatch *dispatch = container_of(io, struct dispatch, listener);

	(void)events;
	for (;;) {
		int fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		accepted(dispatch, fd);
	}
}

struct dispatch *
dispatch_new(struct queue *q, int listen_fd, uid_t remote_uid)
{
	struct dispatch *dispatch = calloc(1, sizeof *dispatch);

	if (dispatch == NULL)
		fatal("out of memory");
	dispatch->queue = q;
	dispatch->remote_uid = remote_uid;
	dispatch->next_id = 1;
	LIST_INIT(&dispatch->workers);
	RB_INIT(&dispatch->running);
	buf_init(&dispatch->packet, MSG_MAX_BYTES);
	loop_io_add(q->loop, &dispatch->listener, listen_fd, LOOP_READ, listener_ready);
	return dispatch;
}

void
dispatch_free(struct dispatch *dispatch)
{
	struct worker *w, *next;

	loop_io_remove(&dispatch->listener);
	loop_defer_cancel(&dispatch->pump);
	loop_timer_cancel(&dispatch->rate);
	loop_timer_cancel(&dispatch->giving_up);
	LIST_FOREACH_SAFE(w, &dispatch->workers, link, next)
		worker_free(w);
	buf_clear(&dispatch->packet);
	free(dispatch);
}
