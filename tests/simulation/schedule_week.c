#include "tests/simulation/schedule_week.h"

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "queue/schedule.h"
#include "queue/share.h"

#define SECOND 1000ULL
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

#define EXPIRE_MS (5 * DAY)
#define RETRY_JITTER 10
#define SUSPENDED_JITTER 50
#define RECIPIENTS_MAX 100 /* of a transaction */

#define SENDERS 1000 /* of letters; the contenders and the list come behind them */
#define LIST_SENDER (SENDERS + WEEK_CONTENDERS)
#define BURST_SENDER (LIST_SENDER + 1)
#define LIST_HOUR 9
#define DOWN_HOUR 0
#define LIMITED_HOUR 14
#define AGAIN_MAX_MS HOUR
#define BURST_AT_MS (22 * HOUR)
#define DEAD_BACK_DAY 1.5

enum kind {
	FAST,
	SLOW,
	DEAD,
	FLAPPING,
	GREY,
	LIMITED,
	KINDS,
};

/* How many sites of each, and how much of the letters goes to them, in thousandths. */
static const struct {
	unsigned sites, letters;
} kinds[KINDS] = {
    [FAST] = {200, 830},
    [SLOW] = {20, 15},
    [DEAD] = {10, 5},
    [FLAPPING] = {20, 40},
    [GREY] = {40, 80},
    [LIMITED] = {5, 30},
};

#define SITES 295

static const uint64_t retry_s[] = {900};
static const uint64_t dead_s[] = {60, 120, 300, 600};
static const struct site_limits site_limits = {
    .window_start = 2, .window = 20, .dead_after = 3, .dead_s = dead_s, .ndead = 4, .dead_max_ms = 675 * SECOND};

enum event_kind {
	ARRIVES,
	ENDS,
	DUE,
};

struct letter {
	struct schedule_job job; /* the first: a job is its letter */
	TAILQ_ENTRY(letter) link;
	STAILQ_ENTRY(letter) all_link;
	struct share *share;
	unsigned site, sender;
	bool bulk, is_retry, was_deferred, tried, postponed;
	uint64_t arrived_ms, deferrals;
	enum schedule_ending ending; /* of what runs */
	bool delivered;
};

TAILQ_HEAD(letters, letter);
STAILQ_HEAD(all_letters, letter);

struct event {
	uint64_t at_ms;
	enum event_kind kind;
	struct letter *letter;
};

struct site {
	enum kind kind;
	char key[16];
	unsigned running;
	size_t tries, refused;
};

struct week {
	const struct week_setup *setup;
	struct week_figures *f;
	struct schedule s;
	struct shares shares;
	uint64_t now_ms, end_ms, random;
	struct event *heap;
	size_t nheap, cap;
	struct site sites[SITES];
	unsigned first[KINDS];
	struct letters incoming, due; /* that wait for room */
	struct letters kept;	      /* free ones, for the next */
	struct all_letters all;
	size_t nactive, nretries;
	uint64_t down_from_ms, down_until_ms, contended_until_ms;
	size_t contended[WEEK_CONTENDERS];
	double healthy_ms;
	size_t flapped;
	double flapped_ms;
	size_t list_left;
	uint64_t list_at_ms;
	size_t burst_left, burst_at_return;
	unsigned *minutes; /* how many retries for dead sites come in each */
};

/* ---- chance ---------------------------------------------------------------------------------------------------- */

static uint32_t
random_32(struct week *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return (uint32_t)(w->random >> 16);
}

static uint32_t
below(struct week *w, uint32_t n)
{
	return (uint32_t)(((uint64_t)random_32(w) * n) >> 32);
}

/* Few of them often, many seldom. */
static unsigned
favourite(struct week *w, unsigned n)
{
	uint64_t x = below(w, n), y = below(w, n);

	return (unsigned)(x * y / n);
}

/* ---- events ---------------------------------------------------------------------------------------------------- */

