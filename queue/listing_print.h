/*
 * A message of the queue as text: for people, as JSON (a line each), in the forms of Postfix's mailq and
 * `postqueue -j`. Pure.
 */
#ifndef QUEUE_LISTING_PRINT_H
#define QUEUE_LISTING_PRINT_H

#include "queue/listing.h"

enum listing_format {
	LISTING_TEXT,
	LISTING_JSON,	 /* the members of `postqueue -j`, and some more */
	LISTING_MAILQ,	 /* as Postfix's mailq writes it, with long queue IDs */
	LISTING_POSTFIX, /* as `postqueue -j` writes it */
};

/* What stands above and below the list. */
void listing_print_head(struct buf *b, enum listing_format format);
void listing_print_end(struct buf *b, enum listing_format format, uint64_t messages, uint64_t bytes);
/* One message of a list. */
void listing_print(struct buf *b, enum listing_format format, const struct listed *message);

/* Everything about one; history: what listing_print_record has written of its records. */
void listing_print_whole(struct buf *b, enum listing_format format, const struct listed *message,
    const struct buf *history);
/* A record of the history; nothing for others. */
void listing_print_record(struct buf *b, enum listing_format format, const struct queue_record *record);

#endif
