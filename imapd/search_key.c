#include "imapd/search_key.h"

#include "common/store/maildir_name.h"

/* ---- parsing --------------------------------------------------------------------------------------------------- */

struct search_parser {
	struct parse_text *t;
	struct search *search;
};

static struct search_key *parse_key(struct search_parser *p, unsigned depth);

static struct search_key *
new_key(struct search_parser *p, enum search_kind kind)
{
	struct search_key *key = arena_alloc(p->t->arena, sizeof *key);

	if (key == NULL) {
		(void)parse_fail(p->t, "Command too long");
		return NULL;
	}
	key->kind = kind;
	if (kind >= SEARCH_SENT_BEFORE)
		key->content = p->search->content_keys++;
	if (++p->search->keys > SEARCH_KEYS_MAX || p->search->content_keys > SEARCH_CONTENT_KEYS_MAX) {
		(void)parse_fail(p->t, "Too many search keys");
		return NULL;
	}
	return key;
}

static struct search_key *
negate(struct search_parser *p, struct search_key *operand)
{
	struct search_key *key = operand == NULL ? NULL : new_key(p, SEARCH_NOT);

	if (key != NULL)
		key->first = operand;
	return key;
}

enum argument {
	NO_ARGUMENT,
	FLAG,	      /* none; the flags of the row are set */
	NOT_FLAG,     /* ... or not */
	KEYWORD,
	NOT_KEYWORD,
	DATE,
	NUMBER,
	FIELD_TEXT,   /* the row names the field */
	HEADER_TEXT,  /* field and text */
	PLAIN_TEXT,
	UID_SET,
	OPERAND,
	TWO_OPERANDS,
	NEW_KEY,
	OLD_KEY,
};

struct key_row {
	const char *name;
	enum search_kind kind;
	enum argument argument;
	unsigned flags;
};

static const struct key_row rows[] = {
    {"ALL", SEARCH_ALL, NO_ARGUMENT, 0},
    {"ANSWERED", SEARCH_FLAGS, FLAG, MAILDIR_REPLIED},
    {"BCC", SEARCH_HEADER, FIELD_TEXT, 0},
    {"BEFORE", SEARCH_BEFORE, DATE, 0},
    {"BODY", SEARCH_BODY, PLAIN_TEXT, 0},
    {"CC", SEARCH_HEADER, FIELD_TEXT, 0},
    {"DELETED", SEARCH_FLAGS, FLAG, MAILDIR_TRASHED},
    {"DRAFT", SEARCH_FLAGS, FLAG, MAILDIR_DRAFT},
    {"FLAGGED", SEARCH_FLAGS, FLAG, MAILDIR_FLAGGED},
    {"FROM", SEARCH_HEADER, FIELD_TEXT, 0},
    {"HEADER", SEARCH_HEADER, HEADER_TEXT, 0},
    {"KEYWORD", SEARCH_KEYWORD, KEYWORD, 0},
    {"LARGER", SEARCH_LARGER, NUMBER, 0},
    {"NEW", SEARCH_RECENT, NEW_KEY, 0},
    {"NOT", SEARCH_NOT, OPERAND, 0},
    {"OLD", SEARCH_RECENT, OLD_KEY, 0},
    {"ON", SEARCH_ON, DATE, 0},
    {"OR", SEARCH_OR, TWO_OPERANDS, 0},
    {"RECENT", SEARCH_RECENT, NO_ARGUMENT, 0},
    {"SEEN", SEARCH_FLAGS, FLAG, MAILDIR_SEEN},
    {"SENTBEFORE", SEARCH_SENT_BEFORE, DATE, 0},
    {"SENTON", SEARCH_SENT_ON, DATE, 0},
    {"SENTSINCE", SEARCH_SENT_SINCE, DATE, 0},
    {"SINCE", SEARCH_SINCE, DATE, 0},
    {"SMALLER", SEARCH_SMALLER, NUMBER, 0},
    {"SUBJECT", SEARCH_HEADER, FIELD_TEXT, 0},
    {"TEXT", SEARCH_TEXT, PLAIN_TEXT, 0},
    {"TO", SEARCH_HEADER, FIELD_TEXT, 0},
    {"UID", SEARCH_UIDS, UID_SET, 0},
    {"UNANSWERED", SEARCH_FLAGS, NOT_FLAG, MAILDIR_REPLIED},
    {"UNDELETED", SEARCH_FLAGS, NOT_FLAG, MAILDIR_TRASHED},
    {"UNDRAFT", SEARCH_FLAGS, NOT_FLAG, MAILDIR_DRAFT},
    {"UNFLAGGED", SEARCH_FLAGS, NOT_FLAG, MAILDIR_FLAGGED},
    {"UNKEYWORD", SEARCH_KEYWORD, NOT_KEYWORD, 0},
    {"UNSEEN", SEARCH_FLAGS, NOT_FLAG, MAILDIR_SEEN},
};

