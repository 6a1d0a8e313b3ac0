/*
 * A message's bytes, from the pieces of its queue file.
 */
#ifndef QUEUE_REMOTE_CONTENT_H
#define QUEUE_REMOTE_CONTENT_H

#include "common/queue/queue_file.h"

struct remote_content {
	int fd; /* borrowed, as the pieces are */
	const struct queue_piece *pieces;
	size_t npieces;
	size_t piece; /* the next to be read, and from where in it */
	uint64_t at;
};

void remote_content_rewind(struct remote_content *content);
bool remote_content_is_read(struct remote_content *content);
/* The next bytes, at most n; 0 at the end, and, before it, when the file does not have what it should. */
size_t remote_content_read(struct remote_content *content, char *bytes, size_t n);

#endif
