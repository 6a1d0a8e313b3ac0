#include "queue/intake_inner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"

/* A directory of which something could not be taken is looked at again after this; sooner when it was the spool that took
 * nothing. */
#define LOOK_AGAIN_S 15
#define SPOOL_AGAIN_S 5

static int
due_compare(struct due *a, struct due *b)
{
	return a->time_s < b->time_s ? -1 : a->time_s > b->time_s;
}

TREE_GENERATE(due_tree, due, link, due_compare)

/* Without moving it: what its envelope says. Anything odd about it is found when it is taken. */
static bool
is_unreleased(struct intake *intake, const struct queue_id *id, const struct spool_time *time)
{
	struct envelope_source source;
	struct envelope e;
	struct err err;
	int fd = spool_open_deferred(&intake->queue->spool, id, time, &err);
	bool unreleased;

	if (fd < 0)
		return false;
	envelope_source_init(&source, fd);
	source.skips_content = true;
	envelope_init(&e, MESSAGE_ENVELOPE_MAX_BYTES, MESSAGE_RECIPIENTS_MAX, &intake->queue->hash_key);
	unreleased = envelope_load(&e, &source, SIZE_MAX - 1, &err) == ENVELOPE_LOADED && e.release_ms > queue_now_ms();
	envelope_clear(&e);
	(void)close(fd);
	return unreleased;
}

bool
intake_take_deferred(struct intake *intake, const struct queue_id *id, const struct spool_time *time)
{
	struct err err;

	if (intake->looks_ahead && is_unreleased(intake, id, time)) {
		intake->left_some = true;
		return true;
	}
	if (spool_undefer(&intake->queue->spool, id, time, &err)) {
		intake_take_by(intake, id, &intake_due_mail);
		return true;
	}
	log_error("%s: %s", id->text, err.text);
	intake->cut_short = spool_is_at_fault(err.errnum);
	return !intake->cut_short;
}

static void
due_remove(struct due_tree *tree, struct due *due)
{
	(void)RB_REMOVE(due_tree, tree, due);
	free(due);
}

static struct due *
due_add(struct due_tree *tree, const struct spool_time *time, uint64_t time_s)
{
	struct due probe = {.time_s = time_s}, *due;

	/* Its second may be taken by one that is looked at again: any other near it does as well. */
	while ((due = RB_FIND(due_tree, tree, &probe)) != NULL && strcmp(due->time.text, time->text) != 0)
		probe.time_s++;
	if (due != NULL)
		return due;
	due = calloc(1, sizeof *due);
	if (due == NULL)
		fatal("out of memory for the times of the queue");
	*due = (struct due){.time_s = probe.time_s, .time = *time};
	if (RB_INSERT(due_tree, tree, due) != NULL)
		fatal("a time of the queue is there twice");
	return due;
}

/*
 * When the clock leaps, what waits goes on waiting for as long as it was to wait: nothing is tried, warned of or given up
 * because of a day that did not pass, and nothing comes in one wave. Whoever named a time (release) meant that of the clock.
 */
void
intake_look_at_clock(struct intake *intake)
{
	int64_t leap_s = clock_watch_leap_s(&intake->clock_watch, queue_now_ms(), queue_steady_ms());
	struct due *due = RB_MIN(due_tree, &intake->due);

	if (leap_s == 0)
		return;
	log_warning("the clock was set %s by %llu s", leap_s > 0 ? "forward" : "back",
	    (unsigned long long)(leap_s > 0 ? leap_s : -leap_s));
	/* All by the same: the tree stays in order. */
	if (due == NULL || (leap_s < 0 && due->time_s < (uint64_t)-leap_s))
		return;
	RB_FOREACH(due, due_tree, &intake->due)
		due->time_s += (uint64_t)leap_s;
}

static void
due_again(struct intake *intake, const struct spool_time *time, uint64_t after_s)
{
	intake_look_at_clock(intake);
	due_add(&intake->due, time, queue_now_ms() / 1000 + after_s)->again = true;
}

/*
 * A directory further ahead than any retry is there because the clock was set back since, or because something in it is not
 * released before: what is not that is tried now, and gets a sensible time. *tree: which it is of.
 */
