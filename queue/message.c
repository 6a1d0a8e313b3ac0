#include "queue/message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/log.h"
#include "queue/closer.h"
#include "queue/queue.h"

struct message *
message_new(struct queue *q, const struct queue_id *id)
{
	struct message *m = calloc(1, sizeof *m);

	if (m == NULL)
		fatal("out of memory for a message");
	m->queue = q;
	m->id = *id;
	m->fd = -1;
	m->record_fd = -1;
	LIST_INIT(&m->deliveries);
	envelope_init(&m->envelope, MESSAGE_ENVELOPE_MAX_BYTES, MESSAGE_RECIPIENTS_MAX, &q->hash_key);
	envelope_source_init(&m->source, -1);
	return m;
}

void
message_bounce(struct message *m, struct str reason)
{
	free(m->bounce_reason);
	m->bounce_reason = str_dup(reason);
	m->wish = MESSAGE_WISH_BOUNCE;
}

void
message_postpone(struct message *m, uint64_t after_ms)
{
	uint64_t again_ms = queue_now_ms() + after_ms;

	if (m->postponed_ms == 0 || again_ms < m->postponed_ms)
		m->postponed_ms = again_ms;
}

bool
message_open(struct message *m, struct err *err)
{
	if (m->fd >= 0)
		return true;
	m->fd = spool_open_file(&m->queue->spool, SPOOL_ACTIVE, &m->id, O_RDONLY, err);
	if (m->fd < 0)
		return false;
	m->queue->nopen++;
	return true;
}

void
message_close(struct message *m)
{
	if (m->fd < 0)
		return;
	(void)close(m->fd);
	m->fd = -1;
	m->queue->nopen--;
}

void
message_close_removed(struct message *m)
{
	if (m->fd < 0)
		return;
	closer_close(m->queue->closer, m->fd);
	m->fd = -1;
	m->queue->nopen--;
}

void
message_free(struct message *m)
{
	message_close(m);
	if (m->record_fd >= 0)
		(void)close(m->record_fd);
	envelope_clear(&m->envelope);
	free(m->bounce_reason);
	free(m);
}

void
message_attempt(struct message *m, size_t index, const struct queue_attempt *attempt,
    const struct queue_log_times *times)
{
	struct queue_log_times all = {.now_ms = attempt->time_ms};

	if (times != NULL)
		all = *times;
	m->was_tried = m->was_tried || times != NULL;
	m->has_news = true;
	if (attempt->outcome == QUEUE_WAITING)
		m->has_failed = true;
	all.arrived_ms = m->envelope.time_ms;
	all.active_ms = m->active_ms;
	if (!envelope_attempt(&m->envelope, index, attempt))
		log_warning("%s: no memory for the words of a reply", m->id.text);
	queue_log_recipient(m->id.text, &m->envelope.recipients[index], &all);
}

void
message_suspend(struct message *m, size_t index, const struct queue_attempt *attempt)
{
	struct recipient told = m->envelope.recipients[index];
	struct queue_log_times times = {.now_ms = attempt->time_ms, .arrived_ms = m->envelope.time_ms, .active_ms = m->active_ms};

	if (!told.recorded || told.reply.n == 0) {
		message_attempt(m, index, attempt, NULL);
		return;
	}
	m->has_failed = true;
	told.code = attempt->code;
	told.relay = attempt->relay;
	told.reply = attempt->reply;
	told.security = STR_NONE;
	queue_log_recipient(m->id.text, &told, &times);
}

enum envelope_load
message_load(struct message *m, size_t budget_bytes, struct err *err)
{
	enum envelope_load result;

	m->source.fd = m->fd;
	result = envelope_load(&m->envelope, &m->source, budget_bytes, err);
	m->loaded = result == ENVELOPE_LOADED;
	return result;
}

/* ---- recording ------------------------------------------------------------------------------------------------- */

static bool
write_at(int fd, struct str bytes, uint64_t offset)
{
	while (bytes.n > 0) {
		ssize_t n = pwrite(fd, bytes.p, bytes.n, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		bytes = str_skip(bytes, (size_t)n);
		offset += (uint64_t)n;
	}
	return true;
}

/* The bytes that another crash may leave half written are those behind e->end only. */
static bool
append(struct message *m, const struct buf *b, int fd, struct err *err)
{
	struct envelope *e = &m->envelope;

	if (e->cut && ftruncate(fd, (off_t)e->end) != 0)
		return err_sys(err, "cannot cut %s", m->id.text);
	if (write_at(fd, buf_str(b), e->end))
		return true;
	(void)err_sys(err, "cannot append to %s", m->id.text);
	e->cut = ftruncate(fd, (off_t)e->end) != 0;
	return false;
}

bool
message_record(struct message *m, const struct buf *more, int *fd, struct err *err)
{
	struct buf b;
	bool good;

	buf_init(&b, MESSAGE_ENVELOPE_MAX_BYTES);
	envelope_history(&m->envelope, &b);
	if (more != NULL)
		buf_add(&b, buf_str(more));
	good = buf_ok(&b) || err_set(err, ERR_LIMIT, "no memory to record %s", m->id.text);
	*fd = good ? spool_open_file(&m->queue->spool, SPOOL_ACTIVE, &m->id, O_RDWR, err) : -1;
	good = *fd >= 0 && append(m, &b, *fd, err);
	if (good) {
		m->record_end = m->envelope.end;
		m->record_written = m->envelope.written;
		envelope_written(&m->envelope, &b);
	} else if (*fd >= 0) {
		(void)close(*fd);
		*fd = -1;
	}
	buf_clear(&b);
	return good;
}

void
message_unrecord(struct message *m)
{
	envelope_unwritten(&m->envelope, m->record_end, m->record_written);
}

void
message_settle(struct message *m, int fd)
{
	struct envelope *e = &m->envelope;

	for (size_t i = 0; i < e->written; i++) {
		struct recipient *r = &e->recipients[i];
		char byte = (char)r->state;

		if (r->settled == r->state || !r->recorded || envelope_must_tell(e, r))
			continue;
		if (write_at(fd, (struct str){&byte, 1}, r->offset))
			r->settled = r->state;
	}
}
