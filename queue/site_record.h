/*
 * What is remembered of a site for the postmaster to see: nothing is decided by it.
 */
#ifndef QUEUE_SITE_RECORD_H
#define QUEUE_SITE_RECORD_H

#include "common/base/str.h"

#define SITE_POLICY_MAX 100

struct site_record {
	uint64_t good_ms, failed_ms; /* when a delivery last ended well, and in trouble, by the clock of the wall; 0: never */
	char policy[SITE_POLICY_MAX + 1]; /* of the last connection: what decided on TLS, and which TLS it was; empty: not known */
};

void site_record_policy(struct site_record *record, struct str policy, struct str tls);

#endif
