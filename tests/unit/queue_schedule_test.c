#include "tests/unit/rows.h"

#include "queue/schedule.h"

/* ---- a world in virtual time ----------------------------------------------------------------------------------- */

enum { JOBS_MAX = 200000 };

struct world_job {
	struct schedule_job job;
	uint64_t ends_ms;  /* while it runs */
	uint64_t starts_ms; /* when it was started; 0: not yet */
	unsigned site;
};

struct world {
	struct schedule s;
	uint64_t now_ms;
	struct world_job *jobs;
	size_t n;
	size_t running, done, given_up;
	unsigned running_at[64], most_at[64];
	uint64_t lasts_ms[64];	 /* how long a job takes at each site */
	bool broken[64];
	size_t one_in; /* of so many jobs fails; 0: none */
};

static const uint64_t dead_s[] = {60, 120, 300};
static const struct site_limits site_limits = {
    .window_start = 5, .window = 20, .dead_after = 3, .dead_s = dead_s, .ndead = 3, .dead_max_ms = 200000};

static void
world_init(struct world *w, unsigned running)
{
	static const struct schedule_limits limits = {.idle_sites = 100};

	*w = (struct world){.now_ms = 1000};
	schedule_init(&w->s, &limits);
	w->s.limits.running = running;
	w->jobs = calloc(JOBS_MAX, sizeof *w->jobs);
	for (size_t i = 0; i < 64; i++)
		w->lasts_ms[i] = 100;
}

static void
world_clear(struct world *w)
{
	schedule_clear(&w->s);
	free(w->jobs);
}

static struct schedule_site *
site_of(struct world *w, unsigned site)
{
	char key[16];

	(void)snprintf(key, sizeof key, "site%u", site);
	return schedule_site(&w->s, str_from(key), &site_limits);
}

static struct world_job *
world_add(struct world *w, unsigned site, enum schedule_class class, uint64_t flow)
{
	struct world_job *j = &w->jobs[w->n++];

	assert_true(w->n < JOBS_MAX);
	j->site = site;
	if (schedule_add(&w->s, site_of(w, site), &j->job, class, flow, w->now_ms) != SCHEDULE_ADDED) {
		w->given_up++;
		return NULL;
	}
	return j;
}

static void
world_start(struct world *w)
{
	struct schedule_job *job;

	while ((job = schedule_next(&w->s, w->now_ms)) != NULL) {
		struct world_job *j = (struct world_job *)(void *)job;

		j->starts_ms = w->now_ms;
		j->ends_ms = w->now_ms + w->lasts_ms[j->site];
		w->running++;
		w->running_at[j->site]++;
		if (w->running_at[j->site] > w->most_at[j->site])
			w->most_at[j->site] = w->running_at[j->site];
	}
}

static void
world_step(struct world *w, uint64_t ms)
{
	w->now_ms += ms;
	for (size_t i = 0; i < w->n; i++) {
		struct world_job *j = &w->jobs[i];
		bool fails = w->broken[j->site] || (w->one_in > 0 && i % w->one_in == 0);

		if (j->ends_ms == 0 || j->ends_ms > w->now_ms)
			continue;
		j->ends_ms = 0;
		w->running--;
		w->running_at[j->site]--;
		w->done += !fails;
		schedule_done(&w->s, &j->job, fails ? SCHEDULE_TROUBLE : SCHEDULE_GOOD, w->now_ms);
		while (schedule_given_up(&w->s) != NULL)
			w->given_up++;
	}
	world_start(w);
}

static void
world_run(struct world *w, uint64_t ms)
{
	world_start(w);
	for (uint64_t t = 0; t < ms; t += 10)
		world_step(w, 10);
}

/* Adds it with that priority. */
static struct world_job *
world_add_priority(struct world *w, unsigned site, uint64_t flow, int priority)
{
	w->jobs[w->n].job.priority = priority;
	return world_add(w, site, SCHEDULE_NEW, flow);
}

/* ---- tests ----------------------------------------------------------------------------------------------------- */

