#include "queue/timing.h"

#include "queue/schedule.h"

uint64_t
timing_begin_ms(const struct envelope *e)
{
	return e->release_ms > e->time_ms ? e->release_ms : e->time_ms;
}

bool
timing_is_late(const struct envelope *e, uint64_t now_ms)
{
	return e->by.mode == 'R' && now_ms >= e->by.time_ms;
}

uint64_t
timing_end_ms(const struct envelope *e, const struct conf_queue *conf)
{
	uint64_t end_ms = timing_begin_ms(e) + conf->expire_s * 1000;

	return e->by.mode == 'R' && e->by.time_ms < end_ms ? e->by.time_ms : end_ms;
}

uint64_t
timing_warn_ms(const struct envelope *e, const struct conf_queue *conf)
{
	uint64_t warn_ms = UINT64_MAX;

	if (conf->delay_warning_s > 0 && e->warned_ms == 0)
		warn_ms = timing_begin_ms(e) + conf->delay_warning_s * 1000;
	if (e->by.mode == 'N' && e->warned_ms < e->by.time_ms && e->by.time_ms < warn_ms)
		warn_ms = e->by.time_ms;
	return warn_ms;
}

uint64_t
timing_next_ms(const struct envelope *e, const struct conf_queue *conf, uint64_t soon_ms, uint64_t now_ms, uint32_t random)
{
	uint64_t wait_ms = schedule_retry_ms(conf->retry_s.list, conf->retry_s.n, e->deferrals, random);
	uint64_t due_ms = now_ms + (soon_ms > 0 && wait_ms > soon_ms ? soon_ms : wait_ms);
	uint64_t end_ms = timing_end_ms(e, conf);

	if (end_ms > now_ms && due_ms > end_ms)
		due_ms = end_ms;
	/* The usual warning comes with a try; that of DELIVERBY when it was asked for. */
	if (e->by.mode == 'N' && e->warned_ms < e->by.time_ms && e->by.time_ms > now_ms && due_ms > e->by.time_ms)
		due_ms = e->by.time_ms;
	return due_ms;
}
