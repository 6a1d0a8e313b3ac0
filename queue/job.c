#include "queue/job.h"

#define PRIORITY_MAX 9

/* A number that must be one of an enum's values, of which `last` is the last. */
static unsigned
get_choice(struct msg *m, unsigned last)
{
	uint64_t value = msg_get_u64(m);

	if (value > last) {
		m->bad = true;
		return 0;
	}
	return (unsigned)value;
}

static struct str
get_text(struct msg *m, size_t max)
{
	struct str s = msg_get_str(m);

	if (s.n > max) {
		m->bad = true;
		return STR_NONE;
	}
	return s;
}

/* Text that will stand in a command or in a log line: no control characters. */
static struct str
get_line(struct msg *m, size_t max)
{
	struct str s = get_text(m, max);

	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 32 || s.p[i] == 127)
			m->bad = true;
	return m->bad ? STR_NONE : s;
}

static void
add_text(struct buf *b, struct str s, size_t max)
{
	if (s.n > max)
		b->failed = true;
	else
		msg_add_str(b, s);
}

void
job_hello_encode(struct buf *b, const struct job_hello *hello)
{
	msg_begin(b, JOB_HELLO, 0);
	add_text(b, hello->role, JOB_TEXT_MAX);
	msg_add_u64(b, hello->capacity);
}

bool
job_hello_decode(struct msg *m, struct job_hello *hello)
{
	hello->role = get_line(m, JOB_TEXT_MAX);
	hello->capacity = msg_get_u64(m);
	return msg_done(m);
}

void
job_resolve_encode(struct buf *b, uint32_t id, const struct job_resolve *resolve)
{
	msg_begin(b, JOB_RESOLVE, id);
	msg_add_u64(b, resolve->transport);
	add_text(b, resolve->next_hop, JOB_NEXT_HOP_MAX);
}

bool
job_resolve_decode(struct msg *m, struct job_resolve *resolve)
{
	resolve->transport = (enum job_transport)get_choice(m, JOB_LMTP);
	resolve->next_hop = get_line(m, JOB_NEXT_HOP_MAX);
	return msg_done(m);
}

void
job_site_encode(struct buf *b, uint32_t id, const struct job_site *site)
{
	msg_begin(b, JOB_SITE, id);
	msg_add_u64(b, site->status);
	add_text(b, site->key, JOB_SITE_MAX);
	add_text(b, site->security, JOB_TEXT_MAX);
	msg_add_u64(b, site->ttl_s);
	add_text(b, site->code, JOB_TEXT_MAX);
	add_text(b, site->reason, JOB_REPLY_MAX);
}

bool
job_site_decode(struct msg *m, struct job_site *site)
{
	site->status = (enum job_status)get_choice(m, JOB_FAILED);
	site->key = get_line(m, JOB_SITE_MAX);
	site->security = get_line(m, JOB_TEXT_MAX);
	site->ttl_s = msg_get_u64(m);
	site->code = get_line(m, JOB_TEXT_MAX);
	site->reason = get_text(m, JOB_REPLY_MAX);
	return msg_done(m);
}

static void
pieces_encode(struct buf *b, const struct job *job)
{
	if (job->npieces > QUEUE_PIECES_MAX) {
		b->failed = true;
		return;
	}
	msg_add_u64(b, job->npieces);
	for (size_t i = 0; i < job->npieces; i++) {
		msg_add_u64(b, job->pieces[i].offset);
		msg_add_u64(b, job->pieces[i].length);
	}
}

/* To the end of the message, so that their number need not be known before. */
static size_t
recipients_encode(struct buf *b, const struct job *job)
{
	size_t i;

	for (i = 0; i < job->nrecipients && i < JOB_RECIPIENTS_MAX; i++) {
		size_t before = b->n;

		msg_add_u64(b, job->recipients[i].index);
		add_text(b, job->recipients[i].address, JOB_ADDRESS_MAX);
		add_text(b, job->recipients[i].orcpt, JOB_ORCPT_MAX);
		add_text(b, job->recipients[i].notify, JOB_TEXT_MAX);
		if (!buf_ok(b)) {
			buf_truncate(b, before);
			break;
		}
	}
	if (i > 0)
		b->failed = false;
	return i;
}

size_t
job_encode(struct buf *b, uint32_t id, const struct job *job)
{
	msg_begin(b, JOB_START, id);
	msg_add_u64(b, job->transport);
	add_text(b, job->next_hop, JOB_NEXT_HOP_MAX);
	add_text(b, job->route, JOB_NEXT_HOP_MAX);
	add_text(b, job->site, JOB_SITE_MAX);
	add_text(b, job->security, JOB_TEXT_MAX);
	msg_add_u64(b, job->messages);
	add_text(b, job->queue_id, JOB_TEXT_MAX);
	add_text(b, job->sender, JOB_ADDRESS_MAX);
	msg_add_u64(b, job->flags);
	msg_add_u64(b, job->size);
	msg_add_u64(b, (uint64_t)(int64_t)job->priority + PRIORITY_MAX);
	msg_add_u64(b, (uint64_t)job->by_left_ms);
	add_text(b, job->ret, JOB_TEXT_MAX);
	add_text(b, job->envid, JOB_ENVID_MAX);
	pieces_encode(b, job);
	return buf_ok(b) ? recipients_encode(b, job) : 0;
}

/* Copies the text, so that it outlives the message. */
static struct str
keep(struct msg *m, struct arena *arena, struct str s)
{
	if (m->bad)
		return STR_NONE;
	return arena_copy(arena, s);
}

