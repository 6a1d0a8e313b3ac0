#include "auth/front.h"

#include <stdlib.h>
#include <unistd.h>

#include "auth/map_front.h"
#include "auth/master_front.h"
#include "auth/sasl_exchange.h"
#include "auth/sasl_front.h"
#include "common/base/log.h"
#include "common/daemon/sandbox.h"

#define DRAIN_LOOK_MS 100
#define DRAIN_LOOKS 1500 /* longer than anything takes that a client does not draw out */

/* Those of the suite's users whose programs ask the maps. */
static const char *const suite_users[] = {"_smtpd", "_queue", "_remote", "_deliver", "_auth", "_login"};

bool
front_is_suite(const struct front *front, uid_t uid)
{
	if (uid == 0)
		return true;
	for (size_t i = 0; i < front->nsuite_uids; i++)
		if (front->suite_uids[i] == uid)
			return true;
	return false;
}

static void
suite_uids_find(struct front *front)
{
	struct daemon_user user;
	struct err err;

	front->suite_uids[front->nsuite_uids++] = front->self->user.uid;
	for (size_t i = 0; i < sizeof suite_users / sizeof suite_users[0]; i++)
		if (daemon_user_find(suite_users[i], &user, &err))
			front->suite_uids[front->nsuite_uids++] = user.uid;
}

static void
listeners_open(struct front *front)
{
	const struct daemon_self *self = front->self;

	for (size_t i = 0; i < self->nlisteners; i++) {
		if (self->listeners[i].kind == LISTENER_SASL)
			peer_server_listen(&front->sasl, self->listeners[i].fd);
		else if (self->listeners[i].kind == LISTENER_MAP)
			peer_server_listen(&front->map, self->listeners[i].fd);
		else if (self->listeners[i].kind == LISTENER_MASTER)
			peer_server_listen(&front->master, self->listeners[i].fd);
	}
}

static struct front *front; /* of this process; daemon_self has no room for an owner's pointer */

/* The process may end once both are true: it has nothing to do any more, and the parent has told it to. */
static void
end_if_done(void)
{
	if (front->released && front->self->draining)
		loop_stop(front->pool.loop);
}

static void
drain_look(struct loop_timer *timer)
{
	bool haste = ++front->drain_looks > DRAIN_LOOKS;
	bool sasl_done = peer_server_drain(&front->sasl, haste);
	bool map_done = peer_server_drain(&front->map, haste);

	/* The parents that ask about a success must find this process as long as it knows of one. */
	if (sasl_done && map_done && peer_server_drain(&front->master, haste)) {
		front->released = true;
		pool_release(&front->pool);
		oauth_client_release(&front->oauth);
		end_if_done();
	} else
		loop_timer_set(front->pool.loop, timer, DRAIN_LOOK_MS, drain_look);
}

static void
drain_begin(struct pool *pool)
{
	(void)pool;
	if (front->draining)
		return;
	front->draining = true;
	drain_look(&front->drain_timer);
}

static void
offers_changed(struct pool *pool, struct msg *m)
{
	unsigned offers;

	(void)pool;
	if (!check_offers_read(m, &offers) || offers == front->offers)
		return;
	front->offers = offers;
	sasl_front_offers(front);
}

/* The parent says so only when the checkers have ended, who end when this process lets them: they bring the news. */
static void
front_drain(struct daemon_self *self)
{
	(void)self;
	drain_begin(&front->pool);
	end_if_done();
}

void
front_main(struct daemon_self *self)
{
	const struct conf_auth *auth = &self->conf->auth;
	struct sandbox_spec sandbox = {.promises = SANDBOX_STDIO | SANDBOX_LOOP | SANDBOX_SERVE,
	    .descriptors_max = 2 * auth->clients + 256};
	struct loop *loop;
	size_t checkers;

	front = calloc(1, sizeof *front);
	if (front == NULL)
		fatal("out of memory");
	front->conf = self->conf;
	front->self = self;
	suite_uids_find(front);
	daemon_confine(self, &sandbox);
	loop = loop_new();
	TAILQ_INIT(&front->ready);
	penalty_init(&front->penalty, auth->failure_delay_ms, auth->failure_delay_max_ms);
	front->pool.next_password = sasl_exchange_next_password;
	front->pool.leaving = drain_begin;
	front->pool.offers = offers_changed;
	checkers = self->npeers - oauth_count(self->conf);
	pool_open(&front->pool, loop, self->peers, checkers);
	oauth_client_open(&front->oauth, loop, checkers < self->npeers ? self->peers[checkers] : -1);
	peer_server_init(&front->sasl, &sasl_front_kind, front, loop, auth->clients);
	peer_server_init(&front->map, &map_front_kind, front, loop, auth->clients);
	peer_server_init(&front->master, &master_front_kind, front, loop, 64);
	listeners_open(front);
	self->drain = front_drain;
	daemon_self_open(self, loop);
	loop_run(loop);
}