static void
event_add(struct week *w, uint64_t at_ms, enum event_kind kind, struct letter *letter)
{
	size_t i = w->nheap++;

	if (w->nheap > w->cap) {
		w->cap = w->cap * 2 + 1024;
		w->heap = reallocarray(w->heap, w->cap, sizeof *w->heap);
		if (w->heap == NULL)
			abort();
	}
	for (; i > 0 && w->heap[(i - 1) / 2].at_ms > at_ms; i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = (struct event){at_ms, kind, letter};
}

static struct event
event_take(struct week *w)
{
	struct event first = w->heap[0], last = w->heap[--w->nheap];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < w->nheap) {
		child += child + 1 < w->nheap && w->heap[child + 1].at_ms < w->heap[child].at_ms;
		if (w->heap[child].at_ms >= last.at_ms)
			break;
		w->heap[i] = w->heap[child];
		i = child;
	}
	w->heap[i] = last;
	return first;
}

/* ---- letters --------------------------------------------------------------------------------------------------- */

static struct letter *
letter_new(struct week *w, unsigned sender, unsigned site, uint64_t at_ms)
{
	struct letter *l = TAILQ_FIRST(&w->kept);

	if (l != NULL) {
		TAILQ_REMOVE(&w->kept, l, link);
		*l = (struct letter){.all_link = l->all_link};
	} else {
		l = calloc(1, sizeof *l);
		if (l == NULL)
			abort();
		STAILQ_INSERT_HEAD(&w->all, l, all_link);
	}
	l->sender = sender;
	l->site = site;
	l->arrived_ms = at_ms;
	event_add(w, at_ms, ARRIVES, l);
	w->f->messages++;
	return l;
}

static void
leave(struct week *w, struct letter *l, bool done)
{
	w->nactive--;
	w->nretries -= l->was_deferred;
	share_leave(&w->shares, l->share, done, w->now_ms);
	l->share = NULL;
	w->s.limits.room = w->setup->active_limit - w->nactive;
}

static void
finish(struct week *w, struct letter *l)
{
	TAILQ_INSERT_HEAD(&w->kept, l, link);
	w->f->left--;
}

static void
defer(struct week *w, struct letter *l, uint64_t wait_ms, bool counts)
{
	l->deferrals += counts;
	l->is_retry = l->is_retry || counts;
	l->postponed = !counts;
	if (w->now_ms >= l->arrived_ms + EXPIRE_MS) {
		w->f->expired++;
		w->burst_left -= l->sender == BURST_SENDER;
		finish(w, l);
		return;
	}
	event_add(w, w->now_ms + wait_ms, DUE, l);
}

static void
retry(struct week *w, struct letter *l, unsigned jitter)
{
	defer(w, l, schedule_retry_ms(retry_s, 1, l->deferrals, jitter, random_32(w)), true);
}

/* ---- how sites behave ------------------------------------------------------------------------------------------- */

static bool
is_up(const struct week *w, unsigned site)
{
	if (w->sites[site].kind == DEAD && site == w->first[DEAD])
		return w->now_ms >= (uint64_t)(DEAD_BACK_DAY * DAY);
	if (w->sites[site].kind == DEAD)
		return false;
	/* An hour this, an hour that, each at its own time. */
	return w->sites[site].kind != FLAPPING || (w->now_ms + site * 7 * MINUTE) / HOUR % 2 == 0;
}

static bool
is_contended(const struct week *w, unsigned site)
{
	return site == w->first[SLOW];
}

