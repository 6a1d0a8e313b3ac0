/*
 * What a site is known to bear: its window (how many deliveries may run at a time), its trouble, its death and how it comes
 * back. Pure.
 *
 * The window begins small, grows by one for each windowful of good endings while there is more to do, and shrinks by one on
 * trouble. Where trouble came is a ceiling: it is tried again only after as many windowfuls as it proved right before,
 * so that a server that takes four connections and no more is asked for a fifth now and then, not all the time. A row of
 * trouble without a good ending in between, a windowful at least and no less than dead_after, is death: the site is
 * left alone for the first of the times, then one delivery probes it; that failing, for the next time, of which the last
 * repeats. One good ending revives it.
 */
#ifndef QUEUE_SITE_HEALTH_H
#define QUEUE_SITE_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct site_limits {
	unsigned window_start; /* deliveries at a time, as long as little is known of it */
	unsigned window;       /* and at most */
	unsigned dead_after;
	const uint64_t *dead_s; /* how long it is left alone: first, then ...; never empty, static */
	size_t ndead;
	uint64_t dead_max_ms; /* but never longer */
	unsigned rate;	      /* so many deliveries may begin ... */
	uint64_t rate_ms;     /* ... in that time, evenly; 0: there is no such limit */
	bool special;	      /* by a section of the configuration: not changed by what is said of sites in general */
};

struct site_health {
	double window;
	double ceiling;	  /* above that it grows slowly; 0: none is known */
	unsigned caution; /* by so many times */
	double trouble;	  /* windowfuls of it since the last good ending */
	unsigned troubles;
	unsigned deaths;	/* in a row, for the times */
	uint64_t dead_until_ms; /* 0: alive */
	bool probing;		/* was dead: one at a time until one ends well */
};

void site_health_init(struct site_health *h, const struct site_limits *limits);
bool site_health_is_dead(const struct site_health *h, uint64_t now_ms);
/* Whether one more may run beside so many. */
bool site_health_has_room(const struct site_health *h, unsigned running);
/* Its time is over, or somebody said that it works again. */
void site_health_probe(struct site_health *h);
/* has_more: it was the window for which others wait. */
void site_health_good(struct site_health *h, const struct site_limits *limits, bool has_more);
/* True when it has died of that. */
bool site_health_trouble(struct site_health *h, const struct site_limits *limits, uint64_t now_ms);

#endif
