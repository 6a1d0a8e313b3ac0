#include "queue/remote_header.h"

#include <errno.h>
#include <unistd.h>

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

static ssize_t
read_at(int fd, char *bytes, size_t n, uint64_t offset)
{
	ssize_t got;

	do
		got = pread(fd, bytes, n, (off_t)offset);
	while (got < 0 && errno == EINTR);
	return got;
}

static enum remote_header
piece_look(struct look *look, int fd, const struct queue_piece *piece)
{
	enum remote_header found = REMOTE_HEADER_UNKNOWN;
	char bytes[READ_BYTES];
	uint64_t at = 0;

	while (found == REMOTE_HEADER_UNKNOWN && at < piece->length && look->left > 0) {
		size_t n = piece->length - at < sizeof bytes ? (size_t)(piece->length - at) : sizeof bytes;
		ssize_t got = read_at(fd, bytes, n < look->left ? n : look->left, piece->offset + at);

		if (got <= 0) {
			look->left = 0;
			break;
		}
		found = look_at(look, (struct str){bytes, (size_t)got});
		at += (uint64_t)got;
		look->left -= (size_t)got;
	}
	return found;
}

enum remote_header
remote_header_look(int fd, const struct queue_piece *pieces, size_t npieces)
{
	struct look look = {.left = REMOTE_HEADER_MAX_BYTES};
	enum remote_header found = REMOTE_HEADER_UNKNOWN;

	for (size_t i = 0; found == REMOTE_HEADER_UNKNOWN && i < npieces && look.left > 0; i++)
		found = piece_look(&look, fd, &pieces[i]);
	/* All of it was header, and nothing was found. */
	return found == REMOTE_HEADER_UNKNOWN && look.left > 0 ? REMOTE_HEADER_ASCII : found;
}