/* What will come of it, and when. */
static uint64_t
try(struct week *w, struct letter *l)
{
	struct site *site = &w->sites[l->site];
	uint64_t fast_ms = 100 + below(w, 200);

	l->ending = SCHEDULE_GOOD;
	l->delivered = true;
	if (!is_up(w, l->site)) {
		l->ending = SCHEDULE_TROUBLE;
		l->delivered = false;
		return site->kind == DEAD ? 30 * SECOND : 3 * SECOND;
	}
	switch (site->kind) {
	case SLOW:
		return 20 * SECOND + below(w, 20 * SECOND);
	case GREY:
		/* It wants to see it again, after five minutes. */
		l->delivered = w->now_ms >= l->arrived_ms + 5 * MINUTE;
		return fast_ms;
	case LIMITED:
		if (site->running <= WEEK_LIMIT)
			return 5 * fast_ms;
		site->refused += w->now_ms > w->end_ms / 2;
		l->ending = SCHEDULE_TROUBLE;
		l->delivered = false;
		return fast_ms / 2;
	case FAST:
	case DEAD:
	case FLAPPING:
	case KINDS:
		break;
	}
	return fast_ms;
}

/* ---- the queue ------------------------------------------------------------------------------------------------- */

static bool
is_down(const struct week *w)
{
	return w->now_ms >= w->down_from_ms && w->now_ms < w->down_until_ms;
}

static void
put_off(struct week *w, struct letter *l, struct schedule_site *site)
{
	uint64_t quarter_ms = (w->now_ms - l->arrived_ms) / 4, first_ms = retry_s[0] * SECOND;
	uint64_t most_ms = quarter_ms < AGAIN_MAX_MS ? quarter_ms : AGAIN_MAX_MS;
	uint64_t max_ms = first_ms > most_ms ? first_ms : most_ms;
	uint64_t wait_ms = site != NULL ? schedule_again_ms(site, max_ms, w->now_ms, random_32(w))
					: share_again_ms(l->share, max_ms, w->now_ms, random_32(w));

	w->f->postponed++;
	leave(w, l, false);
	defer(w, l, wait_ms, false);
}

/* As queue/intake.c and queue/route.c do. */
static void
admit(struct week *w, struct letter *l)
{
	enum schedule_class class = l->is_retry ? SCHEDULE_RETRY : l->bulk ? SCHEDULE_BULK : SCHEDULE_NEW;
	struct schedule_site *site;

	w->nactive++;
	w->nretries += l->was_deferred;
	w->s.limits.room = w->setup->active_limit - w->nactive;
	if (w->nactive > w->f->peak_active)
		w->f->peak_active = w->nactive;
	l->share = share_enter(&w->shares, l->sender);
	/* A list is one message. */
	if (!l->bulk && share_is_over(l->share, w->s.limits.room * w->s.limits.share / 100)) {
		put_off(w, l, NULL);
		return;
	}
	site = schedule_site(&w->s, str_from(w->sites[l->site].key), &site_limits);
	switch (schedule_add(&w->s, site, &l->job, class, l->sender, w->now_ms)) {
	case SCHEDULE_ADDED:
		break;
	case SCHEDULE_FULL:
		put_off(w, l, site);
		break;
	case SCHEDULE_DEAD:
		w->f->suspended++;
		leave(w, l, true);
		retry(w, l, SUSPENDED_JITTER);
		break;
	}
}

static bool
admit_first(struct week *w, struct letters *list, bool was_deferred)
{
	struct letter *l = TAILQ_FIRST(list);

	if (l == NULL || w->nactive >= w->setup->active_limit)
		return false;
	if (was_deferred && w->nretries >= w->setup->active_limit / 2)
		return false;
	TAILQ_REMOVE(list, l, link);
	l->was_deferred = was_deferred;
	admit(w, l);
	return true;
}

static void
take_in(struct week *w)
{
	bool more = !is_down(w);

	while (more) {
		more = admit_first(w, &w->incoming, false);
		more = admit_first(w, &w->due, true) || more;
	}
}

static double
seconds_since(const struct week *w, uint64_t ms)
{
	return (double)(w->now_ms - ms) / (double)SECOND;
}

static void
most(double *worst, double value)
{
	if (value > *worst)
		*worst = value;
}

