/*
 * A simulated week with a million messages; prints each figure as a line: name, value, unit or note.
 */
#include <stdio.h>
#include <time.h>

#include "tests/simulation/schedule_week.h"

static double
cpu_s(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int
main(void)
{
	static const struct week_setup setup = {.days = 7, .letters = 700000, .contended = 5000, .dead_burst = 100000,
	    .limited_burst = 15000,
	    .recipients = 100000, .down_hours = 6, .active_limit = 10000, .workers = 500, .seed = 88172645463325252ULL};
	struct week_figures f;
	double begin_s = cpu_s(), us;

	week_run(&setup, &f);
	us = (cpu_s() - begin_s) * 1e6;
	printf("messages|%zu|%zu deliveries, %zu expired, %zu left\n", f.messages, f.deliveries, f.expired, f.left);
	printf("tries|%zu|%zu were suspended untried, %zu found no room and came again\n", f.tries, f.suspended, f.postponed);
	printf("CPU of all that a decision|%.2f us|at most %zu messages in memory\n", us / (double)(f.tries + f.suspended + f.postponed), f.peak_active);
	printf("letter to a healthy site, longest wait|%.2f s|mean %.3f s of %zu\n", f.healthy_worst_s, f.healthy_mean_s, f.healthy);
	printf("  within ten minutes of a list of 100,000|%.2f s|the list itself takes %.0f s\n", f.behind_list_worst_s, f.list_s);
	printf("  in the hour after a standstill of 6 hours|%.2f s|%zu were due at once\n", f.after_down_worst_s, f.due_at_once);
	printf("fairness of 8 senders at a slow site (Jain)|%.3f|the one with 10 times as many gets %.1f%%\n", f.jain,
	    100 * f.greatest_part);
	printf("window where %d connections are taken|%.2f|%.2f%% of the tries refused for too many\n", WEEK_LIMIT, f.limit_window,
	    100 * f.limit_refused);
	printf("window of a slow, of a fast site|%.0f, %.0f|at most 20\n", f.slow_window, f.fast_window);
	printf("retries for a dead site: most in one minute|%.1f%%|of a quarter of an hour's; 6.7%% would be even\n", 100 * f.wave);
	printf("tries at a dead site in its first 14 hours|%zu|100,000 messages wait; a tenth is gone %.0f s after it is back\n", f.dead_tries,
	    f.dead_revived_s);
	printf("mean delay at flapping sites|%.0f s|an hour up, an hour down\n", f.flapping_delay_s);
	return 0;
}
