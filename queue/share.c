#include "queue/share.h"

#include <stdlib.h>

#include "common/base/log.h"

/* So many anybody may have. */
#define LEAST 20
/* Before any of its messages is finished, so that not all come again at once. */
#define EVERY_GUESS_MS 20

static int
share_compare(struct share *a, struct share *b)
{
	return a->key < b->key ? -1 : a->key > b->key;
}

TREE_GENERATE(share_tree, share, link, share_compare)

void
shares_init(struct shares *shares)
{
	RB_INIT(&shares->tree);
}

void
shares_clear(struct shares *shares)
{
	struct share *share;

	while ((share = RB_ROOT(&shares->tree)) != NULL) {
		(void)RB_REMOVE(share_tree, &shares->tree, share);
		free(share);
	}
}

struct share *
share_enter(struct shares *shares, uint64_t key)
{
	struct share probe = {.key = key}, *share = RB_FIND(share_tree, &shares->tree, &probe);

	if (share == NULL) {
		share = calloc(1, sizeof *share);
		if (share == NULL)
			fatal("out of memory for a sender");
		share->key = key;
		(void)RB_INSERT(share_tree, &shares->tree, share);
	}
	share->messages++;
	return share;
}

bool
share_is_over(const struct share *share, uint64_t most)
{
	return share->messages > (most > LEAST ? most : LEAST);
}

uint64_t
share_again_ms(struct share *share, uint64_t max_ms, uint64_t now_ms, uint32_t random)
{
	double every_ms = share->every_ms > 0 ? share->every_ms : EVERY_GUESS_MS;

	return pace_slot_ms(&share->pace, (uint64_t)(every_ms * 1000), share->messages, max_ms, now_ms, random);
}

void
share_leave(struct shares *shares, struct share *share, bool done, uint64_t now_ms)
{
	double gap_ms = now_ms > share->left_ms ? (double)(now_ms - share->left_ms) : 0;

	if (done) {
		if (share->left_ms > 0)
			share->every_ms += (gap_ms - share->every_ms) / 16;
		share->left_ms = now_ms;
	}
	if (--share->messages > 0)
		return;
	(void)RB_REMOVE(share_tree, &shares->tree, share);
	free(share);
}
