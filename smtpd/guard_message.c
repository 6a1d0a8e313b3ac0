#include "smtpd/guard_message.h"

/* At most this much of a text: what is longer is cut by whoever writes it. */
static void
text_add(struct buf *b, struct str s)
{
	msg_add_str(b, str_sub(s, 0, GUARD_TEXT_MAX));
}

static struct str
text_get(struct msg *m)
{
	struct str s = msg_get_str(m);

	if (s.n > GUARD_TEXT_MAX)
		m->bad = true;
	return s;
}

/* A number below n; else the packet is bad. */
static unsigned
word_get(struct msg *m, unsigned n)
{
	uint64_t value = msg_get_u64(m);

	if (value < n)
		return (unsigned)value;
	m->bad = true;
	return 0;
}

void
guard_question_add(struct buf *b, const struct guard_question *q)
{
	msg_add_u64(b, q->ask);
	msg_add_u64(b, q->session);
	msg_add_u64(b, q->number);
	msg_add_u64(b, q->flags);
	msg_add_u64(b, q->count);
	msg_add_u64(b, q->report.messages);
	msg_add_u64(b, q->report.recipients);
	msg_add_u64(b, q->report.errors);
	text_add(b, q->first);
	text_add(b, q->second);
}

static bool
has_address(const struct guard_question *q)
{
	if (q->ask != GUARD_ASK_CONNECT && q->ask != GUARD_ASK_CONNECTED)
		return true;
	return q->first.n == 4 || q->first.n == 16;
}

bool
guard_question_take(struct msg *m, struct guard_question *q)
{
	if (m->bad || m->rest.n == 0)
		return false;
	q->ask = (enum guard_ask)word_get(m, GUARD_ASKS);
	q->session = msg_get_u64(m);
	q->number = msg_get_u64(m);
	q->flags = msg_get_u64(m);
	q->count = msg_get_u64(m);
	q->report.messages = msg_get_u64(m);
	q->report.recipients = msg_get_u64(m);
	q->report.errors = msg_get_u64(m);
	q->first = text_get(m);
	q->second = text_get(m);
	m->bad = m->bad || !has_address(q);
	return !m->bad;
}

void
guard_answer_add(struct buf *b, const struct guard_answer *a)
{
	msg_add_u64(b, a->session);
	msg_add_u64(b, a->number);
	msg_add_u64(b, a->judgement.verdict);
	msg_add_u64(b, a->judgement.kind);
	msg_add_u64(b, a->judgement.until_ms);
	msg_add_u64(b, a->judgement.granted);
	msg_add_u64(b, a->known);
	msg_add_u64(b, a->errors);
	msg_add_u64(b, (uint64_t)a->score);
	text_add(b, a->name);
	text_add(b, a->lists);
}

bool
guard_answer_take(struct msg *m, struct guard_answer *a)
{
	if (m->bad || m->rest.n == 0)
		return false;
	a->session = msg_get_u64(m);
	a->number = msg_get_u64(m);
	a->judgement.verdict = (enum guard_verdict)word_get(m, GUARD_VERDICTS);
	a->judgement.kind = (enum guard_kind)word_get(m, GUARD_KINDS);
	a->judgement.until_ms = msg_get_u64(m);
	a->judgement.granted = msg_get_u64(m);
	a->known = word_get(m, 2) != 0;
	a->errors = msg_get_u64(m);
	a->score = (int64_t)msg_get_u64(m);
	a->name = text_get(m);
	a->lists = text_get(m);
	return !m->bad;
}

void
guard_row_add(struct buf *b, const struct guard_row *row)
{
	msg_add_u64(b, row->kind);
	msg_add_str(b, row->bytes);
	msg_add_u64(b, row->known);
	msg_add_u64(b, row->connections);
	for (unsigned i = 0; i < GUARD_RATES; i++)
		msg_add_u64(b, row->counts[i]);
	msg_add_u64(b, row->used_ms);
}

bool
guard_row_take(struct msg *m, struct guard_row *row)
{
	if (m->bad || m->rest.n == 0)
		return false;
	row->kind = (enum guard_kind)word_get(m, GUARD_KINDS);
	row->bytes = msg_get_str(m);
	row->known = word_get(m, 2) != 0;
	row->connections = msg_get_u64(m);
	for (unsigned i = 0; i < GUARD_RATES; i++)
		row->counts[i] = msg_get_u64(m);
	row->used_ms = msg_get_u64(m);
	m->bad = m->bad || row->bytes.n > GUARD_KEY_MAX;
	return !m->bad;
}