static void
jobs_start_as_long_as_window_and_workers_allow(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 8);
	for (int i = 0; i < 100; i++) {
		(void)world_add(&w, 1, SCHEDULE_NEW, 1);
		(void)world_add(&w, 2, SCHEDULE_NEW, 1);
	}
	world_start(&w);
	assert_int_equal(w.running, 8);
	assert_true(w.running_at[1] <= 5 && w.running_at[2] <= 5);
	world_run(&w, 10000);
	assert_int_equal(w.done, 200);
	world_clear(&w);
}

static void
a_window_grows_with_success_up_to_its_maximum(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 1000);
	for (int i = 0; i < 2000; i++)
		(void)world_add(&w, 1, SCHEDULE_NEW, 1);
	world_start(&w);
	assert_int_equal(w.running, 5);
	world_run(&w, 300);
	assert_true(w.most_at[1] >= 7);
	world_run(&w, 20000);
	assert_int_equal(w.done, 2000);
	assert_int_equal(w.most_at[1], 20);
	world_clear(&w);
}

/* Between that its site died and that it is handed back the postmaster may have deleted it. */
static void
what_was_given_up_may_be_withdrawn(void **state)
{
	struct schedule_job *job, *last;
	struct world w;
	size_t tried = 0;

	(void)state;
	world_init(&w, 1);
	for (int i = 0; i < 100; i++)
		(void)world_add(&w, 1, SCHEDULE_NEW, 1);
	last = &w.jobs[99].job;
	for (; (job = schedule_next(&w.s, w.now_ms)) != NULL; tried++)
		schedule_done(&w.s, job, SCHEDULE_TROUBLE, w.now_ms);
	assert_true(tried < 100);
	schedule_remove(&w.s, last);
	schedule_remove(&w.s, last);
	for (; (job = schedule_given_up(&w.s)) != NULL; w.given_up++)
		assert_ptr_not_equal(job, last);
	assert_int_equal(tried + w.given_up, 99);
	world_clear(&w);
}

static void
a_site_dies_after_a_windowful_of_trouble_and_is_probed(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 1000);
	w.broken[1] = true;
	for (int i = 0; i < 1000; i++)
		(void)world_add(&w, 1, SCHEDULE_NEW, 1);
	world_run(&w, 1000);
	/* All were handed back after a few tries; nothing of it is kept. */
	assert_int_equal(w.running, 0);
	assert_true(w.given_up >= 985 && w.given_up < 1000);
	assert_true(site_health_is_dead(&site_of(&w, 1)->health, w.now_ms));
	assert_null(world_add(&w, 1, SCHEDULE_NEW, 1));
	world_run(&w, 61000);
	/* One job probes it; while it is under way no second one starts. */
	w.broken[1] = false;
	for (int i = 0; i < 10; i++)
		assert_non_null(world_add(&w, 1, SCHEDULE_RETRY, 1));
	world_start(&w);
	assert_int_equal(w.running, 1);
	world_run(&w, 1000);
	assert_int_equal(w.done, 10);
	world_clear(&w);
}

static void
a_failed_probe_gives_all_back_again(void **state)
{
	struct world w;
	size_t before;

	(void)state;
	world_init(&w, 1000);
	w.broken[1] = true;
	for (int i = 0; i < 10; i++)
		(void)world_add(&w, 1, SCHEDULE_NEW, 1);
	world_run(&w, 62000);
	before = w.given_up;
	for (int i = 0; i < 50; i++)
		assert_non_null(world_add(&w, 1, SCHEDULE_NEW, 1));
	world_run(&w, 200);
	assert_int_equal(w.given_up - before, 49);
	assert_true(site_health_is_dead(&site_of(&w, 1)->health, w.now_ms));
	schedule_revive_all(&w.s);
	assert_non_null(world_add(&w, 1, SCHEDULE_NEW, 1));
	world_clear(&w);
}

static void
now_and_then_a_failure_does_not_kill_a_site(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 1000);
	for (int i = 0; i < 1000; i++)
		(void)world_add(&w, 1, SCHEDULE_NEW, 1);
	w.one_in = 4;
	world_run(&w, 100000);
	assert_int_equal(w.given_up, 0);
	assert_int_equal(w.done, 750);
	world_clear(&w);
}

