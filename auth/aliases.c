#include "auth/aliases.h"

#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 320 /* of a name or target: local part 64, @, domain 255 */

/* The parser: `line` walks through text, a logical line (with its continuations) is gathered in `logical`. */
struct reader {
	const char *path;
	struct buf *problems;
	struct aliases *aliases;
	struct buf targets; /* and names, of all entries; as large as the text from the beginning, so it never moves */
	struct buf logical;
	unsigned line; /* of the logical line's first */
};

static bool
complain(struct reader *r, const char *what, struct str about)
{
	buf_addf(r->problems, "%s:%u: %s", r->path, r->line, what);
	if (about.n > 0) {
		buf_adds(r->problems, " \"");
		buf_add(r->problems, str_sub(about, 0, 100));
		buf_addc(r->problems, '"');
	}
	buf_addc(r->problems, '\n');
	return false;
}

/* --- words --------------------------------------------------------------------------------------------------------- */

/* What an address may consist of here; a comma, quote or blank would not survive the lists that it goes through. */
static bool
address_byte_is_good(char c)
{
	return ascii_is_alnum(c) || (c & 0x80) != 0 || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~.", c) != NULL);
}

/* Of a domain too, and of an address literal. */
static bool
domain_byte_is_good(char c)
{
	return address_byte_is_good(c) || c == '[' || c == ']' || c == ':';
}

static bool
address_is_good(struct str s)
{
	size_t at = str_find_last(s, '@');

	if (s.n == 0 || s.n > NAME_MAX_BYTES || at == 0 || at + 1 == s.n)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (i != at && !(i < at ? address_byte_is_good(s.p[i]) : domain_byte_is_good(s.p[i])))
			return false;
	return true;
}

/*
 * Takes one item, up to a separator outside of quotes, off *rest and puts it unquoted into word. False when a quote
 * does not end or the item is too long.
 */
static bool
item_take(struct str *rest, char separator, struct buf *word, bool *separated)
{
	bool quoted = false;
	size_t i;

	buf_reset(word);
	for (i = 0; i < rest->n && (quoted || rest->p[i] != separator); i++) {
		char c = rest->p[i];

		if (c == '"')
			quoted = !quoted;
		else if (c == '\\' && quoted && i + 1 < rest->n)
			buf_addc(word, rest->p[++i]);
		else
			buf_addc(word, c);
	}
	*separated = i < rest->n;
	*rest = str_skip(*rest, i + 1);
	return !quoted && buf_ok(word);
}

/* --- one alias ----------------------------------------------------------------------------------------------------- */

static bool
target_add(struct reader *r, struct str target, size_t begin)
{
	if (target.n > 0 && target.p[0] == '\\')
		target = str_skip(target, 1);
	if (target.n > 0 && (target.p[0] == '|' || target.p[0] == '/'))
		return complain(r, "commands and files are not supported as targets:", target);
	if (str_starts_nocase(target, STR(":include:")))
		return complain(r, "lists in files are not supported as targets:", target);
	if (!address_is_good(target))
		return complain(r, "not an address:", target);
	if (r->targets.n > begin)
		buf_addc(&r->targets, ',');
	buf_add(&r->targets, target);
	if (r->targets.n - begin > ALIASES_TARGETS_MAX)
		return complain(r, "too many targets", STR_NONE);
	return true;
}

/* Reads all targets even behind a bad one, so that all that is wrong is reported at once. */
static bool
targets_read(struct reader *r, struct str rest, struct alias *alias)
{
	size_t begin = r->targets.n;
	bool good = true, more = true;
	struct buf word;

	buf_init(&word, 4096);
	while (more) {
		struct str target;

		if (!item_take(&rest, ',', &word, &more)) {
			good = complain(r, "a quote does not end, or too long a target", STR_NONE);
			break;
		}
		target = str_trim(buf_str(&word));
		if (target.n > 0)
			good = target_add(r, target, begin) && good;
	}
	buf_clear(&word);
	if (good && r->targets.n == begin)
		good = complain(r, "no target for", alias->name);
	if (!buf_ok(&r->targets))
		good = false;
	if (!good)
		buf_truncate(&r->targets, begin);
	alias->targets = str_skip(buf_str(&r->targets), begin);
	return good;
}

static struct str
name_keep(struct reader *r, struct str name)
{
	size_t begin = r->targets.n;

	for (size_t i = 0; i < name.n; i++)
		buf_addc(&r->targets, ascii_lower(name.p[i]));
	return str_skip(buf_str(&r->targets), begin);
}

static struct alias *
alias_new(struct reader *r)
{
	struct aliases *aliases = r->aliases;
	struct alias *list;

	if ((aliases->n & (aliases->n - 1)) == 0) { /* a power of two: full */
		list = reallocarray(aliases->list, aliases->n == 0 ? 1 : aliases->n * 2, sizeof *list);
		if (list == NULL)
			return NULL;
		aliases->list = list;
	}
	list = &aliases->list[aliases->n++];
	memset(list, 0, sizeof *list);
	list->line = r->line;
	return list;
}

