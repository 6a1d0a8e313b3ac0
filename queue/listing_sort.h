/*
 * A list in order: what is remembered of each message is its place and the key it is sorted by (about 80 bytes), and it is
 * opened again when its turn comes. Without an order nothing is remembered.
 */
#ifndef QUEUE_LISTING_SORT_H
#define QUEUE_LISTING_SORT_H

#include "queue/listing.h"

enum listing_key {
	LISTING_KEY_NONE, /* as the directories have it */
	LISTING_KEY_AGE,  /* oldest first */
	LISTING_KEY_SIZE, /* largest first */
	LISTING_KEY_NEXT, /* what is tried next first */
	LISTING_KEY_SENDER,
	LISTING_KEY_RECIPIENT, /* the first that waits */
	LISTING_KEY_SITE,      /* its domain */
	LISTING_KEYS,
};

struct listing_entry {
	struct queue_id id;
	enum spool_place place;
	struct spool_time time;
	uint64_t number; /* of AGE, SIZE, NEXT: the smaller is first */
	char *text;	 /* of the others */
};

struct listing_sort {
	enum listing_key key;
	bool reverse;
	struct listing_entry *entries;
	size_t n, cap;
};

bool listing_key_parse(struct str word, enum listing_key *key);
/* False: memory is out. */
bool listing_sort_add(struct listing_sort *sort, const struct listed *message);
void listing_sort_do(struct listing_sort *sort);
void listing_sort_clear(struct listing_sort *sort);

#endif
