/* Any bytes as a file name; what is made from it must be read back the same. */
#include <stdlib.h>

#include "common/store/maildir_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct maildir_name name, again;
	struct buf out;

	if (!maildir_name_parse(&name, (struct str){(const char *)bytes, n}))
		return 0;
	buf_init(&out, 4096);
	maildir_name_format(&out, name.base, name.flags, name.keywords, name.letters);
	if (out.n <= MAILDIR_NAME_MAX) {
		if (!maildir_name_parse(&again, buf_str(&out)) || again.flags != name.flags ||
		    again.keywords != name.keywords || again.uid != name.uid || again.wire_size != name.wire_size)
			abort();
	}
	buf_reset(&out);
	maildir_name_rebase(&out, name.base, 1, 2, 3, "abcd");
	if (out.n <= MAILDIR_NAME_MAX &&
	    (!maildir_name_parse(&again, buf_str(&out)) || again.uid != 3 || again.size != 1 || again.wire_size != 2))
		abort();
	buf_clear(&out);
	return 0;
}
