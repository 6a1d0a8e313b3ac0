/*
 * The queue in numbers: messages, recipients and bytes by state, and recipients that wait by domain and age, as the classic
 * tools for Postfix show it.
 */
#ifndef QUEUE_LISTING_STATS_H
#define QUEUE_LISTING_STATS_H

#include "queue/listing_options.h"

/* Domains that are told apart; what further ones have goes into "others". */
#define LISTING_STATS_DOMAINS_MAX 100000
#define LISTING_STATS_AGES 8

int listing_stats(const struct listing_options *options, char **ids);

#endif
