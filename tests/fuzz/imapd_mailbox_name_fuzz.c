/*
 * Names and patterns of LIST (reference, pattern, name: a line each). A pattern of its name's own text matches it, and so
 * does a star.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "imapd/list_pattern.h"
#include "imapd/respond.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct str rest = {(const char *)bytes, n}, reference, mailbox, pattern;
	struct arena arena;
	struct buf out;

	if (!str_token(&rest, '\n', &reference) || !str_token(&rest, '\n', &mailbox))
		return 0;
	arena_init(&arena, 1 << 20);
	buf_init(&out, 1 << 20);
	pattern = list_pattern_make(&arena, reference, mailbox);
	if (pattern.p != NULL)
		(void)list_pattern_matches(pattern, str_sub(rest, 0, 1000));
	pattern = list_pattern_make(&arena, STR(""), mailbox);
	if (pattern.p != NULL && str_find(mailbox, '*') == mailbox.n && str_find(mailbox, '%') == mailbox.n &&
	    !list_pattern_matches(pattern, mailbox))
		abort();
	if (!list_pattern_matches(STR("*"), mailbox))
		abort();
	respond_mailbox(&out, mailbox);
	buf_clear(&out);
	arena_clear(&arena);
	return 0;
}
