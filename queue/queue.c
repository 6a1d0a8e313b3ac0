#include "queue/queue.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "common/base/log.h"
#include "queue/intake.h"

static int
message_compare(struct message *a, struct message *b)
{
	return memcmp(a->id.text, b->id.text, sizeof a->id.text);
}

TREE_GENERATE(message_tree, message, by_id, message_compare)

static uint64_t
read_clock_ms(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts) != 0)
		fatal("clock_gettime: %s", strerror(errno));
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

uint64_t
queue_now_ms(void)
{
	return read_clock_ms(CLOCK_REALTIME);
}

uint64_t
queue_steady_ms(void)
{
	return read_clock_ms(CLOCK_BOOTTIME);
}

uint64_t
queue_wall_ms(const struct queue *q, uint64_t loop_ms)
{
	uint64_t now_ms = loop_now_ms(q->loop), wall_ms = queue_now_ms();

	if (loop_ms >= now_ms)
		return wall_ms + (loop_ms - now_ms);
	return wall_ms > now_ms - loop_ms ? wall_ms - (now_ms - loop_ms) : 0;
}

struct message *
queue_find(struct queue *q, const struct queue_id *id)
{
	struct message probe = {.id = *id};

	return RB_FIND(message_tree, &q->messages, &probe);
}

static void
room_update(struct queue *q)
{
	uint64_t limit = q->conf->queue.active_limit;

	q->schedule.limits.room = limit > q->nmessages ? limit - q->nmessages : 0;
}

uint64_t
queue_share(const struct queue *q)
{
	return q->schedule.limits.room * q->schedule.limits.share / 100;
}

bool
queue_insert(struct queue *q, struct message *m)
{
	if (RB_INSERT(message_tree, &q->messages, m) != NULL)
		return false;
	q->nmessages++;
	room_update(q);
	return true;
}

void
queue_forget(struct message *m)
{
	struct queue *q = m->queue;

	(void)RB_REMOVE(message_tree, &q->messages, m);
	q->nmessages--;
	room_update(q);
	if (m->loaded) {
		q->nrecipients -= m->envelope.nrecipients;
		q->nretries -= m->was_deferred;
		q->nnotices -= m->is_notice;
	}
	if (m->share != NULL)
		share_leave(&q->shares, m->share, m->postponed_ms == 0, loop_now_ms(q->loop));
	message_free(m);
	intake_room(q->intake);
}