/* The first promise of the design: a letter is not starved behind a list of 100,000 recipients. */
static void
a_letter_overtakes_a_list(void **state)
{
	struct world w;
	struct world_job *same_site, *other_site, *small_sender;

	(void)state;
	world_init(&w, 100);
	for (unsigned i = 0; i < 100000; i++)
		(void)world_add(&w, i % 50, SCHEDULE_BULK, 7);
	world_run(&w, 3000);
	same_site = world_add(&w, 3, SCHEDULE_NEW, 8);
	other_site = world_add(&w, 60, SCHEDULE_NEW, 8);
	small_sender = world_add(&w, 4, SCHEDULE_BULK, 9);
	world_run(&w, 300);
	assert_true(same_site->starts_ms > 0 && other_site->starts_ms > 0);
	world_run(&w, 2000);
	assert_true(small_sender->starts_ms > 0);
	world_clear(&w);
}

static void
retries_do_not_hold_up_new_mail_and_are_not_starved_by_it(void **state)
{
	struct world w;
	struct world_job *retry, *letter;

	(void)state;
	world_init(&w, 20);
	for (unsigned i = 0; i < 5000; i++)
		(void)world_add(&w, i % 30, SCHEDULE_RETRY, i);
	world_run(&w, 1000);
	letter = world_add(&w, 40, SCHEDULE_NEW, 1);
	world_run(&w, 200);
	assert_true(letter->starts_ms > 0);
	for (unsigned i = 0; i < 20000; i++)
		(void)world_add(&w, i % 30, SCHEDULE_NEW, i);
	retry = world_add(&w, 41, SCHEDULE_RETRY, 1);
	world_run(&w, 60000);
	assert_true(retry->starts_ms > 0);
	world_clear(&w);
}

static void
sites_take_turns_and_a_slow_one_delays_nobody(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 100);
	w.lasts_ms[0] = 100000;
	for (unsigned i = 0; i < 4000; i++)
		(void)world_add(&w, i % 4, SCHEDULE_NEW, 1);
	world_run(&w, 10000);
	/* All but those of the slow one are through: its window is all that it holds. */
	assert_int_equal(w.done, 3000);
	assert_int_equal(w.running, 5);
	world_clear(&w);
}

static void
senders_at_one_site_take_turns(void **state)
{
	struct world w;
	size_t done[2] = {0, 0};

	(void)state;
	world_init(&w, 1000);
	for (unsigned i = 0; i < 3000; i++)
		(void)world_add(&w, 1, SCHEDULE_NEW, 1);
	for (unsigned i = 0; i < 100; i++)
		(void)world_add(&w, 1, SCHEDULE_NEW, 2);
	world_run(&w, 1800);
	for (size_t i = 0; i < w.n; i++)
		done[i >= 3000] += w.jobs[i].starts_ms > 0;
	assert_int_equal(done[1], 100);
	assert_true(done[0] >= 90);
	world_clear(&w);
}

/* Each of a list's transactions lasts: one place is kept for a letter, though the other is taken by as many as like. */
static void
a_place_of_the_window_is_for_new_mail(void **state)
{
	struct world w;
	struct world_job *letter, *bulk;

	(void)state;
	world_init(&w, 100);
	w.lasts_ms[1] = 30000;
	for (int i = 0; i < 20; i++)
		(void)world_add(&w, 1, i % 2 == 0 ? SCHEDULE_BULK : SCHEDULE_RETRY, 1);
	world_start(&w);
	assert_int_equal(w.running, 4);
	letter = world_add(&w, 1, SCHEDULE_NEW, 1);
	world_start(&w);
	assert_true(letter->starts_ms == w.now_ms);
	world_clear(&w);
	/* And the rest is not shut out by new mail. */
	world_init(&w, 100);
	for (int i = 0; i < 1000; i++)
		(void)world_add(&w, 1, SCHEDULE_NEW, 1);
	bulk = world_add(&w, 1, SCHEDULE_BULK, 2);
	world_run(&w, 300);
	assert_true(bulk->starts_ms > 0);
	world_clear(&w);
}

