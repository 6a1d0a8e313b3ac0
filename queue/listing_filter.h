/*
 * Which messages of the queue a command means: conditions that all must hold. Those on recipients hold for one and the same
 * recipient that still waits. Pure.
 */
#ifndef QUEUE_LISTING_FILTER_H
#define QUEUE_LISTING_FILTER_H

#include "queue/listing.h"

struct listing_filter {
	/* Each .p NULL: any. What sender and recipient may be: see listing_filter_address. */
	struct str sender;
	struct str recipient;
	struct str site;   /* a domain of recipients, "@domain" with all below it, or the relay that was tried last */
	struct str reason; /* a part of the last answer, in any case */
	uint64_t age_min_s, age_max_s;	 /* 0: no limit */
	uint64_t size_min, size_max;
	unsigned places; /* 1 << enum spool_place; 0: all */
};

/* Values of options. False with *problem: not understood. Borrowed: text must live as long as the filter. */
bool listing_filter_age(struct listing_filter *filter, struct str text, const char **problem);
bool listing_filter_size(struct listing_filter *filter, struct str text, const char **problem);
bool listing_filter_state(struct listing_filter *filter, struct str text, const char **problem);

/* Does it mean everything? */
bool listing_filter_is_empty(const struct listing_filter *filter);
/* What can be told before the message is opened. */
bool listing_filter_may_match(const struct listing_filter *filter, const struct queue_id *id, uint64_t now_s);
bool listing_filter_matches(const struct listing_filter *filter, const struct listed *message, uint64_t now_s);

/*
 * "<>" the null sender; "@dua.test" everybody there; with * or ? a pattern; with @ just that address; else a part of it.
 * Letters count in either case.
 */
bool listing_filter_address(struct str pattern, struct str address);

#endif
