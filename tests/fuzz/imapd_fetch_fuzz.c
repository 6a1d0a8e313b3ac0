/*
 * FETCH items (the first line) of a message (the rest): every section found lies in the message, and what is written of
 * envelope and structure has its parentheses in order.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "imapd/bodystructure.h"
#include "imapd/envelope.h"
#include "imapd/section.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* Behind a quoted string. */
static struct str
skip_quoted(struct str s)
{
	size_t i = 1;

	while (i < s.n && s.p[i] != '"')
		i += s.p[i] == '\\' ? 2 : 1;
	if (i >= s.n)
		abort();
	return str_skip(s, i + 1);
}

static struct str
skip_literal(struct str s)
{
	size_t close = str_find(s, '}');
	uint64_t n;

	if (!str_to_u64(str_sub(s, 1, close - 1), s.n, &n) || close + 3 + n > s.n)
		abort();
	return str_skip(s, close + 3 + (size_t)n);
}

static void
check_nesting(struct str s)
{
	size_t depth = 0;

	while (s.n > 0) {
		if (s.p[0] == '"') {
			s = skip_quoted(s);
			continue;
		}
		if (s.p[0] == '{') {
			s = skip_literal(s);
			continue;
		}
		if (s.p[0] == ')' && depth == 0)
			abort();
		depth += s.p[0] == '(' ? 1 : s.p[0] == ')' ? (size_t)-1 : 0;
		s = str_skip(s, 1);
	}
	if (depth != 0)
		abort();
}

static void
find_sections(const struct fetch_items *items, const struct mime_part *root, size_t n, struct buf *out)
{
	for (const struct fetch_section *s = items->sections; s != NULL; s = s->next) {
		struct mime_span span;

		buf_reset(out);
		section_write_name(out, s);
		if (section_find(root, s, &span, out) == SECTION_SPAN && (span.offset > n || span.bytes > n - span.offset))
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct str rest = {(const char *)bytes, n}, line;
	struct fetch_items items;
	struct mime_parser parser;
	struct mime_part *root;
	struct parse_text t;
	struct arena arena;
	struct buf out;

	if (!str_token(&rest, '\n', &line))
		return 0;
	arena_init(&arena, 2 * MIME_ARENA_BYTES);
	buf_init(&out, 1 << 26);
	t = (struct parse_text){.rest = line, .arena = &arena};
	mime_init(&parser, &arena);
	mime_feed(&parser, rest);
	root = mime_finish(&parser);
	mime_clear(&parser);
	if (root == NULL)
		abort();
	for (int extended = 0; extended < 2; extended++) {
		buf_reset(&out);
		bodystructure_write(&out, root, extended != 0);
		check_nesting(buf_str(&out));
	}
	buf_reset(&out);
	envelope_write(&out, root->header_text);
	check_nesting(buf_str(&out));
	if (fetch_items_parse(&t, &items) && parse_end(&t))
		find_sections(&items, root, rest.n, &out);
	buf_clear(&out);
	arena_clear(&arena);
	return 0;
}
