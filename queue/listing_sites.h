/*
 * All that queued knows of sites, and a site in words.
 */
#ifndef QUEUE_LISTING_SITES_H
#define QUEUE_LISTING_SITES_H

#include "queue/control_client.h"
#include "queue/control_report.h"
#include "queue/listing_print.h"

/* Fetched at a time; there may be no more in queued. */
#define LISTING_SITES_MAX 1000000

struct listing_sites {
	struct control_site *list; /* the busiest first, once they are sorted */
	size_t n, cap;
	struct arena arena; /* of their strings */
};

void listing_sites_init(struct listing_sites *sites);
void listing_sites_clear(struct listing_sites *sites);
/* Forgets what was there. */
bool listing_sites_fetch(struct listing_sites *sites, struct control_client *client, struct err *err);
void listing_sites_sort(struct listing_sites *sites);
/* All of it: fetched, sorted, and written with a head, at most so many. */
bool listing_sites_add(struct buf *b, const struct listing_style *style, struct listing_sites *sites,
    struct control_client *client, size_t most, struct err *err);

/* "works", "has trouble", "to be tried with one", "left alone for 12m": now_ms by the clock of the wall. */
void listing_site_health(char text[64], const struct control_site *site, uint64_t now_ms);
void listing_sites_print_head(struct buf *b, const struct listing_style *style);
void listing_site_print(struct buf *b, const struct listing_style *style, const struct control_site *site, uint64_t now_ms);

#endif