static const struct key_row *
find_row(struct str name)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (str_equal_nocase(name, str_from(rows[i].name)))
			return &rows[i];
	return NULL;
}

/* What follows the key's name. */
static bool
parse_argument(struct search_parser *p, const struct key_row *row, struct search_key *key)
{
	struct parse_text *t = p->t;

	key->flags = row->flags;
	switch (row->argument) {
	case KEYWORD:
	case NOT_KEYWORD:
		return parse_space(t) && parse_atom(t, &key->text);
	case DATE:
		p->search->needs_date |= key->kind < SEARCH_SENT_BEFORE;
		return parse_space(t) && parse_date(t, &key->day);
	case NUMBER:
		return parse_space(t) && parse_number(t, &key->number);
	case FIELD_TEXT:
		key->field = str_from(row->name);
		return parse_space(t) && parse_astring(t, &key->text);
	case HEADER_TEXT:
		return parse_space(t) && parse_astring(t, &key->field) && parse_space(t) &&
		    parse_astring(t, &key->text);
	case PLAIN_TEXT:
		p->search->needs_body = true;
		return parse_space(t) && parse_astring(t, &key->text);
	case UID_SET:
		return parse_space(t) && seqset_parse(t, &key->set);
	case NO_ARGUMENT:
	case FLAG:
	case NOT_FLAG:
	case OPERAND:
	case TWO_OPERANDS:
	case NEW_KEY:
	case OLD_KEY:
		break;
	}
	return true;
}

static struct search_key *
parse_operand(struct search_parser *p, unsigned depth)
{
	return parse_space(p->t) ? parse_key(p, depth + 1) : NULL;
}

/* NOT, OR: operands are keys themselves. */
static bool
parse_operands(struct search_parser *p, const struct key_row *row, struct search_key *key, unsigned depth)
{
	if (row->argument != OPERAND && row->argument != TWO_OPERANDS)
		return true;
	key->first = parse_operand(p, depth);
	if (key->first == NULL || row->argument == OPERAND)
		return key->first != NULL;
	key->first->next = parse_operand(p, depth);
	return key->first->next != NULL;
}

/* NEW is (RECENT UNSEEN). */
static struct search_key *
add_unseen(struct search_parser *p, struct search_key *recent)
{
	struct search_key *both = new_key(p, SEARCH_AND), *seen = new_key(p, SEARCH_FLAGS);

	if (both == NULL || seen == NULL)
		return NULL;
	seen->flags = MAILDIR_SEEN;
	both->first = recent;
	recent->next = negate(p, seen);
	return recent->next == NULL ? NULL : both;
}

static struct search_key *
parse_named_key(struct search_parser *p, unsigned depth)
{
	const struct key_row *row;
	struct search_key *key;
	struct str name;

	if (!parse_atom(p->t, &name))
		return NULL;
	row = find_row(name);
	if (row == NULL) {
		(void)parse_fail(p->t, "Unknown search key");
		return NULL;
	}
	key = new_key(p, row->kind);
	if (key == NULL || !parse_argument(p, row, key) || !parse_operands(p, row, key, depth))
		return NULL;
	if (row->argument == NOT_FLAG || row->argument == NOT_KEYWORD || row->argument == OLD_KEY)
		return negate(p, key);
	return row->argument == NEW_KEY ? add_unseen(p, key) : key;
}

/* search-key *(SP search-key), up to `end` of the text or a parenthesis. */
static struct search_key *
parse_all(struct search_parser *p, unsigned depth)
{
	struct search_key *all = new_key(p, SEARCH_AND), **end;

	if (all == NULL)
		return NULL;
	end = &all->first;
	do {
		*end = parse_key(p, depth);
		if (*end == NULL)
			return NULL;
		end = &(*end)->next;
	} while (parse_skip(p->t, ' '));
	return all;
}

