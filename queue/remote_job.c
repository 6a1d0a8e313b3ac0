#include "queue/remote_job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/daemon/daemon.h"
#include "common/base/log.h"
#include "common/smtp/orcpt.h"
#include "queue/idn.h"
#include "queue/relay.h"
#include "queue/remote_convert.h"
#include "queue/remote_header.h"
#include "queue/remote_login.h"

/* Of a job: what the message holds, and the words of replies. */
#define ARENA_MAX (384 * 1024)
/* Transport, port, and the longest site. */
#define KEY_MAX (JOB_SITE_MAX + JOB_NEXT_HOP_MAX + JOB_TEXT_MAX + 16)
#define BY_MAX_S 999999999
#define ORCPT_PARAMETER_MAX 4096

struct remote_job {
	struct remote_owner owner;
	struct remote_jobs *jobs;
	LIST_ENTRY(remote_job) link;
	uint32_t id;
	int fd;
	struct arena arena;
	struct job job;
	struct next_hop next_hop;
	const struct conf_route *route;
	bool waives_tls, is_report; /* as a remote_quest has them */
	char key[KEY_MAX];

	/* Where it has got to. */
	struct loop_deferred begin; /* so that nothing is called from inside remote_job_start */
	struct remote_seat seat;
	struct remote_search search;
	struct remote_connection *connection;

	struct remote_transaction transaction;
	struct smtp_recipient *recipients; /* those of the present transaction come first */
	enum remote_header header;
	uint64_t started_ms, begun_ms;
	bool reused;
	enum job_health health;
};

static void begin(struct loop_deferred *deferred);

/* --- the end --------------------------------------------------------------------------------------------------------- */

static void
job_free(struct remote_job *job)
{
	LIST_REMOVE(job, link);
	job->jobs->n--;
	loop_defer_cancel(&job->begin);
	remote_search_stop(&job->search);
	if (job->connection != NULL)
		remote_connection_release(job->connection);
	remote_pool_leave(&job->seat, NULL);
	remote_convert_end(&job->transaction);
	if (job->fd >= 0)
		(void)close(job->fd);
	arena_clear(&job->arena);
	free(job);
}

static void
job_done(struct remote_job *job)
{
	struct job_done done = {.health = job->health, .reused = job->reused};

	job->jobs->done(job->jobs, job->id, &done);
	job_free(job);
}

void
remote_jobs_drop(struct remote_jobs *jobs)
{
	struct remote_job *job, *next;

	LIST_FOREACH_SAFE(job, &jobs->list, link, next)
		job_free(job);
}

static enum job_status
status_of(enum smtp_outcome outcome)
{
	switch (outcome) {
	case SMTP_DELIVERED:
		return JOB_DELIVERED;
	case SMTP_FAILED:
		return JOB_FAILED;
	case SMTP_PENDING:
	case SMTP_ACCEPTED:
	case SMTP_LEFT:
	case SMTP_DEFERRED:
		break;
	}
	return JOB_DEFERRED;
}

/* Local mail has no such policy. */
static const char *
policy_word(const struct remote_job *job)
{
	if (job->job.transport == JOB_LMTP)
		return "";
	if (job->connection != NULL)
		return tls_policy_word(job->connection->policy.by);
	return job->search.policy != NULL ? job->search.policy : "";
}

static void
tell(struct remote_job *job, const struct smtp_recipient *recipient, const struct smtp_verdict *verdict)
{
	const struct remote_connection *c = job->connection;
	uint64_t now_ms = loop_now_ms(job->jobs->context.loop);
	struct job_result result = {
	    .index = recipient->tag,
	    .status = status_of(verdict->outcome),
	    .code = verdict->code,
	    .reply = str_sub(verdict->words, 0, JOB_REPLY_MAX),
	    .relay = str_from(c != NULL ? c->relay : job->search.relay),
	    .tls = str_from(c != NULL ? c->tls : ""),
	    .policy = str_from(policy_word(job)),
	    .dsn = c != NULL && c->client.features.dsn && !c->client.lmtp,
	    .setup_ms = (c != NULL ? job->begun_ms : now_ms) - job->started_ms,
	    .transfer_ms = c != NULL ? now_ms - job->begun_ms : 0,
	};

	job->jobs->result(job->jobs, job->id, &result);
}

/* Nobody took the message: all that are left share what was last heard. */
static void
give_up(struct remote_job *job)
{
	const struct remote_search *search = &job->search;
	struct smtp_verdict verdict = {
	    .outcome = search->failure == JOB_FAILED ? SMTP_FAILED : SMTP_DEFERRED,
	    .code = str_from(search->code),
	    .words = str_from(search->words),
	};

	for (size_t i = 0; i < job->transaction.mail.nrecipients; i++)
		tell(job, &job->recipients[i], &verdict);
	job->health = search->unfit ? JOB_HEALTH_GOOD : search->tried > 0 ? JOB_HEALTH_DEAD : JOB_HEALTH_UNKNOWN;
	job_done(job);
}

