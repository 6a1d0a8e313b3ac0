#include "queue/site.h"

/* Our own deliver is restarted within a second. */
#define LOCAL_DEAD_MS 3000
#define LOCAL_START 5

void
site_limits_usual(struct site_limits *limits, const struct conf_queue *conf)
{
	*limits = (struct site_limits){.window_start = (unsigned)conf->site_concurrency_start,
	    .window = (unsigned)conf->site_concurrency, .dead_after = (unsigned)conf->site_dead_after,
	    .dead_s = conf->site_dead_s.list, .ndead = conf->site_dead_s.n,
	    .dead_max_ms = conf->retry_s.list[0] * 1000 / 4 * 3};
}

void
site_limits_local(struct site_limits *limits, const struct conf_queue *conf)
{
	site_limits_usual(limits, conf);
	limits->window_start = LOCAL_START;
	limits->window = (unsigned)conf->local_concurrency;
	limits->dead_max_ms = LOCAL_DEAD_MS;
}
