/*
 * The aliases file, as aliases(5) has it in every mail system: `name: target, target...`, with continuation lines,
 * quotes and comments; names in any case. Two things more and three less than Sendmail's: a name may be an address of
 * a virtual domain (info@example.test), and a leading backslash of a target is ignored, since an alias that names
 * itself means the account anyway. Commands (|), files (/) and :include: lists are not supported: such an alias is
 * known but broken, its mail waits until somebody mends it, rather than be lost or delivered to half of the targets.
 */
#ifndef AUTH_ALIASES_H
#define AUTH_ALIASES_H

#include "common/base/buf.h"

#define ALIASES_TARGETS_MAX 32768 /* bytes of one alias's targets */

struct alias {
	struct str name;    /* in lower case */
	struct str targets; /* separated by commas: `local` or `local@domain`, unquoted */
	unsigned line;
	bool broken; /* targets are not to be used */
};

struct aliases {
	struct alias *list; /* sorted by name */
	size_t n;
	char *targets; /* what the entries' strings borrow from */
};

/*
 * Reads text; nothing borrows from it afterwards. What is wrong is reported in problems as "PATH:LINE: what" and a
 * newline; problems has a maximum and may be full.
 */
void aliases_parse(struct aliases *aliases, struct str text, const char *path, struct buf *problems);
void aliases_clear(struct aliases *aliases);

/* By name, any case. NULL when there is none. */
const struct alias *aliases_find(const struct aliases *aliases, struct str name);

#endif
