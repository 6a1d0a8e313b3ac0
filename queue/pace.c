#include "queue/pace.h"

/* Nothing comes again at once. */
#define AGAIN_MIN_US 1000000
/* More than that would be nonsense, and could wrap. */
#define INTERVAL_MAX_US (3600ULL * 1000000)

uint64_t
pace_slot_ms(struct pace *pace, uint64_t interval_us, uint64_t waiting, uint64_t max_ms, uint64_t now_ms, uint32_t random)
{
	uint64_t interval = interval_us < INTERVAL_MAX_US ? interval_us : INTERVAL_MAX_US, half_us = waiting * interval / 2;
	uint64_t now_us = now_ms * 1000, first_us = now_us + (half_us > AGAIN_MIN_US ? half_us : AGAIN_MIN_US), wait_us;

	if (pace->next_us < first_us)
		pace->next_us = first_us;
	wait_us = pace->next_us - now_us;
	if (wait_us >= max_ms * 1000)
		return max_ms / 2 + max_ms * random / UINT32_MAX / 2;
	pace->next_us += interval;
	return wait_us / 1000;
}
