#include "queue/intake.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/queue/poke.h"
#include "queue/clock_watch.h"
#include "queue/notice.h"
#include "queue/outcome.h"
#include "queue/queue_log.h"
#include "queue/route.h"
#include "queue/site.h"
#include "queue/timing.h"
#include "queue/wake.h"

/* How often incoming/ is looked at, for notices that were lost; and the clock, whether it has leapt. */
#define SCAN_INTERVAL_MS 5000
/* A file that was changed less than this ago may still be on its way to being acknowledged: its notice will come. */
#define SETTLE_MS 3000
/* When an unfinished file is debris: no session of smtpd lasts so long without a byte. An empty one is a message that
 * was refused after all: smtpd may not remove it. */
#define DEBRIS_S (24 * 3600)
#define EMPTY_DEBRIS_S 60
/* A file that could not be read is tried again after this; so is what had to stay in active/. */
#define UNREADABLE_MS 60000
/* So is a directory of deferred/ of which something could not be taken. */
#define LOOK_AGAIN_S 15
/* And sooner when it was the spool that took nothing. */
#define SPOOL_AGAIN_S 5
/* What is done in one turn of the loop. */
#define TURN_MESSAGES 32
#define TURN_BYTES (1024 * 1024)
/* In memory at a time, over all messages. */
#define RECIPIENTS_LIMIT 200000

struct due {
	RB_ENTRY(due) link;
	uint64_t time_s;
	bool again; /* something in it could not be taken */
	struct spool_time time;
};

RB_HEAD(due_tree, due);

struct intake {
	struct queue *queue;
	struct loop_io poke;
	struct loop_timer turn;	 /* there is work */
	struct loop_timer clock; /* something becomes due, or incoming/ is to be looked at */
	struct spool_scan active, incoming, deferred; /* under way */
	bool scan_incoming; /* again, as soon as there is room */
	bool retry_all;	    /* whatever the time */
	uint64_t next_scan_ms;
	uint64_t active_again_ms; /* when active/ is to be read again; 0: not */
	uint64_t complained_ms;	  /* of files in incoming/ that cannot be opened; 0: never */
	struct clock_watch clock_watch;
	struct due_tree due;
	/* Directories that may lie further ahead than any retry, because something in them is not released before. */
	struct due_tree releases;
	bool looks_ahead; /* the directory under way is taken before its time, but for what is not released */
	bool left_some;	  /* of those */
	bool cut_short;	  /* nothing more can be taken from it now */
	TAILQ_HEAD(, message) loading; /* large ones, of which there is more to read */
	uint64_t longest_retry_s;
};

static int
due_compare(struct due *a, struct due *b)
{
	return a->time_s < b->time_s ? -1 : a->time_s > b->time_s;
}

TREE_GENERATE(due_tree, due, link, due_compare)

static void intake_wake(struct intake *intake);

/* ---- one message ----------------------------------------------------------------------------------------------- */

/* What had to stay in active/ is not forgotten until the next start. */
static void
read_active_again(struct intake *intake)
{
	if (intake->active_again_ms == 0)
		intake->active_again_ms = loop_now_ms(intake->queue->loop) + UNREADABLE_MS;
}

/* The sandbox lets no link, FIFO or device be made, and that is what a rename does: there is nothing in them to be kept. */
static void
move_to_corrupt(struct intake *intake, const struct queue_id *id, enum spool_place from, const char *why)
{
	const struct spool *spool = &intake->queue->spool;
	struct err err, ignored;

	if (spool_move(spool, id, from, SPOOL_CORRUPT, &err)) {
		log_error("%s: damaged (%s): moved to corrupt", id->text, why);
		return;
	}
	if (err.errnum == EACCES && spool_is_special(spool, id, from) && spool_remove(spool, id, from, &ignored)) {
		log_error("%s: a link, a FIFO or a device in %s was removed", id->text, spool_place_name(from));
		return;
	}
	log_error("%s: damaged (%s): %s", id->text, why, err.text);
	if (from == SPOOL_ACTIVE)
		read_active_again(intake);
}

/* Opening says that this is no file: a symbolic link, a socket, a device. */
static bool
is_no_file(const struct err *err)
{
	return err->errnum == ELOOP || err->errnum == ENXIO || err->errnum == ENODEV;
}