/* RFC 2852 2: what a BY parameter can hold; time that has begun is gone. */
static int64_t
by_seconds(int64_t left_ms)
{
	int64_t s = left_ms / 1000 - (left_ms < 0 && left_ms % 1000 != 0);

	return s > BY_MAX_S ? BY_MAX_S : s < -BY_MAX_S ? -BY_MAX_S : s;
}

/* --- transactions ---------------------------------------------------------------------------------------------------- */

/*
 * A server without SMTPUTF8 can still have a message for which it was asked but which does not need it (RFC 6531 3.2 leaves
 * that to us): the header is looked at, and domains become A-labels. What is left fails in the core.
 */
static void
utf8_avoid(struct remote_job *job)
{
	struct smtp_mail *mail = &job->transaction.mail;

	if ((mail->flags & SMTP_MAIL_UTF8) && job->header == REMOTE_HEADER_UNKNOWN)
		job->header = remote_header_look(&job->transaction.content);
	if (job->header == REMOTE_HEADER_ASCII)
		mail->flags &= ~(unsigned)SMTP_MAIL_UTF8;
	for (size_t i = 0; i < mail->nrecipients; i++) {
		struct str *address = &job->recipients[i].address, ascii;

		if (str_is_ascii(*address))
			continue;
		ascii = idn_address_to_ascii(&job->arena, *address);
		if (ascii.p != NULL)
			*address = ascii;
	}
}

static unsigned
mail_flags(uint64_t flags)
{
	return (flags & JOB_8BIT ? SMTP_MAIL_8BIT : 0) | (flags & JOB_BINARY ? SMTP_MAIL_BINARY : 0) |
	    (flags & JOB_SMTPUTF8 ? SMTP_MAIL_UTF8 : 0) | (flags & JOB_REQUIRETLS ? SMTP_MAIL_REQUIRETLS : 0) |
	    (flags & JOB_PRIORITY ? SMTP_MAIL_PRIORITY : 0);
}

static void
transaction_begin(struct remote_job *job)
{
	const struct smtp_features *features = &job->connection->client.features;
	struct smtp_mail *mail = &job->transaction.mail;
	uint64_t now_ms = loop_now_ms(job->jobs->context.loop);

	for (size_t i = 0; i < mail->nrecipients; i++)
		job->recipients[i].verdict = (struct smtp_verdict){.outcome = SMTP_PENDING};
	mail->flags = mail_flags(job->job.flags);
	mail->size = job->job.size;
	if (!features->smtputf8)
		utf8_avoid(job);
	if (job->jobs->context.conf->queue.downconvert)
		remote_convert(&job->transaction, features);
	mail->by_s = by_seconds(job->job.by_left_ms - (int64_t)(now_ms - job->started_ms));
	job->begun_ms = now_ms;
	remote_connection_send(job->connection, &job->transaction);
}

static void
result(struct remote_owner *owner, struct remote_connection *connection, const struct smtp_recipient *recipient)
{
	struct remote_job *job = container_of(owner, struct remote_job, owner);

	(void)connection;
	if (recipient->verdict.outcome != SMTP_LEFT)
		tell(job, recipient, &recipient->verdict);
}

/* Moves the recipients that the server left for another transaction to the front. */
static size_t
left_over(struct remote_job *job)
{
	struct smtp_mail *mail = &job->transaction.mail;
	size_t n = 0;

	for (size_t i = 0; i < mail->nrecipients; i++)
		if (job->recipients[i].verdict.outcome == SMTP_LEFT)
			job->recipients[n++] = job->recipients[i];
	mail->nrecipients = n;
	return n;
}

/* The connection was kept from an earlier job and has gone away meanwhile, which says nothing of the server; or it may have
 * no further transaction. */
static void
start_anew(struct remote_job *job)
{
	remote_connection_release(job->connection);
	job->connection = NULL;
	job->reused = false;
	remote_pool_leave(&job->seat, NULL);
	loop_defer(job->jobs->context.loop, &job->begin, begin);
}

static bool
is_between_two(const struct remote_connection *c)
{
	return smtp_client_need(&c->client) == SMTP_NEED_NOTHING && stream_is_open(&c->stream);
}

static enum job_health
health_of(const struct remote_connection *c)
{
	if (c->unreadable)
		return JOB_HEALTH_UNKNOWN;
	return is_between_two(c) ? JOB_HEALTH_GOOD : JOB_HEALTH_TROUBLE;
}

