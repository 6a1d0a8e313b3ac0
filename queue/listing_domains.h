/*
 * Recipients that wait, counted by domain and age.
 */
#ifndef QUEUE_LISTING_DOMAINS_H
#define QUEUE_LISTING_DOMAINS_H

#include "common/base/str.h"
#include "common/base/tree.h"
#include "queue/listing.h"

/* Domains that are told apart; what further ones have goes into "others". */
#define LISTING_DOMAINS_MAX 100000
#define LISTING_AGES 8

struct listing_domain {
	RB_ENTRY(listing_domain) link;
	char *name;
	uint64_t recipients;
	uint64_t by_age[LISTING_AGES];
};

RB_HEAD(listing_domain_tree, listing_domain);

struct listing_domains {
	struct listing_domain_tree tree;
	size_t n;
	struct listing_domain others, all;
	uint64_t now_s;
};

void listing_domains_init(struct listing_domains *domains, uint64_t now_s);
void listing_domains_clear(struct listing_domains *domains);
/* Those of a message that wait; how many they are. Not for several threads at once. */
uint64_t listing_domains_count(struct listing_domains *domains, const struct listed *message);
/* Those with the most recipients first; NULL behind the last, and when memory is out. The caller frees. */
struct listing_domain **listing_domains_sorted(struct listing_domains *domains);
/* "5m": so much younger than that, and not than the one before. */
const char *listing_domains_age(size_t i);

#endif
