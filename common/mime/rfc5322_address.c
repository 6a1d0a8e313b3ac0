/*
 * Address lists (RFC 5322 3.4, 4.4), read as they are met in the wild. The parser never goes back: an unclosed comment
 * or quoted string reaches to the end of the field.
 */
#include "common/mime/rfc5322.h"

#include <string.h>

struct list_parser {
	struct arena *arena;
	struct str rest;
	struct rfc5322_address *first, **last;
	size_t count, bad;
	bool in_group;
	/* Of the member in hand: */
	struct buf phrase;	/* its words as a display name */
	struct buf local;	/* its last words as a local part */
	size_t phrase_before;	/* length of the phrase without those */
	struct str comment;	/* the last comment, without its parentheses */
	bool gap;		/* blanks or comments stand before the next token */
};

static bool
is_space(char c)
{
	return ascii_is_blank(c) || c == '\r' || c == '\n';
}

/* RFC 5322 3.2.3, but for the dot, which is met in names and local parts alike. */
static bool
is_special(char c)
{
	return c != '\0' && strchr("()<>[]:;@\\,\"", c) != NULL;
}

static bool
at(const struct list_parser *p, char c)
{
	return p->rest.n > 0 && p->rest.p[0] == c;
}

static void
skip_comment(struct list_parser *p)
{
	unsigned depth = 0;
	size_t i = 0;

	while (i < p->rest.n) {
		char c = p->rest.p[i++];

		if (c == '\\' && i < p->rest.n)
			i++;
		else if (c == '(')
			depth++;
		else if (c == ')' && --depth == 0)
			break;
	}
	p->comment = str_sub(p->rest, 1, i - 1);
	if (depth == 0 && p->comment.n > 0)
		p->comment.n--;
	p->rest = str_skip(p->rest, i);
}

static void
skip_cfws(struct list_parser *p)
{
	while (p->rest.n > 0) {
		if (at(p, '('))
			skip_comment(p);
		else if (is_space(p->rest.p[0]))
			p->rest = str_skip(p->rest, 1);
		else
			return;
		p->gap = true;
	}
}

/* Appends a quoted string, at whose opening quote the parser is, without its quotes and backslashes. */
static void
take_quoted(struct list_parser *p, struct buf *out)
{
	struct str s = p->rest;
	size_t i = 1;

	for (; i < s.n && s.p[i] != '"'; i++) {
		if (s.p[i] == '\\' && i + 1 < s.n)
			i++;
		if (s.p[i] != '\r' && s.p[i] != '\n')
			buf_addc(out, s.p[i]);
	}
	p->rest = str_skip(s, i + 1);
}

static struct str
take_atom(struct list_parser *p)
{
	size_t n = 0;
	struct str atom;

	while (n < p->rest.n && !is_space(p->rest.p[n]) && !is_special(p->rest.p[n]))
		n++;
	atom = str_sub(p->rest, 0, n);
	p->rest = str_skip(p->rest, n);
	return atom;
}

/* Takes one word, an atom with its dots or a quoted string; false when neither is next. */
static bool
take_word(struct list_parser *p)
{
	bool quoted = at(p, '"'), dotted = p->local.n > 0 && p->local.p[p->local.n - 1] == '.';
	size_t begin;

	if (!quoted && (p->rest.n == 0 || is_special(p->rest.p[0])))
		return false;
	if (p->gap && !dotted && !at(p, '.')) {
		/* `John Smith john@x.test`: only the last word can be a local part. */
		buf_reset(&p->local);
		p->phrase_before = p->phrase.n;
	}
	if (p->gap && p->phrase.n > 0)
		buf_addc(&p->phrase, ' ');
	begin = p->phrase.n;
	if (quoted)
		take_quoted(p, &p->phrase);
	else
		buf_add(&p->phrase, take_atom(p));
	buf_add(&p->local, str_skip(buf_str(&p->phrase), begin));
	p->gap = false;
	return true;
}

