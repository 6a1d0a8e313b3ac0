/* Any bytes as a folder's name and as a directory's: a name that was taken must come back from its directory. */
#include <stdlib.h>

#include "common/store/folder_name.h"
#include "common/mime/mutf7.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void
check_name(struct str name)
{
	struct buf disk, back, again;

	buf_init(&disk, 4096);
	buf_init(&back, 4096);
	buf_init(&again, 4096);
	if (folder_name_to_disk(&disk, name)) {
		if (!folder_name_from_disk(&back, buf_str(&disk)))
			abort();
		/* but for INBOX at the top, which has one spelling */
		if (!str_equal_nocase(buf_str(&back), name) || !folder_name_to_disk(&again, buf_str(&back)) ||
		    !str_equal(buf_str(&again), buf_str(&disk)))
			abort();
	}
	buf_clear(&disk);
	buf_clear(&back);
	buf_clear(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct str s = {(const char *)bytes, n};
	struct buf out;

	check_name(s);
	buf_init(&out, 65536);
	if (folder_name_from_disk(&out, s))
		check_name(buf_str(&out));
	buf_reset(&out);
	if (mutf7_decode(&out, s) && !utf8_is_valid(buf_str(&out)))
		abort();
	buf_clear(&out);
	return 0;
}
