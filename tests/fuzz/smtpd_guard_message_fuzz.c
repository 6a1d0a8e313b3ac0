/*
 * Any packet as one between a worker, the guard and merpati clients. What decodes is encoded again and must decode to the
 * same bytes; what is asked is judged, with a clock that the input sets.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "smtpd/guard_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n);

static struct buf again = {.max = MSG_MAX_BYTES};
static struct guard_memory memory;
static struct guard_core core;

static void
judge(struct guard_client *client, const struct guard_question *q)
{
	const struct guard_author author = {.login = q->first, .sender = q->second};
	const struct guard_triplet triplet = {{(const char *)client->address, client->address_n}, q->first, q->second};
	struct guard_judgement j = {.verdict = GUARD_GO};
	uint64_t now_ms = q->number & 0xffffffffffffU;

	switch (q->ask) {
	case GUARD_ASK_HELLO:
	case GUARD_ASK_DRAINING:
		break;
	case GUARD_ASK_CONNECT:
	case GUARD_ASK_CONNECTED:
		guard_core_gone(&core, client, &q->report, now_ms);
		client->address_n = (unsigned char)q->first.n;
		client->exempt = (q->flags & GUARD_EXEMPT) != 0;
		memcpy(client->address, q->first.p, q->first.n);
		guard_core_connect(&core, client, now_ms, &j);
		break;
	case GUARD_ASK_PASSED:
		guard_core_passed(&core, client, now_ms);
		break;
	case GUARD_ASK_MESSAGE:
		guard_core_message(&core, client, &author, now_ms, &j);
		break;
	case GUARD_ASK_RECIPIENTS:
		guard_core_recipients(&core, client, &author, now_ms, &j);
		break;
	case GUARD_ASK_RETURN:
		guard_core_return(&core, client, &author, q->count, now_ms);
		break;
	case GUARD_ASK_GREY:
		guard_core_grey(&core, &triplet, now_ms, &j);
		break;
	case GUARD_ASK_GONE:
		guard_core_gone(&core, client, &q->report, now_ms);
		break;
	}
	if (j.verdict == GUARD_GREY && j.until_ms <= now_ms)
		abort();
	(void)guard_core_is_known(&core, client, now_ms);
}

static void
questions(struct msg *m)
{
	struct guard_client client = {.address_n = 4};
	struct guard_question q;

	while (guard_question_take(m, &q)) {
		guard_question_add(&again, &q);
		judge(&client, &q);
	}
	guard_core_gone(&core, &client, &(const struct guard_report){.errors = 0}, 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	struct guard_answer answer;
	struct guard_row row;
	struct msg m;

	if (memory.map == NULL) {
		const struct guard_rules rules = {.limits = {[GUARD_ADDRESS] = {2, {1, 2, 3, 0, 0}}, [GUARD_LOGIN] = {2, {0, 2, 3, 0, 0}}},
		    .client_memory_ms = 1000, .refuse = 1, .welcome = -1,
		    .grey = {.delay_ms = 10, .window_ms = 100, .lifetime_ms = 1000, .allow_after = 2}};

		guard_memory_open_private(&memory);
		guard_core_init(&core, &rules, &memory);
	}
	if (n > MSG_MAX_BYTES || !msg_open(&m, (struct str){(const char *)input, n}, -1))
		return 0;
	msg_begin(&again, m.type, m.id);
	if (m.type == GUARD_QUESTIONS)
		questions(&m);
	else if (m.type == GUARD_ANSWERS)
		while (guard_answer_take(&m, &answer))
			guard_answer_add(&again, &answer);
	else if (m.type == GUARD_ROWS)
		while (guard_row_take(&m, &row))
			guard_row_add(&again, &row);
	else
		return 0;
	if (!m.bad && (!buf_ok(&again) || again.n != n || memcmp(again.p, input, n) != 0))
		abort();
	return 0;
}
