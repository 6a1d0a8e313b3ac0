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

void
site_limits_special(struct site_limits *limits, const struct conf_queue *conf, const struct conf_site *section)
{
	site_limits_usual(limits, conf);
	limits->special = true;
	if (section->connections > 0)
		limits->window = (unsigned)section->connections;
	if (limits->window_start > limits->window)
		limits->window_start = limits->window;
	limits->rate = (unsigned)section->rate.n;
	limits->rate_ms = section->rate.ms;
	if (section->dead_s.list[0] == 0)
		return;
	limits->dead_s = section->dead_s.list;
	limits->ndead = section->dead_s.n;
	limits->dead_max_ms = UINT64_MAX;
}

static uint64_t
wait_s(const struct conf_times *times, uint64_t tries)
{
	return times->list[tries < times->n ? tries : times->n - 1];
}

const struct conf_times *
site_retry_shorter(const struct conf_times *a, const struct conf_times *b, uint64_t tries)
{
	return b == NULL || wait_s(a, tries) < wait_s(b, tries) ? a : b;
}

static uint64_t
longest(const struct conf_times *times, uint64_t than)
{
	for (size_t i = 0; i < times->n; i++)
		if (times->list[i] > than)
			than = times->list[i];
	return than;
}

uint64_t
site_retry_longest_s(const struct conf *conf)
{
	uint64_t most = longest(&conf->queue.retry_s, 0);

	for (size_t i = 0; i < conf->nsites; i++)
		most = longest(&conf->sites[i].retry_s, most);
	return most;
}

/* ---- which ----------------------------------------------------------------------------------------------------- */

static bool
is_one_of(struct str names, struct str host)
{
	struct str name;

	while (str_word(&names, &name)) {
		if (str_ends_nocase(name, STR(",")))
			name = str_sub(name, 0, name.n - 1);
		if (str_starts(name, STR(".")) ? host.n > name.n && str_ends_nocase(host, name) : str_equal_nocase(host, name))
			return true;
	}
	return false;
}

const struct conf_site *
site_section(const struct conf *conf, struct str key, struct str domain)
{
	for (size_t i = 0; i < conf->nsites; i++) {
		const struct conf_site *section = &conf->sites[i];
		struct str exchangers = key, exchanger;

		if (is_one_of(str_from(section->domains), domain))
			return section;
		while (str_word(&exchangers, &exchanger))
			if (is_one_of(str_from(section->exchangers), exchanger))
				return section;
	}
	return NULL;
}