/* Not the file's fault, as far as we know. */
static void
put_off(struct intake *intake, const struct queue_id *id)
{
	uint64_t now_ms = queue_now_ms();
	struct spool_time time;
	struct err err;

	spool_time_round(&time, now_ms + UNREADABLE_MS, now_ms);
	if (spool_defer(&intake->queue->spool, id, &time, &err)) {
		intake_due(intake, &time);
		return;
	}
	log_error("%s: %s", id->text, err.text);
	read_active_again(intake);
}

/* A filter wanted it on hold and it was not yet; or it is not to be tried before its time. */
static bool
is_not_for_now(struct message *m)
{
	if (m->wish == MESSAGE_WISH_NONE && m->envelope.hold.p != NULL && m->envelope.held_ms == 0)
		m->wish = MESSAGE_WISH_HOLD;
	return m->wish != MESSAGE_WISH_NONE || m->envelope.release_ms > queue_now_ms();
}

/* What a command wants is never too much. */
static bool
is_too_much(struct message *m)
{
	struct queue *q = m->queue;

	if (m->is_ordered)
		return false;
	m->share = share_enter(&q->shares, siphash(&q->hash_key, m->envelope.sender));
	if (!share_is_over(m->share, queue_share(q)))
		return false;
	message_postpone(m, share_again_ms(m->share, timing_again_max_ms(&m->envelope, &q->conf->queue, m->active_ms), loop_now_ms(q->loop), arc4random()));
	return true;
}

static void
loaded(struct message *m)
{
	struct queue *q = m->queue;

	m->active_ms = queue_now_ms();
	m->is_retry = m->envelope.deferrals > 0;
	m->was_deferred = m->was_deferred || m->is_retry;
	q->nrecipients += m->envelope.nrecipients;
	q->nretries += m->was_deferred;
	m->is_notice = !m->was_deferred && m->envelope.about.n > 0;
	q->nnotices += m->is_notice;
	queue_log_active(m->id.text, &m->envelope);
	if (q->nopen > MESSAGE_OPEN_MAX)
		message_close(m);
	if (is_not_for_now(m) || is_too_much(m))
		outcome_untried(m);
	else
		route_message(q->routes, m);
}

/* Reads on; the message is gone when it turns out to be none. */
static void
load(struct intake *intake, struct message *m)
{
	struct err err;
	enum envelope_load result = message_load(m, TURN_BYTES, &err);

	switch (result) {
	case ENVELOPE_MORE:
		TAILQ_INSERT_TAIL(&intake->loading, m, load_link);
		intake_wake(intake);
		return;
	case ENVELOPE_LOADED:
		loaded(m);
		return;
	case ENVELOPE_UNFINISHED:
		/* In active/ only we write, and whoever wrote this died. Anywhere else only what is whole is taken. */
		if (!m->is_left)
			move_to_corrupt(intake, &m->id, SPOOL_ACTIVE, "it is unfinished");
		else if (spool_remove(&m->queue->spool, &m->id, SPOOL_ACTIVE, &err))
			log_info("%s: an unfinished file was removed", m->id.text);
		else
			log_error("%s: %s", m->id.text, err.text);
		break;
	case ENVELOPE_DAMAGED:
		move_to_corrupt(intake, &m->id, SPOOL_ACTIVE, err.text);
		break;
	case ENVELOPE_NEWER:
		log_error("%s: %s: left in active until that is started again", m->id.text, err.text);
		break;
	case ENVELOPE_UNREADABLE:
		log_error("%s: %s", m->id.text, err.text);
		put_off(intake, &m->id);
		break;
	}
	queue_forget(m);
}

/* What a command wants with the message that is taken. */
struct order {
	struct str bounce; /* for this reason; empty: it is tried */
	bool is_none;	   /* no command: it just came, or is due */
	bool was_deferred;
	bool is_left; /* a look into active/ found it */
};

static const struct order no_order = {.is_none = true}, due_order = {.is_none = true, .was_deferred = true},
			  left_over = {.is_none = true, .is_left = true};

