#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <bsd/unistd.h>

#include "common/daemon/daemon_process.h"
#include "common/daemon/descriptors.h"
#include "common/base/log.h"
#include "common/daemon/notify.h"
#include "common/daemon/sandbox.h"

/* A process that lost its parent has so long for its end. */
#define ORPHAN_MS 5000

static bool in_empty_root;

/* By the configuration of the child's own generation, which a reload that failed has not changed. */
static struct listener *
listeners_of(const struct daemon_child *child, size_t *n)
{
	const struct listener_set *all = &child->daemon->listeners;
	struct listener *list = calloc(all->n + 1, sizeof *list);

	if (list == NULL)
		fatal("out of memory for the listeners");
	*n = 0;
	for (size_t i = 0; i < all->n; i++) {
		struct listener *listener = &list[*n];

		*listener = all->list[i];
		if (listener_kind_of(listener->name, child->generation->conf, &listener->kind) &&
		    (child->role->listeners & LISTENER_BIT(listener->kind)))
			(*n)++;
	}
	return list;
}

/* Its own ends of the pairs to its peers, then the other ends of all pairs in which it is the peer. */
static int *
peers_of(const struct daemon_child *child, size_t *n)
{
	const struct daemon_generation *generation = child->generation;
	int *list = calloc(generation->nregular + DAEMON_PEERS_MAX, sizeof *list);

	if (list == NULL)
		fatal("out of memory for the peers");
	*n = 0;
	for (size_t i = 0; i < DAEMON_PEERS_MAX && child->peer_fds[i] >= 0; i++)
		list[(*n)++] = child->peer_fds[i];
	for (size_t i = 0; i < generation->nregular && !child->role->on_demand; i++) {
		const struct daemon_child *other = &generation->regular[i];
		int k = daemon_role_peer_index(other->role, child->role);

		if (k >= 0)
			list[(*n)++] = other->peer_other_fds[k];
	}
	return list;
}

static void
keep_only(const struct daemon_self *self)
{
	int keep[DESCRIPTORS_KEEP_MAX];
	size_t n = 0;

	if (self->nlisteners + self->npeers + self->nfds + 2 > DESCRIPTORS_KEEP_MAX)
		fatal("too many descriptors for a process");
	keep[n++] = log_fd();
	keep[n++] = self->channel_fd;
	for (size_t i = 0; i < self->nlisteners; i++)
		keep[n++] = self->listeners[i].fd;
	for (size_t i = 0; i < self->npeers; i++)
		keep[n++] = self->peers[i];
	for (size_t i = 0; i < self->nfds; i++)
		keep[n++] = self->fds[i];
	descriptors_keep(keep, n);
}

static void
find_user(struct daemon_self *self, const struct daemon_spawn *spawn)
{
	struct err err;

	if (spawn != NULL && spawn->user != NULL)
		self->user = *spawn->user;
	else if (!daemon_user_find(self->role->user, &self->user, &err))
		fatal("%s", err.text);
}

/* The parent's loop goes first: with it SIGHUP, SIGTERM and SIGCHLD have their usual effects again. A signal from the
 * terminal is for the parent, which then tells us. */
static void
leave_parent(struct daemon *daemon)
{
	loop_free(daemon->loop);
	notify_close();
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
}

/* Only who speaks TLS may know how its tickets are encrypted, and only those of its own generation. */
static void
forget_tickets(const struct daemon_child *child, struct daemon_self *self)
{
	struct daemon_generation *generation;

	TAILQ_FOREACH(generation, &child->daemon->generations, link)
		if (generation != child->generation || !daemon_role_speaks_tls(child->role))
			explicit_bzero(&generation->tickets, sizeof generation->tickets);
	self->tickets = &child->generation->tickets;
}

_Noreturn void
daemon_self_main(struct daemon_child *child, const struct daemon_spawn *spawn, int channel_fd)
{
	struct daemon *daemon = child->daemon;
	struct daemon_self self = {
	    .role = child->role, .index = child->index, .conf = child->generation->conf, .channel_fd = channel_fd};

	leave_parent(daemon);
	forget_tickets(child, &self);
	self.listeners = listeners_of(child, &self.nlisteners);
	self.peers = peers_of(child, &self.npeers);
	if (spawn != NULL) {
		self.fds = spawn->fds;
		self.nfds = spawn->nfds;
		self.argument = spawn->argument;
	}
	find_user(&self, spawn);
	keep_only(&self);
	if (spawn != NULL && spawn->title != NULL)
		setproctitle("%s %s", child->role->name, spawn->title);
	else
		setproctitle("%s", child->role->name);
	child->role->main(&self);
	exit(EX_OK);
}

void
daemon_confine(struct daemon_self *self, struct sandbox_spec *spec)
{
	struct err err;

	spec->change_user = daemon_is_privileged();
	spec->uid = self->user.uid;
	spec->gid = self->user.gid;
	spec->root = spec->change_user && !self->role->keeps_root ? self->conf->run_directory : NULL;
	in_empty_root = spec->root != NULL;
	if (!sandbox_enter(spec, &err))
		fatal("%s: %s", self->role->name, err.text);
}

static void
stop_now(struct daemon_self *self)
{
	if (self->stopping)
		return;
	self->stopping = true;
	if (self->stop == NULL)
		exit(EX_OK);
	self->stop(self);
}

static void
drain_now(struct daemon_self *self)
{
	if (self->draining || self->stopping)
		return;
	self->draining = true;
	if (self->drain == NULL)
		stop_now(self);
	else
		self->drain(self);
}

/* A parent that is gone shows itself by the end of the channel. */
static void
tell_parent(struct daemon_self *self, enum daemon_message type)
{
	struct buf b;

	buf_init(&b, 64);
	msg_begin(&b, type, 0);
	(void)channel_send(&self->channel, &b, -1);
	buf_clear(&b);
}

static void
parent_said(struct channel *channel, struct msg *m)
{
	struct daemon_self *self = container_of(channel, struct daemon_self, channel);

	if (m->type == DAEMON_DRAIN)
		drain_now(self);
	else if (m->type == DAEMON_STOP)
		stop_now(self);
	else if (m->type == DAEMON_PING)
		tell_parent(self, DAEMON_PONG);
	else if (self->received != NULL)
		self->received(self, m);
}

static void
orphan_overdue(struct loop_timer *timer)
{
	(void)timer;
	_exit(EX_TEMPFAIL);
}

static void
parent_gone(struct channel *channel)
{
	struct daemon_self *self = container_of(channel, struct daemon_self, channel);

	loop_timer_set(self->loop, &self->orphan, ORPHAN_MS, orphan_overdue);
	stop_now(self);
}

void
daemon_self_open(struct daemon_self *self, struct loop *loop)
{
	self->loop = loop;
	channel_open(&self->channel, loop, self->channel_fd, parent_said, parent_gone);
	tell_parent(self, DAEMON_READY);
}

bool
daemon_self_send(struct daemon_self *self, const struct buf *b, int pass_fd)
{
	return channel_send(&self->channel, b, pass_fd);
}

const char *
daemon_socket_path(const struct conf *conf, const char *name)
{
	static char path[256];

	(void)snprintf(path, sizeof path, "%s/%s", in_empty_root ? "" : conf->run_directory, name);
	return path;
}