/* Its first try. */
static void
measure_start(struct week *w, struct letter *l)
{
	double wait_s = seconds_since(w, l->arrived_ms);
	struct week_figures *f = w->f;

	if (l->bulk && --w->list_left == 0)
		most(&f->list_s, seconds_since(w, w->list_at_ms));
	if (l->bulk || w->sites[l->site].kind != FAST || l->sender >= SENDERS)
		return;
	/* What came during the standstill had to wait. */
	if (l->arrived_ms >= w->down_from_ms && l->arrived_ms < w->down_until_ms)
		return;
	f->healthy++;
	w->healthy_ms += wait_s;
	most(&f->healthy_worst_s, wait_s);
	if (l->arrived_ms >= w->list_at_ms && l->arrived_ms < w->list_at_ms + 10 * MINUTE)
		most(&f->behind_list_worst_s, wait_s);
	if (l->arrived_ms >= w->down_until_ms && l->arrived_ms < w->down_until_ms + HOUR)
		most(&f->after_down_worst_s, wait_s);
}

static void
start_all(struct week *w)
{
	struct schedule_job *job;

	while (!is_down(w) && (job = schedule_next(&w->s, w->now_ms)) != NULL) {
		struct letter *l = (struct letter *)(void *)job;
		struct site *site = &w->sites[l->site];

		if (!l->tried)
			measure_start(w, l);
		l->tried = true;
		w->f->tries++;
		site->tries += w->now_ms > w->end_ms / 2;
		w->f->dead_tries += l->site == w->first[DEAD] && !is_up(w, l->site);
		site->running++;
		if (is_contended(w, l->site) && w->now_ms < w->contended_until_ms && w->now_ms > HOUR && l->sender >= SENDERS)
			w->contended[l->sender - SENDERS]++;
		event_add(w, w->now_ms + try(w, l), ENDS, l);
	}
}

static void
ended(struct week *w, struct letter *l)
{
	struct schedule_site *site = l->job.site;
	struct schedule_job *job;

	w->sites[l->site].running--;
	if (w->sites[l->site].kind == FAST)
		most(&w->f->fast_window, site->health.window);
	if (is_contended(w, l->site) && w->now_ms < w->contended_until_ms)
		w->f->slow_window = site->health.window;
	schedule_done(&w->s, &l->job, l->ending, w->now_ms);
	while ((job = schedule_given_up(&w->s)) != NULL) {
		struct letter *other = (struct letter *)(void *)job;

		w->f->suspended++;
		leave(w, other, true);
		retry(w, other, SUSPENDED_JITTER);
	}
	leave(w, l, true);
	if (!l->delivered) {
		retry(w, l, RETRY_JITTER);
		return;
	}
	w->f->deliveries++;
	if (w->sites[l->site].kind == FLAPPING) {
		w->flapped++;
		w->flapped_ms += (double)(w->now_ms - l->arrived_ms);
	}
	if (l->sender == BURST_SENDER && --w->burst_left * 10 <= w->burst_at_return * 9 && w->f->dead_revived_s == 0)
		w->f->dead_revived_s = seconds_since(w, (uint64_t)(DEAD_BACK_DAY * DAY));
	finish(w, l);
}

static void
due(struct week *w, struct letter *l)
{
	if (l->site == w->first[DEAD] && !l->postponed)
		w->minutes[w->now_ms / MINUTE]++;
	TAILQ_INSERT_TAIL(&w->due, l, link);
	if (w->now_ms >= w->down_from_ms && w->now_ms < w->down_until_ms)
		w->f->due_at_once++;
}

/* ---- the mail of the week --------------------------------------------------------------------------------------- */

static unsigned
site_of_kind(struct week *w, enum kind kind)
{
	return w->first[kind] + favourite(w, kinds[kind].sites);
}

static unsigned
any_site(struct week *w)
{
	unsigned n = below(w, 1000);
	enum kind kind = FAST;

	while (kind + 1 < KINDS && n >= kinds[kind].letters)
		n -= kinds[kind++].letters;
	return site_of_kind(w, kind);
}