/* The message of an open file in active/. */
static void
begin(struct intake *intake, const struct queue_id *id, int fd, const struct order *order)
{
	struct message *m = message_new(intake->queue, id);

	if (order->bounce.n > 0)
		message_bounce(m, order->bounce);
	m->is_ordered = !order->is_none;
	m->was_deferred = order->was_deferred;
	m->fd = fd;
	m->is_left = order->is_left;
	intake->queue->nopen += fd >= 0;
	if (!queue_insert(intake->queue, m)) {
		log_warning("%s: is in the queue already", id->text);
		message_free(m);
		return;
	}
	load(intake, m);
}

static void
take(struct intake *intake, const struct queue_id *id, const struct order *order)
{
	struct err err;
	int fd = spool_open_file(&intake->queue->spool, SPOOL_ACTIVE, id, O_RDONLY, &err);

	if (fd >= 0) {
		begin(intake, id, fd, order);
		return;
	}
	if (is_no_file(&err)) {
		move_to_corrupt(intake, id, SPOOL_ACTIVE, "it is no file");
		return;
	}
	if (err.errnum != ENOENT || !order->is_left)
		log_error("%s: %s", id->text, err.text);
	if (err.errnum != ENOENT)
		put_off(intake, id);
}

void
intake_take(struct intake *intake, const struct queue_id *id)
{
	take(intake, id, &(const struct order){.is_none = false});
}

void
intake_bounce(struct intake *intake, const struct queue_id *id, struct str reason)
{
	take(intake, id, &(const struct order){.bounce = reason});
}

/* ---- incoming/ ------------------------------------------------------------------------------------------------- */

/* Is the file complete as far as its head tells? Reads nothing else: only what is in active/ is trusted to stay. */
static bool
is_finished(int fd)
{
	char bytes[QUEUE_HEAD_BYTES];
	struct queue_head head;
	ssize_t n = pread(fd, bytes, sizeof bytes, 0);

	if (n < 0)
		return true; /* whatever it is: to be moved to corrupt/ */
	switch (queue_head_parse((struct str){bytes, (size_t)n}, &head)) {
	case PARSE_OK:
		return head.complete;
	case PARSE_MORE:
		return false;
	case PARSE_BAD:
		break;
	}
	/* Of a newer version we understand that much. */
	return head.version > QUEUE_FILE_VERSION ? head.complete : n != 0;
}

/* A file without notice is left alone as long as smtpd may be at work on it, and removed when it cannot be any more. */
static bool
is_ours(struct intake *intake, const struct queue_id *id, int fd)
{
	uint64_t now_ms = queue_now_ms(), changed_ms;
	struct stat st;
	struct err err;

	if (fstat(fd, &st) != 0)
		return false;
	changed_ms = (uint64_t)st.st_mtim.tv_sec * 1000 + (uint64_t)st.st_mtim.tv_nsec / 1000000;
	if (is_finished(fd))
		return changed_ms > now_ms + SETTLE_MS || changed_ms + SETTLE_MS < now_ms;
	if ((uint64_t)st.st_mtim.tv_sec + (st.st_size > 0 ? DEBRIS_S : EMPTY_DEBRIS_S) >= now_ms / 1000)
		return false;
	if (!spool_remove(&intake->queue->spool, id, SPOOL_INCOMING, &err))
		log_error("%s: %s", id->text, err.text);
	else if (st.st_size > 0)
		log_info("%s: an unfinished file of yesterday was removed", id->text);
	return false;
}

/* Of such files, which stay until the postmaster gives them to us, one is named a minute. */
static void
cannot_open_incoming(struct intake *intake, const struct queue_id *id, const struct err *err)
{
	uint64_t now_ms = loop_now_ms(intake->queue->loop);

	/* A notice and a look into the directory may both have found it. */
	if (err->errnum == ENOENT)
		return;
	if (is_no_file(err)) {
		move_to_corrupt(intake, id, SPOOL_INCOMING, "it is no file");
		return;
	}
	if (intake->complained_ms != 0 && now_ms < intake->complained_ms + UNREADABLE_MS)
		return;
	intake->complained_ms = now_ms;
	log_error("%s: %s", id->text, err->text);
}