static struct search_key *
parse_key(struct search_parser *p, unsigned depth)
{
	struct search_key *key;
	char c = p->t->rest.n > 0 ? p->t->rest.p[0] : '\0';

	if (depth > SEARCH_DEPTH_MAX) {
		(void)parse_fail(p->t, "Search keys are nested too deep");
		return NULL;
	}
	if (parse_skip(p->t, '(')) {
		key = parse_all(p, depth + 1);
		return key != NULL && parse_char(p->t, ')') ? key : NULL;
	}
	if (!ascii_is_digit(c) && c != '*')
		return parse_named_key(p, depth);
	key = new_key(p, SEARCH_SEQUENCE);
	return key != NULL && seqset_parse(p->t, &key->set) ? key : NULL;
}

bool
search_parse(struct parse_text *t, struct search *search)
{
	struct search_parser p = {t, search};

	*search = (struct search){0};
	if (parse_keyword(t, "CHARSET") &&
	    (!parse_space(t) || !parse_astring(t, &search->charset) || !parse_space(t)))
		return false;
	search->root = parse_all(&p, 0);
	return search->root != NULL;
}

void
search_walk(struct search_key *key, void (*visit)(struct search_key *key, void *context), void *context)
{
	for (; key != NULL; key = key->next) {
		visit(key, context);
		search_walk(key->first, visit, context);
	}
}

/* ---- deciding -------------------------------------------------------------------------------------------------- */

static enum search_truth
truth(bool b)
{
	return b ? SEARCH_YES : SEARCH_NO;
}

static enum search_truth
eval_and(const struct search_key *key, const struct search_facts *facts)
{
	enum search_truth all = SEARCH_YES;

	for (key = key->first; key != NULL; key = key->next) {
		enum search_truth one = search_eval(key, facts);

		if (one == SEARCH_NO)
			return SEARCH_NO;
		if (one == SEARCH_UNKNOWN)
			all = SEARCH_UNKNOWN;
	}
	return all;
}

static enum search_truth
eval_or(const struct search_key *key, const struct search_facts *facts)
{
	enum search_truth any = SEARCH_NO;

	for (key = key->first; key != NULL; key = key->next) {
		enum search_truth one = search_eval(key, facts);

		if (one == SEARCH_YES)
			return SEARCH_YES;
		if (one == SEARCH_UNKNOWN)
			any = SEARCH_UNKNOWN;
	}
	return any;
}

static enum search_truth
eval_not(const struct search_key *key, const struct search_facts *facts)
{
	enum search_truth operand = search_eval(key->first, facts);

	if (operand == SEARCH_UNKNOWN)
		return SEARCH_UNKNOWN;
	return truth(operand == SEARCH_NO);
}

static enum search_truth
eval_date(const struct search_key *key, const struct search_facts *facts)
{
	if (!facts->has_day)
		return SEARCH_UNKNOWN;
	if (key->kind == SEARCH_BEFORE)
		return truth(facts->day < key->day);
	return truth(key->kind == SEARCH_ON ? facts->day == key->day : facts->day >= key->day);
}

enum search_truth
search_eval(const struct search_key *key, const struct search_facts *facts)
{
	switch (key->kind) {
	case SEARCH_AND:
		return eval_and(key, facts);
	case SEARCH_OR:
		return eval_or(key, facts);
	case SEARCH_NOT:
		return eval_not(key, facts);
	case SEARCH_ALL:
		return SEARCH_YES;
	case SEARCH_SEQUENCE:
		return truth(seqset_contains(&key->set, facts->sequence));
	case SEARCH_UIDS:
		return truth(seqset_contains(&key->set, facts->uid));
	case SEARCH_FLAGS:
		return truth((facts->flags & key->flags) == key->flags);
	case SEARCH_RECENT:
		return truth(facts->recent);
	case SEARCH_KEYWORD:
		return truth(facts->has_keyword(facts, key->text));
	case SEARCH_BEFORE:
	case SEARCH_ON:
	case SEARCH_SINCE:
		return eval_date(key, facts);
	case SEARCH_LARGER:
		return truth(facts->wire_size > key->number);
	case SEARCH_SMALLER:
		return truth(facts->wire_size < key->number);
	case SEARCH_SENT_BEFORE:
	case SEARCH_SENT_ON:
	case SEARCH_SENT_SINCE:
	case SEARCH_HEADER:
	case SEARCH_BODY:
	case SEARCH_TEXT:
		break;
	}
	return facts->content[key->content];
}
