/*
 * Notices when the clock of the wall leaps: was set by hand, or by a time server that found it wrong. Pure: both clocks are
 * told to it.
 */
#ifndef QUEUE_CLOCK_WATCH_H
#define QUEUE_CLOCK_WATCH_H

#include <stdint.h>

/* Less than this is no leap: a minute is how exactly due times are kept. */
#define CLOCK_LEAP_MIN_S 60

struct clock_watch {
	uint64_t wall_ms, steady_ms; /* when it was looked at last; both 0: never */
};

/*
 * wall_ms: since 1970; steady_ms: of a clock that nobody sets and that goes on while the machine sleeps. By how many seconds
 * the first has leapt since the last call: back when negative, 0 for no leap.
 */
int64_t clock_watch_leap_s(struct clock_watch *watch, uint64_t wall_ms, uint64_t steady_ms);

#endif
