/* The filter of a message's content: any bytes in pieces of any size; with and without completion. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "smtpd/content.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct content_rules rules = {.date = STR("DATE"), .message_id = STR("<id@h>"), .received_max = 3,
	    .header_max = 8192};
	struct queue_writer w;
	struct content c;
	struct str rest;
	size_t piece;

	if (n < 2)
		return 0;
	rules.complete = bytes[0] & 1;
	piece = 1 + bytes[1];
	queue_writer_init(&w, 4 * n + 65536);
	queue_writer_begin(&w, 1, STR(""));
	queue_writer_recipient(&w, STR("a@b.test"));
	content_init(&c, &rules, &w);
	for (rest = (struct str){(const char *)bytes + 2, n - 2}; rest.n > 0; rest = str_skip(rest, piece))
		content_feed(&c, str_sub(rest, 0, piece));
	content_end(&c);
	queue_writer_end(&w);
	if (c.verdict == CONTENT_FINE && !queue_writer_ok(&w))
		abort();
	content_clear(&c);
	queue_writer_clear(&w);
	return 0;
}
