/*
 * The commands of merpati-queue(8) that ask queued what it is doing: why, sites. They return the exit status.
 */
#ifndef QUEUE_LISTING_LIVE_H
#define QUEUE_LISTING_LIVE_H

#include "queue/control_client.h"
#include "queue/control_report.h"
#include "queue/listing_options.h"

int listing_live_why(const struct listing_options *options, char **ids);
int listing_live_sites(const struct listing_options *options, char **ids);

#endif
