#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/daemon/daemon_process.h"
#include "common/base/log.h"
#include "common/daemon/notify.h"
#include "common/tls/tls.h"

/* A new generation that is not ready by then is given up, and the old one stays. */
#define START_DEADLINE_MS 15000

int
daemon_role_peer_index(const struct daemon_role *role, const struct daemon_role *peer)
{
	for (int i = 0; i < DAEMON_PEERS_MAX && role->peers[i] != NULL; i++)
		if (strcmp(role->peers[i], peer->name) == 0)
			return i;
	return -1;
}

bool
daemon_role_is_peer(const struct daemon *daemon, const struct daemon_role *role)
{
	for (size_t i = 0; i < daemon->nroles; i++)
		if (daemon_role_peer_index(&daemon->roles[i], role) >= 0)
			return true;
	return false;
}

bool
daemon_role_speaks_tls(const struct daemon_role *role)
{
	for (size_t i = 0; i < DAEMON_PEERS_MAX && role->peers[i] != NULL; i++)
		if (strcmp(role->peers[i], "key") == 0)
			return true;
	return false;
}

bool
daemon_child_must_wait(const struct daemon_child *child)
{
	const struct daemon_generation *older = child->generation;
	const struct daemon_child *other;

	while (child->role->exclusive && (older = TAILQ_PREV(older, daemon_generations, link)) != NULL)
		TAILQ_FOREACH(other, &older->children, link)
			if (other->role == child->role)
				return true;
	return false;
}

static unsigned
count_of(const struct daemon_role *role, const struct conf *conf)
{
	if (role->on_demand)
		return 0;
	return role->count == NULL ? 1 : role->count(conf);
}

static void
child_add(struct daemon_generation *generation, const struct daemon_role *role, unsigned index)
{
	struct daemon_child *child = &generation->regular[generation->nregular++];

	*child = (struct daemon_child){.daemon = generation->daemon,
	    .role = role,
	    .index = index,
	    .generation = generation};
	for (size_t i = 0; i < DAEMON_PEERS_MAX; i++) {
		int fds[2] = {-1, -1};

		if (role->peers[i] != NULL)
			msg_socketpair(fds);
		child->peer_fds[i] = fds[0];
		child->peer_other_fds[i] = fds[1];
	}
	TAILQ_INSERT_TAIL(&generation->children, child, link);
}

static struct daemon_generation *
generation_new(struct daemon *daemon, struct conf *conf)
{
	struct daemon_generation *generation = calloc(1, sizeof *generation);
	size_t total = 0;

	for (size_t i = 0; i < daemon->nroles; i++)
		total += count_of(&daemon->roles[i], conf);
	if (generation != NULL)
		generation->regular = calloc(total + 1, sizeof *generation->regular);
	if (generation == NULL || generation->regular == NULL)
		fatal("out of memory for %zu processes", total);
	generation->daemon = daemon;
	generation->conf = conf;
	TAILQ_INIT(&generation->children);
	tls_ticket_secret_make(&generation->tickets, tls_clock_s());
	for (size_t i = 0; i < daemon->nroles; i++)
		for (unsigned k = 0; k < count_of(&daemon->roles[i], conf); k++)
			child_add(generation, &daemon->roles[i], k);
	return generation;
}

static void
peers_close(struct daemon_child *child)
{
	for (size_t i = 0; i < DAEMON_PEERS_MAX && child->peer_fds[i] >= 0; i++) {
		(void)close(child->peer_fds[i]);
		(void)close(child->peer_other_fds[i]);
	}
}

static void
generation_free(struct daemon_generation *generation)
{
	loop_timer_cancel(&generation->deadline);
	for (size_t i = 0; i < generation->nregular; i++)
		peers_close(&generation->regular[i]);
	TAILQ_REMOVE(&generation->daemon->generations, generation, link);
	conf_free(generation->conf);
	explicit_bzero(&generation->tickets, sizeof generation->tickets);
	free(generation->regular);
	free(generation);
}

bool
daemon_generation_is_trial(const struct daemon_generation *generation)
{
	return generation->state == DAEMON_STARTING && generation->deadline.loop != NULL;
}

void
daemon_generation_give_up(struct daemon_generation *generation)
{
	log_error("the new configuration is not used: its processes did not get ready; the old ones go on");
	daemon_generation_end(generation, true);
}

