#include "queue/sts_client.h"

#include <bsd/stdlib.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"

/* What `policy` has said of a domain. */
struct sts_answer {
	RB_ENTRY(sts_answer) link;
	TAILQ_ENTRY(sts_answer) age;
	char *domain;
	char *text; /* "": it has no policy */
	uint64_t answered_ms, holds_until_ms;
};

static int
answer_compare(struct sts_answer *a, struct sts_answer *b)
{
	return strcmp(a->domain, b->domain);
}

static int
query_compare(struct sts_query *a, struct sts_query *b)
{
	return a->id < b->id ? -1 : a->id > b->id;
}

TREE_GENERATE(sts_answer_tree, sts_answer, link, answer_compare)
TREE_GENERATE(sts_query_tree, sts_query, link, query_compare)

/* --- what is known -------------------------------------------------------------------------------------------------------- */

static size_t
cost(const struct sts_answer *answer)
{
	return sizeof *answer + strlen(answer->domain) + strlen(answer->text);
}

static void
answer_drop(struct sts_client *client, struct sts_answer *answer)
{
	(void)RB_REMOVE(sts_answer_tree, &client->answers, answer);
	TAILQ_REMOVE(&client->ages, answer, age);
	client->n--;
	client->bytes -= cost(answer);
	free(answer->domain);
	free(answer->text);
	free(answer);
}

static struct sts_answer *
answer_find(struct sts_client *client, char *domain)
{
	struct sts_answer wanted = {.domain = domain};

	return RB_FIND(sts_answer_tree, &client->answers, &wanted);
}

static void
answer_keep(struct sts_client *client, char *domain, const struct policy_answer *answer)
{
	struct sts_answer *kept = answer_find(client, domain);
	uint64_t now_ms = loop_now_ms(client->loop);

	if (kept != NULL)
		answer_drop(client, kept);
	while (client->n >= STS_ANSWERS_MAX || client->bytes > STS_ANSWERS_BYTES_MAX)
		answer_drop(client, TAILQ_FIRST(&client->ages));
	kept = calloc(1, sizeof *kept);
	if (kept == NULL)
		fatal("out of memory for a policy");
	kept->domain = str_dup(str_from(domain));
	kept->text = str_dup(answer->text);
	kept->answered_ms = now_ms;
	kept->holds_until_ms = now_ms + (answer->holds_s < STS_AGE_MAX_S ? answer->holds_s : STS_AGE_MAX_S) * 1000;
	(void)RB_INSERT(sts_answer_tree, &client->answers, kept);
	TAILQ_INSERT_TAIL(&client->ages, kept, age);
	client->n++;
	client->bytes += cost(kept);
}

/* The policy that holds, whether `policy` was asked lately or not; empty: none. */
static struct str
held(struct sts_client *client, char *domain)
{
	const struct sts_answer *answer = answer_find(client, domain);

	if (answer == NULL || loop_now_ms(client->loop) >= answer->holds_until_ms)
		return STR("");
	return str_from(answer->text);
}

static bool
is_fresh(struct sts_client *client, char *domain)
{
	const struct sts_answer *answer = answer_find(client, domain);

	return answer != NULL && loop_now_ms(client->loop) - answer->answered_ms < STS_FRESH_MS &&
	    (answer->text[0] == '\0' || loop_now_ms(client->loop) < answer->holds_until_ms);
}

/* --- questions ------------------------------------------------------------------------------------------------------------ */

static void
answer(struct sts_query *query)
{
	struct str text = held(query->client, query->domain);

	sts_client_cancel(query);
	query->answered(query, text);
}

static void
time_is_over(struct loop_timer *timer)
{
	struct sts_query *query = container_of(timer, struct sts_query, timer);
	struct sts_client *client = query->client;

	if (!query->known) {
		if (!client->silent)
			log_warning("the process `policy' does not answer; mail goes on by the policies that are known");
		client->silent = true;
	}
	answer(query);
}

static void
received(struct channel *channel, struct msg *m)
{
	struct sts_client *client = container_of(channel, struct sts_client, channel);
	struct sts_query wanted = {.id = m->id}, *query = RB_FIND(sts_query_tree, &client->queries, &wanted);
	struct policy_answer a;

	client->silent = false;
	if (m->type != POLICY_ANSWER || !policy_answer_decode(m, &a) || memchr(a.text.p, '\0', a.text.n) != NULL) {
		log_warning("the process `policy' gave a senseless answer");
		return;
	}
	if (query == NULL)
		return;
	answer_keep(client, query->domain, &a);
	answer(query);
}

/* Without the pair every question meets its deadline. */
static void
closed(struct channel *channel)
{
	container_of(channel, struct sts_client, channel)->silent = true;
}

void
sts_client_start(struct sts_client *client, struct loop *loop, int fd)
{
	*client = (struct sts_client){.loop = loop};
	/* Answers that our predecessor was owed must not be taken for ours. */
	client->last_id = arc4random();
	RB_INIT(&client->answers);
	RB_INIT(&client->queries);
	TAILQ_INIT(&client->ages);
	buf_init(&client->packet, MSG_MAX_BYTES);
	channel_open(&client->channel, loop, fd, received, closed);
}

void
sts_client_clear(struct sts_client *client)
{
	struct sts_answer *kept, *next;

	channel_close(&client->channel);
	buf_clear(&client->packet);
	TAILQ_FOREACH_SAFE(kept, &client->ages, age, next)
		answer_drop(client, kept);
}

static uint64_t
patience_ms(struct sts_client *client, struct sts_query *query)
{
	return client->silent || held(client, query->domain).n > 0 ? STS_WAIT_KNOWN_MS : STS_WAIT_MS;
}

void
sts_client_ask(struct sts_client *client, struct sts_query *query, struct str domain,
    void (*answered)(struct sts_query *, struct str text))
{
	*query = (struct sts_query){.answered = answered, .client = client, .id = ++client->last_id};
	(void)RB_INSERT(sts_query_tree, &client->queries, query);
	query->known = !str_copy(query->domain, sizeof query->domain, domain) || domain.n == 0;
	for (char *p = query->domain; *p != '\0'; p++)
		*p = ascii_lower(*p);
	query->known = query->known || is_fresh(client, query->domain) || !channel_is_open(&client->channel);
	if (!query->known) {
		policy_ask_encode(&client->packet, query->id, str_from(query->domain));
		(void)channel_send(&client->channel, &client->packet, -1);
	}
	loop_timer_set(client->loop, &query->timer, query->known ? 0 : patience_ms(client, query), time_is_over);
}

void
sts_client_cancel(struct sts_query *query)
{
	if (query->client == NULL)
		return;
	loop_timer_cancel(&query->timer);
	(void)RB_REMOVE(sts_query_tree, &query->client->queries, query);
	query->client = NULL;
}

void
sts_client_tell(struct sts_client *client, const struct tlsrpt_outcome *outcome)
{
	if (!channel_is_open(&client->channel))
		return;
	tlsrpt_outcome_encode(&client->packet, outcome);
	(void)channel_send(&client->channel, &client->packet, -1);
}