static void
the_last_places_are_for_sites_with_little_running(void **state)
{
	struct world w;
	struct world_job *letter;

	(void)state;
	world_init(&w, 100);
	for (unsigned site = 0; site < 30; site++) {
		w.lasts_ms[site] = 1000000;
		for (int i = 0; i < 20; i++)
			(void)world_add(&w, site, SCHEDULE_NEW, 1);
	}
	world_start(&w);
	assert_in_range(w.running, 90, 99);
	letter = world_add(&w, 40, SCHEDULE_NEW, 1);
	world_start(&w);
	assert_true(letter->starts_ms == w.now_ms);
	world_clear(&w);
}

static void
a_rate_lets_jobs_begin_evenly(void **state)
{
	static const struct site_limits slow = {.window_start = 20, .window = 20, .dead_after = 3, .dead_s = dead_s, .ndead = 3,
	    .dead_max_ms = 200000, .rate = 100, .rate_ms = 60000, .special = true};
	struct world w;
	uint64_t last_ms = 0;

	(void)state;
	world_init(&w, 1000);
	(void)schedule_site(&w.s, STR("site1"), &slow);
	assert_true(schedule_wait_ms(&w.s, w.now_ms) == UINT64_MAX);
	for (int i = 0; i < 500; i++)
		(void)world_add(&w, 1, SCHEDULE_NEW, 1);
	world_run(&w, 60000);
	assert_in_range(w.done, 99, 101);
	assert_in_range(schedule_wait_ms(&w.s, w.now_ms), 0, 600);
	for (size_t i = 0; i < 90; i++) {
		assert_true(i == 0 || w.jobs[i].starts_ms >= last_ms + 580);
		last_ms = w.jobs[i].starts_ms;
	}
	world_clear(&w);
}

static void
a_rate_of_many_is_not_slowed_by_the_clock(void **state)
{
	static const struct site_limits quick = {.window_start = 200, .window = 200, .dead_after = 3, .dead_s = dead_s, .ndead = 3,
	    .dead_max_ms = 200000, .rate = 1000, .rate_ms = 1000, .special = true};
	struct world w;

	(void)state;
	world_init(&w, 1000);
	(void)schedule_site(&w.s, STR("site1"), &quick);
	for (int i = 0; i < 5000; i++)
		(void)world_add(&w, 1, SCHEDULE_NEW, 1);
	world_run(&w, 2100);
	assert_in_range(w.done, 1800, 2110);
	world_clear(&w);
}

/* What waits at one site, in a queue that has room for so many. */
static unsigned
admitted(struct world *w, unsigned site, enum schedule_class class, uint64_t flows, unsigned room)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 2 * room; i++) {
		unsigned had = site_of(w, site)->waiting;

		(void)world_add(w, site, class, i % flows);
		if (site_of(w, site)->waiting > had) {
			n++;
			w->s.limits.room--;
		}
	}
	return n;
}

static void
no_number_of_slow_sites_fills_the_memory(void **state)
{
	struct world w;
	uint64_t last_ms = 0;
	unsigned first;

	(void)state;
	world_init(&w, 1000);
	w.s.limits.share = 100;
	w.s.limits.room = 3000;
	/* One of many senders has half, one sender a third. */
	first = admitted(&w, 1, SCHEDULE_NEW, 10000, 3000);
	assert_in_range(first, 1490, 1510);
	assert_in_range(admitted(&w, 2, SCHEDULE_NEW, 1, 1500), 490, 510);
	assert_in_range(admitted(&w, 3, SCHEDULE_RETRY, 10000, 1000), 320, 340);
	/* There is room left for a letter at each of them. */
	for (unsigned site = 1; site <= 3; site++)
		assert_non_null(world_add(&w, site + 10, SCHEDULE_NEW, 99999));
	assert_true(w.s.limits.room > 600);
	/* What was refused comes when the site will have come to it, also while nothing is known of that. */
	for (int i = 0; i < 1000; i++)
		last_ms = schedule_again_ms(site_of(&w, 1), 900000, w.now_ms, 0);
	assert_in_range(last_ms, 50000, 100000);
	world_clear(&w);
}

