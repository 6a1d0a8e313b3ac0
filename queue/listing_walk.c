#include "queue/listing_walk.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS_MAX 16
/* Batches that are under way or wait for their turn. */
#define SLOTS 64
#define OUT_MAX_BYTES (1024UL * 1024 * 1024)
/* A buffer that one large message made larger than this is given back. */
#define OUT_KEPT_BYTES (256UL * 1024)

struct slot {
	struct listing_names names;
	const struct listing_seen *seen[LISTING_HANDFUL]; /* instead of the names */
	size_t nseen;
	struct listing_batch batch;
	bool is_done;
};

struct crew {
	struct listing_walk *walk;
	struct listing_source source;
	pthread_mutex_t lock; /* of all below, and of the source */
	pthread_cond_t turned;
	struct slot slots[SLOTS]; /* a ring: batch n is in n % SLOTS */
	uint64_t begun, taken;	  /* batches */
	bool is_taking;		  /* some thread is at it */
	bool is_over;		  /* nothing is begun any more */
	bool is_ended;		  /* nor is anything taken */
	bool failed;
	struct err err;
};

void
listing_batch_add(struct listing_batch *batch, const struct listed *message)
{
	batch->ends[batch->n] = batch->out.n;
	batch->sizes[batch->n++] = message->envelope.head.message_size;
}

/* ---- one batch ----------------------------------------------------------------------------------------------------- */

static void
show(struct listing_walk *walk, struct slot *slot, const struct listed *m)
{
	slot->batch.looked_at++;
	walk->visit(walk, &slot->batch, m);
}

static void
slot_read(struct listing_walk *walk, struct slot *slot, struct listed *m)
{
	slot->batch.n = slot->batch.looked_at = 0;
	buf_reset(&slot->batch.out);
	for (size_t i = 0; i < slot->nseen; i++)
		if (listing_read_again(&walk->listing, slot->seen[i], m))
			show(walk, slot, m);
	for (size_t i = 0; i < slot->names.n; i++) {
		const struct queue_id *id = &slot->names.ids[i];

		if ((walk->wants == NULL || walk->wants(walk, id)) &&
		    listing_read(&walk->listing, slot->names.directory, id, m))
			show(walk, slot, m);
	}
}

static void
slot_taken(struct slot *slot)
{
	slot->is_done = false;
	if (slot->batch.out.cap > OUT_KEPT_BYTES)
		buf_clear(&slot->batch.out);
}

/* ---- the crew: all with the lock held ------------------------------------------------------------------------------ */

static void
end(struct crew *crew)
{
	crew->is_over = crew->is_ended = true;
}

static void
seen_next(struct listing_walk *walk, struct slot *slot)
{
	while (slot->nseen < LISTING_HANDFUL && (slot->seen[slot->nseen] = walk->next(walk)) != NULL)
		slot->nseen++;
}

/* False: there is nothing left to begin. */
static bool
begin(struct crew *crew, struct slot *slot)
{
	slot->names.n = slot->nseen = 0;
	if (crew->walk->next != NULL)
		seen_next(crew->walk, slot);
	else
		crew->failed = !listing_source_next(&crew->source, &slot->names, &crew->err);
	crew->is_over = slot->names.n + slot->nseen == 0;
	crew->begun += !crew->is_over;
	return !crew->is_over;
}

/* Gives out what is done, in order; without the lock meanwhile, since the output may have to wait. */
static void
take_done(struct crew *crew)
{
	crew->is_taking = true;
	while (!crew->is_ended && crew->taken < crew->begun && crew->slots[crew->taken % SLOTS].is_done) {
		struct slot *slot = &crew->slots[crew->taken % SLOTS];
		bool more;

		(void)pthread_mutex_unlock(&crew->lock);
		more = crew->walk->take(crew->walk, &slot->batch);
		slot_taken(slot);
		(void)pthread_mutex_lock(&crew->lock);
		crew->taken++;
		if (!more)
			end(crew);
		(void)pthread_cond_broadcast(&crew->turned);
	}
	crew->is_taking = false;
}

static void
work(struct crew *crew, struct listed *m)
{
	while (!crew->is_over) {
		struct slot *slot = &crew->slots[crew->begun % SLOTS];

		if (crew->begun - crew->taken == SLOTS) {
			(void)pthread_cond_wait(&crew->turned, &crew->lock);
			continue;
		}
		if (!begin(crew, slot))
			break;
		(void)pthread_mutex_unlock(&crew->lock);
		slot_read(crew->walk, slot, m);
		(void)pthread_mutex_lock(&crew->lock);
		listing_source_release(&slot->names);
		slot->is_done = true;
		if (!crew->is_taking)
			take_done(crew);
	}
	(void)pthread_cond_broadcast(&crew->turned);
}

static void *
worker(void *argument)
{
	struct crew *crew = argument;
	struct listed m;

	listed_init(&m, &crew->walk->listing);
	(void)pthread_mutex_lock(&crew->lock);
	work(crew, &m);
	(void)pthread_mutex_unlock(&crew->lock);
	listed_clear(&m);
	return NULL;
}

/* ---- the walk ------------------------------------------------------------------------------------------------------ */

static size_t
threads_wanted(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;

	return n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : (size_t)n;
}

/* This thread is one of them; fewer than wanted do as well. */
static void
all_hands(struct crew *crew)
{
	pthread_t threads[THREADS_MAX];
	size_t wanted = threads_wanted(), n = 0;

	while (n + 1 < wanted && pthread_create(&threads[n], NULL, worker, crew) == 0)
		n++;
	(void)worker(crew);
	while (n > 0)
		(void)pthread_join(threads[--n], NULL);
}

bool
listing_walk(struct listing_walk *walk, struct err *err)
{
	struct crew *crew = calloc(1, sizeof *crew);
	bool good;

	if (crew == NULL)
		return err_set(err, ERR_TEMP, "out of memory");
	*crew = (struct crew){.walk = walk};
	listing_source_init(&crew->source, &walk->listing.spool, walk->places);
	(void)pthread_mutex_init(&crew->lock, NULL);
	(void)pthread_cond_init(&crew->turned, NULL);
	for (size_t i = 0; i < SLOTS; i++)
		buf_init(&crew->slots[i].batch.out, OUT_MAX_BYTES);
	all_hands(crew);
	good = !crew->failed;
	*err = crew->err;
	for (size_t i = 0; i < SLOTS; i++)
		buf_clear(&crew->slots[i].batch.out);
	listing_source_clear(&crew->source);
	(void)pthread_cond_destroy(&crew->turned);
	(void)pthread_mutex_destroy(&crew->lock);
	free(crew);
	return good;
}
