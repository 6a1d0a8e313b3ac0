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

struct listing_site {
	struct control_site site;
	uint64_t queued; /* recipients that wait for it, deferred ones too */
	bool is_unknown; /* queued knows nothing of it, as its site or at all */
};

struct listing_sites {
	struct listing_site *list; /* the busiest first, once they are sorted */
	size_t n, cap;
	bool is_counted; /* `queued` is known */
	struct arena arena; /* of their strings */
};

void listing_sites_init(struct listing_sites *sites);
void listing_sites_clear(struct listing_sites *sites);
/* Forgets what was there. */
bool listing_sites_fetch(struct listing_sites *sites, struct control_client *client, struct err *err);
/* One more; its strings are copied. False: out of memory. */
bool listing_sites_put(struct listing_sites *sites, const struct listing_site *site);
/* Those of the same key become one. */
void listing_sites_merge(struct listing_sites *sites);
void listing_sites_sort(struct listing_sites *sites);
/* All of it: sorted, and written with a head, at most so many. */
void listing_sites_add(struct buf *b, const struct listing_style *style, struct listing_sites *sites, size_t most);

/* "works", "has trouble", "to be tried with one", "left alone for 12m": now_ms by the clock of the wall. */
void listing_site_health(char text[64], const struct control_site *site, uint64_t now_ms);
/* As JSON. */
void listing_site_print_json(struct buf *b, const struct control_site *site);

#endif
