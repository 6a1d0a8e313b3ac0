#include "imapd/list_pattern.h"

#include <string.h>

#define SEPARATOR '/'

/* Of neighbouring wildcards one does the work of all: the star, if there is one. */
static size_t
add(char *to, size_t n, char c)
{
	bool wildcard = c == '*' || c == '%';

	if (wildcard && n > 0 && (to[n - 1] == '*' || (to[n - 1] == '%' && c == '%')))
		return n;
	if (c == '*' && n > 0 && to[n - 1] == '%')
		n--;
	to[n] = c;
	return n + 1;
}

struct str
list_pattern_make(struct arena *a, struct str reference, struct str mailbox)
{
	char *to;
	size_t n = 0;

	if (reference.n > LIST_PATTERN_MAX || mailbox.n > LIST_PATTERN_MAX)
		return STR_NONE;
	to = arena_alloc(a, reference.n + mailbox.n + 1);
	if (to == NULL)
		return STR_NONE;
	for (size_t i = 0; i < reference.n; i++)
		n = add(to, n, reference.p[i]);
	for (size_t i = 0; i < mailbox.n; i++)
		n = add(to, n, mailbox.p[i]);
	return (struct str){to, n};
}

/* The first level INBOX is the same in any case. */
static size_t
inbox_prefix(struct str name)
{
	size_t level = str_find(name, SEPARATOR);

	return str_equal_nocase(str_sub(name, 0, level), STR("INBOX")) ? level : 0;
}

static bool
is_same(char pattern, char name, bool any_case)
{
	return pattern == name || (any_case && ascii_upper(pattern) == ascii_upper(name));
}

/*
 * can[i]: may the name up to here have been matched by the first i bytes of the pattern? One pass over the name, all
 * ways at once, so that no pattern makes it try again and again.
 */
bool
list_pattern_matches(struct str pattern, struct str name)
{
	bool can[2 * LIST_PATTERN_MAX + 1] = {true};
	size_t any_case = inbox_prefix(name);

	if (pattern.n > 2 * LIST_PATTERN_MAX)
		return false;
	for (size_t p = 0; p < pattern.n && (pattern.p[p] == '*' || pattern.p[p] == '%'); p++)
		can[p + 1] = true;
	for (size_t i = 0; i < name.n; i++) {
		bool before = can[0];

		can[0] = false;
		for (size_t p = 0; p < pattern.n; p++) {
			bool was = can[p + 1];
			char c = pattern.p[p];

			if (c == '*' || c == '%')
				can[p + 1] = can[p] || (was && (c == '*' || name.p[i] != SEPARATOR));
			else
				can[p + 1] = before && is_same(c, name.p[i], i < any_case);
			before = was;
		}
	}
	return can[pattern.n];
}