/* False: nothing more can be taken now. */
static bool
take_incoming(struct intake *intake, const struct queue_id *id, bool noticed)
{
	const struct spool *spool = &intake->queue->spool;
	struct err err;
	int fd = spool_open_file(spool, SPOOL_INCOMING, id, O_RDONLY, &err);

	if (fd < 0) {
		cannot_open_incoming(intake, id, &err);
		return true;
	}
	if (!noticed && !is_ours(intake, id, fd)) {
		(void)close(fd);
		return true;
	}
	if (spool_move(spool, id, SPOOL_INCOMING, SPOOL_ACTIVE, &err)) {
		begin(intake, id, fd, &no_order);
		return true;
	}
	if (err.errnum == EEXIST)
		move_to_corrupt(intake, id, SPOOL_INCOMING, "its name is taken");
	else if (spool_is_special(spool, id, SPOOL_INCOMING))
		move_to_corrupt(intake, id, SPOOL_INCOMING, "it is no file");
	else
		log_error("%s: %s", id->text, err.text);
	(void)close(fd);
	return !spool_is_at_fault(err.errnum);
}

/*
 * Retries never fill more than half, so that new mail is not shut out by them; but each of them may make a notification, which
 * fill the other half. So new mail has room for as long as it has not half by itself.
 */
static bool
has_room(const struct queue *q)
{
	size_t limit = q->conf->queue.active_limit, others = q->nretries + q->nnotices;

	return !q->stopping && (q->nmessages < limit || q->nmessages - others < limit / 2) && q->nrecipients < RECIPIENTS_LIMIT;
}

static bool
has_room_for_retry(const struct queue *q)
{
	size_t limit = q->conf->queue.active_limit;

	return has_room(q) && q->nmessages < limit && q->nretries + q->nnotices < limit / 2 &&
	    q->nrecipients < RECIPIENTS_LIMIT / 2;
}

bool
intake_has_room(const struct intake *intake)
{
	return has_room_for_retry(intake->queue);
}

/* How many lines there were. */
static unsigned
poked(struct intake *intake, struct str lines)
{
	struct str token;
	unsigned n = 0;

	for (; str_token(&lines, '\n', &token); n++) {
		struct queue_id id;

		if (str_starts(token, STR(POKE_WAKE))) {
			(void)wake_site(intake->queue->wake, str_skip(token, sizeof POKE_WAKE - 1), true);
			continue;
		}
		if (token.n == 0 || !queue_id_parse(&id, token))
			continue;
		if (has_room(intake->queue))
			(void)take_incoming(intake, &id, true);
		else
			intake->scan_incoming = true;
	}
	return n;
}

static void
poke_ready(struct loop_io *io, unsigned events)
{
	struct intake *intake = container_of(io, struct intake, poke);
	char bytes[POKE_MAX_BYTES];

	(void)events;
	for (unsigned taken = 0; taken < TURN_MESSAGES;) {
		ssize_t n = recv(io->fd, bytes, sizeof bytes, MSG_DONTWAIT);

		if (n < 0)
			return;
		taken += poked(intake, (struct str){bytes, (size_t)n}) + 1;
	}
}

/* ---- directories ----------------------------------------------------------------------------------------------- */

/* What the last queued left; but the directory is read while we work, so what is ours may be met as well. */
static void
take_active(struct intake *intake, const struct queue_id *id)
{
	if (queue_find(intake->queue, id) == NULL && !notice_is_being_written(intake->queue->notices, id))
		take(intake, id, &left_over);
}

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

/* False: nothing more can be taken now. */
static bool
take_deferred(struct intake *intake, const struct queue_id *id, const struct spool_time *time)
{
	struct err err;

	if (intake->looks_ahead && is_unreleased(intake, id, time)) {
		intake->left_some = true;
		return true;
	}
	if (spool_undefer(&intake->queue->spool, id, time, &err)) {
		take(intake, id, &due_order);
		return true;
	}
	log_error("%s: %s", id->text, err.text);
	intake->cut_short = spool_is_at_fault(err.errnum);
	return !intake->cut_short;
}

