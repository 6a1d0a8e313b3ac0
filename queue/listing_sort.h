/*
 * A list in order. What is remembered of each message is its place and the key it is sorted by (some 130 bytes), and it is
 * opened again when its turn comes; at most LISTING_SORT_MAX of them are remembered at a time, those that come first. The
 * queue is gone through once for each so many messages that are listed.
 */
#ifndef QUEUE_LISTING_SORT_H
#define QUEUE_LISTING_SORT_H

#include "queue/listing_walk.h"

#define LISTING_SORT_MAX 1000000

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
	struct listing_seen seen;
	uint64_t number; /* of AGE, SIZE, NEXT: the smaller is first */
	char *text;	 /* of the others */
};

/* The first `most` behind the last one of the last time. */
struct listing_sort {
	enum listing_key key;
	bool reverse;
	size_t most;
	struct listing_entry *entries; /* when there are `most` of them a heap, the last of them at its root */
	size_t n, cap;
	bool has_last;
	struct listing_entry last;
};

bool listing_key_parse(struct str word, enum listing_key *key);
/* In any thread: what is to be added of this message. */
struct listing_entry listing_sort_entry(enum listing_key key, const struct listed *message);
/* Takes the entry over. False: memory is out. */
bool listing_sort_add(struct listing_sort *sort, struct listing_entry *entry);
/* Into the order. */
void listing_sort_do(struct listing_sort *sort);
/* Forgets them, and begins behind the last one. False: there are no more. */
bool listing_sort_again(struct listing_sort *sort);
void listing_sort_clear(struct listing_sort *sort);

#endif
