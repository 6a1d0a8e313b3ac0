#include "queue/timing.h"

#include "queue/schedule.h"

/* What waits for a dead site may be many: in per cent. */
#define SUSPENDED_JITTER 50

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

/* Not past the end. The usual warning comes with a try; that of DELIVERBY when it was asked for. */
static uint64_t
punctual(const struct envelope *e, const struct conf_queue *conf, uint64_t due_ms, uint64_t now_ms)
{
	uint64_t end_ms = timing_end_ms(e, conf);

	if (end_ms > now_ms && due_ms > end_ms)
		due_ms = end_ms;
	if (e->by.mode == 'N' && e->warned_ms < e->by.time_ms && e->by.time_ms > now_ms && due_ms > e->by.time_ms)
		due_ms = e->by.time_ms;
	return due_ms;
}

static uint64_t
next(const struct envelope *e, const struct conf_queue *conf, uint64_t wait_ms, uint64_t soon_ms, uint64_t now_ms)
{
	return punctual(e, conf, now_ms + (soon_ms > 0 && wait_ms > soon_ms ? soon_ms : wait_ms), now_ms);
}

uint64_t
timing_next_ms(const struct envelope *e, const struct conf_queue *conf, uint64_t soon_ms, uint64_t now_ms, uint32_t random)
{
	return next(e, conf, schedule_retry_ms(conf->retry_s.list, conf->retry_s.n, e->deferrals, (unsigned)conf->retry_jitter,
	    random), soon_ms, now_ms);
}

uint64_t
timing_suspended_ms(const struct envelope *e, const struct conf_queue *conf, uint64_t soon_ms, uint64_t now_ms,
    uint32_t random)
{
	return next(e, conf, schedule_retry_ms(conf->retry_s.list, conf->retry_s.n, e->deferrals, SUSPENDED_JITTER, random),
	    soon_ms, now_ms);
}

uint64_t
timing_again_max_ms(const struct envelope *e, const struct conf_queue *conf, uint64_t now_ms)
{
	uint64_t begin_ms = timing_begin_ms(e), quarter_ms = now_ms > begin_ms ? (now_ms - begin_ms) / 4 : 0;
	uint64_t first_ms = conf->retry_s.list[0] * 1000;

	if (quarter_ms > TIMING_AGAIN_MAX_S * 1000)
		quarter_ms = TIMING_AGAIN_MAX_S * 1000;
	return first_ms > quarter_ms ? first_ms : quarter_ms;
}

uint64_t
timing_postponed_ms(const struct envelope *e, const struct conf_queue *conf, uint64_t again_ms, uint64_t now_ms)
{
	return punctual(e, conf, again_ms, now_ms);
}