/* Where MAIL was refused, what was left for another transaction would be as well. */
static void
left_over_refuse(struct remote_job *job, const struct remote_connection *c)
{
	for (size_t i = 0; c->client.mail_refused && i < job->transaction.mail.nrecipients; i++)
		job->recipients[i].verdict = c->client.mail_verdict;
}

static void
ended(struct remote_owner *owner, struct remote_connection *connection)
{
	struct remote_job *job = container_of(owner, struct remote_job, owner);

	if (connection->stale) {
		start_anew(job);
		return;
	}
	if (left_over(job) > 0 && !connection->client.mail_refused && is_between_two(connection)) {
		/* In another session when this one is spent. */
		if (remote_connection_is_usable(connection))
			transaction_begin(job);
		else
			start_anew(job);
		return;
	}
	left_over_refuse(job, connection);
	for (size_t i = 0; i < job->transaction.mail.nrecipients; i++)
		tell(job, &job->recipients[i], &job->recipients[i].verdict);
	job->health = health_of(connection);
	job->connection = NULL;
	remote_pool_leave(&job->seat, connection);
	job_done(job);
}

/* --- finding a server ------------------------------------------------------------------------------------------------ */

static void
found(struct remote_search *search, struct remote_connection *connection)
{
	struct remote_job *job = container_of(search, struct remote_job, search);

	job->connection = connection;
	connection->owner = &job->owner;
	/* DNS says something else by now than when the site was asked for: others would expect what it said then. */
	if (job->job.transport == JOB_SMTP && remote_search_asks_domain(search) &&
	    !str_equal(remote_route_security(&search->route), job->job.security))
		connection->is_alone = true;
	transaction_begin(job);
}

static void
failed(struct remote_search *search)
{
	give_up(container_of(search, struct remote_job, search));
}

/* --- the beginning --------------------------------------------------------------------------------------------------- */

static bool
must_keep_tls(const struct remote_job *job)
{
	return (job->job.flags & JOB_REQUIRETLS) != 0 && job->job.transport == JOB_SMTP;
}

static void
search(struct remote_job *job)
{
	struct remote_jobs *jobs = job->jobs;
	struct remote_quest quest = {.context = &jobs->context, .sources = &jobs->sources, .own = &jobs->own,
	    .next_hop = &job->next_hop, .arena = &job->arena, .queue_id = job->job.queue_id,
	    .lmtp = job->job.transport == JOB_LMTP, .must_keep_tls = must_keep_tls(job), .route = job->route,
	    .waives_tls = job->waives_tls, .is_report = job->is_report};

	if (job->route != NULL)
		quest.credentials = &jobs->credentials[job->route - jobs->context.conf->routes];
	/* One goes for one that comes; it is still counted while it takes its leave. */
	if (jobs->context.connections >= jobs->context.conf->queue.remote_connections)
		(void)remote_pool_drop_one(&jobs->pool);
	remote_search_start(&job->search, &quest);
}

static void
seat_turn(struct remote_seat *seat, struct remote_connection *connection)
{
	struct remote_job *job = container_of(seat, struct remote_job, seat);

	if (connection == NULL) {
		search(job);
		return;
	}
	job->connection = connection;
	connection->owner = &job->owner;
	job->reused = true;
	transaction_begin(job);
}

/* Local deliveries are better for company: deliver makes durable together what comes together. */
static void
begin(struct loop_deferred *deferred)
{
	struct remote_job *job = container_of(deferred, struct remote_job, begin);

	job->seat.messages_max = job->job.messages;
	remote_pool_enter(&job->jobs->pool, job->key, &job->seat, job->job.transport == JOB_SMTP);
}

static struct str
orcpt_make(struct remote_job *job, struct str orcpt, struct buf *b)
{
	buf_reset(b);
	return orcpt.n > 0 && orcpt_add_parameter(b, orcpt) && buf_ok(b) ? arena_copy(&job->arena, buf_str(b)) : STR_NONE;
}

static void
recipients_make(struct remote_job *job)
{
	struct buf b;

	buf_init(&b, ORCPT_PARAMETER_MAX);
	for (size_t i = 0; i < job->job.nrecipients; i++) {
		const struct job_recipient *from = &job->job.recipients[i];
		struct smtp_recipient *to = &job->recipients[i];

		to->address = from->address;
		to->tag = from->index;
		to->notify = from->notify;
		to->orcpt = orcpt_make(job, from->orcpt, &b);
	}
	buf_clear(&b);
}

