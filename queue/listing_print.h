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

struct listing_style {
	enum listing_format format;
	bool colour; /* for TEXT: a terminal reads it */
};

enum listing_colour {
	LISTING_PLAIN,
	LISTING_BOLD,
	LISTING_DIM,
	LISTING_RED,
	LISTING_GREEN,
	LISTING_YELLOW,
	LISTING_BLUE,
	LISTING_COLOURS,
};

/* The text in that colour, if there are colours, and blanks behind it up to the width. Strangers' text is escaped. */
void listing_print_cell(struct buf *b, const struct listing_style *style, enum listing_colour colour, int width,
    struct str text);
/* A duration in the largest unit of which there are two: 119s, 47m, 30h, 4d. */
void listing_print_duration(char text[16], uint64_t seconds);
/* The same of bytes: 999, 12K, 3M. */
void listing_print_bytes(char text[16], uint64_t bytes);

/* What stands above and below the list. */
void listing_print_head(struct buf *b, const struct listing_style *style);
void listing_print_end(struct buf *b, const struct listing_style *style, uint64_t messages, uint64_t bytes);
/* One message of a list. */
void listing_print(struct buf *b, const struct listing_style *style, const struct listed *message);

/* Everything about one; history: what listing_print_record has written of its records. */
void listing_print_whole(struct buf *b, enum listing_format format, const struct listed *message,
    const struct buf *history);
/* A record of the history; nothing for others. security keeps what was said of the attempt that follows. */
void listing_print_record(struct buf *b, struct buf *security, enum listing_format format,
    const struct queue_record *record);

#endif
