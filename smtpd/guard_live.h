/*
 * How many connections each address, network and login has now, so that none can take all. Bounded by the number of
 * sessions.
 */
#ifndef SMTPD_GUARD_LIVE_H
#define SMTPD_GUARD_LIVE_H

#include "common/base/tree.h"
#include "smtpd/guard_key.h"

struct guard_live_subject {
	struct guard_key key;
	size_t count;
	RB_ENTRY(guard_live_subject) link;
};

RB_HEAD(guard_live_tree, guard_live_subject);

struct guard_live {
	struct guard_live_tree tree;
};

void guard_live_init(struct guard_live *live);
void guard_live_clear(struct guard_live *live);
/* Counts one more connection; NULL when it would be more than max (0: no limit), or memory is out. */
struct guard_live_subject *guard_live_add(struct guard_live *live, const struct guard_key *key, size_t max);
/* The connection is over; subject may be NULL. */
void guard_live_remove(struct guard_live *live, struct guard_live_subject *subject);

struct guard_live_visit {
	void (*visit)(struct guard_live_visit *visit, const struct guard_live_subject *subject);
};

/* Of all that are connected. */
void guard_live_each(struct guard_live *live, struct guard_live_visit *visit);
size_t guard_live_count(const struct guard_live *live, uint64_t hash);

#endif
