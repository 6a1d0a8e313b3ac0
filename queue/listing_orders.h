/*
 * The commands of merpati-queue(8) that queued carries out: for messages by ID, for all, or for those that a filter
 * means. They return the exit status.
 */
#ifndef QUEUE_LISTING_ORDERS_H
#define QUEUE_LISTING_ORDERS_H

#include "queue/listing_options.h"

int listing_orders_retry(const struct listing_options *options, char **ids);
int listing_orders_hold(const struct listing_options *options, char **ids);
int listing_orders_release(const struct listing_options *options, char **ids);
int listing_orders_delete(const struct listing_options *options, char **ids);
int listing_orders_bounce(const struct listing_options *options, char **ids);
int listing_orders_reroute(const struct listing_options *options, char **ids);

#endif
