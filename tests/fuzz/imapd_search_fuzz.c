/*
 * A SEARCH program (the first line) over a message (the rest): parsed, resolved, decided, with every text looked into. What
 * NOT turns round must come out turned round.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "imapd/search_content.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static bool
has_keyword(const struct search_facts *facts, struct str keyword)
{
	return keyword.n % 2 == facts->flags % 2;
}

static void
resolve(struct search_key *key, void *context)
{
	(void)context;
	if (key->kind == SEARCH_SEQUENCE || key->kind == SEARCH_UIDS)
		seqset_resolve(&key->set, 100);
}

static void
look(struct search_content *content, const struct mime_part *part, struct str message)
{
	for (; part != NULL; part = part->next) {
		if (search_content_part(content, part))
			search_content_feed(content, str_sub(message, (size_t)part->body.offset, (size_t)part->body.bytes));
		search_content_part_end(content);
		look(content, part->first, message);
	}
}

static void
search_in(struct search *search, struct arena *arena, struct str message)
{
	struct search_facts facts = {.sequence = 3, .uid = 30, .flags = 5, .wire_size = message.n, .has_day = true,
	    .day = 20000, .has_keyword = has_keyword};
	struct search_key not = {.kind = SEARCH_NOT, .first = search->root};
	struct search_content content;
	struct mime_parser parser;
	const struct mime_part *root;
	enum search_truth truth;

	mime_init(&parser, arena);
	mime_feed(&parser, message);
	root = mime_finish(&parser);
	mime_clear(&parser);
	if (root == NULL || !search_content_init(&content, arena, search))
		return;
	facts.content = content.truths;
	search_content_begin(&content);
	(void)search_eval(search->root, &facts);
	search_content_header(&content, root->header_text);
	look(&content, root, message);
	search_content_end(&content);
	truth = search_eval(search->root, &facts);
	if (truth == SEARCH_UNKNOWN || search_eval(&not, &facts) != (truth == SEARCH_YES ? SEARCH_NO : SEARCH_YES))
		abort();
	search_content_clear(&content);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct str rest = {(const char *)bytes, n}, line;
	struct parse_text t;
	struct search search;
	struct arena arena;

	if (!str_token(&rest, '\n', &line))
		return 0;
	arena_init(&arena, 2 * MIME_ARENA_BYTES);
	t = (struct parse_text){.rest = line, .arena = &arena};
	if (search_parse(&t, &search) && parse_end(&t)) {
		search_walk(search.root, resolve, NULL);
		search_in(&search, &arena, rest);
	}
	arena_clear(&arena);
	return 0;
}
