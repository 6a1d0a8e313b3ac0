/*
 * What is tried when: a pure function of time and events. A job is one transaction: some recipients of one message at
 * one site (all domains with the same mail exchangers). The caller embeds struct schedule_job, adds jobs, starts what
 * schedule_next says, and reports how each ended.
 *
 * A site has a window: as many jobs may run at a time (queue/site_health.h). When it dies its jobs are handed back by
 * schedule_given_up, to be deferred, and no more are taken until its time has come and one job probes it. It may have a rate
 * besides: then its jobs begin evenly, no sooner than that allows.
 *
 * What runs is bounded in all. The last tenth of that is for sites of which little runs, so that no number of slow
 * ones is in the way of a letter to another.
 *
 * What waits is bounded: a site may have as many waiting jobs as its share of the room that is free in all, so that no
 * number of slow sites fills it, retries and senders with many jobs there half of that, so that a letter of somebody
 * else, and a new one, still find their place. What is refused comes again at the time that schedule_again_ms says,
 * which is when the site will be ready for it: each of them once, not all of them all the time.
 *
 * Fairness: there are three classes, served in turn as long as they have work: new mail, mass mail (messages of many
 * recipients) and retries, so that neither a list of 100,000 recipients nor a heap of retries holds up a new letter.
 * One place of each window is for new mail only: a list's transactions last long.
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
#include "queue/pace.h"
#include "queue/site_health.h"
#include "queue/site_record.h"

enum schedule_class {
	SCHEDULE_NEW,
	SCHEDULE_BULK,
	SCHEDULE_RETRY,
	SCHEDULE_CLASSES,
};

struct schedule_site;
struct schedule_flow;

/* RFC 6710 4.1. */
#define SCHEDULE_PRIORITY_MAX 9

struct schedule_job {
	int priority;		    /* the caller's, before it adds the job: -9 to 9 */
	struct schedule_site *site; /* NULL when neither waiting nor running */
	struct schedule_flow *flow; /* NULL when not waiting */
	uint64_t started_ms;	    /* while it runs: */
	bool is_new;
	bool is_given_up; /* until schedule_given_up has handed it back */
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
	unsigned njobs;
};

RB_HEAD(schedule_flow_tree, schedule_flow);
RB_HEAD(schedule_turn_tree, schedule_flow);

struct schedule_site {
	char *key;
	RB_ENTRY(schedule_site) by_key;
	struct site_limits limits;
	struct site_health health;
	unsigned running;
	unsigned running_new; /* those of them that are new mail */
	unsigned waiting;
	double lasts_ms;	/* what a job takes there, smoothed; 0: not known */
	uint64_t next_start_us; /* by its rate */
	struct pace again;	/* of those that were refused */
	bool is_paced;		/* in `paced`: until next_start_us nothing may start */
	RB_ENTRY(schedule_site) by_start;
	struct site_record record; /* the caller's */
	char *last_trouble; /* in words, for those that are told to wait; may be NULL */
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
RB_HEAD(schedule_start_tree, schedule_site);

struct schedule_limits {
	unsigned running;    /* jobs at a time in all; may change */
	unsigned idle_sites; /* how many sites without jobs are remembered */
	unsigned share;	     /* how much of `room` may wait at one site, in per cent; 0: any number */
	uint64_t room;	     /* how many more may be taken in all; changes */
};

struct schedule {
	struct schedule_limits limits;
	struct schedule_site_tree sites;
	struct schedule_ring rings[SCHEDULE_CLASSES];
	struct schedule_ring idle; /* longest idle first */
	struct schedule_start_tree paced;
	struct schedule_jobs given_up;
	unsigned next_class;
	unsigned running;
	unsigned idle_sites;
	uint64_t changes; /* counts deaths and returns, for who remembers them */
};

void schedule_init(struct schedule *s, const struct schedule_limits *limits);
/* Jobs are the caller's; they are forgotten. */
void schedule_clear(struct schedule *s);

/* Makes the site when it is new. It lives as long as it has jobs, and a while longer: add to it before the next call. */
struct schedule_site *schedule_site(struct schedule *s, struct str key, const struct site_limits *limits);
/* NULL when it is not known. */
struct schedule_site *schedule_site_find(struct schedule *s, struct str key);
/* The one behind that key, in the order of their keys; NULL: the last. */
struct schedule_site *schedule_site_after(struct schedule *s, struct str key);
/* What the next job of a site waits for. */
enum schedule_waits {
	SCHEDULE_WAITS_NOT, /* there is none */
	SCHEDULE_WAITS_RATE,
	SCHEDULE_WAITS_WINDOW,
	SCHEDULE_WAITS_WORKERS, /* limits.running */
	SCHEDULE_WAITS_TURN,
};

enum schedule_waits schedule_site_waits_for(const struct schedule *s, const struct schedule_site *site);
/* The one behind that one, NULL being before the first; NULL at the end. */
struct schedule_site *schedule_site_next(struct schedule *s, struct schedule_site *site);
/* It is known from before to be dead until then, with so many deaths in a row. */
void schedule_site_bury(struct schedule_site *site, uint64_t dead_until_ms, unsigned deaths);
/* What the last trouble was; copied. */
void schedule_site_blame(struct schedule_site *site, struct str words);
/* Somebody said that all works again (retry by hand): dead sites are probed by the next job. */
void schedule_revive_all(struct schedule *s);
/* The same of one: the site of that key, or those of which that is one of the words of the key. */
void schedule_revive(struct schedule *s, struct str words);

enum schedule_answer {
	SCHEDULE_ADDED,
	SCHEDULE_DEAD, /* the site is: the job is to be deferred */
	SCHEDULE_FULL, /* enough waits there: the job is to come again, which is no failure of it */
};

/* flow: what shares a turn, such as a hash of the sender. */
enum schedule_answer schedule_add(struct schedule *s, struct schedule_site *site, struct schedule_job *job,
    enum schedule_class class, uint64_t flow, uint64_t now_ms);
/* In how many milliseconds one that was refused by a full site is to come again, at the pace of the site: as pace_slot_ms. */
uint64_t schedule_again_ms(struct schedule_site *site, uint64_t max_ms, uint64_t now_ms, uint32_t random);
/* A waiting job that is no longer wanted; harmless when it is in no site. */
void schedule_remove(struct schedule *s, struct schedule_job *job);

/* The next job to start, which from then on is running; NULL when none may start now. */
struct schedule_job *schedule_next(struct schedule *s, uint64_t now_ms);
/* After how many milliseconds a site's rate lets another job start; UINT64_MAX: none waits for that. */
uint64_t schedule_wait_ms(const struct schedule *s, uint64_t now_ms);

enum schedule_ending {
	SCHEDULE_GOOD,	  /* the site did its work, whatever it said of the recipients */
	SCHEDULE_TROUBLE, /* it could not be reached, did not greet, broke off */
	SCHEDULE_UNTOLD,  /* says nothing about the site: our own process died */
};

void schedule_done(struct schedule *s, struct schedule_job *job, enum schedule_ending ending, uint64_t now_ms);

/* The next job that waited for a site which died meanwhile; NULL when there is none (left). */
struct schedule_job *schedule_given_up(struct schedule *s);

/*
 * After how long to try again, for the deferral number `count` (from 0): the list's value, or its last, with up to
 * `jitter` per cent more or less so that what failed together does not come together. random: 32 bits.
 */
uint64_t schedule_retry_ms(const uint64_t *list_s, size_t n, uint64_t count, unsigned jitter, uint32_t random);

#endif
