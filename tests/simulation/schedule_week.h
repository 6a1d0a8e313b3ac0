/*
 * A week of the queue in virtual time: the real scheduler, shares and times of retries between senders and sites that are
 * made up, some of them healthy, some slow, dead, flapping, greylisting, or content with so many connections only. Shared by
 * tests/unit/queue_schedule_week_test.c, which asserts bounds, and `make bench BENCH=schedule`, which shows the figures.
 */
#ifndef TESTS_SIMULATION_SCHEDULE_WEEK_H
#define TESTS_SIMULATION_SCHEDULE_WEEK_H

#include <stddef.h>
#include <stdint.h>

#define WEEK_CONTENDERS 8
#define WEEK_LIMIT 5 /* connections that the sites with a limit take */

struct week_setup {
	unsigned days;
	size_t letters;	    /* single ones, over all that time, more by day than by night */
	size_t contended;   /* those of each of the lesser contenders for one slow site, in the first hour; the greatest has ten
			     * times as many */
	size_t dead_burst;  /* those that come within a minute for one dead site */
	size_t limited_burst; /* those that come within five minutes of each day for the sites with a limit */
	size_t recipients;  /* of the list that goes out each morning */
	unsigned down_hours; /* how long queued stands still, on the second day */
	unsigned active_limit, workers;
	uint64_t seed;
};

struct week_figures {
	size_t messages, deliveries, expired, left;
	size_t tries, postponed, suspended, peak_active;
	/* From arrival to the first try, of letters to healthy sites. */
	size_t healthy;
	double healthy_mean_s, healthy_worst_s;
	double behind_list_worst_s;  /* of those that came within ten minutes of a list */
	double list_s;		     /* until all of the list had its first try, the longest */
	double after_down_worst_s;   /* of those that came in the hour after the standstill */
	size_t due_at_once;	     /* how much was due when it ended */
	/* At the contended site: how equal the contenders' parts are (Jain: 1 is equal, 1/8 is one having all). */
	double jain;
	double greatest_part; /* of the one that has ten times as many */
	/* At sites with a limit: their window at the end, and how many tries of the second half were refused for it. */
	double limit_window;
	double limit_refused;
	double slow_window, fast_window; /* at the end of contention; the largest of a fast one */
	/* Of what waits for a dead site: the greatest part of a quarter of an hour's retries in one minute (1/15 is even). */
	double wave;
	double flapping_delay_s; /* mean, from arrival to delivery */
	size_t dead_tries;	 /* of the one with the burst */
	double dead_revived_s;	 /* after it came back: until a tenth of what waited was delivered */
};

void week_run(const struct week_setup *setup, struct week_figures *figures);

#endif
