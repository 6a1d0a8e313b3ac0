#include "queue/notice_message.h"

#include <errno.h>

#include "queue/schedule.h"

void
notice_begin_encode(struct buf *b, uint32_t id, const struct dsn *dsn)
{
	msg_begin(b, NOTICE_BEGIN, id);
	msg_add_u64(b, dsn->kind);
	msg_add_u64(b, dsn->language);
	msg_add_str(b, dsn->hostname);
	msg_add_str(b, dsn->queue_id);
	msg_add_str(b, dsn->own_id);
	msg_add_str(b, dsn->to);
	msg_add_str(b, dsn->sender);
	msg_add_str(b, dsn->client);
	msg_add_u64(b, dsn->has_envid);
	msg_add_str(b, dsn->envid);
	msg_add_u64(b, dsn->arrived_ms);
	msg_add_u64(b, dsn->now_ms);
	msg_add_u64(b, dsn->until_ms);
	msg_add_u64(b, dsn->is_utf8);
	msg_add_u64(b, dsn->is_8bit);
	msg_add_u64(b, dsn->header_is_utf8);
	msg_add_u64(b, dsn->returns_whole);
	msg_add_u64(b, dsn->requires_tls);
	msg_add_u64(b, (uint64_t)(int64_t)dsn->priority + SCHEDULE_PRIORITY_MAX);
}

void
notice_recipient_encode(struct buf *b, uint32_t id, const struct dsn_recipient *recipient)
{
	msg_begin(b, NOTICE_RECIPIENT, id);
	msg_add_u64(b, recipient->action);
	msg_add_str(b, recipient->address);
	msg_add_str(b, recipient->original);
	msg_add_str(b, recipient->orcpt);
	msg_add_str(b, recipient->code);
	msg_add_str(b, recipient->relay);
	msg_add_str(b, recipient->reply);
	msg_add_u64(b, recipient->tried_ms);
}

void
notice_end_encode(struct buf *b, uint32_t id, const struct queue_piece *pieces, size_t n)
{
	msg_begin(b, NOTICE_END, id);
	msg_add_u64(b, n);
	for (size_t i = 0; i < n; i++) {
		msg_add_u64(b, pieces[i].offset);
		msg_add_u64(b, pieces[i].length);
	}
}

void
notice_done_encode(struct buf *b, uint32_t id, int errnum)
{
	msg_begin(b, NOTICE_DONE, id);
	msg_add_u64(b, (uint64_t)errnum);
}

void
notice_hello_encode(struct buf *b)
{
	msg_begin(b, NOTICE_HELLO, 0);
}

static struct str
get_copy(struct msg *m, struct arena *arena)
{
	struct str copy = arena_copy(arena, msg_get_str(m));

	if (copy.p == NULL)
		m->bad = true;
	return copy;
}

static bool
get_bool(struct msg *m)
{
	uint64_t value = msg_get_u64(m);

	if (value > 1)
		m->bad = true;
	return value == 1;
}

bool
notice_begin_decode(struct msg *m, struct arena *arena, struct dsn *dsn)
{
	uint64_t kind = msg_get_u64(m), language = msg_get_u64(m), priority;

	*dsn = (struct dsn){.kind = DSN_FAILED};
	if (kind >= DSN_KINDS || language >= DSN_LANGUAGES)
		return false;
	dsn->kind = (enum dsn_kind)kind;
	dsn->language = (enum dsn_language)language;
	dsn->hostname = get_copy(m, arena);
	dsn->queue_id = get_copy(m, arena);
	dsn->own_id = get_copy(m, arena);
	dsn->to = get_copy(m, arena);
	dsn->sender = get_copy(m, arena);
	dsn->client = get_copy(m, arena);
	dsn->has_envid = get_bool(m);
	dsn->envid = get_copy(m, arena);
	dsn->arrived_ms = msg_get_u64(m);
	dsn->now_ms = msg_get_u64(m);
	dsn->until_ms = msg_get_u64(m);
	dsn->is_utf8 = get_bool(m);
	dsn->is_8bit = get_bool(m);
	dsn->header_is_utf8 = get_bool(m);
	dsn->returns_whole = get_bool(m);
	dsn->requires_tls = get_bool(m);
	priority = msg_get_u64(m);
	if (priority > 2 * SCHEDULE_PRIORITY_MAX)
		return false;
	dsn->priority = (int)priority - SCHEDULE_PRIORITY_MAX;
	return msg_done(m);
}

bool
notice_recipient_decode(struct msg *m, struct arena *arena, struct dsn_recipient *recipient)
{
	uint64_t action = msg_get_u64(m);

	if (action >= DSN_ACTIONS)
		return false;
	recipient->action = (enum dsn_action)action;
	recipient->address = get_copy(m, arena);
	recipient->original = get_copy(m, arena);
	recipient->orcpt = get_copy(m, arena);
	recipient->code = get_copy(m, arena);
	recipient->relay = get_copy(m, arena);
	recipient->reply = get_copy(m, arena);
	recipient->tried_ms = msg_get_u64(m);
	return msg_done(m);
}

bool
notice_end_decode(struct msg *m, struct queue_piece pieces[QUEUE_PIECES_MAX], size_t *n)
{
	uint64_t count = msg_get_u64(m);

	*n = 0;
	if (count > QUEUE_PIECES_MAX)
		return false;
	for (; *n < count; (*n)++) {
		pieces[*n].offset = msg_get_u64(m);
		pieces[*n].length = msg_get_u64(m);
	}
	return msg_done(m);
}

bool
notice_done_decode(struct msg *m, int *errnum)
{
	uint64_t value = msg_get_u64(m);

	*errnum = value <= INT16_MAX ? (int)value : EPROTO;
	return msg_done(m);
}