static void
start_overdue(struct loop_timer *timer)
{
	daemon_generation_give_up(container_of(timer, struct daemon_generation, deadline));
}

void
daemon_generation_start(struct daemon *daemon, struct conf *conf)
{
	struct daemon_generation *generation = generation_new(daemon, conf);
	bool first = TAILQ_EMPTY(&daemon->generations);

	TAILQ_INSERT_TAIL(&daemon->generations, generation, link);
	if (!first)
		loop_timer_set(daemon->loop, &generation->deadline, START_DEADLINE_MS, start_overdue);
	else
		daemon->conf = conf;
	for (size_t i = 0; i < generation->nregular; i++)
		daemon_child_start(&generation->regular[i]);
	daemon_generation_ready(generation); /* if all must wait, or there are none */
}

static bool
is_ready(const struct daemon_generation *generation)
{
	for (size_t i = 0; i < generation->nregular; i++)
		if (!generation->regular[i].ready && !daemon_child_must_wait(&generation->regular[i]))
			return false;
	return true;
}

static void
end_older(struct daemon_generation *generation)
{
	struct daemon_generation *older, *before;

	for (older = TAILQ_PREV(generation, daemon_generations, link); older != NULL; older = before) {
		before = TAILQ_PREV(older, daemon_generations, link);
		if (older->state != DAEMON_DRAINING)
			daemon_generation_end(older, false);
	}
}

void
daemon_generation_ready(struct daemon_generation *generation)
{
	struct daemon *daemon = generation->daemon;
	bool reloaded = daemon->conf != generation->conf;

	if (generation->state != DAEMON_STARTING || !is_ready(generation))
		return;
	generation->state = DAEMON_RUNNING;
	loop_timer_cancel(&generation->deadline);
	daemon->conf = generation->conf;
	if (reloaded && daemon->reloaded != NULL)
		daemon->reloaded(daemon);
	end_older(generation);
	notify_send("READY=1");
	if (reloaded)
		log_info("the new configuration is in force");
	daemon->ready = true;
}

/* Peers of others end when these have: they may still be asked. */
static bool
may_end(const struct daemon_generation *generation, const struct daemon_child *child)
{
	const struct daemon_child *other;

	if (!daemon_role_is_peer(generation->daemon, child->role))
		return true;
	TAILQ_FOREACH(other, &generation->children, link)
		if (daemon_role_peer_index(other->role, child->role) >= 0)
			return false;
	return true;
}

/* Starts what waited for an older process of its exclusive role. */
static void
start_waiting(struct daemon *daemon)
{
	struct daemon_generation *generation;

	TAILQ_FOREACH(generation, &daemon->generations, link)
		for (size_t i = 0; generation->state != DAEMON_DRAINING && i < generation->nregular; i++)
			if (generation->regular[i].role->exclusive && generation->regular[i].pid == 0 &&
			    generation->regular[i].respawn.loop == NULL)
				daemon_child_start(&generation->regular[i]);
}

/* Passes the order on to all whose turn it is; true when that may have made it another's turn. */
static bool
pass_order(struct daemon_generation *generation)
{
	struct daemon_child *child, *next;
	bool removed = false;

	TAILQ_FOREACH_SAFE(child, &generation->children, link, next) {
		if (!may_end(generation, child))
			continue;
		if (child->pid > 0) {
			daemon_child_order(child, generation->haste);
			continue;
		}
		loop_timer_cancel(&child->respawn);
		TAILQ_REMOVE(&generation->children, child, link);
		removed = true;
	}
	return removed;
}

void
daemon_generation_left(struct daemon_generation *generation)
{
	struct daemon *daemon = generation->daemon;

	if (generation->state != DAEMON_DRAINING)
		return;
	while (pass_order(generation))
		continue;
	if (TAILQ_EMPTY(&generation->children))
		generation_free(generation);
	start_waiting(daemon);
	if (daemon->stopping && TAILQ_EMPTY(&daemon->generations))
		loop_stop(daemon->loop);
}

void
daemon_generation_end(struct daemon_generation *generation, bool haste)
{
	generation->state = DAEMON_DRAINING;
	generation->haste = generation->haste || haste;
	loop_timer_cancel(&generation->deadline);
	daemon_generation_left(generation);
}
