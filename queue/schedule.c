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
TREE_GENERATE(schedule_site_tree, schedule_site, by_key, site_compare)

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
schedule_site(struct schedule *s, struct str key, const struct schedule_site_limits *limits)
{
	struct schedule_site *site = schedule_site_find(s, key);

	if (site == NULL) {
		site = allocate(sizeof *site);
		site->key = str_dup(key);
		site->window = s->limits.window_initial;
		RB_INIT(&site->flows);
		for (int c = 0; c < SCHEDULE_CLASSES; c++)
			RB_INIT(&site->class[c].flows);
		(void)RB_INSERT(schedule_site_tree, &s->sites, site);
		idle_insert(s, site);
	}
	site->limits = *limits;
	if (site->window > limits->window)
		site->window = limits->window;
	return site;
}

bool
schedule_site_is_dead(const struct schedule_site *site, uint64_t now_ms)
{
	return site->dead_until_ms > now_ms;
}

static bool
site_has_room(const struct schedule_site *site)
{
	return site->running == 0 || site->running + 1 <= (unsigned)site->window;
}

/* A site is in the ring of each class of which it has jobs, as long as one more may run. */
static void
rings_update(struct schedule *s, struct schedule_site *site)
{
	bool room = site_has_room(site);

	for (int c = 0; c < SCHEDULE_CLASSES; c++) {
		bool wanted = room && !RB_EMPTY(&site->class[c].flows);

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

/* After its time a dead site is probed by one job; until that ended well it is one at a time. */
static void
site_probe(struct schedule_site *site)
{
	site->dead_until_ms = 0;
	site->probing = true;
	site->window = 1;
	site->trouble = 0;
}

bool
schedule_add(struct schedule *s, struct schedule_site *site, struct schedule_job *job, enum schedule_class class,
    uint64_t flow, uint64_t now_ms)
{
	if (schedule_site_is_dead(site, now_ms))
		return false;
	if (site->dead_until_ms != 0)
		site_probe(site);
	if (is_idle(site))
		idle_remove(s, site);
	job->site = site;
	job->flow = flow_get(site, class, job->priority, flow);
	TAILQ_INSERT_TAIL(&job->flow->jobs, job, link);
	site->waiting++;
	rings_update(s, site);
	return true;
}

void
schedule_remove(struct schedule *s, struct schedule_job *job)
{
	struct schedule_site *site = job->site;

	if (site == NULL || job->flow == NULL)
		return;
	flow_take(site, job);
	job->site = NULL;
	rings_update(s, site);
	if (is_idle(site))
		idle_insert(s, site);
}

static struct schedule_job *
site_start(struct schedule *s, struct schedule_site *site, unsigned class)
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
	site->running++;
	s->running++;
	rings_update(s, site);
	return job;
}

struct schedule_job *
schedule_next(struct schedule *s)
{
	if (s->running >= s->limits.running)
		return NULL;
	for (unsigned i = 0; i < SCHEDULE_CLASSES; i++) {
		unsigned class = (s->next_class + i) % SCHEDULE_CLASSES;
		struct schedule_site *site = TAILQ_FIRST(&s->rings[class]);

		if (site == NULL)
			continue;
		s->next_class = (class + 1) % SCHEDULE_CLASSES;
		return site_start(s, site, class);
	}
	return NULL;
}

/* ---- feedback -------------------------------------------------------------------------------------------------- */

static void
site_good(struct schedule *s, struct schedule_site *site)
{
	site->trouble = 0;
	if (site->probing) {
		site->probing = false;
		site->window = s->limits.window_initial;
	} else {
		site->window += 1 / site->window;
	}
	if (site->window > site->limits.window)
		site->window = site->limits.window;
}

static void
site_die(struct schedule *s, struct schedule_site *site, uint64_t now_ms)
{
	site->dead_until_ms = now_ms + site->limits.dead_ms;
	site->probing = false;
	for (int c = 0; c < SCHEDULE_CLASSES; c++) {
		struct schedule_flow *flow;

		while ((flow = RB_MIN(schedule_turn_tree, &site->class[c].flows)) != NULL) {
			struct schedule_job *job = TAILQ_FIRST(&flow->jobs);

			flow_take(site, job);
			job->site = NULL;
			TAILQ_INSERT_TAIL(&s->given_up, job, link);
		}
	}
	rings_update(s, site);
}

static void
site_trouble(struct schedule *s, struct schedule_site *site, uint64_t now_ms)
{
	/* What was under way when it died tells nothing new. */
	if (schedule_site_is_dead(site, now_ms))
		return;
	site->trouble += 1 / site->window;
	/* The window's steps need not add up to exactly one. */
	if (site->trouble > 0.999) {
		site_die(s, site, now_ms);
		return;
	}
	if (site->window >= 2)
		site->window -= 1;
}

void
schedule_done(struct schedule *s, struct schedule_job *job, enum schedule_ending ending, uint64_t now_ms)
{
	struct schedule_site *site = job->site;

	job->site = NULL;
	site->running--;
	s->running--;
	switch (ending) {
	case SCHEDULE_GOOD:
		site->dead_until_ms = 0;
		site_good(s, site);
		break;
	case SCHEDULE_TROUBLE:
		site_trouble(s, site, now_ms);
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
		TAILQ_REMOVE(&s->given_up, job, link);
	return job;
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
		if (site->dead_until_ms != 0)
			site_probe(site);
}

void
schedule_revive(struct schedule *s, struct str words)
{
	struct schedule_site *site;

	RB_FOREACH(site, schedule_site_tree, &s->sites)
		if (site->dead_until_ms != 0 &&
		    (str_equal_nocase(str_from(site->key), words) || str_has_word_nocase(str_from(site->key), words)))
			site_probe(site);
}

uint64_t
schedule_retry_ms(const uint64_t *list_s, size_t n, uint64_t count, uint32_t random)
{
	uint64_t ms = list_s[count < n ? count : n - 1] * 1000;

	/* Between 9/10 and 11/10. */
	return ms - ms / 10 + (ms / 5) * random / UINT32_MAX;
}
