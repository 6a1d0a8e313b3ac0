/* Any bytes as a state file; what was accepted must be written and read back the same. */
#include <stdlib.h>
#include <string.h>

#include "common/store/mailbox_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct mailbox_state state, again;
	struct buf out;

	if (!mailbox_state_parse(&state, (struct str){(const char *)bytes, n}) || state.next == 0)
		return 0;
	buf_init(&out, MAILBOX_STATE_MAX_BYTES);
	mailbox_state_format(&out, &state);
	if (!buf_ok(&out) || !mailbox_state_parse(&again, buf_str(&out)) || memcmp(&state, &again, sizeof state) != 0)
		abort();
	buf_clear(&out);
	return 0;
}
