/* Any bytes as the UID record of another server. */
#include <stdlib.h>

#include "common/store/uidlist.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct str text = {(const char *)bytes, n}, base;
	struct mailbox_state state = {0};
	struct uidlist list;
	uint32_t uid, next;

	if (uidlist_open(&list, text))
		while (uidlist_next(&list, &uid, &base))
			if (uid == 0 || base.n == 0 || base.n > MAILDIR_NAME_MAX)
				abort();
	(void)uidlist_parse_mbsync(text, &uid, &next);
	uidlist_parse_keywords(&state, text);
	return 0;
}
