/* Any text as a DNS list of the configuration, and any bytes as an answer and an address to be asked about. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/dns/dns_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct str text = {(const char *)bytes, n};
	char name[DNS_NAME_MAX + 1];
	struct in_addr address = {0};
	struct dns_list list;
	struct err err;

	if (!dns_list_parse(text, &list, &err))
		return 0;
	if (list.weight < -DNS_LIST_WEIGHT_MAX || list.weight > DNS_LIST_WEIGHT_MAX || list.domain[0] == '\0')
		abort();
	memcpy(&address, bytes, n < sizeof address ? n : sizeof address);
	(void)dns_list_counts(&list, address);
	if (!dns_list_name(name, str_sub(text, 0, 4), list.domain) && n >= 4)
		abort();
	if (n >= 16 && !dns_list_name(name, str_sub(text, 0, 16), list.domain))
		abort();
	return 0;
}
