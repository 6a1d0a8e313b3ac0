#include "queue/doctor_net.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"

struct doctor_answer {
	RB_ENTRY(doctor_answer) link;
	struct doctor_dns *owner;
	struct dns_question question;
	struct dns_query query;
	struct dns_answer answer; /* in the arena, once it is answered */
	struct arena arena;
};

static const struct dns_answer unanswered = {.status = DNS_TEMP, .reason = {"no answer in time", 17}};

static int
answer_compare(struct doctor_answer *a, struct doctor_answer *b)
{
	if (a->question.type != b->question.type)
		return a->question.type < b->question.type ? -1 : 1;
	return strcmp(a->question.name, b->question.name);
}

TREE_GENERATE(doctor_answer_tree, doctor_answer, link, answer_compare)

/* ---- time ---------------------------------------------------------------------------------------------------------- */

static void
time_is_over(struct loop_timer *timer)
{
	container_of(timer, struct doctor_net, deadline)->is_over = true;
}

void
doctor_net_init(struct doctor_net *net, uint64_t time_ms)
{
	*net = (struct doctor_net){.loop = loop_new()};
	loop_timer_set(net->loop, &net->deadline, time_ms, time_is_over);
}

void
doctor_net_clear(struct doctor_net *net)
{
	loop_timer_cancel(&net->deadline);
	loop_free(net->loop);
}

void
doctor_net_wait(struct doctor_net *net)
{
	while (net->pending > 0 && !net->is_over)
		loop_once(net->loop, -1);
}

/* ---- questions ----------------------------------------------------------------------------------------------------- */

void
doctor_dns_init(struct doctor_dns *dns, struct doctor_net *net, const struct endpoint *servers, size_t n)
{
	*dns = (struct doctor_dns){.net = net, .dns = dns_new(net->loop, servers, n)};
	dns_trust(dns->dns);
	RB_INIT(&dns->answers);
}

void
doctor_dns_clear(struct doctor_dns *dns)
{
	struct doctor_answer *a;

	while ((a = RB_MIN(doctor_answer_tree, &dns->answers)) != NULL) {
		(void)RB_REMOVE(doctor_answer_tree, &dns->answers, a);
		dns_cancel(&a->query);
		arena_clear(&a->arena);
		free(a);
	}
	dns_free(dns->dns);
}

static void
keep(struct doctor_answer *a, const struct dns_answer *answer)
{
	struct dns_record *records = arena_alloc(&a->arena, (answer->n + 1) * sizeof *records);

	a->answer = *answer;
	a->answer.name = arena_copy(&a->arena, answer->name);
	a->answer.reason = arena_copy(&a->arena, answer->reason);
	for (size_t i = 0; records != NULL && i < answer->n; i++) {
		records[i] = answer->records[i];
		records[i].text = arena_copy(&a->arena, answer->records[i].text);
	}
	a->answer.records = records;
	if (a->arena.failed)
		a->answer = unanswered;
}

static void
answered(struct dns_query *query, const struct dns_answer *answer)
{
	struct doctor_answer *a = container_of(query, struct doctor_answer, query);

	keep(a, answer);
	a->owner->net->pending--;
}

void
doctor_dns_ask(struct doctor_dns *dns, struct str name, enum dns_type type)
{
	struct doctor_answer *a = dns->n < DOCTOR_QUESTIONS_MAX ? calloc(1, sizeof *a) : NULL;

	if (a == NULL)
		return;
	a->owner = dns;
	if (!dns_question_set(&a->question, name, type) || RB_INSERT(doctor_answer_tree, &dns->answers, a) != NULL) {
		free(a);
		return;
	}
	a->answer = unanswered;
	arena_init(&a->arena, DNS_ANSWER_MAX);
	dns->n++;
	dns->net->pending++;
	dns_ask(dns->dns, &a->query, str_from(a->question.name), type, answered);
}

const struct dns_answer *
doctor_dns_answer(struct doctor_dns *dns, struct str name, enum dns_type type)
{
	static const struct dns_answer bad_name = {.status = DNS_BAD_NAME};
	struct doctor_answer probe, *found;

	if (!dns_question_set(&probe.question, name, type))
		return &bad_name;
	found = RB_FIND(doctor_answer_tree, &dns->answers, &probe);
	return found != NULL ? &found->answer : &unanswered;
}
