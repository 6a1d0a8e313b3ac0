/*
 * The aliases file: what comes out is a list of addresses that no separator or control byte hides in.
 */
#include <stdlib.h>

#include "auth/aliases.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void
check(const struct aliases *aliases, const struct alias *alias)
{
	struct str rest = alias->targets, target;

	if (aliases_find(aliases, alias->name) != alias || alias->name.n == 0)
		abort();
	if (alias->broken)
		return;
	if (rest.n == 0 || rest.n > ALIASES_TARGETS_MAX + 400)
		abort();
	while (str_token(&rest, ',', &target)) {
		if (target.n == 0 || target.p[0] == '|' || target.p[0] == '/' || target.p[0] == ':')
			abort();
		for (size_t i = 0; i < target.n; i++)
			if ((unsigned char)target.p[i] <= ' ' || target.p[i] == 127 || target.p[i] == '"')
				abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct aliases aliases;
	struct buf problems;

	buf_init(&problems, 4096);
	aliases_parse(&aliases, (struct str){(const char *)bytes, n}, "aliases", &problems);
	for (size_t i = 0; i < aliases.n; i++)
		check(&aliases, &aliases.list[i]);
	aliases_clear(&aliases);
	buf_clear(&problems);
	return 0;
}
