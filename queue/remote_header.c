#include "queue/remote_header.h"

#include "common/base/str.h"

#define READ_BYTES 16384

struct look {
	size_t line; /* bytes of the present line, without its end */
	size_t left; /* that may still be looked at */
};

/* ASCII: the header has ended. UNKNOWN: on with the next bytes. */
static enum remote_header
look_at(struct look *look, struct str bytes)
{
	for (size_t i = 0; i < bytes.n; i++) {
		if ((unsigned char)bytes.p[i] > 127)
			return REMOTE_HEADER_UTF8;
		if (bytes.p[i] == '\n' && look->line == 0)
			return REMOTE_HEADER_ASCII;
		if (bytes.p[i] == '\n')
			look->line = 0;
		else if (bytes.p[i] != '\r')
			look->line++;
	}
	return REMOTE_HEADER_UNKNOWN;
}

enum remote_header
remote_header_look(const struct remote_content *content)
{
	struct look look = {.left = REMOTE_HEADER_MAX_BYTES};
	struct remote_content c = *content;
	enum remote_header found = REMOTE_HEADER_UNKNOWN;
	char bytes[READ_BYTES];

	remote_content_rewind(&c);
	while (found == REMOTE_HEADER_UNKNOWN && look.left > 0) {
		size_t n = remote_content_read(&c, bytes, look.left < sizeof bytes ? look.left : sizeof bytes);

		if (n == 0)
			break;
		found = look_at(&look, (struct str){bytes, n});
		look.left -= n;
	}
	/* All of it was header, and nothing was found. */
	return found == REMOTE_HEADER_UNKNOWN && remote_content_is_read(&c) ? REMOTE_HEADER_ASCII : found;
}
