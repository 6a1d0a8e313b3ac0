/*
 * What queued tells of itself, in the text of a reply to CONTROL_STATE, CONTROL_SITES and CONTROL_WHY: netstrings. Pure.
 */
#ifndef QUEUE_CONTROL_REPORT_H
#define QUEUE_CONTROL_REPORT_H

#include "common/base/buf.h"

/* What one site may take, its texts being cut. */
#define CONTROL_SITE_MAX_BYTES 2600
/* The longest answer to CONTROL_WHERE about one domain. */
#define CONTROL_WHERE_MAX_BYTES 4200
/* So many domains a CONTROL_WHY asks about at most. */
#define CONTROL_WHY_DOMAINS_MAX 16

struct control_state {
	uint64_t messages, recipients, retries; /* in memory */
	uint64_t deliveries;			/* under way */
};

struct control_site {
	struct str key;
	uint64_t running, waiting; /* deliveries */
	uint64_t window;	   /* how many may run */
	uint64_t dead_until_ms;	   /* by the clock of the wall; 0: alive */
	bool failing;		   /* had trouble since it last worked */
	bool probing;		   /* was dead, and is tried with one at a time */
	struct str trouble;	   /* the last, in words */
	uint64_t good_ms, failed_ms; /* of queue/site_record.h, as is */
	struct str policy;
	struct str limit;	   /* what the next that waits there waits for, in words; empty: nothing waits, or it is dead */
};

/* In front of the sites that matter to it. */
struct control_why {
	struct str doing; /* a sentence without its subject; empty: it is not in memory */
};

/* Of a domain: the key of its site; empty: not known. */
void control_where_add(struct buf *b, struct str key);
void control_state_add(struct buf *b, const struct control_state *state);
void control_site_add(struct buf *b, const struct control_site *site);
void control_why_add(struct buf *b, const struct control_why *why);

/* Each takes one off *text; false at the end, or when it is malformed. Strings are borrowed. */
bool control_where_take(struct str *text, struct str *key);
bool control_state_take(struct str *text, struct control_state *state);
bool control_site_take(struct str *text, struct control_site *site);
bool control_why_take(struct str *text, struct control_why *why);

#endif