/* Even of too long a line the name is kept, so that its mail waits rather than bounces. */
static void
logical_line_read(struct reader *r)
{
	struct str rest = buf_str(&r->logical), name;
	bool whole = buf_ok(&r->logical), colon = false;
	struct alias *alias;
	struct buf word;

	if (str_trim(rest).n == 0)
		return;
	buf_init(&word, NAME_MAX_BYTES + 64);
	if (!item_take(&rest, ':', &word, &colon) || !colon)
		(void)complain(r, "not of the form `name: target, ...'", str_trim(buf_str(&r->logical)));
	else if (!address_is_good(name = str_trim(buf_str(&word))))
		(void)complain(r, "not fit for the name of an alias:", name);
	else if ((alias = alias_new(r)) == NULL)
		(void)complain(r, "no memory", STR_NONE);
	else {
		alias->name = name_keep(r, name);
		whole = whole || complain(r, "too long a line", STR_NONE);
		alias->broken = !whole || !targets_read(r, rest, alias);
	}
	buf_clear(&word);
	buf_reset(&r->logical);
}

/* What does not fit is cut, and the buffer marked. */
static void
logical_line_add(struct reader *r, struct str part)
{
	size_t room = r->logical.max - r->logical.n;

	buf_add(&r->logical, str_sub(part, 0, room));
	if (part.n > room)
		r->logical.failed = true;
}

/* --- the file ------------------------------------------------------------------------------------------------------ */

/* A line that begins with a blank continues the one before; comments and empty lines between are passed over. */
static void
physical_line_read(struct reader *r, struct str line, unsigned number)
{
	struct str trimmed = str_trim(line);

	if (trimmed.n == 0 || trimmed.p[0] == '#')
		return;
	if (!ascii_is_blank(line.p[0])) {
		logical_line_read(r);
		r->line = number;
	} else if (r->logical.n == 0) {
		r->line = number;
		(void)complain(r, "continues nothing:", trimmed);
		return;
	}
	logical_line_add(r, trimmed);
	logical_line_add(r, STR(" "));
}

static int
alias_compare(const void *a, const void *b)
{
	const struct alias *left = a, *right = b;
	int order = str_compare(left->name, right->name);

	if (order != 0)
		return order;
	return left->line < right->line ? -1 : left->line > right->line;
}

static void
drop_duplicates(struct reader *r)
{
	struct aliases *aliases = r->aliases;
	size_t kept = 0;

	for (size_t i = 0; i < aliases->n; i++) {
		struct alias *alias = &aliases->list[i];

		if (kept == 0 || !str_equal(aliases->list[kept - 1].name, alias->name)) {
			aliases->list[kept++] = *alias;
			continue;
		}
		r->line = alias->line;
		(void)complain(r, "a second line for", alias->name);
	}
	aliases->n = kept;
}

void
aliases_parse(struct aliases *aliases, struct str text, const char *path, struct buf *problems)
{
	struct reader r = {.path = path, .problems = problems, .aliases = aliases};
	struct str rest = text, line;
	unsigned number = 0;

	memset(aliases, 0, sizeof *aliases);
	buf_init(&r.targets, text.n + 1); /* what is kept is never longer than its source */
	if (buf_reserve(&r.targets, text.n + 1) == NULL) {
		(void)complain(&r, "no memory", STR_NONE);
		return;
	}
	buf_init(&r.logical, ALIASES_TARGETS_MAX);
	while (str_token(&rest, '\n', &line))
		physical_line_read(&r, line, ++number);
	logical_line_read(&r);
	buf_clear(&r.logical);
	aliases->targets = r.targets.p;
	if (aliases->n > 1)
		qsort(aliases->list, aliases->n, sizeof *aliases->list, alias_compare);
	drop_duplicates(&r);
}

void
aliases_clear(struct aliases *aliases)
{
	free(aliases->list);
	free(aliases->targets);
	memset(aliases, 0, sizeof *aliases);
}

static int
name_compare(const void *key, const void *element)
{
	const struct str *name = key;
	const struct alias *alias = element;

	return str_compare(*name, alias->name);
}

const struct alias *
aliases_find(const struct aliases *aliases, struct str name)
{
	char lower[NAME_MAX_BYTES];
	struct str key = {lower, name.n};

	if (name.n > sizeof lower || aliases->n == 0)
		return NULL;
	for (size_t i = 0; i < name.n; i++)
		lower[i] = ascii_lower(name.p[i]);
	return bsearch(&key, aliases->list, aliases->n, sizeof *aliases->list, name_compare);
}