static bool
mail_make(struct remote_job *job)
{
	struct smtp_mail *mail = &job->transaction.mail;
	uint64_t flags = job->job.flags;

	job->recipients = arena_alloc(&job->arena, job->job.nrecipients * sizeof *job->recipients);
	if (job->recipients == NULL)
		return false;
	memset(job->recipients, 0, job->job.nrecipients * sizeof *job->recipients);
	recipients_make(job);
	*mail = (struct smtp_mail){.sender = job->job.sender, .arena = &job->arena,
	    .priority = job->job.priority, .ret = job->job.ret, .envid = job->job.envid,
	    .recipients = job->recipients, .nrecipients = job->job.nrecipients};
	mail->by_mode = flags & JOB_BY_RETURN ? 'R' : flags & JOB_BY_NOTIFY ? 'N' : 0;
	mail->by_trace = (flags & JOB_BY_TRACE) != 0;
	job->transaction.content = (struct remote_content){
	    .fd = job->fd, .pieces = job->job.pieces, .npieces = job->job.npieces};
	return true;
}

/*
 * RFC 8689 5: a field of the header may say that the message is to arrive whatever the recipient's domain demands. It is looked
 * for where there is a demand; and a report of ours is known by it.
 */
static void
waiver_read(struct remote_job *job)
{
	bool may_be_report = str_equal(job->job.sender, job->jobs->report_sender) && job->job.sender.n > 0;

	if (job->job.transport != JOB_SMTP || must_keep_tls(job) || (job->job.security.n == 0 && !may_be_report))
		return;
	job->waives_tls = remote_header_waives_tls(&job->transaction.content);
	job->is_report = job->waives_tls && may_be_report;
}

/* The socket of a route is the one that the connector knows by that name, too. */
static bool
leads_to_socket(const struct remote_job *job)
{
	struct endpoint endpoint;

	return job->route != NULL && relay_socket(job->route, &endpoint) && endpoint.length == job->next_hop.address.length &&
	    memcmp(&endpoint.address, &job->next_hop.address.address, endpoint.length) == 0;
}

static void
destination_read(struct remote_job *job)
{
	const struct conf *conf = job->jobs->context.conf;
	struct str site = job->job.site.n > 0 ? job->job.site : job->job.next_hop;

	if (!next_hop_parse(job->job.next_hop, job->job.transport, (uint16_t)conf->relay_port, &job->next_hop))
		remote_search_refuse(&job->search, JOB_FAILED, STR("5.1.3"), STR("the domain is malformed"));
	job->route = job->job.route.n > 0 ? relay_named(conf, job->job.route) : NULL;
	if (job->job.route.n > 0 && job->route == NULL)
		remote_search_refuse(&job->search, JOB_DEFERRED, STR("4.3.5"), STR("the configuration has just changed"));
	else if (job->route != NULL && !remote_login_is_known(&job->jobs->credentials[job->route - conf->routes]))
		remote_search_refuse(&job->search, JOB_DEFERRED, STR("4.7.8"), STR("the password or token to log in with is not known"));
	else if (job->next_hop.kind == NEXT_HOP_PATH && !leads_to_socket(job))
		remote_search_refuse(&job->search, JOB_DEFERRED, STR("4.3.5"), STR("the configuration has just changed"));
	waiver_read(job);
	/* What must keep TLS has connections of its own, of which that is known, and so has what need not; so has each route, and
	 * what different domains demand. */
	(void)snprintf(job->key, sizeof job->key, "%c%u %.*s %.*s %.*s",
	    job->job.transport == JOB_LMTP ? 'l' : job->job.flags & JOB_REQUIRETLS ? 'r' : job->waives_tls ? 'w' : 's',
	    (unsigned)job->next_hop.port, STR_FMT(job->job.route), STR_FMT(job->job.security),
	    STR_FMT(site));
}

bool
remote_job_start(struct remote_jobs *jobs, struct msg *m)
{
	struct remote_job *job = calloc(1, sizeof *job);

	if (job == NULL)
		fatal("out of memory for a job");
	job->owner = (struct remote_owner){.result = result, .ended = ended};
	job->seat.turn = seat_turn;
	job->search.found = found;
	job->search.failed = failed;
	job->jobs = jobs;
	job->id = m->id;
	job->fd = msg_take_fd(m);
	job->started_ms = loop_now_ms(jobs->context.loop);
	arena_init(&job->arena, ARENA_MAX);
	LIST_INSERT_HEAD(&jobs->list, job, link);
	jobs->n++;
	if (job->fd < 0 || !job_decode(m, &job->arena, &job->job) || !mail_make(job)) {
		job_free(job);
		return false;
	}
	destination_read(job);
	loop_defer(jobs->context.loop, &job->begin, begin);
	return true;
}
