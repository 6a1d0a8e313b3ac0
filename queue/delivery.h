/*
 * A delivery: one transaction, of some recipients of a message at one site, with one sender. It is open while further
 * recipients may join it, then closed and in the schedule, then running at a worker.
 */
#ifndef QUEUE_DELIVERY_H
#define QUEUE_DELIVERY_H

#include "common/conf/conf.h"
#include "queue/job.h"
#include "queue/schedule.h"

struct message;
struct worker;

/* How many recipients one has at most: what RFC 5321 4.5.3.1.8 promises. */
#define DELIVERY_RECIPIENTS_MAX 100

struct delivery {
	struct schedule_job job;
	struct message *message;
	LIST_ENTRY(delivery) link;    /* in the message */
	RB_ENTRY(delivery) open_link; /* in it as well, while it is open */
	enum job_transport transport;
	struct str next_hop;	/* borrowed from the envelope, or static */
	struct str route;	/* the name of it in the configuration, or empty; static */
	struct str site;	/* key of it; its own copy, since sites come and go */
	struct str security; /* what the domain demands of connections; its own copy too */
	char *site_text;
	struct str return_path; /* borrowed from the envelope */
	const struct conf_site *section; /* of the configuration, that covers its site; NULL: none */
	bool closed;
	uint32_t *recipients; /* indices; those whose result is still to come */
	size_t nrecipients, cap;
	/* While it runs: */
	struct worker *worker;
	LIST_ENTRY(delivery) worker_link;
	uint32_t id;
	RB_ENTRY(delivery) id_link;
	uint64_t started_ms; /* by the clock of the wall */
	uint32_t last_told;  /* the recipient whose result came last */
};

LIST_HEAD(deliveries, delivery);
RB_HEAD(delivery_tree, delivery);

/* The message's open one for this place, made if there is none: like tells transport, next hop, route, site, security,
 * return path. */
struct delivery *delivery_open(struct message *m, const struct delivery *like);
void delivery_add(struct delivery *d, size_t index);
/* Nobody joins it any more; harmless when it is closed. */
void delivery_close(struct delivery *d);
/* The first open one of a message, or NULL. */
struct delivery *delivery_first_open(struct message *m);
/* What is behind its first n recipients becomes a closed delivery of its own. */
struct delivery *delivery_split(struct delivery *d, size_t n);
/* A result for this recipient has come. False when it is none of it, or has one already. */
bool delivery_take(struct delivery *d, uint64_t index);
/* It goes to our own deliver, rather than to another host or a relay. */
bool delivery_is_local(const struct delivery *d);
/* Takes it out of its message and frees it; it is in no schedule and at no worker. */
void delivery_free(struct delivery *d);

#endif
