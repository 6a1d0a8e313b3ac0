/*
 * How many recipients wait for each site, in the whole queue: what queued does not know, because what is deferred costs it
 * nothing.
 */
#ifndef QUEUE_LISTING_QUEUED_H
#define QUEUE_LISTING_QUEUED_H

#include "queue/listing_options.h"
#include "queue/listing_sites.h"

/* Reads the whole queue, and asks queued which site each domain belongs to. Sites that it does not know of are added. */
bool listing_queued_add(struct listing_sites *sites, const struct listing_options *options, struct control_client *client,
    struct err *err);

#endif
