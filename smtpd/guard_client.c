#include "smtpd/guard_client.h"

#include <string.h>

#include "common/base/log.h"

#define BATCH_BYTES 32768

static int
link_compare(struct guard_link *a, struct guard_link *b)
{
	return a->session < b->session ? -1 : a->session > b->session;
}

TREE_GENERATE(guard_links, guard_link, link, link_compare)

/* ---- sending -------------------------------------------------------------------------------------------------------------- */

/* What cannot be sent is dropped: its question meets its deadline. */
void
guard_client_flush(struct guard_client_side *side)
{
	if (side->batch.n > 0)
		(void)channel_send(&side->channel, &side->batch, -1);
	buf_reset(&side->batch);
}

static void
flush_due(struct loop_deferred *deferred)
{
	guard_client_flush(container_of(deferred, struct guard_client_side, flush));
}

static void
question_send(struct guard_client_side *side, const struct guard_question *question)
{
	if (side->batch.n > BATCH_BYTES)
		guard_client_flush(side);
	if (side->batch.n == 0)
		msg_begin(&side->batch, GUARD_QUESTIONS, 0);
	guard_question_add(&side->batch, question);
	loop_defer(side->loop, &side->flush, flush_due);
}

void
guard_link_tell(struct guard_link *link, struct guard_question *question)
{
	if (link->side == NULL)
		return;
	question->session = link->session;
	question->flags |= link->exempt ? GUARD_EXEMPT : 0;
	question_send(link->side, question);
}

/* ---- answers -------------------------------------------------------------------------------------------------------------- */

static void
answer(struct guard_link *link, const struct guard_answer *a)
{
	void (*answered)(struct guard_link *, const struct guard_answer *) = link->answered;

	link->answered = NULL;
	loop_timer_cancel(&link->deadline);
	answered(link, a);
}

static void
answer_yes(struct guard_link *link)
{
	const struct guard_answer yes = {.known = true, .judgement = {.verdict = GUARD_GO, .granted = GUARD_GRANT}};

	answer(link, &yes);
}

static void
deadline_over(struct loop_timer *timer)
{
	struct guard_link *link = container_of(timer, struct guard_link, deadline);

	if (!link->side->silent)
		log_warning("the guard does not answer; sessions go on without it");
	link->side->silent = true;
	answer_yes(link);
}

void
guard_link_ask(struct guard_link *link, struct guard_question *question, uint64_t timeout_ms,
    void (*answered)(struct guard_link *, const struct guard_answer *))
{
	question->number = ++link->number;
	link->answered = answered;
	guard_link_tell(link, question);
	loop_timer_set(link->side->loop, &link->deadline, link->side->silent ? 0 : timeout_ms, deadline_over);
}

void
guard_link_cancel(struct guard_link *link)
{
	link->answered = NULL;
	loop_timer_cancel(&link->deadline);
}

static struct guard_link *
link_find(struct guard_client_side *side, uint64_t session)
{
	struct guard_link wanted = {.session = session};

	return RB_FIND(guard_links, &side->links, &wanted);
}

static void
answers_take(struct guard_client_side *side, struct msg *m)
{
	struct guard_answer a;

	while (guard_answer_take(m, &a)) {
		struct guard_link *link = link_find(side, a.session);

		if (link != NULL && link->answered != NULL && link->number == a.number)
			answer(link, &a);
	}
	if (m->bad)
		log_warning("the guard gave a senseless answer");
}

/* Of what its predecessor was asked there is no answer to come. */
static void
guard_is_new(struct guard_client_side *side)
{
	struct guard_link *link;

	RB_FOREACH(link, guard_links, &side->links) {
		struct guard_question here = {.ask = GUARD_ASK_CONNECTED, .first = {(const char *)link->address, link->address_n}};

		guard_link_tell(link, &here);
		if (link->answered != NULL)
			loop_timer_set(side->loop, &link->deadline, 0, deadline_over);
	}
}

static void
received(struct channel *channel, struct msg *m)
{
	struct guard_client_side *side = container_of(channel, struct guard_client_side, channel);

	if (m->type == GUARD_ANSWERS)
		answers_take(side, m);
	else if (m->type == GUARD_NEW && side->met) /* the first one finds all questions waiting */
		guard_is_new(side);
	side->met = true;
	side->silent = false;
}

/* Without the pair every question meets its deadline at once. */
static void
closed(struct channel *channel)
{
	container_of(channel, struct guard_client_side, channel)->silent = true;
}

/* ---- life ------------------------------------------------------------------------------------------------------------------ */

void
guard_client_start(struct guard_client_side *side, struct loop *loop, int fd)
{
	const struct guard_question hello = {.ask = GUARD_ASK_HELLO};

	side->loop = loop;
	RB_INIT(&side->links);
	buf_init(&side->batch, MSG_MAX_BYTES);
	channel_open(&side->channel, loop, fd, received, closed);
	question_send(side, &hello);
}

void
guard_client_drain(struct guard_client_side *side)
{
	const struct guard_question drains = {.ask = GUARD_ASK_DRAINING};

	question_send(side, &drains);
}

void
guard_link_open(struct guard_client_side *side, struct guard_link *link, struct str address, bool exempt)
{
	*link = (struct guard_link){.side = side, .session = ++side->sessions, .exempt = exempt};
	link->address_n = (unsigned char)(address.n < sizeof link->address ? address.n : sizeof link->address);
	memcpy(link->address, address.p, link->address_n);
	(void)RB_INSERT(guard_links, &side->links, link);
}

void
guard_link_close(struct guard_link *link, const struct guard_report *report)
{
	struct guard_question gone = {.ask = GUARD_ASK_GONE, .report = *report};

	if (link->side == NULL)
		return;
	guard_link_tell(link, &gone);
	guard_link_cancel(link);
	(void)RB_REMOVE(guard_links, &link->side->links, link);
	link->side = NULL;
}
