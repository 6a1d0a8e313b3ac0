/*
 * The queue in numbers: messages, recipients and bytes by state, and recipients that wait by domain and age, as the classic
 * tools for Postfix show it.
 */
#ifndef QUEUE_LISTING_STATS_H
#define QUEUE_LISTING_STATS_H

#include "queue/listing_options.h"

int listing_stats(const struct listing_options *options, char **ids);

#endif