static void
pieces_decode(struct msg *m, struct arena *arena, struct job *job)
{
	uint64_t n = msg_get_u64(m), sum = 0;
	struct queue_piece *pieces;

	if (n > QUEUE_PIECES_MAX) {
		m->bad = true;
		return;
	}
	pieces = arena_alloc(arena, (size_t)n * sizeof *pieces);
	if (pieces == NULL)
		return;
	for (size_t i = 0; i < n; i++) {
		pieces[i].offset = msg_get_u64(m);
		pieces[i].length = msg_get_u64(m);
		/* Neither the end of a piece nor the sum may wrap, nor pass what a file offset can be. */
		if (pieces[i].offset > INT64_MAX || pieces[i].length > INT64_MAX - pieces[i].offset ||
		    pieces[i].length > INT64_MAX - sum)
			m->bad = true;
		else
			sum += pieces[i].length;
	}
	if (sum != job->size)
		m->bad = true;
	job->pieces = pieces;
	job->npieces = (size_t)n;
}

static size_t
recipients_count(struct msg m)
{
	size_t n = 0;

	while (!m.bad && m.rest.n > 0 && n <= JOB_RECIPIENTS_MAX) {
		(void)msg_get_u64(&m);
		(void)get_line(&m, JOB_ADDRESS_MAX);
		(void)get_text(&m, JOB_ORCPT_MAX);
		(void)get_line(&m, JOB_TEXT_MAX);
		n++;
	}
	return m.bad ? 0 : n;
}

static void
recipients_decode(struct msg *m, struct arena *arena, struct job *job)
{
	size_t n = recipients_count(*m);
	struct job_recipient *recipients;

	if (n == 0 || n > JOB_RECIPIENTS_MAX) {
		m->bad = true;
		return;
	}
	recipients = arena_alloc(arena, n * sizeof *recipients);
	if (recipients == NULL)
		return;
	for (size_t i = 0; i < n; i++) {
		recipients[i].index = msg_get_u64(m);
		recipients[i].address = keep(m, arena, get_line(m, JOB_ADDRESS_MAX));
		recipients[i].orcpt = keep(m, arena, get_text(m, JOB_ORCPT_MAX));
		recipients[i].notify = keep(m, arena, get_line(m, JOB_TEXT_MAX));
	}
	job->recipients = recipients;
	job->nrecipients = n;
}

bool
job_decode(struct msg *m, struct arena *arena, struct job *job)
{
	*job = (struct job){0};
	job->transport = (enum job_transport)get_choice(m, JOB_LMTP);
	job->next_hop = keep(m, arena, get_line(m, JOB_NEXT_HOP_MAX));
	job->route = keep(m, arena, get_line(m, JOB_NEXT_HOP_MAX));
	job->site = keep(m, arena, get_line(m, JOB_SITE_MAX));
	job->security = keep(m, arena, get_line(m, JOB_TEXT_MAX));
	job->messages = msg_get_u64(m);
	job->queue_id = keep(m, arena, get_line(m, JOB_TEXT_MAX));
	job->sender = keep(m, arena, get_line(m, JOB_ADDRESS_MAX));
	job->flags = msg_get_u64(m);
	job->size = msg_get_u64(m);
	job->priority = (int)get_choice(m, 2 * PRIORITY_MAX) - PRIORITY_MAX;
	job->by_left_ms = (int64_t)msg_get_u64(m);
	job->ret = keep(m, arena, get_line(m, JOB_TEXT_MAX));
	job->envid = keep(m, arena, get_text(m, JOB_ENVID_MAX));
	pieces_decode(m, arena, job);
	recipients_decode(m, arena, job);
	return msg_done(m) && !arena->failed;
}

void
job_result_encode(struct buf *b, uint32_t id, const struct job_result *result)
{
	msg_begin(b, JOB_RESULT, id);
	msg_add_u64(b, result->index);
	msg_add_u64(b, result->status);
	add_text(b, result->code, JOB_TEXT_MAX);
	add_text(b, result->reply, JOB_REPLY_MAX);
	add_text(b, result->relay, JOB_RELAY_MAX);
	add_text(b, result->tls, JOB_TEXT_MAX);
	add_text(b, result->policy, JOB_TEXT_MAX);
	msg_add_u64(b, result->dsn);
	msg_add_u64(b, result->setup_ms);
	msg_add_u64(b, result->transfer_ms);
}

bool
job_result_decode(struct msg *m, struct job_result *result)
{
	result->index = msg_get_u64(m);
	result->status = (enum job_status)get_choice(m, JOB_FAILED);
	result->code = get_line(m, JOB_TEXT_MAX);
	result->reply = get_text(m, JOB_REPLY_MAX);
	result->relay = get_line(m, JOB_RELAY_MAX);
	result->tls = get_line(m, JOB_TEXT_MAX);
	result->policy = get_line(m, JOB_TEXT_MAX);
	result->dsn = get_choice(m, 1) != 0;
	result->setup_ms = msg_get_u64(m);
	result->transfer_ms = msg_get_u64(m);
	return msg_done(m);
}

void
job_done_encode(struct buf *b, uint32_t id, const struct job_done *done)
{
	msg_begin(b, JOB_DONE, id);
	msg_add_u64(b, done->health);
	msg_add_u64(b, done->reused);
}

bool
job_done_decode(struct msg *m, struct job_done *done)
{
	done->health = (enum job_health)get_choice(m, JOB_HEALTH_UNKNOWN);
	done->reused = get_choice(m, 1) != 0;
	return msg_done(m);
}
