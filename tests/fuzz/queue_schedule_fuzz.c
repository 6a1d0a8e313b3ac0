/*
 * The scheduler under any sequence of operations: what it starts had been added, no window or limit is passed, nothing
 * is lost.
 */
#include <stdlib.h>
#include <string.h>

#include "queue/schedule.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

#define JOBS 64
#define SITES 5
#define WINDOW_MAX 4
#define RUNNING_MAX 9

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

	if (w.states[job] != FREE)
		return;
	w.jobs[job].priority = how % (2 * SCHEDULE_PRIORITY_MAX + 1) - SCHEDULE_PRIORITY_MAX;
	if (schedule_add(&w.s, schedule_site(&w.s, str_from(key), &site_limits), &w.jobs[job],
	        (enum schedule_class)(how / SITES % SCHEDULE_CLASSES), how / 64, w.now_ms) == SCHEDULE_ADDED) {
		w.states[job] = WAITING;
		w.site[job] = how % SITES;
	}
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
}

static void
done(uint8_t job, uint8_t how)
{
	struct schedule_job *given_up;

	if (w.states[job] != RUNNING)
		return;
	w.states[job] = FREE;
	w.running[w.site[job]]--;
	schedule_done(&w.s, &w.jobs[job], (enum schedule_ending)(how % 3), w.now_ms);
	while ((given_up = schedule_given_up(&w.s)) != NULL) {
		size_t i = (size_t)(given_up - w.jobs);

		check(w.states[i] == WAITING && w.site[i] == w.site[job]);
		w.states[i] = FREE;
	}
}

/* Everything that waits comes to its turn when all goes well. */
static void
drain(void)
{
	for (int round = 0; round < 10 * JOBS; round++) {
		start();
		for (uint8_t i = 0; i < JOBS; i++)
			done(i, SCHEDULE_GOOD);
	}
	for (size_t i = 0; i < JOBS; i++)
		check(w.states[i] == FREE);
	check(w.s.running == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static const struct schedule_limits limits = {
	    .running = RUNNING_MAX, .idle_sites = 2};

	memset(&w, 0, sizeof w);
	w.now_ms = 1;
	schedule_init(&w.s, &limits);
	for (size_t i = 0; i + 2 < n; i += 3) {
		uint8_t job = bytes[i + 1] % JOBS, how = bytes[i + 2];

		switch (bytes[i] % 6) {
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
		}
	}
	drain();
	schedule_clear(&w.s);
	return 0;
}
