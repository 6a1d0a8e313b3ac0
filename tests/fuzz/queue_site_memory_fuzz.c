/* The file of dead sites: any bytes are refused or read, and what is read is written as the same bytes. */
#include <stdlib.h>

#include "queue/site_memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct str text = {(const char *)bytes, n}, sites = text;
	struct site_memory m;
	uint64_t count = 0;
	struct buf b;

	while (n > 0 && site_memory_take(&sites, &m))
		if (m.key.n == 0 || m.deaths > SITE_MEMORY_DEATHS_MAX)
			abort();
	sites = text;
	if (!site_memory_check(&sites))
		return 0;
	buf_init(&b, SITE_MEMORY_MAX_BYTES);
	site_memory_begin(&b);
	for (; site_memory_take(&sites, &m); count++)
		if (!site_memory_add(&b, &m))
			abort();
	site_memory_end(&b, count);
	/* A number may have been written with a nought in front. */
	if (sites.n != 0 || b.n > n)
		abort();
	buf_clear(&b);
	return 0;
}
