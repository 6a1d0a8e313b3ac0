#include "smtpd/guard.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/log.h"
#include "common/dns/resolver.h"
#include "common/daemon/sandbox.h"
#include "smtpd/guard_list.h"
#include "smtpd/guard_lookup.h"
#include "smtpd/guard_message.h"

#define INQUIRIES_MAX 2000 /* clients about whom DNS is asked at a time; of further ones nothing is known */
#define DESCRIPTORS_MORE 64
#define SESSIONS_MAX 200000 /* that one worker can make us remember */
#define BATCH_BYTES 32768

struct guard;
struct peer;
struct session;

/* What DNS is asked about one of them; only while it is asked. */
struct inquiry {
	struct guard_lookup lookup;
	struct session *session;
	struct guard_answer answer; /* as far as it is known */
};

/* One connection of a worker. */
struct session {
	RB_ENTRY(session) link;
	struct peer *peer;
	uint64_t id;
	struct guard_client client;
	struct inquiry *inquiry; /* NULL: none */
};

RB_HEAD(session_tree, session);

/* One worker. */
struct peer {
	struct guard *guard;
	struct channel channel;
	struct session_tree sessions;
	size_t nsessions;
	struct buf batch; /* answers of this turn */
	struct loop_deferred flush;
	bool draining;
};

struct guard {
	const struct conf *conf;
	struct loop *loop;
	struct dns *dns;
	struct guard_memory memory;
	struct guard_core core;
	struct guard_list list;
	struct peer *peers;
	size_t npeers, ninquiries;
};

static int
session_compare(struct session *a, struct session *b)
{
	return a->id < b->id ? -1 : a->id > b->id;
}

TREE_GENERATE(session_tree, session, link, session_compare)

static uint64_t
now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- answers --------------------------------------------------------------------------------------------------------------- */

/* A worker that does not read goes on without us: its answers are dropped. */
static void
flush(struct loop_deferred *deferred)
{
	struct peer *peer = container_of(deferred, struct peer, flush);

	if (peer->batch.n > 0 && !channel_send(&peer->channel, &peer->batch, -1))
		log_warning("a worker does not take its answers");
	buf_reset(&peer->batch);
}

static void
answer_send(struct peer *peer, const struct guard_answer *answer)
{
	if (peer->batch.n > BATCH_BYTES)
		flush(&peer->flush);
	if (peer->batch.n == 0)
		msg_begin(&peer->batch, GUARD_ANSWERS, 0);
	guard_answer_add(&peer->batch, answer);
	loop_defer(peer->guard->loop, &peer->flush, flush);
}

/* ---- sessions --------------------------------------------------------------------------------------------------------------- */

static struct session *
session_find(struct peer *peer, uint64_t id)
{
	struct session wanted = {.id = id};

	return RB_FIND(session_tree, &peer->sessions, &wanted);
}

static void
inquiry_drop(struct session *s)
{
	if (s->inquiry == NULL)
		return;
	guard_lookup_clear(&s->inquiry->lookup);
	free(s->inquiry);
	s->inquiry = NULL;
	s->peer->guard->ninquiries--;
}

/* Nothing of it counts any more. */
static void
session_settle(struct session *s, const struct guard_report *report)
{
	inquiry_drop(s);
	guard_core_gone(&s->peer->guard->core, &s->client, report, now_ms());
}

static void
session_over(struct session *s, const struct guard_report *report)
{
	struct peer *peer = s->peer;

	session_settle(s, report);
	(void)RB_REMOVE(session_tree, &peer->sessions, s);
	peer->nsessions--;
	free(s);
}

static void
sessions_forget(struct peer *peer)
{
	static const struct guard_report nothing;
	struct session *s, *next;

	RB_FOREACH_SAFE(s, session_tree, &peer->sessions, next)
		session_over(s, &nothing);
}

static struct session *
session_add(struct peer *peer, uint64_t id)
{
	struct session *s = peer->nsessions < SESSIONS_MAX ? calloc(1, sizeof *s) : NULL;

	if (s == NULL)
		return NULL;
	s->peer = peer;
	s->id = id;
	(void)RB_INSERT(session_tree, &peer->sessions, s);
	peer->nsessions++;
	return s;
}

/* NULL when memory is out or the worker has more than it can have. One that is there already begins anew. */
static struct session *
session_new(struct peer *peer, const struct guard_question *q)
{
	struct session *s = session_find(peer, q->session);

	if (s != NULL)
		session_settle(s, &(const struct guard_report){.messages = 0});
	else
		s = session_add(peer, q->session);
	if (s == NULL)
		return NULL;
	memset(&s->client, 0, sizeof s->client);
	s->client.address_n = (unsigned char)q->first.n;
	s->client.exempt = (q->flags & GUARD_EXEMPT) != 0;
	memcpy(s->client.address, q->first.p, q->first.n);
	return s;
}

