#include "queue/remote_header.h"

#include "common/base/buf.h"

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

/* --- TLS-Required ------------------------------------------------------------------------------------------------------ */

static void
beginning_read(struct buf *out, const struct remote_content *content)
{
	struct remote_content c = *content;
	size_t n;

	remote_content_rewind(&c);
	do {
		size_t room = out->max - out->n < READ_BYTES ? out->max - out->n : READ_BYTES;
		char *to = room > 0 ? buf_reserve(out, room) : NULL;

		n = to != NULL ? remote_content_read(&c, to, room) : 0;
		if (n > 0)
			buf_commit(out, n);
	} while (n > 0 && str_search(buf_str(out), STR("\r\n\r\n")) == out->n);
}

bool
remote_header_waives_tls(const struct remote_content *content)
{
	static const struct str field = STR("tls-required:");
	struct str rest, line;
	bool found = false;
	struct buf head;

	buf_init(&head, REMOTE_HEADER_WAIVER_BYTES);
	beginning_read(&head, content);
	rest = buf_str(&head);
	while (!found && str_token(&rest, '\n', &line) && str_trim(line).n > 0)
		found = str_starts_nocase(line, field) && str_equal_nocase(str_trim(str_skip(line, field.n)), STR("no"));
	buf_clear(&head);
	return found;
}
