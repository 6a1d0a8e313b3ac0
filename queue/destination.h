/*
 * Which site serves a domain: asked of the remote workers (which ask DNS), remembered as long as they say. Bounded: the
 * longest unused answers are forgotten.
 */
#ifndef QUEUE_DESTINATION_H
#define QUEUE_DESTINATION_H

#include <bsd/sys/queue.h>

#include "common/base/str.h"
#include "common/base/tree.h"
#include "queue/job.h"

struct destination;

/* One that waits for an answer. */
struct destination_query {
	/* Called once, never from inside destination_ask. The query is its owner's again. */
	void (*answered)(struct destination_query *query, const struct destination *destination);
	TAILQ_ENTRY(destination_query) link;
};

TAILQ_HEAD(destination_queries, destination_query);

struct destination {
	char *domain; /* in lower case */
	RB_ENTRY(destination) by_domain;
	RB_ENTRY(destination) by_id;
	TAILQ_ENTRY(destination) age_link; /* of the answered ones */
	uint32_t id;
	bool is_answered;
	bool is_told; /* to its queries, at this moment */
	uint64_t expires_ms;
	enum job_status status;
	char *site; /* DELIVERED: its key */
	char *security; /* and what the domain demands of connections */
	char *code; /* otherwise */
	char *reason;
	struct destination_queries queries;
};

RB_HEAD(destination_domains, destination);
RB_HEAD(destination_ids, destination);
TAILQ_HEAD(destination_ages, destination);

struct destinations {
	struct destination_domains domains;
	struct destination_ids ids; /* unanswered ones */
	struct destination_ages ages; /* oldest first */
	size_t nanswered, max;
	uint32_t next_id;
	/* Sends RESOLVE to a worker; false when there is none: destinations_ask_all follows when there is. */
	bool (*send)(struct destinations *destinations, uint32_t id, struct str domain);
};

void destinations_init(struct destinations *ds, size_t max, bool (*send)(struct destinations *, uint32_t, struct str));
void destinations_clear(struct destinations *ds);

/* The answer if it is known; NULL: it is asked for, and query->answered will be called. */
const struct destination *destination_ask(struct destinations *ds, struct destination_query *query, struct str domain,
    uint64_t now_ms);
/* The site's key if it is known already, however old the answer; else empty. Borrowed until the next call. */
struct str destination_site(const struct destinations *ds, struct str domain);
/* A worker's answer; unknown ids (answered by another meanwhile) are ignored. */
void destination_answer(struct destinations *ds, uint32_t id, const struct job_site *site, uint64_t now_ms);
/* Asks again for all that is unanswered: a worker came, or went with our questions. */
void destinations_ask_all(struct destinations *ds);

#endif