static void
what_is_known_to_be_dead_from_before_is_left_alone(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 10);
	schedule_site_bury(site_of(&w, 1), w.now_ms + 5000, 2);
	assert_null(world_add(&w, 1, SCHEDULE_NEW, 1));
	w.now_ms += 5000;
	w.broken[1] = true;
	assert_non_null(world_add(&w, 1, SCHEDULE_NEW, 1));
	world_run(&w, 200);
	/* The third time in a row. */
	assert_in_range(site_of(&w, 1)->health.dead_until_ms, w.now_ms + 199000, w.now_ms + 200000);
	assert_int_equal(w.s.changes, 1);
	world_clear(&w);
}

static void
a_removed_job_is_never_started(void **state)
{
	struct world w;
	struct world_job *a, *b;

	(void)state;
	world_init(&w, 10);
	a = world_add(&w, 1, SCHEDULE_NEW, 1);
	b = world_add(&w, 1, SCHEDULE_NEW, 2);
	schedule_remove(&w.s, &a->job);
	schedule_remove(&w.s, &a->job);
	world_run(&w, 1000);
	assert_true(a->starts_ms == 0 && b->starts_ms > 0);
	assert_int_equal(w.done, 1);
	world_clear(&w);
}

static void
what_is_known_of_idle_sites_is_bounded(void **state)
{
	struct world w;
	char key[32];
	size_t n = 0;
	struct schedule_site *site;

	(void)state;
	world_init(&w, 10);
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(key, sizeof key, "idle%d", i);
		(void)schedule_site(&w.s, str_from(key), &site_limits);
	}
	TAILQ_FOREACH(site, &w.s.idle, idle_link)
		n++;
	assert_int_equal(n, 100);
	assert_null(schedule_site_find(&w.s, STR("idle0")));
	assert_non_null(schedule_site_find(&w.s, STR("idle999")));
	world_clear(&w);
}

static void
retries_follow_the_list_with_jitter(void **state)
{
	static const uint64_t list[] = {300, 600, 900};
	static const struct {
		uint64_t count;
		uint64_t ms;
	} rows[] = {{0, 300000}, {1, 600000}, {2, 900000}, {3, 900000}, {1000000, 900000}};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		assert_int_equal(schedule_retry_ms(list, 3, rows[i].count, 10, 0), rows[i].ms / 10 * 9);
		assert_int_equal(schedule_retry_ms(list, 3, rows[i].count, 10, UINT32_MAX), rows[i].ms / 10 * 11);
		assert_int_equal(schedule_retry_ms(list, 3, rows[i].count, 10, UINT32_MAX / 2) / 1000,
		    (rows[i].ms - 1) / 1000);
	}
}

/* A simulated week: what fails together does not come back together. */
static void
a_wave_is_gone_after_a_few_rounds(void **state)
{
	static const uint64_t list[] = {900};
	static unsigned minutes[7 * 24 * 60 + 60];
	unsigned most = 0;
	uint32_t random = 12345;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		uint64_t at_ms = 0;

		for (uint64_t count = 0; at_ms < 7ULL * 86400 * 1000; count++) {
			random = random * 1664525 + 1013904223;
			at_ms += schedule_retry_ms(list, 1, count, 10, random);
			if (at_ms < 7ULL * 86400 * 1000)
				minutes[at_ms / 60000]++;
		}
	}
	for (size_t i = 2 * 24 * 60; i < 7 * 24 * 60; i++)
		most = minutes[i] > most ? minutes[i] : most;
	/* 10,000 in 15 minutes are 667 a minute. */
	assert_true(most < 900);
}

static void
what_is_urgent_goes_before_what_waits_longer(void **state)
{
	struct world w;
	struct world_job *urgent;
	size_t before = 0;

	(void)state;
	world_init(&w, 100);
	for (unsigned i = 0; i < 1000; i++)
		(void)world_add(&w, 1, SCHEDULE_NEW, i % 100);
	world_run(&w, 200);
	urgent = world_add_priority(&w, 1, 7, 4);
	world_run(&w, 2000);
	assert_true(urgent->starts_ms > 0);
	for (size_t i = 0; i + 1 < w.n; i++)
		before += w.jobs[i].starts_ms > 0 && w.jobs[i].starts_ms < urgent->starts_ms;
	/* What ran when it came, and at most a windowful more. */
	assert_true(before < 40);
	world_clear(&w);
}

