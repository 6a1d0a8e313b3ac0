/*
 * Conditions of merpati queue, and what queued tells of itself: any text is read within its bounds, patterns end in time,
 * and reports that are read are written the same.
 */
#include <stdlib.h>

#include "queue/control_report.h"
#include "queue/listing_filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void
check_report(struct str text)
{
	struct control_site site, again;
	struct buf b;
	struct str copy;

	if (!control_site_take(&text, &site))
		return;
	buf_init(&b, CONTROL_SITE_MAX_BYTES);
	control_site_add(&b, &site);
	copy = buf_str(&b);
	if (!buf_ok(&b) || !control_site_take(&copy, &again) || !str_equal(site.key, again.key) ||
	    !str_equal(site.trouble, again.trouble) || !str_equal(site.limit, again.limit) || site.dead_until_ms != again.dead_until_ms ||
	    site.probing != again.probing || copy.n != 0)
		abort();
	buf_clear(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct str input = {(const char *)bytes, n}, first;
	struct listing_filter filter = {.places = 0};
	const char *problem;

	check_report(input);
	if (!str_token(&input, '\n', &first))
		return 0;
	(void)listing_filter_age(&filter, first, &problem);
	(void)listing_filter_size(&filter, first, &problem);
	(void)listing_filter_state(&filter, first, &problem);
	(void)listing_filter_address(str_sub(first, 0, 100), str_sub(input, 0, 1000));
	if (!listing_filter_address(STR("*"), input))
		abort();
	return 0;
}