/* By night a fifth of what comes by day. */
static uint64_t
any_time(struct week *w)
{
	uint64_t hour;

	do
		hour = below(w, 24);
	while ((hour < 7 || hour > 20) && below(w, 5) > 0);
	return below(w, w->setup->days) * DAY + hour * HOUR + below(w, HOUR);
}

static void
letters_make(struct week *w)
{
	for (size_t i = 0; i < w->setup->letters; i++) {
		unsigned sender = favourite(w, SENDERS), site = any_site(w);

		/* The contended site has its own. */
		if (is_contended(w, site))
			site++;
		(void)letter_new(w, sender, site, any_time(w));
	}
	for (unsigned c = 0; c < WEEK_CONTENDERS; c++)
		for (size_t i = 0; i < w->setup->contended * (c == 0 ? 10 : 1); i++)
			(void)letter_new(w, SENDERS + c, w->first[SLOW], below(w, HOUR));
	for (unsigned day = 0; day < w->setup->days; day++)
		for (size_t i = 0; i < w->setup->limited_burst; i++)
			(void)letter_new(w, favourite(w, SENDERS), w->first[LIMITED] + below(w, kinds[LIMITED].sites),
			    day * DAY + LIMITED_HOUR * HOUR + below(w, 5 * MINUTE));
	for (size_t i = 0; i < w->setup->dead_burst; i++)
		(void)letter_new(w, BURST_SENDER, w->first[DEAD], BURST_AT_MS + below(w, MINUTE));
	w->burst_left = w->setup->dead_burst;
}

/* Each morning, to all kinds of sites but the contended, in transactions. */
static void
list_make(struct week *w, uint64_t at_ms)
{
	static unsigned recipients[SITES];

	w->list_at_ms = at_ms;
	for (unsigned i = 0; i < SITES; i++)
		recipients[i] = 0;
	for (size_t i = 0; i < w->setup->recipients; i++)
		recipients[site_of_kind(w, FAST)]++;
	for (unsigned i = 0; i < SITES; i++)
		for (unsigned n = recipients[i]; n > 0; n -= n < RECIPIENTS_MAX ? n : RECIPIENTS_MAX) {
			letter_new(w, LIST_SENDER, i, at_ms)->bulk = true;
			w->list_left++;
		}
}

/* ---- figures --------------------------------------------------------------------------------------------------- */

static void
jain_figure(struct week *w)
{
	double sum = 0, squares = 0;

	for (unsigned i = 0; i < WEEK_CONTENDERS; i++) {
		sum += (double)w->contended[i];
		squares += (double)w->contended[i] * (double)w->contended[i];
	}
	w->f->jain = squares > 0 ? sum * sum / (WEEK_CONTENDERS * squares) : 0;
	w->f->greatest_part = sum > 0 ? (double)w->contended[0] / sum : 0;
}

static void
limit_figures(struct week *w)
{
	size_t tries = 0, refused = 0;
	double windows = 0;

	for (unsigned i = 0; i < kinds[LIMITED].sites; i++) {
		const struct site *site = &w->sites[w->first[LIMITED] + i];
		const struct schedule_site *known = schedule_site_find(&w->s, str_from(site->key));

		tries += site->tries;
		refused += site->refused;
		windows += known != NULL ? known->health.window : 0;
	}
	w->f->limit_window = windows / kinds[LIMITED].sites;
	w->f->limit_refused = tries > 0 ? (double)refused / (double)tries : 0;
}

/* From the second hour on, without the standstill, while it is dead. */
static void
wave_figure(struct week *w)
{
	uint64_t end = (uint64_t)(DEAD_BACK_DAY * DAY) / MINUTE;

	for (uint64_t quarter = (BURST_AT_MS + HOUR) / MINUTE; quarter + 15 <= end; quarter += 15) {
		unsigned sum = 0, top = 0;

		if (quarter + 15 > w->down_from_ms / MINUTE && quarter < w->down_until_ms / MINUTE + 60)
			continue;
		for (uint64_t i = quarter; i < quarter + 15; i++) {
			sum += w->minutes[i];
			top = w->minutes[i] > top ? w->minutes[i] : top;
		}
		if (sum >= 100)
			most(&w->f->wave, (double)top / sum);
	}
}

