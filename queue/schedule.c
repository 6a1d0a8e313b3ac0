#include "queue/schedule.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"

static int
flow_compare(struct schedule_flow *a, struct schedule_flow *b)
{
	if (a->class != b->class)
		return a->class < b->class ? -1 : 1;
	if (a->priority != b->priority)
		return a->priority < b->priority ? -1 : 1;
	return a->key < b->key ? -1 : a->key > b->key;
}

static int
turn_compare(struct schedule_flow *a, struct schedule_flow *b)
{
	if (a->turn != b->turn)
		return a->turn < b->turn ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

static int
site_compare(struct schedule_site *a, struct schedule_site *b)
{
	return str_compare(str_from(a->key), str_from(b->key));
}

TREE_GENERATE(schedule_flow_tree, schedule_flow, by_key, flow_compare)
TREE_GENERATE(schedule_turn_tree, schedule_flow, by_turn, turn_compare)
static int
start_compare(struct schedule_site *a, struct schedule_site *b)
{
	if (a->next_start_us != b->next_start_us)
		return a->next_start_us < b->next_start_us ? -1 : 1;
	return site_compare(a, b);
}

TREE_GENERATE(schedule_site_tree, schedule_site, by_key, site_compare)
TREE_GENERATE(schedule_start_tree, schedule_site, by_start, start_compare)

static void *
allocate(size_t n)
{
	void *p = calloc(1, n);

	if (p == NULL)
		fatal("out of memory for the schedule");
	return p;
}

void
schedule_init(struct schedule *s, const struct schedule_limits *limits)
{
	*s = (struct schedule){.limits = *limits};
	RB_INIT(&s->sites);
	RB_INIT(&s->paced);
	TAILQ_INIT(&s->idle);
	TAILQ_INIT(&s->given_up);
	for (int c = 0; c < SCHEDULE_CLASSES; c++)
		TAILQ_INIT(&s->rings[c]);
}

/* ---- sites ----------------------------------------------------------------------------------------------------- */

static void
site_free(struct schedule *s, struct schedule_site *site)
{
	(void)RB_REMOVE(schedule_site_tree, &s->sites, site);
	if (site->is_paced)
		(void)RB_REMOVE(schedule_start_tree, &s->paced, site);
	free(site->key);
	free(site->last_trouble);
	free(site);
}

static void
idle_remove(struct schedule *s, struct schedule_site *site)
{
	TAILQ_REMOVE(&s->idle, site, idle_link);
	s->idle_sites--;
}

static bool
is_idle(const struct schedule_site *site)
{
	return site->running == 0 && site->waiting == 0;
}

/* The longest idle ones are forgotten, and with them what their window had learnt. */
static void
idle_insert(struct schedule *s, struct schedule_site *site)
{
	struct schedule_site *oldest, *next;

	TAILQ_INSERT_TAIL(&s->idle, site, idle_link);
	s->idle_sites++;
	TAILQ_FOREACH_SAFE(oldest, &s->idle, idle_link, next) {
		if (oldest == site || s->idle_sites <= s->limits.idle_sites)
			break;
		idle_remove(s, oldest);
		site_free(s, oldest);
	}
}

struct schedule_site *
schedule_site_find(struct schedule *s, struct str key)
{
	struct schedule_site probe = {.key = str_dup(key)};
	struct schedule_site *site = RB_FIND(schedule_site_tree, &s->sites, &probe);

	free(probe.key);
	return site;
}

struct schedule_site *
schedule_site_after(struct schedule *s, struct str key)
{
	struct schedule_site probe = {.key = str_dup(key)};
	struct schedule_site *site = RB_NFIND(schedule_site_tree, &s->sites, &probe);

	if (site != NULL && strcmp(site->key, probe.key) == 0)
		site = RB_NEXT(schedule_site_tree, &s->sites, site);
	free(probe.key);
	return site;
}

struct schedule_site *
schedule_site(struct schedule *s, struct str key, const struct site_limits *limits)
{
	struct schedule_site *site = schedule_site_find(s, key);

	if (site == NULL) {
		site = allocate(sizeof *site);
		site->key = str_dup(key);
		site_health_init(&site->health, limits);
		RB_INIT(&site->flows);
		for (int c = 0; c < SCHEDULE_CLASSES; c++)
			RB_INIT(&site->class[c].flows);
		(void)RB_INSERT(schedule_site_tree, &s->sites, site);
		idle_insert(s, site);
	}
	if (limits->special || !site->limits.special)
		site->limits = *limits;
	if (site->health.window > site->limits.window)
		site->health.window = site->limits.window;
	return site;
}

/* A site is in the ring of each class of which it has jobs, as long as one more may run and begin. */
static void
rings_update(struct schedule *s, struct schedule_site *site)
{
	bool room = site_health_has_room(&site->health, site->running) && !site->is_paced;
	unsigned old = site->running - site->running_new;
	bool room_for_old = room && (old == 0 || site_health_has_room(&site->health, old + 1));

	for (int c = 0; c < SCHEDULE_CLASSES; c++) {
		bool wanted = (c == SCHEDULE_NEW ? room : room_for_old) && !RB_EMPTY(&site->class[c].flows);

		if (wanted && !site->class[c].in_ring)
			TAILQ_INSERT_TAIL(&s->rings[c], site, class[c].link);
		else if (!wanted && site->class[c].in_ring)
			TAILQ_REMOVE(&s->rings[c], site, class[c].link);
		site->class[c].in_ring = wanted;
	}
}

/* ---- flows ----------------------------------------------------------------------------------------------------- */

/* From one turn of a flow to its next; of priority 0: */
#define STRIDE (1ULL << SCHEDULE_PRIORITY_MAX)

static uint64_t
stride(const struct schedule_flow *flow)
{
	return 1ULL << (SCHEDULE_PRIORITY_MAX - flow->priority);
}

/* Behind all that have the same turn. */
static void
flow_turn(struct schedule_site *site, struct schedule_flow *flow, uint64_t turn)
{
	flow->turn = turn;
	flow->order = site->next_order++;
	(void)RB_INSERT(schedule_turn_tree, &site->class[flow->class].flows, flow);
}

/* The first turn of a flow. The clock begins late enough for any credit. */
static uint64_t
first_turn(const struct schedule_site *site, const struct schedule_flow *flow)
{
	uint64_t credit = flow->priority > 0 ? STRIDE - stride(flow) : 0;

	return STRIDE + site->class[flow->class].turn + stride(flow) - credit;
}

static struct schedule_flow *
flow_get(struct schedule_site *site, enum schedule_class class, int priority, uint64_t key)
{
	struct schedule_flow probe = {.class = class, .priority = priority, .key = key};
	struct schedule_flow *flow = RB_FIND(schedule_flow_tree, &site->flows, &probe);

	if (flow != NULL)
		return flow;
	flow = allocate(sizeof *flow);
	flow->class = class;
	flow->priority = priority;
	flow->key = key;
	TAILQ_INIT(&flow->jobs);
	(void)RB_INSERT(schedule_flow_tree, &site->flows, flow);
	flow_turn(site, flow, first_turn(site, flow));
	return flow;
}

/* Takes a waiting job out of its flow, and the flow out of its site when it was the last. */
static void
flow_take(struct schedule_site *site, struct schedule_job *job)
{
	struct schedule_flow *flow = job->flow;

	TAILQ_REMOVE(&flow->jobs, job, link);
	flow->njobs--;
	job->flow = NULL;
	site->waiting--;
	if (!TAILQ_EMPTY(&flow->jobs))
		return;
	(void)RB_REMOVE(schedule_turn_tree, &site->class[flow->class].flows, flow);
	(void)RB_REMOVE(schedule_flow_tree, &site->flows, flow);
	free(flow);
}

static void
flows_clear(struct schedule_site *site)
{
	for (int c = 0; c < SCHEDULE_CLASSES; c++) {
		struct schedule_flow *flow;

		while ((flow = RB_ROOT(&site->class[c].flows)) != NULL) {
			(void)RB_REMOVE(schedule_turn_tree, &site->class[c].flows, flow);
			free(flow);
		}
	}
}

void
schedule_clear(struct schedule *s)
{
	struct schedule_site *site;

	while ((site = RB_ROOT(&s->sites)) != NULL) {
		flows_clear(site);
		site_free(s, site);
	}
	schedule_init(s, &s->limits);
}

/* ---- jobs ------------------------------------------------------------------------------------------------------ */

/* How many of a flow may wait at a site before it counts as one with many. */
#define FEW_JOBS 10
/* So many may wait anywhere, and at least two windowfuls. */
#define SHARE_LEAST 20

static bool
is_full(const struct schedule *s, struct schedule_site *site, enum schedule_class class, int priority, uint64_t key)
{
	struct schedule_flow probe = {.class = class, .priority = priority, .key = key};
	const struct schedule_flow *flow = RB_FIND(schedule_flow_tree, &site->flows, &probe);
	uint64_t most = s->limits.room * s->limits.share / 100, least = 2 * (uint64_t)site->health.window;

	if (s->limits.share == 0)
		return false;
	if (class == SCHEDULE_RETRY || (flow != NULL && flow->njobs >= FEW_JOBS))
		most /= 2;
	if (least < SHARE_LEAST)
		least = SHARE_LEAST;
	return site->waiting >= (most > least ? most : least);
}

enum schedule_answer
schedule_add(struct schedule *s, struct schedule_site *site, struct schedule_job *job, enum schedule_class class,
    uint64_t flow, uint64_t now_ms)
{
	if (site_health_is_dead(&site->health, now_ms))
		return SCHEDULE_DEAD;
	if (is_full(s, site, class, job->priority, flow))
		return SCHEDULE_FULL;
	if (site->health.dead_until_ms != 0)
		site_health_probe(&site->health);
	if (is_idle(site))
		idle_remove(s, site);
	job->site = site;
	job->flow = flow_get(site, class, job->priority, flow);
	job->flow->njobs++;
	TAILQ_INSERT_TAIL(&job->flow->jobs, job, link);
	site->waiting++;
	rings_update(s, site);
	return SCHEDULE_ADDED;
}

void
schedule_remove(struct schedule *s, struct schedule_job *job)
{
	struct schedule_site *site = job->site;

	if (job->is_given_up) {
		TAILQ_REMOVE(&s->given_up, job, link);
		job->is_given_up = false;
	}
	if (site == NULL || job->flow == NULL)
		return;
	flow_take(site, job);
	job->site = NULL;
	rings_update(s, site);
	if (is_idle(site))
		idle_insert(s, site);
}

/* ---- pace ------------------------------------------------------------------------------------------------------ */

/* What was not used of a rate is kept for so long, so that a clock of milliseconds does not slow it down. */
#define RATE_SLACK_US 10000

static uint64_t
rate_interval_us(const struct site_limits *limits)
{
	return limits->rate > 0 ? limits->rate_ms * 1000 / limits->rate : 0;
}

/* One has begun: when may the next? */
static void
pace_begin(struct schedule *s, struct schedule_site *site, uint64_t now_ms)
{
	uint64_t now_us = now_ms * 1000, earliest_us = now_us > RATE_SLACK_US ? now_us - RATE_SLACK_US : 0;

	if (rate_interval_us(&site->limits) == 0)
		return;
	if (site->next_start_us < earliest_us)
		site->next_start_us = earliest_us;
	site->next_start_us += rate_interval_us(&site->limits);
	if (site->next_start_us <= now_us)
		return;
	site->is_paced = true;
	(void)RB_INSERT(schedule_start_tree, &s->paced, site);
}

static void
paced_release(struct schedule *s, uint64_t now_ms)
{
	struct schedule_site *site;

	while ((site = RB_MIN(schedule_start_tree, &s->paced)) != NULL && site->next_start_us <= now_ms * 1000) {
		(void)RB_REMOVE(schedule_start_tree, &s->paced, site);
		site->is_paced = false;
		rings_update(s, site);
	}
}

/* Those for which nothing waits are passed over: nobody is to be woken for them. When all that may run does, an ending comes. */
uint64_t
schedule_wait_ms(const struct schedule *s, uint64_t now_ms)
{
	struct schedule_start_tree paced = s->paced; /* the tree's macros know no const */
	struct schedule_site *site;

	if (s->running >= s->limits.running)
		return UINT64_MAX;
	RB_FOREACH(site, schedule_start_tree, &paced)
		if (site->waiting > 0)
			return site->next_start_us > now_ms * 1000 ? (site->next_start_us - now_ms * 1000 + 999) / 1000 : 0;
	return UINT64_MAX;
}

/* How often one is finished there; before anything is known of that a guess, so that not all come again at once. */
#define LASTS_GUESS_MS 200

static uint64_t
site_interval_us(const struct schedule_site *site)
{
	double lasts_ms = site->lasts_ms > 0 ? site->lasts_ms : LASTS_GUESS_MS;
	uint64_t by_window_us = (uint64_t)(lasts_ms * 1000 / site->health.window);
	uint64_t by_rate_us = rate_interval_us(&site->limits);

	return by_window_us > by_rate_us ? by_window_us : by_rate_us;
}

uint64_t
schedule_again_ms(struct schedule_site *site, uint64_t max_ms, uint64_t now_ms, uint32_t random)
{
	return pace_slot_ms(&site->again, site_interval_us(site), site->waiting, max_ms, now_ms, random);
}

enum schedule_waits
schedule_site_waits_for(const struct schedule *s, const struct schedule_site *site)
{
	if (site->waiting == 0)
		return SCHEDULE_WAITS_NOT;
	if (site->is_paced)
		return SCHEDULE_WAITS_RATE;
	if (!site_health_has_room(&site->health, site->running))
		return SCHEDULE_WAITS_WINDOW;
	return s->running >= s->limits.running ? SCHEDULE_WAITS_WORKERS : SCHEDULE_WAITS_TURN;
}

/* ---- starting -------------------------------------------------------------------------------------------------- */

static struct schedule_job *
site_start(struct schedule *s, struct schedule_site *site, unsigned class, uint64_t now_ms)
{
	struct schedule_flow *flow = RB_MIN(schedule_turn_tree, &site->class[class].flows);
	struct schedule_job *job = TAILQ_FIRST(&flow->jobs);

	/* Whoever was served is put back: the flow in its site, the site in its class. */
	if (flow->turn > STRIDE + site->class[class].turn)
		site->class[class].turn = flow->turn - STRIDE;
	else
		site->class[class].turn++;
	(void)RB_REMOVE(schedule_turn_tree, &site->class[class].flows, flow);
	flow_turn(site, flow, flow->turn + stride(flow));
	TAILQ_REMOVE(&s->rings[class], site, class[class].link);
	TAILQ_INSERT_TAIL(&s->rings[class], site, class[class].link);
	flow_take(site, job);
	job->started_ms = now_ms;
	job->is_new = class == SCHEDULE_NEW;
	site->running++;
	site->running_new += job->is_new;
	s->running++;
	pace_begin(s, site, now_ms);
	rings_update(s, site);
	return job;
}

/* The last tenth of what may run is for sites that have little running beside what is left, so that slow ones do not hold it all. */
#define RESERVE 10
#define LITTLE 2
#define LITTLE_PART 4
/* Those that must wait for that are passed over, so many at a time. */
#define PASSED_MAX 64

static struct schedule_site *
ring_first(struct schedule *s, unsigned class)
{
	unsigned left = s->limits.running - s->running, little = left / LITTLE_PART > LITTLE ? left / LITTLE_PART : LITTLE;
	bool reserve = left <= s->limits.running / RESERVE;
	struct schedule_site *site = TAILQ_FIRST(&s->rings[class]);

	for (int i = 0; reserve && site != NULL && site->running >= little; i++) {
		if (i == PASSED_MAX)
			return NULL;
		TAILQ_REMOVE(&s->rings[class], site, class[class].link);
		TAILQ_INSERT_TAIL(&s->rings[class], site, class[class].link);
		site = TAILQ_FIRST(&s->rings[class]);
	}
	return site;
}

struct schedule_job *
schedule_next(struct schedule *s, uint64_t now_ms)
{
	if (s->running >= s->limits.running)
		return NULL;
	paced_release(s, now_ms);
	for (unsigned i = 0; i < SCHEDULE_CLASSES; i++) {
		unsigned class = (s->next_class + i) % SCHEDULE_CLASSES;
		struct schedule_site *site = ring_first(s, class);

		if (site == NULL)
			continue;
		s->next_class = (class + 1) % SCHEDULE_CLASSES;
		return site_start(s, site, class, now_ms);
	}
	return NULL;
}

/* ---- feedback -------------------------------------------------------------------------------------------------- */

static void
site_empty(struct schedule *s, struct schedule_site *site)
{
	for (int c = 0; c < SCHEDULE_CLASSES; c++) {
		struct schedule_flow *flow;

		while ((flow = RB_MIN(schedule_turn_tree, &site->class[c].flows)) != NULL) {
			struct schedule_job *job = TAILQ_FIRST(&flow->jobs);

			flow_take(site, job);
			job->site = NULL;
			job->is_given_up = true;
			TAILQ_INSERT_TAIL(&s->given_up, job, link);
		}
	}
}

/* The last few dozen count. */
static void
site_lasts(struct schedule_site *site, uint64_t ms)
{
	if (site->lasts_ms > 0)
		site->lasts_ms += ((double)ms - site->lasts_ms) / 16;
	else
		site->lasts_ms = ms > 0 ? (double)ms : 0.5;
}

void
schedule_done(struct schedule *s, struct schedule_job *job, enum schedule_ending ending, uint64_t now_ms)
{
	struct schedule_site *site = job->site;

	job->site = NULL;
	site->running--;
	site->running_new -= job->is_new;
	s->running--;
	switch (ending) {
	case SCHEDULE_GOOD:
		site_lasts(site, now_ms > job->started_ms ? now_ms - job->started_ms : 0);
		s->changes += site->health.deaths > 0;
		site_health_good(&site->health, &site->limits, site->waiting > 0 && !site->is_paced);
		break;
	case SCHEDULE_TROUBLE:
		if (!site_health_trouble(&site->health, &site->limits, now_ms))
			break;
		s->changes++;
		site_empty(s, site);
		break;
	case SCHEDULE_UNTOLD:
		break;
	}
	rings_update(s, site);
	if (is_idle(site))
		idle_insert(s, site);
}

struct schedule_job *
schedule_given_up(struct schedule *s)
{
	struct schedule_job *job = TAILQ_FIRST(&s->given_up);

	if (job != NULL)
		schedule_remove(s, job);
	return job;
}

struct schedule_site *
schedule_site_next(struct schedule *s, struct schedule_site *site)
{
	return site != NULL ? RB_NEXT(schedule_site_tree, &s->sites, site) : RB_MIN(schedule_site_tree, &s->sites);
}

void
schedule_site_bury(struct schedule_site *site, uint64_t dead_until_ms, unsigned deaths)
{
	site->health.dead_until_ms = dead_until_ms;
	site->health.deaths = deaths;
}

void
schedule_site_blame(struct schedule_site *site, struct str words)
{
	free(site->last_trouble);
	site->last_trouble = str_dup(words);
}

void
schedule_revive_all(struct schedule *s)
{
	struct schedule_site *site;

	RB_FOREACH(site, schedule_site_tree, &s->sites)
		if (site->health.dead_until_ms != 0)
			site_health_probe(&site->health);
}

void
schedule_revive(struct schedule *s, struct str words)
{
	struct schedule_site *site;

	RB_FOREACH(site, schedule_site_tree, &s->sites)
		if (site->health.dead_until_ms != 0 &&
		    (str_equal_nocase(str_from(site->key), words) || str_has_word_nocase(str_from(site->key), words)))
			site_health_probe(&site->health);
}

uint64_t
schedule_retry_ms(const uint64_t *list_s, size_t n, uint64_t count, unsigned jitter, uint32_t random)
{
	uint64_t ms = list_s[count < n ? count : n - 1] * 1000, most = ms / 100 * jitter;

	return ms - most + 2 * most * random / UINT32_MAX;
}