static void
take_words(struct list_parser *p)
{
	buf_reset(&p->phrase);
	buf_reset(&p->local);
	p->phrase_before = 0;
	p->gap = false;
	skip_cfws(p);
	p->gap = false;
	while (take_word(p))
		skip_cfws(p);
}

/* domain = labels with dots between, around which blanks and comments may stand, or a literal. */
static void
take_domain(struct list_parser *p, struct buf *out)
{
	skip_cfws(p);
	if (at(p, '[')) {
		size_t n = str_find(p->rest, ']');

		n = n < p->rest.n ? n + 1 : n;
		for (size_t i = 0; i < n; i++)
			if (!is_space(p->rest.p[i]))
				buf_addc(out, p->rest.p[i]);
		p->rest = str_skip(p->rest, n);
		skip_cfws(p);
		return;
	}
	do {
		buf_add(out, take_atom(p));
		p->gap = false;
		skip_cfws(p);
	} while (p->rest.n > 0 && (at(p, '.') || (out->n > 0 && out->p[out->n - 1] == '.')) && !is_special(p->rest.p[0]));
}

/* There was an @, so there is a domain, be it an empty one. */
static struct str
domain_str(const struct buf *domain)
{
	return domain->n > 0 ? buf_str(domain) : STR("");
}

static struct rfc5322_address *
add(struct list_parser *p, enum rfc5322_kind kind)
{
	struct rfc5322_address *address;

	if (p->count >= RFC5322_ADDRESSES_MAX && kind != RFC5322_GROUP_END)
		return NULL;
	address = arena_alloc(p->arena, sizeof *address);
	if (address == NULL)
		return NULL;
	address->kind = kind;
	*p->last = address;
	p->last = &address->next;
	p->count++;
	return address;
}

static struct str
without_space(struct list_parser *p, struct str s)
{
	char *text = arena_alloc(p->arena, s.n + 1);
	size_t n = 0;

	if (text == NULL)
		return STR_NONE;
	for (size_t i = 0; i < s.n; i++)
		if (!is_space(s.p[i]))
			text[n++] = s.p[i];
	return (struct str){text, n};
}

/* The text of a comment: without backslashes and line ends. */
static struct str
comment_text(struct list_parser *p, struct str comment)
{
	char *text = arena_alloc(p->arena, comment.n + 1);
	size_t n = 0;

	if (text == NULL)
		return STR_NONE;
	for (size_t i = 0; i < comment.n; i++) {
		if (comment.p[i] == '\\' && i + 1 < comment.n)
			i++;
		if (comment.p[i] != '\r' && comment.p[i] != '\n')
			text[n++] = comment.p[i];
	}
	return str_trim((struct str){text, n});
}

/* name: the phrase, or empty: then a comment does. domain: .p NULL for none. */
static void
add_mailbox(struct list_parser *p, struct str name, struct str route, struct str local, struct str domain)
{
	struct rfc5322_address *address;

	if (local.n == 0) {
		p->bad++;
		return;
	}
	address = add(p, RFC5322_MAILBOX);
	if (address == NULL)
		return;
	name = str_trim(name);
	if (name.n > 0)
		address->name = arena_copy(p->arena, name);
	else if (p->comment.n > 0)
		address->name = comment_text(p, p->comment);
	if (address->name.n == 0)
		address->name = STR_NONE;
	if (route.n > 0)
		address->route = without_space(p, route);
	address->local = arena_copy(p->arena, local);
	if (domain.p != NULL)
		address->domain = arena_copy(p->arena, domain);
}

/* Up to the end of the member, passing over quoted strings and comments. True when there was something. */
static bool
skip_member(struct list_parser *p)
{
	bool some = false;

	for (skip_cfws(p); p->rest.n > 0 && !at(p, ',') && !at(p, ';'); skip_cfws(p)) {
		buf_reset(&p->local);
		some = true;
		if (at(p, '"'))
			take_quoted(p, &p->local);
		else
			p->rest = str_skip(p->rest, 1);
	}
	return some;
}

