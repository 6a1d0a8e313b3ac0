/*
 * Waking what waits for one site: for ETRN (RFC 1985) and the postmaster's `retry --site`. The directories of deferred/ are
 * gone through, a bounded number of messages in each turn of the loop, and what has a recipient there is tried now,
 * whatever its time (but not before its release); the site, if it was dead, is probed.
 */
#ifndef QUEUE_WAKE_H
#define QUEUE_WAKE_H

#include "queue/queue.h"

/* Targets that are looked for at a time; further ones are refused. */
#define WAKE_TARGETS_MAX 32

struct wake *wake_new(struct queue *q);
void wake_free(struct wake *wake);

/*
 * target: a domain, "@domain" with all below it, or the name of an exchanger. A stranger's is heard once a minute. False:
 * malformed, or too many at a time.
 */
bool wake_site(struct wake *wake, struct str target, bool is_strangers);

/* Pure, for it and its test: does this recipient wait for the target? site: the key of its domain's, if that is known. */
bool wake_matches(const struct recipient *r, struct str site, struct str target);

#endif