static void
figures(struct week *w)
{
	jain_figure(w);
	limit_figures(w);
	wave_figure(w);
	w->f->healthy_mean_s = w->f->healthy > 0 ? w->healthy_ms / (double)w->f->healthy : 0;
	w->f->flapping_delay_s = w->flapped > 0 ? w->flapped_ms / (double)w->flapped / (double)SECOND : 0;
}

/* ---- all ------------------------------------------------------------------------------------------------------- */

static void
sites_make(struct week *w)
{
	unsigned n = 0;

	for (int kind = 0; kind < KINDS; kind++) {
		w->first[kind] = n;
		for (unsigned i = 0; i < kinds[kind].sites; i++, n++) {
			w->sites[n].kind = (enum kind)kind;
			(void)snprintf(w->sites[n].key, sizeof w->sites[n].key, "site%u", n);
		}
	}
}

static void
begin(struct week *w, const struct week_setup *setup, struct week_figures *f)
{
	const struct schedule_limits limits = {
	    .running = setup->workers, .idle_sites = 10000, .share = 100, .room = setup->active_limit};

	*f = (struct week_figures){0};
	*w = (struct week){.setup = setup, .f = f, .random = setup->seed, .end_ms = setup->days * DAY};
	TAILQ_INIT(&w->incoming);
	TAILQ_INIT(&w->due);
	TAILQ_INIT(&w->kept);
	STAILQ_INIT(&w->all);
	schedule_init(&w->s, &limits);
	shares_init(&w->shares);
	sites_make(w);
	w->down_from_ms = DAY + DOWN_HOUR * HOUR;
	w->down_until_ms = w->down_from_ms + setup->down_hours * HOUR;
	/* As long as none of the contenders can have run out: 20 at a time, 30 seconds each. */
	w->contended_until_ms = HOUR + setup->contended * WEEK_CONTENDERS * 6 / 10 * 30 * SECOND / 20;
	w->minutes = calloc(w->end_ms / MINUTE + 60, sizeof *w->minutes);
	if (w->minutes == NULL)
		abort();
	letters_make(w);
}

static void
happens(struct week *w, struct event event)
{
	switch (event.kind) {
	case ARRIVES:
		w->f->left++;
		TAILQ_INSERT_TAIL(&w->incoming, event.letter, link);
		break;
	case ENDS:
		ended(w, event.letter);
		break;
	case DUE:
		due(w, event.letter);
		break;
	}
}

static void
clear(struct week *w)
{
	struct letter *l;

	schedule_clear(&w->s);
	shares_clear(&w->shares);
	while ((l = STAILQ_FIRST(&w->all)) != NULL) {
		STAILQ_REMOVE_HEAD(&w->all, all_link);
		free(l);
	}
	free(w->heap);
	free(w->minutes);
}

void
week_run(const struct week_setup *setup, struct week_figures *f)
{
	static struct week w;
	uint64_t next_list_ms = LIST_HOUR * HOUR;

	begin(&w, setup, f);
	while (w.nheap > 0 && w.heap[0].at_ms < w.end_ms) {
		w.now_ms = w.heap[0].at_ms;
		if (w.now_ms >= next_list_ms) {
			list_make(&w, w.now_ms);
			next_list_ms += DAY;
		}
		if (w.burst_at_return == 0 && w.now_ms >= (uint64_t)(DEAD_BACK_DAY * DAY))
			w.burst_at_return = w.burst_left;
		while (w.nheap > 0 && w.heap[0].at_ms == w.now_ms)
			happens(&w, event_take(&w));
		take_in(&w);
		start_all(&w);
	}
	figures(&w);
	clear(&w);
}
