#include "deliver/link.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"

struct link_known {
	struct link *link;
	uint64_t until_ms;
	RB_ENTRY(link_known) by_address;
	TAILQ_ENTRY(link_known) by_age;
	char address[];
};

static int
link_compare(struct link *a, struct link *b)
{
	return strcmp(a->key, b->key);
}

static int
known_compare(struct link_known *a, struct link_known *b)
{
	return strcmp(a->address, b->address);
}

TREE_GENERATE(link_tree, link, by_key, link_compare)
TREE_GENERATE(link_known_tree, link_known, by_address, known_compare)

void
links_init(struct links *links, struct daemon_self *self)
{
	*links = (struct links){.self = self, .linger_ms = self->conf->deliver.linger_ms,
	    .max = (size_t)self->conf->deliver.writers};
	RB_INIT(&links->tree);
	RB_INIT(&links->known);
	TAILQ_INIT(&links->list);
	TAILQ_INIT(&links->known_list);
	LIST_INIT(&links->questions);
	buf_init(&links->message, MSG_MAX_BYTES);
}

/* --- remembered addresses ------------------------------------------------------------------------------------------------ */

static void
known_drop(struct links *links, struct link_known *known)
{
	(void)RB_REMOVE(link_known_tree, &links->known, known);
	TAILQ_REMOVE(&links->known_list, known, by_age);
	links->nknown--;
	free(known);
}

static void
known_drop_link(struct link *link)
{
	struct link_known *known, *next;

	TAILQ_FOREACH_SAFE(known, &link->links->known_list, by_age, next)
		if (known->link == link)
			known_drop(link->links, known);
}

static void
known_add(struct links *links, const char *address, struct link *link)
{
	size_t n = strlen(address) + 1;
	struct link_known *known = malloc(sizeof *known + n), *other;

	if (known == NULL)
		return;
	known->link = link;
	known->until_ms = loop_now_ms(links->self->loop) + LINKS_KNOWN_MS;
	memcpy(known->address, address, n);
	other = RB_FIND(link_known_tree, &links->known, known);
	if (other != NULL)
		known_drop(links, other);
	if (links->nknown >= LINKS_KNOWN_MAX)
		known_drop(links, TAILQ_FIRST(&links->known_list));
	(void)RB_INSERT(link_known_tree, &links->known, known);
	TAILQ_INSERT_TAIL(&links->known_list, known, by_age);
	links->nknown++;
}

static struct link *
known_find(struct links *links, const char *address)
{
	size_t n = strlen(address) + 1;
	struct link_known *key = malloc(sizeof *key + n), *known = NULL;

	if (key != NULL) {
		memcpy(key->address, address, n);
		known = RB_FIND(link_known_tree, &links->known, key);
		free(key);
	}
	if (known == NULL)
		return NULL;
	if (known->until_ms > loop_now_ms(links->self->loop))
		return known->link;
	known_drop(links, known);
	return NULL;
}

/* --- links --------------------------------------------------------------------------------------------------------------- */

static void
link_free_if_unheld(struct link *link)
{
	if (!link->dead || link->holders > 0)
		return;
	free(link->key);
	free(link);
}

/* The writer's process is gone, or is let go. Letters that it did not answer are in trouble. */
static void
link_bury(struct link *link)
{
	struct link_letter *letter;

	link->dead = true;
	loop_timer_cancel(&link->idle);
	channel_close(&link->channel);
	known_drop_link(link);
	(void)RB_REMOVE(link_tree, &link->links->tree, link);
	TAILQ_REMOVE(&link->links->list, link, by_use);
	link->links->n--;
	link->holders++;
	while ((letter = TAILQ_FIRST(&link->letters)) != NULL) {
		const struct handoff_result result = {.n = letter->nrecipients};

		TAILQ_REMOVE(&link->letters, letter, entry);
		letter->link = NULL;
		letter->answered(letter, &result);
	}
	link->holders--;
	link_free_if_unheld(link);
}

static bool
link_is_idle(const struct link *link)
{
	return link->holders == 0 && TAILQ_EMPTY(&link->letters);
}

static void
idle_expired(struct loop_timer *timer)
{
	struct link *link = container_of(timer, struct link, idle);

	if (link_is_idle(link))
		link_bury(link);
}

static void
link_settle(struct link *link)
{
	if (!link->dead && link_is_idle(link))
		loop_timer_set(link->links->self->loop, &link->idle, link->links->linger_ms, idle_expired);
}

void
link_hold(struct link *link)
{
	link->holders++;
	if (link->dead)
		return;
	loop_timer_cancel(&link->idle);
	TAILQ_REMOVE(&link->links->list, link, by_use);
	TAILQ_INSERT_TAIL(&link->links->list, link, by_use);
}

void
link_release(struct link *link)
{
	link->holders--;
	link_settle(link);
	link_free_if_unheld(link);
}

static void
writer_answered(struct channel *channel, struct msg *m)
{
	struct link *link = container_of(channel, struct link, channel);
	struct handoff_result result;
	struct link_letter *letter;

	TAILQ_FOREACH(letter, &link->letters, entry)
		if (letter->id == m->id)
			break;
	if (m->type != HANDOFF_RESULT || letter == NULL || !handoff_result_decode(m, &result) ||
	    result.n != letter->nrecipients) {
		log_warning("a writer sent a malformed message");
		link_bury(link);
		return;
	}
	TAILQ_REMOVE(&link->letters, letter, entry);
	letter->link = NULL;
	link->holders++;
	letter->answered(letter, &result);
	link_release(link);
}

