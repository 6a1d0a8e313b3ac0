#include "queue/remote_job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/daemon.h"
#include "common/log.h"
#include "queue/idn.h"
#include "queue/orcpt.h"
#include "queue/remote_header.h"

/* Of a job: what the message holds, and the words of replies. */
#define ARENA_MAX (384 * 1024)
/* Transport, port, and the longest site. */
#define KEY_MAX (JOB_SITE_MAX + 16)
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
	char key[KEY_MAX];

	/* Where it has got to. */
	struct loop_timer begin; /* so that nothing is called from inside remote_job_start */
	struct remote_route route;
	size_t host;		 /* of route.list, tried now */
	struct remote_addresses addresses;
	size_t address; /* of addresses.list, tried next */
	unsigned tried;
	bool plain; /* the address that was tried last, again without TLS */
	bool unfit; /* a server talked to us, but cannot keep what the message needs */
	struct remote_connection *connection;

	struct remote_transaction transaction;
	struct smtp_recipient *recipients; /* those of the present transaction come first */
	enum remote_header header;
	uint64_t started_ms, begun_ms;
	bool reused;
	enum job_health health;

	/* Why no server was ready, as far as that is known. FAILED only while all of them said so for good. */
	enum job_status failure;
	char code[16];
	char words[JOB_REPLY_MAX];
	char relay[JOB_RELAY_MAX + 1];
};

static void begin(struct loop_timer *timer);
static void try_address(struct remote_job *job);
static void try_host(struct remote_job *job);

/* --- the end --------------------------------------------------------------------------------------------------------- */

static void
job_free(struct remote_job *job)
{
	LIST_REMOVE(job, link);
	job->jobs->n--;
	loop_timer_cancel(&job->begin);
	remote_route_stop(&job->route);
	remote_addresses_stop(&job->addresses);
	if (job->connection != NULL)
		remote_connection_release(job->connection);
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
	    .relay = str_from(c != NULL ? c->relay : job->relay),
	    .tls = str_from(c != NULL ? c->tls : ""),
	    .dsn = c != NULL && c->client.features.dsn && !c->client.lmtp,
	    .setup_ms = job->reused ? 0 : (c != NULL ? job->begun_ms : now_ms) - job->started_ms,
	    .transfer_ms = c != NULL ? now_ms - job->begun_ms : 0,
	};

	job->jobs->result(job->jobs, job->id, &result);
}

/* Nobody took the message: all that are left share what was last heard. */
static void
give_up(struct remote_job *job)
{
	struct smtp_verdict verdict = {
	    .outcome = job->failure == JOB_FAILED ? SMTP_FAILED : SMTP_DEFERRED,
	    .code = str_from(job->code),
	    .words = str_from(job->words),
	};

	for (size_t i = 0; i < job->transaction.mail.nrecipients; i++)
		tell(job, &job->recipients[i], &verdict);
	job->health = job->unfit ? JOB_HEALTH_GOOD : job->tried > 0 ? JOB_HEALTH_DEAD : JOB_HEALTH_UNKNOWN;
	job_done(job);
}