/* ---- a connection ------------------------------------------------------------------------------------------------------------ */

static void
lookup_finished(struct guard_lookup *lookup)
{
	struct inquiry *inquiry = container_of(lookup, struct inquiry, lookup);
	struct session *s = inquiry->session;
	struct guard_core *core = &s->peer->guard->core;

	inquiry->answer.name = str_from(lookup->name);
	inquiry->answer.lists = buf_str(&lookup->refusing);
	inquiry->answer.score = lookup->score;
	inquiry->answer.known = inquiry->answer.known || lookup->score <= core->rules.welcome;
	guard_core_listed(core, &s->client, lookup->score, now_ms(), &inquiry->answer.judgement);
	answer_send(s->peer, &inquiry->answer);
	inquiry_drop(s);
}

/* False: nobody is asked, be it that nothing is to be known or that too much is asked already. */
static bool
inquire(struct session *s, const struct guard_question *q, const struct guard_answer *answer)
{
	struct guard *guard = s->peer->guard;
	const struct conf_dns_lists *lists = &guard->conf->smtpd.dns_lists;
	const struct guard_lookup_wishes wishes = {
	    .name = (q->flags & GUARD_WANTS_NAME) != 0,
	    .lists = lists->list,
	    .nlists = (q->flags & GUARD_WANTS_LISTS) != 0 ? lists->n : 0,
	    .deadline_ms = guard->conf->smtpd.client_lookup_timeout_ms,
	};

	if ((!wishes.name && wishes.nlists == 0) || guard->ninquiries >= INQUIRIES_MAX)
		return false;
	s->inquiry = calloc(1, sizeof *s->inquiry);
	if (s->inquiry == NULL)
		return false;
	guard->ninquiries++;
	s->inquiry->session = s;
	s->inquiry->answer = *answer;
	guard_lookup_start(&s->inquiry->lookup, guard->loop, guard->dns, q->first, &wishes, lookup_finished);
	return true;
}

static void
asked_connect(struct peer *peer, const struct guard_question *q)
{
	struct guard_core *core = &peer->guard->core;
	struct guard_answer answer = {.session = q->session, .number = q->number, .known = true};
	struct session *s = session_new(peer, q);
	uint64_t now = now_ms();

	if (s == NULL) {
		answer_send(peer, &answer);
		return;
	}
	guard_core_connect(core, &s->client, now, &answer.judgement);
	answer.known = guard_core_is_known(core, &s->client, now);
	answer.errors = guard_core_errors(core, &s->client, now);
	if (answer.judgement.verdict != GUARD_GO || !inquire(s, q, &answer))
		answer_send(peer, &answer);
}

static void
asked_connected(struct peer *peer, const struct guard_question *q)
{
	struct session *s = session_new(peer, q);

	if (s != NULL)
		guard_core_connected(&peer->guard->core, &s->client);
}

/* ---- messages ---------------------------------------------------------------------------------------------------------------- */

static void
asked_of_session(struct peer *peer, struct session *s, const struct guard_question *q)
{
	const struct guard_author author = {.login = q->first, .sender = q->second};
	const struct guard_triplet triplet = {.address = {(const char *)s->client.address, s->client.address_n},
	    .sender = q->first, .recipient = q->second};
	struct guard_answer answer = {.session = q->session, .number = q->number};
	struct guard_core *core = &peer->guard->core;

	if (q->ask == GUARD_ASK_MESSAGE)
		guard_core_message(core, &s->client, &author, now_ms(), &answer.judgement);
	else if (q->ask == GUARD_ASK_RECIPIENTS)
		guard_core_recipients(core, &s->client, &author, now_ms(), &answer.judgement);
	else
		guard_core_grey(core, &triplet, now_ms(), &answer.judgement);
	answer_send(peer, &answer);
}

static void
told_of_session(struct peer *peer, struct session *s, const struct guard_question *q)
{
	const struct guard_author author = {.login = q->first, .sender = q->second};

	if (q->ask == GUARD_ASK_GONE)
		session_over(s, &q->report);
	else if (q->ask == GUARD_ASK_PASSED)
		guard_core_passed(&peer->guard->core, &s->client, now_ms());
	else
		guard_core_return(&peer->guard->core, &s->client, &author, q->count, now_ms());
}

/* ---- workers -------------------------------------------------------------------------------------------------------------------- */

