#include "queue/remote_pool.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"

struct remote_place {
	RB_ENTRY(remote_place) by_key;
	char *key;
	struct remote_connections idle; /* the longest idle first */
	size_t used;			/* by seats that have a connection or look for one */
	struct remote_seats waiting;
	size_t nwaiting;
};

static int
place_compare(struct remote_place *a, struct remote_place *b)
{
	return strcmp(a->key, b->key);
}

TREE_GENERATE(remote_places, remote_place, by_key, place_compare)

/* ---- places ---------------------------------------------------------------------------------------------------- */

static struct remote_place *
place_get(struct remote_pool *pool, const char *key)
{
	struct remote_place probe = {.key = str_dup(str_from(key))};
	struct remote_place *place = RB_FIND(remote_places, &pool->places, &probe);

	if (place != NULL) {
		free(probe.key);
		return place;
	}
	place = calloc(1, sizeof *place);
	if (place == NULL)
		fatal("out of memory for a place");
	place->key = probe.key;
	TAILQ_INIT(&place->idle);
	TAILQ_INIT(&place->waiting);
	(void)RB_INSERT(remote_places, &pool->places, place);
	return place;
}

/* Unless there is somebody or something. */
static void
place_forget(struct remote_pool *pool, struct remote_place *place)
{
	if (place->used > 0 || place->nwaiting > 0 || !TAILQ_EMPTY(&place->idle))
		return;
	(void)RB_REMOVE(remote_places, &pool->places, place);
	free(place->key);
	free(place);
}

/* ---- connections that are idle --------------------------------------------------------------------------------- */

static void
idle_remove(struct remote_pool *pool, struct remote_connection *c)
{
	TAILQ_REMOVE(&pool->idle, c, idle);
	TAILQ_REMOVE(&c->place->idle, c, place_link);
	loop_timer_cancel(&c->expiry);
}

static void
lost(struct remote_owner *owner, struct remote_connection *c)
{
	struct remote_pool *pool = container_of(owner, struct remote_pool, owner);
	struct remote_place *place = c->place;

	idle_remove(pool, c);
	remote_connection_release(c);
	place_forget(pool, place);
}

static void
expired(struct loop_timer *timer)
{
	struct remote_connection *c = container_of(timer, struct remote_connection, expiry);

	lost(c->owner, c);
}

static void
idle_insert(struct remote_pool *pool, struct remote_place *place, struct remote_connection *c)
{
	c->owner = &pool->owner;
	c->place = place;
	TAILQ_INSERT_TAIL(&pool->idle, c, idle);
	TAILQ_INSERT_TAIL(&place->idle, c, place_link);
	loop_timer_set(pool->loop, &c->expiry, c->context->conf->queue.connection_reuse_ms, expired);
}

bool
remote_pool_drop_one(struct remote_pool *pool)
{
	struct remote_connection *c = TAILQ_FIRST(&pool->idle);

	if (c == NULL)
		return false;
	lost(&pool->owner, c);
	return true;
}

static bool
is_worth_keeping(const struct remote_connection *c, uint64_t messages_max)
{
	return remote_connection_is_usable(c) && !c->is_alone && c->context->conf->queue.connection_reuse_ms > 0 &&
	    c->transactions < (messages_max > 0 ? messages_max : REMOTE_POOL_TRANSACTIONS_MAX) &&
	    loop_now_ms(c->context->loop) - c->opened_ms <= REMOTE_POOL_AGE_MAX_MS;
}

void
remote_pool_init(struct remote_pool *pool, struct loop *loop)
{
	*pool = (struct remote_pool){.owner = {.lost = lost}, .loop = loop};
	RB_INIT(&pool->places);
	TAILQ_INIT(&pool->idle);
}

/* ---- seats ----------------------------------------------------------------------------------------------------- */

static void
wait_end(struct remote_seat *seat)
{
	TAILQ_REMOVE(&seat->place->waiting, seat, link);
	seat->place->nwaiting--;
	seat->waits = false;
	loop_timer_cancel(&seat->patience);
}

static void
turn(struct remote_seat *seat, struct remote_connection *c)
{
	if (seat->waits)
		wait_end(seat);
	seat->place->used++;
	seat->turn(seat, c);
}

static void
patience_is_over(struct loop_timer *timer)
{
	turn(container_of(timer, struct remote_seat, patience), NULL);
}

void
remote_pool_enter(struct remote_pool *pool, const char *key, struct remote_seat *seat, bool may_wait)
{
	struct remote_place *place = place_get(pool, key);
	struct remote_connection *c = TAILQ_LAST(&place->idle, remote_connections);

	seat->pool = pool;
	seat->place = place;
	if (c != NULL)
		idle_remove(pool, c);
	if (c != NULL || !may_wait || place->nwaiting >= place->used || place->nwaiting >= REMOTE_POOL_WAITING_MAX) {
		turn(seat, c);
		return;
	}
	seat->waits = true;
	TAILQ_INSERT_TAIL(&place->waiting, seat, link);
	place->nwaiting++;
	loop_timer_set(pool->loop, &seat->patience, REMOTE_POOL_PATIENCE_MS, patience_is_over);
}

/* Whoever waits gets what becomes free; nothing having become free, one goes to look for itself. */
void
remote_pool_leave(struct remote_seat *seat, struct remote_connection *c)
{
	struct remote_pool *pool = seat->pool;
	struct remote_place *place = seat->place;
	bool waited = seat->waits;

	if (place == NULL)
		return;
	if (waited)
		wait_end(seat);
	else
		place->used--;
	seat->place = NULL;
	if (c != NULL && !is_worth_keeping(c, seat->messages_max)) {
		remote_connection_release(c);
		c = NULL;
	}
	if (!waited && place->nwaiting > 0)
		turn(TAILQ_FIRST(&place->waiting), c);
	else if (c != NULL)
		idle_insert(pool, place, c);
	else
		place_forget(pool, place);
}
