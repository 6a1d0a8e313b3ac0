/*
 * What the configuration allows a site.
 */
#ifndef QUEUE_SITE_H
#define QUEUE_SITE_H

#include "common/conf/conf.h"
#include "queue/site_health.h"

/* Of any site; the configuration is referred to. */
void site_limits_usual(struct site_limits *limits, const struct conf_queue *conf);
/* Of our own deliver. */
void site_limits_local(struct site_limits *limits, const struct conf_queue *conf);

#endif