static void
writer_closed(struct channel *channel)
{
	link_bury(container_of(channel, struct link, channel));
}

static struct link *
link_find(struct links *links, struct str key)
{
	struct link like, *found;

	like.key = str_dup(key);
	found = RB_FIND(link_tree, &links->tree, &like);
	free(like.key);
	return found;
}

static struct link *
link_new(struct links *links, struct str key, int fd)
{
	struct link *link = calloc(1, sizeof *link);

	if (link == NULL)
		fatal("out of memory for a writer");
	link->links = links;
	link->key = str_dup(key);
	TAILQ_INIT(&link->letters);
	channel_open(&link->channel, links->self->loop, fd, writer_answered, writer_closed);
	(void)RB_INSERT(link_tree, &links->tree, link);
	TAILQ_INSERT_TAIL(&links->list, link, by_use);
	links->n++;
	return link;
}

/* Lets go of the writer without work that was used the longest ago. */
static bool
make_room(struct links *links)
{
	struct link *link;

	if (links->n < links->max)
		return true;
	TAILQ_FOREACH(link, &links->list, by_use)
		if (link_is_idle(link)) {
			link_bury(link);
			return true;
		}
	return false;
}

void
links_clear(struct links *links)
{
	struct link *link;

	while ((link = TAILQ_FIRST(&links->list)) != NULL)
		link_bury(link);
	buf_clear(&links->message);
}

/* --- questions ----------------------------------------------------------------------------------------------------------- */

static void
question_end(struct link_question *question, enum handoff_found found, struct link *link)
{
	link_cancel(question);
	if (link != NULL)
		link_hold(link);
	question->answered(question, found, link);
}

static void
question_send(struct link_question *question, bool wants_writer)
{
	struct links *links = question->links;
	const struct handoff_ask ask = {.address = str_from(question->address), .writer = wants_writer};

	question->id = ++links->last_id;
	question->wants_writer = wants_writer;
	handoff_ask_encode(&links->message, question->id, &ask);
	if (!daemon_self_send(links->self, &links->message, -1))
		question_end(question, HANDOFF_UNTOLD, NULL);
}

void
link_ask(struct links *links, struct link_question *question, struct str address,
    void (*answered)(struct link_question *, enum handoff_found, struct link *))
{
	struct link *link;

	question->answered = answered;
	if (!str_copy(question->address, sizeof question->address, address)) {
		answered(question, HANDOFF_UNKNOWN, NULL);
		return;
	}
	link = known_find(links, question->address);
	if (link != NULL) {
		link_hold(link);
		answered(question, HANDOFF_FOUND, link);
		return;
	}
	question->links = links;
	LIST_INSERT_HEAD(&links->questions, question, entry);
	question_send(question, false);
}

void
link_cancel(struct link_question *question)
{
	if (question->links == NULL)
		return;
	LIST_REMOVE(question, entry);
	question->links = NULL;
}

static void
question_found(struct link_question *question, const struct handoff_answer *answer, struct msg *m)
{
	struct links *links = question->links;
	struct link *link = link_find(links, answer->key);

	if (link == NULL && !question->wants_writer) {
		if (make_room(links))
			question_send(question, true);
		else
			question_end(question, HANDOFF_BUSY, NULL);
		return;
	}
	if (link == NULL && m->fd < 0) {
		question_end(question, HANDOFF_UNTOLD, NULL);
		return;
	}
	/* If there is one by now, the new one goes with the message's descriptor. */
	if (link == NULL)
		link = link_new(links, answer->key, msg_take_fd(m));
	known_add(links, question->address, link);
	question_end(question, HANDOFF_FOUND, link);
}

void
links_received(struct links *links, struct msg *m)
{
	struct handoff_answer answer;
	struct link_question *question;

	if (m->type != HANDOFF_ANSWER || !handoff_answer_decode(m, &answer)) {
		log_warning("the parent sent a malformed message");
		return;
	}
	LIST_FOREACH(question, &links->questions, entry)
		if (question->id == m->id)
			break;
	if (question == NULL)
		return;
	if (answer.found == HANDOFF_FOUND)
		question_found(question, &answer, m);
	else
		question_end(question, answer.found, NULL);
}

/* --- letters ------------------------------------------------------------------------------------------------------------- */

bool
link_send(struct link *link, struct link_letter *out, const struct handoff_letter *letter, int fd,
    void (*answered)(struct link_letter *, const struct handoff_result *))
{
	struct links *links = link->links;

	if (link->dead)
		return false;
	out->answered = answered;
	out->id = ++links->last_id;
	out->nrecipients = letter->nrecipients;
	handoff_letter_encode(&links->message, out->id, letter);
	if (!channel_send(&link->channel, &links->message, letter->in_file ? fd : -1))
		return false;
	out->link = link;
	loop_timer_cancel(&link->idle);
	TAILQ_INSERT_TAIL(&link->letters, out, entry);
	return true;
}