/* angle-addr = "<" [route ":"] addr-spec ">"; the phrase before it is in p->phrase. */
static void
parse_angle(struct list_parser *p)
{
	struct str name = arena_copy(p->arena, buf_str(&p->phrase)), route = STR_NONE, local;
	struct buf domain;
	bool has_domain;

	buf_init(&domain, p->rest.n + 1);
	p->rest = str_skip(p->rest, 1);
	skip_cfws(p);
	if (at(p, '@')) {
		size_t colon = str_find(p->rest, ':'), end = str_find(p->rest, '>');

		if (colon < end) {
			route = str_sub(p->rest, 0, colon);
			p->rest = str_skip(p->rest, colon + 1);
		}
	}
	take_words(p);
	has_domain = at(p, '@');
	local = buf_str(has_domain ? &p->local : &p->phrase);
	if (has_domain) {
		p->rest = str_skip(p->rest, 1);
		take_domain(p, &domain);
	}
	if (at(p, '>'))
		p->rest = str_skip(p->rest, 1);
	skip_cfws(p);
	add_mailbox(p, name, route, local, has_domain ? domain_str(&domain) : STR_NONE);
	buf_clear(&domain);
	(void)skip_member(p);
}

/* addr-spec without brackets; p->local is its local part, p->rest at the @. */
static void
parse_bare(struct list_parser *p)
{
	struct buf domain;

	buf_init(&domain, p->rest.n + 1);
	p->rest = str_skip(p->rest, 1);
	take_domain(p, &domain);
	if (at(p, '<')) {
		/* `a@x.test <a@x.test>`: a name that should have been quoted */
		buf_addc(&p->phrase, '@');
		buf_add(&p->phrase, buf_str(&domain));
		parse_angle(p);
	} else {
		add_mailbox(p, str_sub(buf_str(&p->phrase), 0, p->phrase_before), STR_NONE, buf_str(&p->local),
		    domain_str(&domain));
		(void)skip_member(p);
	}
	buf_clear(&domain);
}

static void
begin_group(struct list_parser *p)
{
	struct rfc5322_address *group;

	p->rest = str_skip(p->rest, 1);
	if (p->in_group)
		return; /* groups do not nest: what looks like the name of one within is nothing */
	group = add(p, RFC5322_GROUP);
	if (group == NULL)
		return;
	group->name = arena_copy(p->arena, str_trim(buf_str(&p->phrase)));
	p->in_group = true;
}

static void
parse_member(struct list_parser *p)
{
	p->comment = STR_NONE;
	take_words(p);
	if (at(p, '@')) {
		parse_bare(p);
	} else if (at(p, '<')) {
		parse_angle(p);
	} else if (at(p, ':')) {
		begin_group(p);
	} else if (skip_member(p) || p->phrase_before > 0) {
		p->bad++;
	} else if (p->phrase.n > 0) {
		add_mailbox(p, STR_NONE, STR_NONE, buf_str(&p->local), STR_NONE);
	}
}

static void
end_group(struct list_parser *p)
{
	if (p->in_group)
		(void)add(p, RFC5322_GROUP_END);
	p->in_group = false;
}

struct rfc5322_address *
rfc5322_addresses_parse(struct arena *a, struct str value, size_t *bad)
{
	struct list_parser p = {.arena = a, .rest = value};

	p.last = &p.first;
	buf_init(&p.phrase, 2 * value.n + 2);
	buf_init(&p.local, 2 * value.n + 2);
	while (p.rest.n > 0 && !a->failed && p.count < RFC5322_ADDRESSES_MAX) {
		if (at(&p, ';'))
			end_group(&p);
		if (at(&p, ';') || at(&p, ','))
			p.rest = str_skip(p.rest, 1);
		else
			parse_member(&p);
	}
	end_group(&p);
	buf_clear(&p.phrase);
	buf_clear(&p.local);
	if (bad != NULL)
		*bad = p.bad;
	return p.first;
}