/* The guard of a new configuration answers the postmaster when ours takes no new clients any more. */
static void
peer_drains(struct peer *peer)
{
	struct guard *guard = peer->guard;

	peer->draining = true;
	for (size_t i = 0; i < guard->npeers; i++)
		if (!guard->peers[i].draining)
			return;
	guard_list_stop(&guard->list);
}

static void
asked(struct peer *peer, const struct guard_question *q)
{
	struct session *s = session_find(peer, q->session);

	switch (q->ask) {
	case GUARD_ASK_HELLO:
		peer->draining = false;
		sessions_forget(peer);
		return;
	case GUARD_ASK_DRAINING:
		peer_drains(peer);
		return;
	case GUARD_ASK_CONNECT:
		asked_connect(peer, q);
		return;
	case GUARD_ASK_CONNECTED:
		asked_connected(peer, q);
		return;
	case GUARD_ASK_MESSAGE:
	case GUARD_ASK_RECIPIENTS:
	case GUARD_ASK_GREY:
		/* Of one that we do not know nothing is known against it. */
		if (s == NULL)
			answer_send(peer, &(const struct guard_answer){.session = q->session, .number = q->number,
			    .judgement = {.granted = GUARD_GRANT}});
		else
			asked_of_session(peer, s, q);
		return;
	case GUARD_ASK_GONE:
	case GUARD_ASK_PASSED:
	case GUARD_ASK_RETURN:
		if (s != NULL)
			told_of_session(peer, s, q);
		return;
	}
}

static void
received(struct channel *channel, struct msg *m)
{
	struct peer *peer = container_of(channel, struct peer, channel);
	struct guard_question question;

	if (m->type != GUARD_QUESTIONS) {
		log_warning("a worker sent an unexpected message %u", m->type);
		return;
	}
	while (guard_question_take(m, &question))
		asked(peer, &question);
	if (m->bad)
		log_warning("a worker sent a senseless question");
}

/* The parent keeps the pairs, so this is the end of everything. */
static void
closed(struct channel *channel)
{
	sessions_forget(container_of(channel, struct peer, channel));
}

static void
peer_open(struct guard *guard, struct peer *peer, int fd)
{
	struct buf hello;

	peer->guard = guard;
	RB_INIT(&peer->sessions);
	buf_init(&peer->batch, MSG_MAX_BYTES);
	channel_open(&peer->channel, guard->loop, fd, received, closed);
	buf_init(&hello, MSG_MAX_BYTES);
	msg_begin(&hello, GUARD_NEW, 0);
	(void)channel_send(&peer->channel, &hello, -1);
	buf_clear(&hello);
}

/* ---- the process ----------------------------------------------------------------------------------------------------------------- */

static void
memory_open(struct guard *guard)
{
	char path[PATH_MAX];
	struct err err;
	int n = snprintf(path, sizeof path, "%s/guard", guard->conf->cache_directory);

	if (n < 0 || (size_t)n >= sizeof path) {
		(void)err_set(&err, ERR_PERM, "the path %s is too long", guard->conf->cache_directory);
		guard_memory_open_private(&guard->memory);
	} else if (guard_memory_open(&guard->memory, path, &err)) {
		return;
	}
	log_warning("what is learnt of clients is kept until this process ends: %s", err.text);
}

void
guard_main(struct daemon_self *self)
{
	static struct guard guard;
	struct sandbox_spec spec = {
	    .promises = SANDBOX_STDIO | SANDBOX_LOOP | SANDBOX_SERVE | SANDBOX_INET,
	    .descriptors_max = DNS_LOOKUPS_MAX + self->npeers + GUARD_LIST_READERS_MAX + DESCRIPTORS_MORE,
	};
	struct resolver_servers servers;
	struct guard_rules rules;

	guard.conf = self->conf;
	resolver_find(self->conf, &servers);
	memory_open(&guard);
	guard_rules_set(&rules, self->conf);
	guard_core_init(&guard.core, &rules, &guard.memory);
	daemon_confine(self, &spec);
	guard.loop = loop_new();
	guard.dns = resolver_new(guard.loop, &servers);
	guard.npeers = self->npeers;
	guard.peers = calloc(self->npeers + 1, sizeof *guard.peers);
	if (guard.peers == NULL)
		fatal("out of memory for %zu workers", self->npeers);
	for (size_t i = 0; i < self->npeers; i++)
		peer_open(&guard, &guard.peers[i], self->peers[i]);
	guard_list_start(&guard.list, guard.loop, &guard.core, self);
	daemon_self_open(self, guard.loop); /* with no `stop` of its own it ends at once when told to: after the workers */
	loop_run(guard.loop);
}
