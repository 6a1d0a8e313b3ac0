/*
 * A header on its way through queue/downconvert.c: the field Content-Transfer-Encoding is replaced, what makes a message MIME
 * is added where it is missing, everything else passes as it is. In pieces of any size. Pure.
 */
#ifndef QUEUE_DOWNCONVERT_HEADER_H
#define QUEUE_DOWNCONVERT_HEADER_H

#include "common/base/buf.h"

/* Longer than the names that are looked for. */
#define DOWNCONVERT_NAME_MAX 32

struct downconvert_header {
	/* What is to be done: */
	const char *encoding; /* NULL: that field stays */
	bool add_mime;	      /* MIME-Version, if there is none */
	bool add_type;	      /* Content-Type: text in a character set that nobody named (RFC 1428) */

	/* Its own, zero at first: the beginning of the line while it may still be something. */
	char name[DOWNCONVERT_NAME_MAX];
	size_t name_n;
	bool passing;	   /* the rest of the line follows its beginning */
	bool dropping;	   /* of the field */
	bool has_mime, ended;
};

void downconvert_header_write(struct downconvert_header *header, struct str bytes, struct buf *out);
/* The header is over; without an empty line nothing is added, since then there is no body either. */
void downconvert_header_end(struct downconvert_header *header, struct buf *out);

#endif
