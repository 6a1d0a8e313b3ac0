/*
 * The words of a rule: a word ends at a blank, a bracket or a comma; a text stands in double quotes; # at the beginning
 * or after a blank begins a comment. For rule.c only.
 */
#ifndef COMMON_RULE_TOKEN_H
#define COMMON_RULE_TOKEN_H

#include "common/base/str.h"

struct rule_token {
	enum { RULE_TOKEN_END, RULE_TOKEN_WORD, RULE_TOKEN_TEXT, RULE_TOKEN_OPEN, RULE_TOKEN_CLOSE, RULE_TOKEN_COMMA } kind;
	struct str text; /* without the quotes */
};

struct rule_tokens {
	struct str rest;	 /* behind `ahead` */
	struct rule_token ahead; /* the next one */
	struct rule_token taken;
	const char *place; /* behind the last that was taken */
	const char *ahead_end;
	const char *problem; /* NULL, or a constant: then END comes */
};

void rule_tokens_init(struct rule_tokens *t, struct str text);
/* The next one, which stays. */
const struct rule_token *rule_tokens_see(const struct rule_tokens *t);
/* The next one; valid until the next take. */
const struct rule_token *rule_tokens_take(struct rule_tokens *t);
/* Takes one and sees the next. */
const struct rule_token *rule_tokens_next(struct rule_tokens *t);
/* Behind the last that was taken. */
const char *rule_tokens_place(const struct rule_tokens *t);

/* For messages: "word" with quotes, or what it is. */
struct rule_token_text {
	char text[80];
};

struct rule_token_text rule_token_shown(const struct rule_token *token);

#endif
