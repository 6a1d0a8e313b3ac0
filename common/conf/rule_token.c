#include "common/conf/rule_token.h"

#include <stdio.h>

static bool
ends_word(char c)
{
	return ascii_is_blank(c) || c == '(' || c == ')' || c == ',' || c == '"';
}

static size_t
word_length(struct str s)
{
	size_t n = 0;

	while (n < s.n && !ends_word(s.p[n]))
		n++;
	return n;
}

/* The text behind the opening quote. */
static size_t
text_read(struct rule_tokens *t)
{
	struct str inside = str_skip(t->rest, 1);
	size_t n = str_find(inside, '"');

	if (n == inside.n) {
		t->problem = "the closing \" is missing";
		return 0;
	}
	t->ahead = (struct rule_token){RULE_TOKEN_TEXT, str_sub(inside, 0, n)};
	return n + 2;
}

/* How many bytes it takes; 0 at the end. */
static size_t
token_read(struct rule_tokens *t)
{
	char c = t->rest.p[0];

	switch (c) {
	case '"':
		return text_read(t);
	case '(':
		t->ahead.kind = RULE_TOKEN_OPEN;
		return 1;
	case ')':
		t->ahead.kind = RULE_TOKEN_CLOSE;
		return 1;
	case ',':
		t->ahead.kind = RULE_TOKEN_COMMA;
		return 1;
	case '#':
		return 0;
	}
	t->ahead = (struct rule_token){RULE_TOKEN_WORD, str_sub(t->rest, 0, word_length(t->rest))};
	return t->ahead.text.n;
}

static void
look_ahead(struct rule_tokens *t)
{
	size_t n;

	while (t->rest.n > 0 && ascii_is_blank(t->rest.p[0]))
		t->rest = str_skip(t->rest, 1);
	t->ahead = (struct rule_token){.kind = RULE_TOKEN_END};
	n = t->rest.n > 0 && t->problem == NULL ? token_read(t) : 0;
	if (n == 0)
		t->ahead.kind = RULE_TOKEN_END;
	t->rest = n == 0 ? str_skip(t->rest, t->rest.n) : str_skip(t->rest, n);
	t->ahead_end = t->rest.p;
}

void
rule_tokens_init(struct rule_tokens *t, struct str text)
{
	*t = (struct rule_tokens){.rest = text, .place = text.p};
	look_ahead(t);
}

const struct rule_token *
rule_tokens_see(const struct rule_tokens *t)
{
	return &t->ahead;
}

const struct rule_token *
rule_tokens_take(struct rule_tokens *t)
{
	t->taken = t->ahead;
	if (t->taken.kind != RULE_TOKEN_END) {
		t->place = t->ahead_end;
		look_ahead(t);
	}
	return &t->taken;
}

const struct rule_token *
rule_tokens_next(struct rule_tokens *t)
{
	(void)rule_tokens_take(t);
	return &t->ahead;
}

const char *
rule_tokens_place(const struct rule_tokens *t)
{
	return t->place;
}

struct rule_token_text
rule_token_shown(const struct rule_token *token)
{
	struct rule_token_text shown = {"the end of the line"};

	if (token->kind == RULE_TOKEN_OPEN || token->kind == RULE_TOKEN_CLOSE || token->kind == RULE_TOKEN_COMMA)
		(void)snprintf(shown.text, sizeof shown.text, "\"%c\"", ",()"[token->kind == RULE_TOKEN_COMMA ? 0
			: token->kind == RULE_TOKEN_OPEN ? 1 : 2]);
	else if (token->kind != RULE_TOKEN_END)
		(void)snprintf(shown.text, sizeof shown.text, "\"%.*s\"", STR_FMT(str_sub(token->text, 0, 60)));
	return shown;
}