/* Takes the next file of the directory; false at its end, or when it is of no use to go on. */
static bool
scan_step(struct intake *intake, struct spool_scan *scan)
{
	const char *name = spool_scan_next(scan);
	struct queue_id id;

	if (name == NULL)
		return false;
	/* Nothing else of ours has other names; what the postmaster leaves there is the postmaster's. */
	if (!queue_id_parse(&id, str_from(name)))
		return true;
	if (scan->place == SPOOL_INCOMING)
		return take_incoming(intake, &id, false);
	if (scan->place == SPOOL_DEFERRED)
		return take_deferred(intake, &id, &scan->time);
	take_active(intake, &id);
	return true;
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
	(void)RB_INSERT(due_tree, tree, due);
	return due;
}

/*
 * When the clock leaps, what waits goes on waiting for as long as it was to wait: nothing is tried, warned of or given up
 * because of a day that did not pass, and nothing comes in one wave. Whoever named a time (release) meant that of the clock.
 */
static void
look_at_clock(struct intake *intake)
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
	look_at_clock(intake);
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

static bool
scan_due(struct intake *intake)
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

/* The end of a directory of deferred/. What could not be taken (a full disk ...) must not wait for the next start. */
static void
due_done(struct intake *intake)
{
	if (intake->left_some)
		intake_release(intake, &intake->deferred.time);
	if (intake->cut_short ||
	    (!intake->left_some && !spool_time_remove(&intake->queue->spool, &intake->deferred.time)))
		due_again(intake, &intake->deferred.time, intake->cut_short ? SPOOL_AGAIN_S : LOOK_AGAIN_S);
	spool_scan_close(&intake->deferred);
}

static bool
step_active(struct intake *intake)
{
	if (intake->active.dir == NULL || !has_room(intake->queue))
		return false;
	if (!scan_step(intake, &intake->active))
		spool_scan_close(&intake->active);
	return true;
}

static bool
step_incoming(struct intake *intake)
{
	struct err err;

	if (!has_room(intake->queue))
		return false;
	if (intake->incoming.dir == NULL) {
		if (!intake->scan_incoming)
			return false;
		intake->scan_incoming = false;
		if (!spool_scan_open(&intake->queue->spool, &intake->incoming, SPOOL_INCOMING, NULL, &err))
			log_error("%s", err.text);
		return intake->incoming.dir != NULL;
	}
	if (!scan_step(intake, &intake->incoming))
		spool_scan_close(&intake->incoming);
	return true;
}

static bool
step_deferred(struct intake *intake)
{
	if (!has_room_for_retry(intake->queue))
		return false;
	if (intake->deferred.dir == NULL)
		return scan_due(intake);
	if (!scan_step(intake, &intake->deferred))
		due_done(intake);
	return true;
}

static bool
step_loading(struct intake *intake)
{
	struct message *m = TAILQ_FIRST(&intake->loading);

	if (m == NULL)
		return false;
	TAILQ_REMOVE(&intake->loading, m, load_link);
	load(intake, m);
	return true;
}

/* ---- when ------------------------------------------------------------------------------------------------------ */

static void clock_expired(struct loop_timer *timer);

static uint64_t
next_due_ms(struct intake *intake)
{
	struct due *retry = RB_MIN(due_tree, &intake->due), *release = RB_MIN(due_tree, &intake->releases);
	uint64_t retry_s = retry != NULL ? retry->time_s : UINT64_MAX / 1000;
	uint64_t release_s = release != NULL ? release->time_s : UINT64_MAX / 1000;

	return (retry_s < release_s ? retry_s : release_s) * 1000;
}

static void
clock_set(struct intake *intake)
{
	uint64_t now_ms = queue_now_ms(), loop_ms = loop_now_ms(intake->queue->loop);
	uint64_t after_ms = intake->next_scan_ms > loop_ms ? intake->next_scan_ms - loop_ms : 1;
	uint64_t next_ms = next_due_ms(intake);

	if (next_ms > now_ms && next_ms - now_ms < after_ms)
		after_ms = next_ms - now_ms;
	else if (next_ms <= now_ms && has_room_for_retry(intake->queue))
		after_ms = 1;
	loop_timer_set(intake->queue->loop, &intake->clock, after_ms, clock_expired);
}

