/*
 * How many messages of each sender are in memory, so that nobody's flood fills it: a sender may have as many as are free for
 * others. Pure. Bounded by the messages that are in memory; allocates, and fatal when memory is out.
 */
#ifndef QUEUE_SHARE_H
#define QUEUE_SHARE_H

#include <stdbool.h>

#include "common/base/tree.h"
#include "queue/pace.h"

struct share {
	RB_ENTRY(share) link;
	uint64_t key;
	uint64_t messages;
	uint64_t left_ms;  /* when the last went */
	double every_ms;   /* how often one goes, smoothed; 0: not known */
	struct pace pace;
};

RB_HEAD(share_tree, share);

struct shares {
	struct share_tree tree;
};

void shares_init(struct shares *shares);
void shares_clear(struct shares *shares);
/* One more message of the sender whose hash is the key. */
struct share *share_enter(struct shares *shares, uint64_t key);
/* It has as many as it may: most, but a few in any case. The one that is asked for counts. */
bool share_is_over(const struct share *share, uint64_t most);
/* In how many milliseconds that one is to come again: as pace_slot_ms. */
uint64_t share_again_ms(struct share *share, uint64_t max_ms, uint64_t now_ms, uint32_t random);
/* One less: `done`, or it found no place. The share is gone with its last message. */
void share_leave(struct shares *shares, struct share *share, bool done, uint64_t now_ms);

#endif
