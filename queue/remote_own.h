/*
 * The addresses at which this host takes mail itself: what leads there would come back to us (RFC 5321 5.1).
 */
#ifndef QUEUE_REMOTE_OWN_H
#define QUEUE_REMOTE_OWN_H

#include "common/conf/conf.h"

#define REMOTE_OWN_MAX 256

struct remote_own {
	struct endpoint list[REMOTE_OWN_MAX];
	size_t n;
};

/* From the listeners of kind mx; those on all addresses stand for the interfaces' present ones. To be called before
 * the process is locked in. */
void remote_own_find(struct remote_own *own, const struct conf *conf);
bool remote_own_has(const struct remote_own *own, const struct endpoint *endpoint);

#endif