/* A lasting refusal counts only while nobody was merely out of reach: that one might take the mail later. */
static void
remember(struct remote_job *job, enum job_status status, struct str code, struct str words, const char *relay)
{
	if (status == JOB_FAILED && job->failure == JOB_DEFERRED)
		return;
	job->failure = status;
	(void)snprintf(job->code, sizeof job->code, "%.*s", STR_FMT(code));
	(void)snprintf(job->words, sizeof job->words, "%.*s", STR_FMT(words));
	(void)snprintf(job->relay, sizeof job->relay, "%s", relay);
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

	if (job->header == REMOTE_HEADER_UNKNOWN)
		job->header = remote_header_look(job->fd, job->job.pieces, job->job.npieces);
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

static void
transaction_begin(struct remote_job *job)
{
	struct smtp_mail *mail = &job->transaction.mail;
	uint64_t now_ms = loop_now_ms(job->jobs->context.loop);

	for (size_t i = 0; i < mail->nrecipients; i++)
		job->recipients[i].verdict = (struct smtp_verdict){.outcome = SMTP_PENDING};
	if (job->job.flags & JOB_SMTPUTF8)
		mail->flags |= SMTP_MAIL_UTF8;
	if (!job->connection->client.features.smtputf8)
		utf8_avoid(job);
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
	loop_timer_set(job->jobs->context.loop, &job->begin, 0, begin);
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
	remote_pool_put(&job->jobs->pool, connection, job->key);
	job_done(job);
}

/* --- finding a server ------------------------------------------------------------------------------------------------ */

/* The server's words need its name in front; ours have it. */
static void
log_failure(const struct remote_job *job, const struct remote_connection *c, const struct smtp_verdict *failure)
{
	bool its_words = failure->words.n > 0 && ascii_is_digit(failure->words.p[0]);

	log_info("%.*s: %s%s%s%.*s", STR_FMT(job->job.queue_id), its_words ? "host " : "", its_words ? c->relay : "",
	    its_words ? " said: " : "", STR_FMT(failure->words));
}

static void
opened(struct remote_owner *owner, struct remote_connection *connection, const struct smtp_verdict *failure)
{
	struct remote_job *job = container_of(owner, struct remote_job, owner);

	if (failure == NULL) {
		transaction_begin(job);
		return;
	}
	log_failure(job, connection, failure);
	remember(job, failure->outcome == SMTP_FAILED ? JOB_FAILED : JOB_DEFERRED, failure->code, failure->words,
	    connection->relay);
	job->unfit = job->unfit || is_between_two(connection);
	job->plain = connection->tls_failed && !(job->job.flags & JOB_REQUIRETLS);
	if (job->plain)
		job->address--;
	job->connection = NULL;
	remote_connection_release(connection);
	try_address(job);
}

/* One connection to this target; false when it cannot even be begun. */
static bool
connect_to(struct remote_job *job, const struct endpoint *to, const char *path)
{
	struct remote_context *context = &job->jobs->context;
	struct remote_target target = {
	    .host = job->route.list.hosts[job->host],
	    .to = to,
	    .path = path,
	    .lmtp = job->job.transport == JOB_LMTP,
	    .want_tls = path == NULL && !job->plain,
	    .must_keep_tls = (job->job.flags & JOB_REQUIRETLS) != 0 && job->job.transport == JOB_SMTP,
	};
	struct err err;
	char words[JOB_REPLY_MAX];

	/* One goes for one that comes; it is still counted while it takes its leave. */
	if (context->connections >= context->conf->queue.remote_connections)
		(void)remote_pool_drop_one(&job->jobs->pool);
	job->plain = false;
	job->connection = remote_connection_open(context, &target, &job->owner, &err);
	if (job->connection != NULL)
		return true;
	(void)snprintf(words, sizeof words, "connect to %.*s: %s", STR_FMT(target.host), err.text);
	remember(job, JOB_DEFERRED, STR("4.4.1"), str_from(words), "none");
	return false;
}

/* What would come back to us is not sent; nor is anything to the exchangers that are no better than we are. */
static bool
leads_back(struct remote_job *job, const struct endpoint *to)
{
	if (!remote_own_has(&job->jobs->own, to))
		return false;
	remember(job, JOB_FAILED, STR("5.4.6"), STR("mail for this domain loops back to myself"), "none");
	job->route.list.n = job->host + 1;
	job->address = job->addresses.n;
	return true;
}

static void
try_address(struct remote_job *job)
{
	while (job->address < job->addresses.n && job->tried < REMOTE_JOB_ADDRESSES_MAX) {
		const struct endpoint *to = &job->addresses.list[job->address++];

		if (leads_back(job, to))
			break;
		job->tried++;
		if (connect_to(job, to, NULL))
			return;
	}
	job->host++;
	try_host(job);
}

static void
addresses_found(struct remote_addresses *addresses)
{
	struct remote_job *job = container_of(addresses, struct remote_job, addresses);
	struct str host = job->route.list.hosts[job->host];
	char words[JOB_REPLY_MAX];

	if (addresses->n == 0 && addresses->temporary) {
		(void)snprintf(words, sizeof words, "DNS does not tell the addresses of %.*s: %.*s", STR_FMT(host),
		    STR_FMT(addresses->reason));
		remember(job, JOB_DEFERRED, STR("4.4.3"), str_from(words), "none");
	} else if (addresses->n == 0) {
		(void)snprintf(words, sizeof words, "%.*s has no address in DNS", STR_FMT(host));
		remember(job, JOB_FAILED, job->route.implicit ? STR("5.1.2") : STR("5.4.4"), str_from(words), "none");
	}
	job->address = 0;
	try_address(job);
}

/* The addresses of the host that is next, or the end of the list. */
static void
try_host(struct remote_job *job)
{
	struct str host;

	if (job->host >= job->route.list.n || job->tried >= REMOTE_JOB_ADDRESSES_MAX) {
		give_up(job);
		return;
	}
	host = job->route.list.hosts[job->host];
	job->addresses.n = 0;
	job->address = 0;
	switch (job->next_hop.kind) {
	case NEXT_HOP_DOMAIN:
	case NEXT_HOP_HOST:
		remote_addresses_start(&job->addresses, job->jobs->dns, host, job->next_hop.port, addresses_found);
		return;
	case NEXT_HOP_ADDRESS:
		job->addresses.list[0] = job->next_hop.address;
		job->addresses.n = 1;
		break;
	case NEXT_HOP_SOCKET:
		job->tried++;
		if (connect_to(job, NULL, daemon_socket_path(job->jobs->context.conf, job->job.next_hop.p)))
			return;
		break;
	}
	try_address(job);
}

static void
route_found(struct remote_route *route)
{
	struct remote_job *job = container_of(route, struct remote_job, route);

	if (route->status != JOB_DELIVERED) {
		remember(job, route->status, route->code, route->reason, "none");
		give_up(job);
		return;
	}
	job->host = 0;
	try_host(job);
}

/* --- the beginning --------------------------------------------------------------------------------------------------- */

static void
begin(struct loop_timer *timer)
{
	struct remote_job *job = container_of(timer, struct remote_job, begin);
	struct str own = str_from(job->jobs->context.conf->hostname);

	if (job->failure != JOB_DELIVERED) {
		give_up(job);
		return;
	}
	job->connection = remote_pool_take(&job->jobs->pool, job->key, &job->owner);
	if (job->connection != NULL) {
		job->reused = true;
		transaction_begin(job);
	} else if (remote_route_start(&job->route, job->jobs->dns, &job->next_hop, own, &job->arena, route_found)) {
		route_found(&job->route);
	}
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

static unsigned
mail_flags(uint64_t flags)
{
	return (flags & JOB_8BIT ? SMTP_MAIL_8BIT : 0) | (flags & JOB_BINARY ? SMTP_MAIL_BINARY : 0) |
	    (flags & JOB_REQUIRETLS ? SMTP_MAIL_REQUIRETLS : 0) | (flags & JOB_PRIORITY ? SMTP_MAIL_PRIORITY : 0);
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
	*mail = (struct smtp_mail){.sender = job->job.sender, .size = job->job.size, .arena = &job->arena,
	    .flags = mail_flags(flags), .priority = job->job.priority, .ret = job->job.ret, .envid = job->job.envid,
	    .recipients = job->recipients, .nrecipients = job->job.nrecipients};
	mail->by_mode = flags & JOB_BY_RETURN ? 'R' : flags & JOB_BY_NOTIFY ? 'N' : 0;
	mail->by_trace = (flags & JOB_BY_TRACE) != 0;
	job->transaction.fd = job->fd;
	job->transaction.pieces = job->job.pieces;
	job->transaction.npieces = job->job.npieces;
	return true;
}

static void
destination_read(struct remote_job *job)
{
	const struct conf *conf = job->jobs->context.conf;
	struct str site = job->job.site.n > 0 ? job->job.site : job->job.next_hop;

	if (!next_hop_parse(job->job.next_hop, job->job.transport, (uint16_t)conf->relay_port, &job->next_hop))
		remember(job, JOB_FAILED, STR("5.1.3"), STR("the domain is malformed"), "none");
	/* What must keep TLS has connections of its own, of which that is known. */
	(void)snprintf(job->key, sizeof job->key, "%c%u %.*s",
	    job->job.transport == JOB_LMTP ? 'l' : job->job.flags & JOB_REQUIRETLS ? 'r' : 's',
	    (unsigned)job->next_hop.port, STR_FMT(site));
}

bool
remote_job_start(struct remote_jobs *jobs, struct msg *m)
{
	struct remote_job *job = calloc(1, sizeof *job);

	if (job == NULL)
		fatal("out of memory for a job");
	job->owner = (struct remote_owner){.opened = opened, .result = result, .ended = ended};
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
	loop_timer_set(jobs->context.loop, &job->begin, 0, begin);
	return true;
}
