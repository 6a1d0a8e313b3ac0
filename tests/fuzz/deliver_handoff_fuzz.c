/* Any bytes as what a front, a parent or a writer says; and as a letter's header with loops to be found in it. */
#include <stdlib.h>

#include "deliver/delivery.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void
check_clean(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '\n' || s.p[i] == '\r' || s.p[i] == '\0')
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct str packet = {(const char *)bytes, n};
	struct handoff_ask ask;
	struct handoff_answer answer;
	struct handoff_letter letter;
	struct handoff_result result;
	struct msg m, again;

	(void)delivery_is_loop(packet, STR("a@b"));
	if (!msg_open(&m, packet, -1))
		return 0;
	again = m;
	if (handoff_ask_decode(&again, &ask))
		check_clean(ask.address);
	again = m;
	(void)handoff_answer_decode(&again, &answer);
	again = m;
	if (handoff_result_decode(&again, &result) && result.n > HANDOFF_RECIPIENTS_MAX)
		abort();
	again = m;
	if (handoff_letter_decode(&again, &letter)) {
		check_clean(letter.sender);
		for (size_t i = 0; i < letter.nrecipients; i++)
			check_clean(letter.recipients[i]);
	}
	return 0;
}
