/*
 * Socketmap from both sides: whole, and cut anywhere, the outcome is the same or MORE. What was taken makes the same
 * bytes again.
 */
#include <stdlib.h>

#include "common/net/socketmap.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void
request(struct str in)
{
	struct str rest = in, map, key, again;
	struct buf b;

	if (socketmap_request_take(&rest, &map, &key) != PARSE_OK)
		return;
	if (map.n == 0 || map.n + 1 + key.n > SOCKETMAP_REQUEST_MAX)
		abort();
	buf_init(&b, in.n);
	socketmap_request_add(&b, map, key);
	if (!str_equal(buf_str(&b), str_sub(in, 0, in.n - rest.n)))
		abort();
	buf_clear(&b);
	for (size_t n = 0; n < in.n - rest.n && n < 300; n++) {
		again = str_sub(in, 0, n);
		if (socketmap_request_take(&again, &map, &key) != PARSE_MORE)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct str in = {(const char *)bytes, n}, rest = in, value;
	enum socketmap_status status;

	request(in);
	while (socketmap_reply_take(&rest, &status, &value) == PARSE_OK)
		if (value.n > SOCKETMAP_REPLY_MAX || status > SOCKETMAP_PERM)
			abort();
	return 0;
}