static void
what_can_wait_is_not_starved(void **state)
{
	struct world w;
	struct world_job *patient;

	(void)state;
	world_init(&w, 100);
	for (unsigned i = 0; i < 2000; i++)
		(void)world_add_priority(&w, 1, 1, 0);
	patient = world_add_priority(&w, 1, 2, -4);
	world_run(&w, 4000);
	/* One of its turns is sixteen of the others'. */
	assert_true(patient->starts_ms > 1000 && patient->starts_ms < 2000);
	world_clear(&w);
}

static void
shares_follow_priority(void **state)
{
	struct world w;
	size_t started[2] = {0, 0};

	(void)state;
	world_init(&w, 100);
	for (unsigned i = 0; i < 4000; i++)
		(void)world_add_priority(&w, 1, 1 + i % 2, i % 2 == 0 ? 0 : 1);
	world_run(&w, 5000);
	for (size_t i = 0; i < w.n; i++)
		started[i % 2] += w.jobs[i].starts_ms > 0;
	assert_true(started[0] > 100);
	assert_in_range(started[1] * 100 / started[0], 195, 205);
	world_clear(&w);
}

/* Each from another sender, so that each has its credit. */
static void
a_stream_of_urgent_mail_does_not_starve_the_rest(void **state)
{
	struct world w;
	struct world_job *usual;
	uint64_t flow = 10;

	(void)state;
	world_init(&w, 100);
	usual = NULL;
	for (unsigned i = 0; i < 3000; i++) {
		(void)world_add_priority(&w, 1, flow++, 9);
		(void)world_add_priority(&w, 1, flow++, 9);
		(void)world_add_priority(&w, 1, flow++, 9);
		if (i == 10)
			usual = world_add_priority(&w, 1, 1, 0);
		world_run(&w, 10);
	}
	assert_non_null(usual);
	assert_true(usual->starts_ms > 0 && usual->starts_ms < 20000);
	world_clear(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(jobs_start_as_long_as_window_and_workers_allow),
	    cmocka_unit_test(a_window_grows_with_success_up_to_its_maximum),
	    cmocka_unit_test(what_was_given_up_may_be_withdrawn),
	    cmocka_unit_test(a_site_dies_after_a_windowful_of_trouble_and_is_probed),
	    cmocka_unit_test(a_failed_probe_gives_all_back_again),
	    cmocka_unit_test(now_and_then_a_failure_does_not_kill_a_site),
	    cmocka_unit_test(a_letter_overtakes_a_list),
	    cmocka_unit_test(retries_do_not_hold_up_new_mail_and_are_not_starved_by_it),
	    cmocka_unit_test(sites_take_turns_and_a_slow_one_delays_nobody),
	    cmocka_unit_test(senders_at_one_site_take_turns),
	    cmocka_unit_test(a_place_of_the_window_is_for_new_mail),
	    cmocka_unit_test(the_last_places_are_for_sites_with_little_running),
	    cmocka_unit_test(a_rate_lets_jobs_begin_evenly),
	    cmocka_unit_test(a_rate_of_many_is_not_slowed_by_the_clock),
	    cmocka_unit_test(no_number_of_slow_sites_fills_the_memory),
	    cmocka_unit_test(what_is_known_to_be_dead_from_before_is_left_alone),
	    cmocka_unit_test(a_removed_job_is_never_started),
	    cmocka_unit_test(what_is_known_of_idle_sites_is_bounded),
	    cmocka_unit_test(retries_follow_the_list_with_jitter),
	    cmocka_unit_test(a_wave_is_gone_after_a_few_rounds),
	    cmocka_unit_test(what_is_urgent_goes_before_what_waits_longer),
	    cmocka_unit_test(what_can_wait_is_not_starved),
	    cmocka_unit_test(shares_follow_priority),
	    cmocka_unit_test(a_stream_of_urgent_mail_does_not_starve_the_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
