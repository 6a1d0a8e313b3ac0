#include "queue/clock_watch.h"

int64_t
clock_watch_leap_s(struct clock_watch *watch, uint64_t wall_ms, uint64_t steady_ms)
{
	struct clock_watch before = *watch;
	int64_t leap_ms;

	*watch = (struct clock_watch){wall_ms, steady_ms};
	if (before.wall_ms == 0 && before.steady_ms == 0)
		return 0;
	leap_ms = (int64_t)(wall_ms - before.wall_ms) - (int64_t)(steady_ms - before.steady_ms);
	if (leap_ms > -CLOCK_LEAP_MIN_S * 1000 && leap_ms < CLOCK_LEAP_MIN_S * 1000)
		return 0;
	return leap_ms / 1000;
}
