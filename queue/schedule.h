/*
 * What is tried when: a pure function of time and events. A job is one transaction: some recipients of one message at
 * one site (all domains with the same mail exchangers). The caller embeds struct schedule_job, adds jobs, starts what
 * schedule_next says, and reports how each ended.
 *
 * A site has a window: as many jobs may run at a time. It grows by one for each windowful of good endings and shrinks
 * on trouble; when a windowful of trouble has come without a good ending the site is dead: its jobs are handed back by
 * schedule_given_up, to be deferred, and no more are taken until dead_ms later one job probes it.
 *
 * Fairness: there are three classes, served in turn as long as they have work: new mail, mass mail (messages of many
 * recipients) and retries, so that neither a list of 100,000 recipients nor a heap of retries holds up a new letter.
 * Inside a class sites take turns, inside a site flows (senders), more often those of a higher priority (RFC 6710), inside
 * a flow the first come is first served.
 *
 * Every call is of constant or logarithmic cost. Allocates sites and flows; fatal when memory is out.
 */
#ifndef QUEUE_SCHEDULE_H
#define QUEUE_SCHEDULE_H

#include <bsd/sys/queue.h>

#include "common/base/str.h"
#include "common/base/tree.h"

enum schedule_class {
	SCHEDULE_NEW,
	SCHEDULE_BULK,
	SCHEDULE_RETRY,
	SCHEDULE_CLASSES,
};

struct schedule_site;
struct schedule_flow;

struct schedule_site_limits {
	unsigned window; /* jobs at a time, at most */
	uint64_t dead_ms; /* how long a dead site is left alone */
};

/* RFC 6710 4.1. */
#define SCHEDULE_PRIORITY_MAX 9

struct schedule_job {
	int priority;		    /* the caller's, before it adds the job: -9 to 9 */
	struct schedule_site *site; /* NULL when neither waiting nor running */
	struct schedule_flow *flow; /* NULL when not waiting */
	TAILQ_ENTRY(schedule_job) link;
};

TAILQ_HEAD(schedule_jobs, schedule_job);
TAILQ_HEAD(schedule_ring, schedule_site);

/*
 * Jobs of one sender and priority in one class at one site. The flow whose turn is the earliest is served next, and its turn
 * then moves on by its stride: a step of priority halves that, so that it is served twice as often as one a step below,
 * which still has its turn. What is more urgent than usual begins with a credit, so that it goes before what waits
 * already; time moves on with every job, so that no stream of such flows holds up the others for long.
 */
struct schedule_flow {
	uint64_t key;
	enum schedule_class class;
	int priority;
	RB_ENTRY(schedule_flow) by_key;
	RB_ENTRY(schedule_flow) by_turn; /* in its class of the site */
	uint64_t turn;
	uint64_t order; /* among equal turns: the longest not served is first */
	struct schedule_jobs jobs;
};

RB_HEAD(schedule_flow_tree, schedule_flow);
RB_HEAD(schedule_turn_tree, schedule_flow);

struct schedule_site {
	char *key;
	RB_ENTRY(schedule_site) by_key;
	struct schedule_site_limits limits;
	double window;
	double trouble; /* windowfuls of it since the last good ending */
	unsigned running;
	unsigned waiting;
	uint64_t dead_until_ms; /* 0: alive */
	bool probing;		/* was dead; one job at a time until one ends well */
	char *last_trouble;	/* in words, for those that are told to wait; may be NULL */
	struct schedule_flow_tree flows;
	uint64_t next_order;
	struct {
		struct schedule_turn_tree flows; /* those with jobs */
		uint64_t turn;			 /* the present one */
		TAILQ_ENTRY(schedule_site) link; /* in the ring of sites that can start a job of this class */
		bool in_ring;
	} class[SCHEDULE_CLASSES];
	TAILQ_ENTRY(schedule_site) idle_link; /* in `idle` while it has no job */
};

RB_HEAD(schedule_site_tree, schedule_site);

struct schedule_limits {
	unsigned running; /* jobs at a time in all; may change */
	unsigned window_initial;
	unsigned idle_sites; /* how many sites without jobs are remembered */
};

struct schedule {
	struct schedule_limits limits;
	struct schedule_site_tree sites;
	struct schedule_ring rings[SCHEDULE_CLASSES];
	struct schedule_ring idle; /* longest idle first */
	struct schedule_jobs given_up;
	unsigned next_class;
	unsigned running;
	unsigned idle_sites;
};

void schedule_init(struct schedule *s, const struct schedule_limits *limits);
/* Jobs are the caller's; they are forgotten. */
void schedule_clear(struct schedule *s);

/* Makes the site when it is new. It lives as long as it has jobs, and a while longer: add to it before the next call. */
struct schedule_site *schedule_site(struct schedule *s, struct str key, const struct schedule_site_limits *limits);
/* NULL when it is not known. */
struct schedule_site *schedule_site_find(struct schedule *s, struct str key);
/* The one behind that key, in the order of their keys; NULL: the last. */
struct schedule_site *schedule_site_after(struct schedule *s, struct str key);
bool schedule_site_is_dead(const struct schedule_site *site, uint64_t now_ms);
/* What the last trouble was; copied. */
void schedule_site_blame(struct schedule_site *site, struct str words);
/* Somebody said that all works again (retry by hand): dead sites are probed by the next job. */
void schedule_revive_all(struct schedule *s);
/* The same of one: the site of that key, or those of which that is one of the words of the key. */
void schedule_revive(struct schedule *s, struct str words);

/* flow: what shares a turn, such as a hash of the sender. False when the site is dead: the job is to be deferred. */
bool schedule_add(struct schedule *s, struct schedule_site *site, struct schedule_job *job, enum schedule_class class,
    uint64_t flow, uint64_t now_ms);
/* A waiting job that is no longer wanted; harmless when it is in no site. */
void schedule_remove(struct schedule *s, struct schedule_job *job);

/* The next job to start, which from then on is running; NULL when none may start now. */
struct schedule_job *schedule_next(struct schedule *s);

enum schedule_ending {
	SCHEDULE_GOOD,	  /* the site did its work, whatever it said of the recipients */
	SCHEDULE_TROUBLE, /* it could not be reached, did not greet, broke off */
	SCHEDULE_UNTOLD,  /* says nothing about the site: our own process died */
};

void schedule_done(struct schedule *s, struct schedule_job *job, enum schedule_ending ending, uint64_t now_ms);

/* The next job that waited for a site which died meanwhile; NULL when there is none (left). */
struct schedule_job *schedule_given_up(struct schedule *s);

/*
 * After how long to try again, for the deferral number `count` (from 0): the list's value, or its last, with up to a
 * tenth more or less so that what failed together does not come together. random: 32 bits.
 */
uint64_t schedule_retry_ms(const uint64_t *list_s, size_t n, uint64_t count, uint32_t random);

#endif