static struct due *
due_next(struct intake *intake, uint64_t now_s, struct due_tree **tree)
{
	struct due *first = RB_MIN(due_tree, &intake->due), *last = RB_MAX(due_tree, &intake->due);
	struct due *release = RB_MIN(due_tree, &intake->releases);

	*tree = &intake->releases;
	if (release != NULL && release->time_s <= now_s)
		return release;
	*tree = &intake->due;
	if (first == NULL)
		return NULL;
	if (first->time_s <= now_s)
		return first;
	if (intake->retry_all)
		RB_FOREACH(first, due_tree, &intake->due)
			if (!first->again)
				return first;
	return last->time_s > now_s + intake->longest_retry_s ? last : NULL;
}

bool
intake_is_due(struct intake *intake)
{
	struct due_tree *tree;

	return due_next(intake, queue_now_ms() / 1000, &tree) != NULL;
}

bool
intake_scan_due(struct intake *intake)
{
	uint64_t now_s = queue_now_ms() / 1000;
	struct due_tree *tree;
	struct due *due = due_next(intake, now_s, &tree);
	struct err err;

	if (due == NULL) {
		intake->retry_all = false;
		return false;
	}
	intake->looks_ahead = due->time_s > now_s;
	intake->left_some = intake->cut_short = false;
	if (!spool_scan_open(&intake->queue->spool, &intake->deferred, SPOOL_DEFERRED, &due->time, &err)) {
		if (err.errnum == ENOTDIR) {
			log_warning("deferred/%s is no directory: left alone", due->time.text);
		} else if (err.errnum != ENOENT) {
			log_error("%s", err.text);
			due_again(intake, &due->time, LOOK_AGAIN_S);
		}
	}
	due_remove(tree, due);
	return true;
}

/* What could not be taken (a full disk ...) must not wait for the next start. */
void
intake_due_done(struct intake *intake)
{
	if (intake->left_some)
		intake_release(intake, &intake->deferred.time);
	if (intake->cut_short ||
	    (!intake->left_some && !spool_time_remove(&intake->queue->spool, &intake->deferred.time)))
		due_again(intake, &intake->deferred.time, intake->cut_short ? SPOOL_AGAIN_S : LOOK_AGAIN_S);
	spool_scan_close(&intake->deferred);
}

uint64_t
intake_next_due_ms(struct intake *intake)
{
	struct due *retry = RB_MIN(due_tree, &intake->due), *release = RB_MIN(due_tree, &intake->releases);
	uint64_t retry_s = retry != NULL ? retry->time_s : UINT64_MAX / 1000;
	uint64_t release_s = release != NULL ? release->time_s : UINT64_MAX / 1000;

	return (retry_s < release_s ? retry_s : release_s) * 1000;
}

static void
due_tell(struct intake *intake, struct due_tree *tree, const struct spool_time *time)
{
	struct spool_time parsed;
	uint64_t time_s;

	if (!spool_time_parse(str_from(time->text), &parsed, &time_s))
		return;
	/* First: the time that is told now is of the clock as it is now. */
	intake_look_at_clock(intake);
	(void)due_add(tree, &parsed, time_s);
	intake_clock_set(intake);
}

void
intake_due(struct intake *intake, const struct spool_time *time)
{
	due_tell(intake, &intake->due, time);
}

void
intake_release(struct intake *intake, const struct spool_time *time)
{
	due_tell(intake, &intake->releases, time);
}

void
intake_list_deferred(struct intake *intake)
{
	struct spool_scan scan;
	struct spool_time time;
	struct err err;
	const char *name;
	uint64_t time_s;

	if (!spool_scan_open(&intake->queue->spool, &scan, SPOOL_DEFERRED, NULL, &err))
		fatal("%s", err.text);
	while ((name = spool_scan_next(&scan)) != NULL)
		if (spool_time_parse(str_from(name), &time, &time_s))
			(void)due_add(&intake->due, &time, time_s);
		else
			log_warning("deferred/%s is no time: left alone", name);
	spool_scan_close(&scan);
}

void
intake_due_clear(struct intake *intake)
{
	struct due *due, *next;

	RB_FOREACH_SAFE(due, due_tree, &intake->due, next)
		due_remove(&intake->due, due);
	RB_FOREACH_SAFE(due, due_tree, &intake->releases, next)
		due_remove(&intake->releases, due);
}
