#include "common/daemon/connector.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/daemon/sandbox.h"

#define GROUPS_MAX 64
#define DESCRIPTORS_MORE 64

struct asker {
	struct channel channel; /* to a worker */
	struct connector *connector;
	size_t ndials;
};

/* A connection that is being made. */
struct dial {
	struct loop_io io;
	struct loop_timer timer;
	struct asker *asker;
	uint32_t id;
	int fd;
};

struct connector {
	const struct conf *conf;
	const struct connector_places *places;
	struct loop *loop;
};

static void
answer(struct asker *asker, uint32_t id, int fd, const char *reason)
{
	struct buf b;

	buf_init(&b, 64 + CONNECTOR_REASON_MAX);
	msg_begin(&b, CONNECTOR_DONE, id);
	msg_add_str(&b, str_sub(str_from(reason), 0, CONNECTOR_REASON_MAX));
	(void)channel_send(&asker->channel, &b, fd); /* a worker that does not read waits no longer than its deadline */
	buf_clear(&b);
}

/* reason: "" when it is connected. */
static void
dial_end(struct dial *dial, const char *reason)
{
	answer(dial->asker, dial->id, reason[0] == '\0' ? dial->fd : -1, reason);
	loop_io_remove(&dial->io);
	loop_timer_cancel(&dial->timer);
	(void)close(dial->fd);
	dial->asker->ndials--;
	free(dial);
}

static void
dial_ready(struct loop_io *io, unsigned events)
{
	struct dial *dial = container_of(io, struct dial, io);
	int errnum = 0;
	socklen_t n = sizeof errnum;

	(void)events;
	if (getsockopt(dial->fd, SOL_SOCKET, SO_ERROR, &errnum, &n) != 0)
		errnum = errno;
	dial_end(dial, errnum == 0 ? "" : strerror(errnum));
}

static void
dial_expired(struct loop_timer *timer)
{
	dial_end(container_of(timer, struct dial, timer), "no connection in time");
}

/* Takes the descriptor. */
static void
dial_begin(struct asker *asker, uint32_t id, int fd, const struct connector_place *place)
{
	struct dial *dial = calloc(1, sizeof *dial);
	bool connected = dial != NULL && connect(fd, &place->to.address.any, place->to.length) == 0;

	if (connected || dial == NULL || errno != EINPROGRESS) {
		answer(asker, id, connected ? fd : -1, connected ? "" : dial == NULL ? "out of memory" : strerror(errno));
		(void)close(fd);
		free(dial);
		return;
	}
	dial->asker = asker;
	dial->id = id;
	dial->fd = fd;
	asker->ndials++;
	loop_io_add(asker->connector->loop, &dial->io, fd, LOOP_WRITE, dial_ready);
	loop_timer_set(asker->connector->loop, &dial->timer, place->timeout_ms, dial_expired);
}

static void
asked(struct channel *channel, struct msg *m)
{
	struct asker *asker = container_of(channel, struct asker, channel);
	const struct connector *connector = asker->connector;
	uint64_t number = msg_get_u64(m);
	struct connector_place place;
	int fd;

	if (m->type != CONNECTOR_CONNECT || !msg_done(m) || !connector->places->find(connector->conf, number, &place)) {
		log_warning("connector: a worker asks for what there is not");
		return;
	}
	if (asker->ndials >= CONNECTOR_DIALS_MAX) {
		answer(asker, m->id, -1, "too many connections are being made");
		return;
	}
	fd = socket(place.to.address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		answer(asker, m->id, -1, strerror(errno));
	else
		dial_begin(asker, m->id, fd, &place);
}

/* The parent keeps the pairs, so that this is the end of everything: it comes by itself. */
static void
asker_gone(struct channel *channel)
{
	(void)channel;
}

static void
confine(struct daemon_self *self)
{
	gid_t groups[GROUPS_MAX];
	int ngroups = GROUPS_MAX;
	struct sandbox_spec spec = {
	    .promises = SANDBOX_STDIO | SANDBOX_LOOP | SANDBOX_SERVE | SANDBOX_UNIX | SANDBOX_INET,
	    .groups = groups,
	    .descriptors_max = self->npeers * CONNECTOR_DIALS_MAX + DESCRIPTORS_MORE,
	};

	if (getgrouplist(self->user.name, self->user.gid, groups, &ngroups) < 0)
		fatal("the user %s is a member of more than %d groups", self->user.name, GROUPS_MAX);
	spec.ngroups = (size_t)ngroups;
	daemon_confine(self, &spec);
}

void
connector_run(struct daemon_self *self, const struct connector_places *places)
{
	struct connector connector = {.conf = self->conf, .places = places};
	struct asker *askers = calloc(self->npeers + 1, sizeof *askers);

	if (askers == NULL)
		fatal("out of memory for %zu workers", self->npeers);
	confine(self);
	connector.loop = loop_new();
	for (size_t i = 0; i < self->npeers; i++) {
		askers[i].connector = &connector;
		channel_open(&askers[i].channel, connector.loop, self->peers[i], asked, asker_gone);
	}
	daemon_self_open(self, connector.loop); /* with no `stop` of its own it ends at once when told to */
	loop_run(connector.loop);
	free(askers);
}
