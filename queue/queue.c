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

uint64_t
queue_now_ms(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_REALTIME, &ts) != 0)
		fatal("clock_gettime: %s", strerror(errno));
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

struct message *
queue_find(struct queue *q, const struct queue_id *id)
{
	struct message probe = {.id = *id};

	return RB_FIND(message_tree, &q->messages, &probe);
}

bool
queue_insert(struct queue *q, struct message *m)
{
	if (RB_INSERT(message_tree, &q->messages, m) != NULL)
		return false;
	q->nmessages++;
	return true;
}

void
queue_forget(struct message *m)
{
	struct queue *q = m->queue;

	(void)RB_REMOVE(message_tree, &q->messages, m);
	q->nmessages--;
	if (m->loaded) {
		q->nrecipients -= m->envelope.nrecipients;
		q->nretries -= m->is_retry;
	}
	message_free(m);
	intake_room(q->intake);
}
