/*
 * What the configuration says of sites: of all, and the sections [site NAME]. Pure.
 */
#ifndef QUEUE_SITE_H
#define QUEUE_SITE_H

#include "common/conf/conf.h"
#include "queue/site_health.h"

/* The first section that covers a site, by the key of that (queue/job.h) and a domain of which it is; NULL: none does. */
const struct conf_site *site_section(const struct conf *conf, struct str key, struct str domain);

/* Of any site; the configuration is referred to. */
void site_limits_usual(struct site_limits *limits, const struct conf_queue *conf);
/* Of those that a section covers: usual where that says nothing. */
void site_limits_special(struct site_limits *limits, const struct conf_queue *conf, const struct conf_site *section);
/* Of our own deliver. */
void site_limits_local(struct site_limits *limits, const struct conf_queue *conf);

/* Of two lists for retries (the second may be NULL) the one with the shorter wait after so many tries. */
const struct conf_times *site_retry_shorter(const struct conf_times *a, const struct conf_times *b, uint64_t tries);
/* The longest wait that any list for retries has. */
uint64_t site_retry_longest_s(const struct conf *conf);

#endif
