/*
 * Any packet as the answer to a question. The first byte picks the type that was asked for; the id is taken over, so
 * that more than the header is reached.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/dns/dns_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n);

static const enum dns_type types[] = {DNS_A, DNS_PTR, DNS_MX, DNS_TXT, DNS_AAAA, DNS_TLSA, DNS_CNAME};

/* What comes out keeps the promises of the header. */
static void
check(const struct dns_answer *answer, enum dns_type type)
{
	if (answer->n > DNS_RECORDS_MAX || answer->name.n > DNS_NAME_MAX)
		abort();
	for (size_t i = 0; i < answer->n; i++) {
		struct str text = answer->records[i].text;

		if (type == DNS_TXT || type == DNS_TLSA)
			continue;
		for (size_t j = 0; j < text.n; j++)
			if (!ascii_is_alnum(text.p[j]) && strchr("-_.", text.p[j]) == NULL)
				abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	struct dns_question question;
	struct dns_answer answer;
	struct arena arena;
	enum dns_reply reply;

	if (n < 3)
		return 0;
	(void)dns_question_set(&question, STR("dua.test"), types[input[0] % (sizeof types / sizeof types[0])]);
	arena_init(&arena, DNS_ANSWER_MAX);
	reply = dns_answer_parse((struct str){(const char *)input + 1, n - 1}, &question,
	    (uint16_t)(input[1] << 8 | input[2]), &arena, &answer);
	if (reply == DNS_REPLY_ANSWER || reply == DNS_REPLY_ALIAS)
		check(&answer, question.type);
	arena_clear(&arena);
	return 0;
}