static void
turn_expired(struct loop_timer *timer)
{
	struct intake *intake = container_of(timer, struct intake, turn);
	bool more = true;

	look_at_clock(intake);
	for (int i = 0; more && i < TURN_MESSAGES && !intake->queue->stopping; i++) {
		/* No short cuts: each has its turn. */
		more = step_loading(intake);
		more = step_active(intake) || more;
		more = step_incoming(intake) || more;
		more = step_deferred(intake) || more;
	}
	if (more && !intake->queue->stopping)
		intake_wake(intake);
	else
		clock_set(intake);
}

static void
intake_wake(struct intake *intake)
{
	if (intake->turn.loop == NULL)
		loop_timer_set(intake->queue->loop, &intake->turn, 0, turn_expired);
}

static void
scan_active_again(struct intake *intake)
{
	struct err err;

	intake->active_again_ms = 0;
	if (intake->active.dir == NULL && !spool_scan_open(&intake->queue->spool, &intake->active, SPOOL_ACTIVE, NULL, &err))
		log_error("%s", err.text);
}

static void
clock_expired(struct loop_timer *timer)
{
	struct intake *intake = container_of(timer, struct intake, clock);
	uint64_t now_ms = loop_now_ms(intake->queue->loop);

	if (now_ms >= intake->next_scan_ms) {
		intake->scan_incoming = true;
		intake->next_scan_ms = now_ms + SCAN_INTERVAL_MS;
	}
	if (intake->active_again_ms != 0 && now_ms >= intake->active_again_ms)
		scan_active_again(intake);
	intake_wake(intake);
}

void
intake_room(struct intake *intake)
{
	struct due_tree *tree;

	if (intake->active.dir != NULL || intake->incoming.dir != NULL || intake->scan_incoming ||
	    intake->deferred.dir != NULL || due_next(intake, queue_now_ms() / 1000, &tree) != NULL)
		intake_wake(intake);
}

static void
due_tell(struct intake *intake, struct due_tree *tree, const struct spool_time *time)
{
	struct spool_time parsed;
	uint64_t time_s;

	if (!spool_time_parse(str_from(time->text), &parsed, &time_s))
		return;
	/* First: the time that is told now is of the clock as it is now. */
	look_at_clock(intake);
	(void)due_add(tree, &parsed, time_s);
	clock_set(intake);
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
intake_retry_all(struct intake *intake)
{
	intake->retry_all = true;
	intake_wake(intake);
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

static void
list_deferred(struct intake *intake)
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

struct intake *
intake_new(struct queue *q, int poke_fd)
{
	struct intake *intake = calloc(1, sizeof *intake);
	struct err err;

	if (intake == NULL)
		fatal("out of memory");
	intake->queue = q;
	RB_INIT(&intake->due);
	RB_INIT(&intake->releases);
	TAILQ_INIT(&intake->loading);
	/* With the widest jitter and the rounding. */
	intake->longest_retry_s = site_retry_longest_s(q->conf);
	if (intake->longest_retry_s < TIMING_AGAIN_MAX_S)
		intake->longest_retry_s = TIMING_AGAIN_MAX_S;
	intake->longest_retry_s += intake->longest_retry_s * 3 / 5 + 120;
	list_deferred(intake);
	if (!spool_scan_open(&q->spool, &intake->active, SPOOL_ACTIVE, NULL, &err))
		fatal("%s", err.text);
	intake->scan_incoming = true;
	if (poke_fd >= 0)
		loop_io_add(q->loop, &intake->poke, poke_fd, LOOP_READ, poke_ready);
	intake_wake(intake);
	return intake;
}

void
intake_free(struct intake *intake)
{
	struct due *due, *next;

	loop_io_remove(&intake->poke);
	loop_timer_cancel(&intake->turn);
	loop_timer_cancel(&intake->clock);
	spool_scan_close(&intake->active);
	spool_scan_close(&intake->incoming);
	spool_scan_close(&intake->deferred);
	RB_FOREACH_SAFE(due, due_tree, &intake->due, next)
		due_remove(&intake->due, due);
	RB_FOREACH_SAFE(due, due_tree, &intake->releases, next)
		due_remove(&intake->releases, due);
	free(intake);
}
