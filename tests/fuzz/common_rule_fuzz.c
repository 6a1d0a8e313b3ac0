/*
 * Rules and files of rules. What is taken has bounds, and `relay` stands only with a condition; parsing its own text again
 * gives the same rule.
 */
#include <stdlib.h>
#include <string.h>

#include "common/conf/rule.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void
look_at(const struct rule *rule, struct rule_maker *maker)
{
	struct rule_list again;
	struct err err;

	if (rule->nconditions > RULE_CONDITIONS_MAX || rule->words.n > RULE_TEXT_MAX || rule->slow_ms > RULE_SLOW_MAX_MS)
		abort();
	if (rule->action == RULE_STANDARD || (rule->action == RULE_RELAY && rule->nconditions == 0))
		abort();
	for (size_t i = 0; i < rule->nconditions; i++)
		if ((rule->conditions[i].nvalues == 0) == (rule->conditions[i].file == NULL))
			abort();
	rule_list_init(&again, 1);
	if (!rule_list_add(&again, maker, rule->text, rule->line, &err) || again.first->action != rule->action ||
	    again.first->nconditions != rule->nconditions || !str_equal(again.first->words, rule->words))
		abort();
}

static void
sets(struct str text)
{
	for (unsigned kind = RULE_SET_NAMES; kind <= RULE_SET_ADDRESSES; kind++) {
		struct rule_set set;
		struct buf problems;

		rule_set_init(&set, (enum rule_set_kind)kind);
		buf_init(&problems, 65536);
		(void)rule_set_parse(&set, text, "/f", &problems);
		(void)rule_set_has_name(&set, text);
		(void)rule_set_has_address(&set, str_sub(text, 0, 255), str_sub(text, 0, 255));
		buf_clear(&problems);
		rule_set_clear(&set);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct str rest = {(const char *)bytes, n}, line;
	struct arena arena;
	struct rule_maker maker = {.arena = &arena, .directory = STR("/etc")};
	struct rule_list list;
	struct err err;

	sets(rest);
	arena_init(&arena, 1024 * 1024);
	rule_list_init(&list, 1);
	for (unsigned i = 1; str_token(&rest, '\n', &line); i++)
		if (!rule_list_add(&list, &maker, line, i, &err) && err.text[0] == '\0')
			abort();
	for (const struct rule *rule = list.first; rule != NULL && !arena.failed && list.nvalues < RULE_VALUES_MAX / 4; rule = rule->next)
		look_at(rule, &maker);
	rule_files_clear(maker.files);
	arena_clear(&arena);
	return 0;
}
