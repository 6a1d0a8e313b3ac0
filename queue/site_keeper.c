#include "queue/site_keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "queue/site.h"
#include "queue/site_memory.h"

#define NAME "sites"
#define NAME_NEW "sites.new"
/* Sites die in company. */
#define WRITE_MS 500
/* Nothing is remembered as dead for longer: the clock may have been wrong. */
#define DEAD_MAX_S (24 * 3600)

struct site_keeper {
	struct queue *queue;
	struct loop_timer timer;
	uint64_t written; /* the schedule's count of changes then */
	bool complained;  /* that it cannot be written */
};

/* ---- reading --------------------------------------------------------------------------------------------------- */

static void
remember(struct queue *q, const struct site_limits *limits, const struct site_memory *m, uint64_t now_s)
{
	struct schedule_site *site = schedule_site(&q->schedule, m->key, limits);
	uint64_t left_s = m->dead_until_s > now_s ? m->dead_until_s - now_s : 0;

	if (left_s > DEAD_MAX_S)
		left_s = 0;
	schedule_site_bury(site, loop_now_ms(q->loop) + left_s * 1000, (unsigned)m->deaths);
	if (m->trouble.n > 0)
		schedule_site_blame(site, m->trouble);
}

static void
read_text(struct queue *q, struct str text)
{
	struct site_limits limits;
	struct site_memory m;
	size_t n = 0;

	if (!site_memory_check(&text)) {
		log_warning(NAME ": damaged: which sites are dead will be found out anew");
		return;
	}
	site_limits_usual(&limits, &q->conf->queue);
	for (; site_memory_take(&text, &m); n++)
		remember(q, &limits, &m, queue_now_ms() / 1000);
	if (n > 0)
		log_info("%zu sites are remembered as dead", n);
}

static void
read_file(struct queue *q)
{
	int fd = openat(q->spool.root, NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	char *bytes;
	size_t n = 0;
	ssize_t got;

	if (fd < 0) {
		if (errno != ENOENT)
			log_warning("cannot open " NAME ": %s", strerror(errno));
		return;
	}
	bytes = malloc(SITE_MEMORY_MAX_BYTES);
	if (bytes == NULL)
		fatal("out of memory");
	while (n < SITE_MEMORY_MAX_BYTES && (got = read(fd, bytes + n, SITE_MEMORY_MAX_BYTES - n)) > 0)
		n += (size_t)got;
	(void)close(fd);
	read_text(q, (struct str){bytes, n});
	free(bytes);
}

/* ---- writing --------------------------------------------------------------------------------------------------- */

static void
make_text(struct queue *q, struct buf *b)
{
	struct schedule_site *site = NULL;
	uint64_t n = 0;

	site_memory_begin(b);
	while ((site = schedule_site_next(&q->schedule, site)) != NULL) {
		struct site_memory m = {.key = str_from(site->key), .deaths = site->health.deaths,
		    .trouble = str_from(site->last_trouble)};

		if (m.deaths == 0)
			continue;
		m.dead_until_s = queue_wall_ms(q, site->health.dead_until_ms) / 1000;
		if (site->health.dead_until_ms == 0)
			m.dead_until_s = 0; /* it is being probed */
		n += site_memory_add(b, &m);
	}
	site_memory_end(b, n);
}

/* Nothing is synced: what a power cut leaves of it is whole, or is not believed. */
static bool
write_file(struct queue *q, struct str text)
{
	int root = q->spool.root;
	int fd = openat(root, NAME_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	bool good = fd >= 0;

	while (good && text.n > 0) {
		ssize_t n = write(fd, text.p, text.n);

		good = n > 0;
		text = str_skip(text, good ? (size_t)n : 0);
	}
	if (fd >= 0)
		good = close(fd) == 0 && good;
	good = good && renameat(root, NAME_NEW, root, NAME) == 0;
	if (!good && fd >= 0)
		(void)unlinkat(root, NAME_NEW, 0);
	return good;
}

void
site_keeper_write(struct site_keeper *keeper)
{
	struct queue *q = keeper->queue;
	struct buf b;

	loop_timer_cancel(&keeper->timer);
	if (keeper->written == q->schedule.changes)
		return;
	buf_init(&b, SITE_MEMORY_MAX_BYTES);
	make_text(q, &b);
	if (write_file(q, buf_str(&b))) {
		keeper->written = q->schedule.changes;
		keeper->complained = false;
	} else if (!keeper->complained) {
		log_warning("cannot write " NAME ": %s", strerror(errno));
		keeper->complained = true;
	}
	buf_clear(&b);
}

static void
expired(struct loop_timer *timer)
{
	site_keeper_write(container_of(timer, struct site_keeper, timer));
}

void
site_keeper_look(struct site_keeper *keeper)
{
	if (keeper->written != keeper->queue->schedule.changes && keeper->timer.loop == NULL)
		loop_timer_set(keeper->queue->loop, &keeper->timer, WRITE_MS, expired);
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

struct site_keeper *
site_keeper_new(struct queue *q)
{
	struct site_keeper *keeper = calloc(1, sizeof *keeper);

	if (keeper == NULL)
		fatal("out of memory");
	keeper->queue = q;
	read_file(q);
	keeper->written = q->schedule.changes;
	return keeper;
}

void
site_keeper_free(struct site_keeper *keeper)
{
	loop_timer_cancel(&keeper->timer);
	free(keeper);
}
