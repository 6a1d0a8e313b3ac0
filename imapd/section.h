/*
 * Which bytes of a message BODY[section] is (RFC 3501 6.4.5). Pure.
 */
#ifndef IMAPD_SECTION_H
#define IMAPD_SECTION_H

#include "common/mime/mime.h"
#include "imapd/fetch_item.h"

enum section_found {
	SECTION_MISSING, /* NIL */
	SECTION_SPAN,	 /* of the file */
	SECTION_BYTES,	 /* chosen fields of a header, as on the wire */
};

/* Is all that it needs in the message's own header? Then the root may be of the header alone. */
bool section_is_of_header(const struct fetch_section *section);
/* bytes: is appended to; only for SECTION_BYTES. */
enum section_found section_find(const struct mime_part *root, const struct fetch_section *section,
    struct mime_span *span, struct buf *bytes);
/* The name in the response, with <start>. */
void section_write_name(struct buf *out, const struct fetch_section *section);

#endif
