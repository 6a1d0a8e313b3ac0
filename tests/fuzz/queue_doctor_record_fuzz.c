/* Records of mail policy, as a stranger publishes them: what is said of one is said again, and always with its reason. */
#include <stdlib.h>

#include "queue/doctor_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct dns_record record = {.text = {(const char *)data, size}};
	const struct dns_answer answer = {.status = DNS_FOUND, .records = &record, .n = 1};
	struct endpoint address;
	struct doctor_spf_facts facts = {.hostname = STR("mail.satu.test"), .is_mx = true};
	const char *problem;
	struct str text;

	if (!endpoint_parse_address(STR("192.0.2.7"), 0, &address))
		abort();
	facts.address = &address;
	if ((doctor_spf_play(record.text, &facts, &problem) == DOCTOR_SPF_BAD) != (problem != NULL))
		abort();
	for (unsigned kind = DOCTOR_SPF; kind <= DOCTOR_TLSRPT; kind++) {
		(void)doctor_record_problem((enum doctor_record_kind)kind, record.text);
		if (doctor_record_find(&answer, (enum doctor_record_kind)kind, &text) > 0 && text.n != size)
			abort();
	}
	return 0;
}
