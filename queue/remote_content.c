#include "queue/remote_content.h"

#include <errno.h>
#include <unistd.h>

void
remote_content_rewind(struct remote_content *content)
{
	content->piece = 0;
	content->at = 0;
}

bool
remote_content_is_read(struct remote_content *c)
{
	while (c->piece < c->npieces && c->at == c->pieces[c->piece].length) {
		c->piece++;
		c->at = 0;
	}
	return c->piece == c->npieces;
}

size_t
remote_content_read(struct remote_content *c, char *bytes, size_t n)
{
	const struct queue_piece *piece;
	ssize_t got;

	if (remote_content_is_read(c))
		return 0;
	piece = &c->pieces[c->piece];
	if (n > piece->length - c->at)
		n = (size_t)(piece->length - c->at);
	do
		got = pread(c->fd, bytes, n, (off_t)(piece->offset + c->at));
	while (got < 0 && errno == EINTR);
	if (got <= 0)
		return 0;
	c->at += (uint64_t)got;
	return (size_t)got;
}
