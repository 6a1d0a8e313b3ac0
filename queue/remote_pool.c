#include "queue/remote_pool.h"

#include <string.h>

static void
forget(struct remote_pool *pool, struct remote_connection *c)
{
	TAILQ_REMOVE(&pool->idle, c, idle);
	loop_timer_cancel(&c->expiry);
}

static void
lost(struct remote_owner *owner, struct remote_connection *c)
{
	forget(container_of(owner, struct remote_pool, owner), c);
	remote_connection_release(c);
}

static void
expired(struct loop_timer *timer)
{
	struct remote_connection *c = container_of(timer, struct remote_connection, expiry);

	lost(c->owner, c);
}

void
remote_pool_init(struct remote_pool *pool)
{
	*pool = (struct remote_pool){.owner = {.lost = lost}};
	TAILQ_INIT(&pool->idle);
}

void
remote_pool_put(struct remote_pool *pool, struct remote_connection *c, const char *key, uint64_t messages_max)
{
	uint64_t reuse_ms = c->context->conf->queue.connection_reuse_ms;

	if (!remote_connection_is_usable(c) || reuse_ms == 0 || c->transactions >= (messages_max > 0 ? messages_max : REMOTE_POOL_TRANSACTIONS_MAX) ||
	    loop_now_ms(c->context->loop) - c->opened_ms > REMOTE_POOL_AGE_MAX_MS) {
		remote_connection_release(c);
		return;
	}
	if (c->key == NULL)
		c->key = str_dup(str_from(key));
	c->owner = &pool->owner;
	TAILQ_INSERT_TAIL(&pool->idle, c, idle);
	loop_timer_set(c->context->loop, &c->expiry, reuse_ms, expired);
}

struct remote_connection *
remote_pool_take(struct remote_pool *pool, const char *key, struct remote_owner *owner)
{
	struct remote_connection *c;

	TAILQ_FOREACH_REVERSE(c, &pool->idle, remote_connections, idle)
		if (strcmp(c->key, key) == 0) {
			forget(pool, c);
			c->owner = owner;
			return c;
		}
	return NULL;
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
