/*
 * `merpati queue top`: what queued is at work on, live.
 */
#ifndef QUEUE_LISTING_TOP_H
#define QUEUE_LISTING_TOP_H

#include "queue/listing_options.h"

int listing_top(const struct listing_options *options, char **ids);

#endif
