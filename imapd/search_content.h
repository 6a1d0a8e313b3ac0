/*
 * What SEARCH wants to know of a message's text: the keys that need the file, asked about one message after the other.
 * Header fields are decoded (RFC 2047) before they are compared, bodies of text parts too (transfer encoding, character
 * set); other attachments are not looked into. Pure: whoever reads the file feeds it.
 *
 *     search_content_begin(&c);
 *     search_content_header(&c, root->header_text);      enough for keys about header fields
 *     for each other part in order:
 *         if (search_content_part(&c, part))              its body is wanted
 *             search_content_feed(&c, bytes) ...
 *         search_content_part_end(&c)
 *     search_content_end(&c);
 */
#ifndef IMAPD_SEARCH_CONTENT_H
#define IMAPD_SEARCH_CONTENT_H

#include "common/mime/mime.h"
#include "common/mime/mime_charset.h"
#include "common/mime/mime_decode.h"
#include "imapd/match.h"
#include "imapd/search_key.h"

#define SEARCH_FEED_MAX 32768 /* bytes of one call */

struct search_content {
	const struct search *search;
	struct search_key **keys; /* by search_key.content */
	struct match *matches;	  /* beside them */
	enum search_truth *truths;
	struct mime_decoder decoder;
	struct mime_charset charset;
	bool in_part;
	struct match_fold fold;
	struct buf text, folded;
};

/* Made in the arena; false when that is full. */
bool search_content_init(struct search_content *c, struct arena *a, struct search *search);
void search_content_clear(struct search_content *c);

void search_content_begin(struct search_content *c);
void search_content_header(struct search_content *c, struct str header);
bool search_content_part(struct search_content *c, const struct mime_part *part);
void search_content_feed(struct search_content *c, struct str bytes);
void search_content_part_end(struct search_content *c);
/* All of the message was seen: what was not found is not there. */
void search_content_end(struct search_content *c);

#endif
