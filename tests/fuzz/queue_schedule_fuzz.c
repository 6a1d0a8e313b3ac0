/*
 * The scheduler under any sequence of operations: what it starts had been added, no window, rate, share or limit is passed,
 * nothing is lost.
 */
#include <stdlib.h>
#include <string.h>

#include "queue/schedule.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

#define JOBS 64
#define SITES 5
#define SPECIAL 4 /* which of them has a rate */
#define WINDOW_MAX 4
#define RUNNING_MAX 12
#define ROOM_MAX 100
#define SHARE_LEAST 20 /* as in schedule.c */

enum state {
	FREE,
	WAITING,
	RUNNING,
};

static struct {
	struct schedule s;
	struct schedule_job jobs[JOBS];
	enum state states[JOBS];
	unsigned site[JOBS];
	unsigned running[SITES];
	uint64_t now_ms;
} w;

static const uint64_t dead_s[] = {1, 2};
static const struct site_limits site_limits = {
    .window_start = 2, .window = WINDOW_MAX, .dead_after = 2, .dead_s = dead_s, .ndead = 2, .dead_max_ms = 100};

static const struct site_limits special_limits = {.window_start = 1, .window = WINDOW_MAX, .dead_after = 1, .dead_s = dead_s,
    .ndead = 2, .dead_max_ms = UINT64_MAX, .rate = 3, .rate_ms = 100, .special = true};

static void
check(bool good)
{
	if (!good)
		abort();
}

static void
add(uint8_t job, uint8_t how)
{
	char key[2] = {(char)('a' + how % SITES), '\0'};

	struct schedule_site *site;
	bool dead;

	if (w.states[job] != FREE)
		return;
	w.jobs[job].priority = how % (2 * SCHEDULE_PRIORITY_MAX + 1) - SCHEDULE_PRIORITY_MAX;
	site = schedule_site(&w.s, str_from(key), how % SITES == SPECIAL ? &special_limits : &site_limits);
	dead = site_health_is_dead(&site->health, w.now_ms);
	switch (schedule_add(&w.s, site, &w.jobs[job], (enum schedule_class)(how / SITES % SCHEDULE_CLASSES), how / 64,
	    w.now_ms)) {
	case SCHEDULE_ADDED:
		check(!dead);
		w.states[job] = WAITING;
		w.site[job] = how % SITES;
		break;
	case SCHEDULE_DEAD:
		check(dead);
		break;
	case SCHEDULE_FULL:
		check(!dead && w.s.limits.share > 0 && site->waiting >= SHARE_LEAST);
		check(schedule_again_ms(site, 60000, w.now_ms, how * 0x1010101U) <= 60000);
		break;
	}
}

/* All that waits is at a site, or was given up; each site says what the next of it waits for. */
static void
check_sites(void)
{
	const struct schedule_job *job;
	struct schedule_site *site = NULL;
	unsigned waiting = 0, running = 0;

	while ((site = schedule_site_next(&w.s, site)) != NULL) {
		waiting += site->waiting;
		running += site->running;
		check(site->running_new <= site->running && site->running <= WINDOW_MAX);
		check(site->health.window >= 1 && site->health.window <= WINDOW_MAX);
		check((schedule_site_waits_for(&w.s, site) == SCHEDULE_WAITS_NOT) == (site->waiting == 0));
		check(!site->is_paced || site->limits.rate > 0);
	}
	TAILQ_FOREACH(job, &w.s.given_up, link)
		waiting++;
	for (size_t i = 0; i < JOBS; i++) {
		waiting -= w.states[i] == WAITING;
		running -= w.states[i] == RUNNING;
	}
	check(waiting == 0 && running == 0);
}

static void
start(void)
{
	struct schedule_job *job = schedule_next(&w.s, w.now_ms);
	size_t i;

	if (job == NULL)
		return;
	i = (size_t)(job - w.jobs);
	check(i < JOBS && w.states[i] == WAITING);
	w.states[i] = RUNNING;
	check(++w.running[w.site[i]] <= WINDOW_MAX);
	check(w.s.running <= RUNNING_MAX);
	/* Of its rate at most what a clock of milliseconds may be behind. */
	check(job->site->limits.rate == 0 || job->site->next_start_us + 10000 > w.now_ms * 1000);
	check(w.now_ms >= job->started_ms);
}

static void
give_up(void)
{
	struct schedule_job *job = schedule_given_up(&w.s);

	if (job == NULL)
		return;
	check(w.states[job - w.jobs] == WAITING);
	w.states[job - w.jobs] = FREE;
}

static void
done(uint8_t job, uint8_t how)
{
	if (w.states[job] != RUNNING)
		return;
	w.states[job] = FREE;
	w.running[w.site[job]]--;
	schedule_done(&w.s, &w.jobs[job], (enum schedule_ending)(how % 3), w.now_ms);
}

/* Of any site, what is remembered of before. */
static void
bury(uint8_t job, uint8_t how)
{
	char key[2] = {(char)('a' + how % SITES), '\0'};
	struct schedule_site *site = schedule_site_find(&w.s, str_from(key));

	if (site != NULL && site->running == 0 && site->waiting == 0)
		schedule_site_bury(site, w.now_ms + job, how / SITES);
}

static bool
all_free(void)
{
	for (size_t i = 0; i < JOBS; i++)
		if (w.states[i] != FREE)
			return false;
	return true;
}

/* Everything that waits comes to its turn when all goes well. */
static void
drain(void)
{
	for (int round = 0; round < 10 * JOBS && !all_free(); round++) {
		w.now_ms += 40;
		give_up();
		start();
		for (uint8_t i = 0; i < JOBS; i++)
			done(i, SCHEDULE_GOOD);
	}
	check(all_free() && w.s.running == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static const struct schedule_limits limits = {
	    .running = RUNNING_MAX, .idle_sites = 2, .share = 100, .room = ROOM_MAX};

	memset(&w, 0, sizeof w);
	w.now_ms = 1;
	schedule_init(&w.s, &limits);
	for (size_t i = 0; i + 2 < n; i += 3) {
		uint8_t job = bytes[i + 1] % JOBS, how = bytes[i + 2];

		switch (bytes[i] % 9) {
		case 0:
			add(job, how);
			break;
		case 1:
			start();
			break;
		case 2:
			done(job, how);
			break;
		case 3:
			if (w.states[job] == WAITING)
				w.states[job] = FREE;
			if (w.states[job] == FREE)
				schedule_remove(&w.s, &w.jobs[job]);
			break;
		case 4:
			w.now_ms += how;
			break;
		case 5:
			schedule_revive_all(&w.s);
			break;
		case 6:
			give_up();
			break;
		case 7:
			bury(job, how);
			break;
		case 8:
			w.s.limits.room = how % ROOM_MAX;
			break;
		}
		check_sites();
	}
	drain();
	schedule_clear(&w.s);
	return 0;
}
