/*
 * The commands of merpati-queue(8) that only look: list, show. They return the exit status.
 */
#ifndef QUEUE_LISTING_VIEW_H
#define QUEUE_LISTING_VIEW_H

#include "queue/listing_options.h"

int listing_view_list(const struct listing_options *options, char **ids);
int listing_view_show(const struct listing_options *options, char **ids);

/* For all commands: what went wrong, on standard error; the exit status. */
int listing_view_fail(const struct err *err);
/* Writes it to standard output, and empties it. */
void listing_view_put(struct buf *b);

#endif
