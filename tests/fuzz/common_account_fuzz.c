/*
 * The line that tells an account: whatever is read is fit for paths, uids and logs, and makes an equal line again.
 */
#include <stdlib.h>
#include <string.h>

#include "common/login/account.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct account account, again;
	struct buf b;

	if (!account_parse(&account, (struct str){(const char *)bytes, n}))
		return 0;
	if (account.uid == 0 || account.gid == 0 || account.home[0] != '/' || account.mail[0] != '/' ||
	    strstr(account.mail, "/../") != NULL || !account_name_is_good(str_from(account.name)) ||
	    strchr(account.name, '/') != NULL || account.name[0] == '.')
		abort();
	buf_init(&b, 8192);
	account_format(&b, &account);
	if (!account_parse(&again, buf_str(&b)) || memcmp(&account, &again, sizeof account) != 0)
		abort();
	buf_clear(&b);
	return 0;
}
