#include "smtpd/guard_list.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/net/unix_socket.h"
#include "smtpd/guard_message.h"

#define BATCH_BYTES 32768

/* One `merpati clients`. */
struct reader {
	struct guard_list *list;
	struct channel channel;
};

/* A listing that is being written. */
struct writing {
	struct guard_table_visit visit;
	struct guard_live_visit visit_live;
	struct reader *reader;
	struct buf batch;
	uint64_t now_ms;
	bool failed;
};

static void
batch_send(struct writing *w)
{
	if (!channel_send(&w->reader->channel, &w->batch, -1))
		w->failed = true;
	msg_begin(&w->batch, GUARD_ROWS, 0);
}

static void
row_send(struct writing *w, const struct guard_row *row)
{
	if (w->failed)
		return;
	guard_row_add(&w->batch, row);
	if (w->batch.n > BATCH_BYTES)
		batch_send(w);
}

static bool
is_known(const struct guard_core *core, const struct guard_rate_record *record, uint64_t now_ms)
{
	const struct guard_slot *slot = guard_table_find(&core->memory->passed, record->slot.hash);

	return slot != NULL && now_ms - slot->used_ms <= core->rules.client_memory_ms;
}

/* Whoever did nothing in the spans that run is not shown. What the record says is only as good as its file, in which
 * another guard may be writing: a copy is looked at. */
static void
visit_record(struct guard_table_visit *visit, const void *found)
{
	struct writing *w = container_of(visit, struct writing, visit);
	const struct guard_rate_record record = *(const struct guard_rate_record *)found;
	const struct guard_core *core = w->reader->list->core;
	struct guard_row row = {.kind = (enum guard_kind)record.kind, .bytes = {record.bytes, record.n},
	    .used_ms = record.slot.used_ms};
	uint64_t sum;

	if (record.kind >= GUARD_KINDS || record.n > GUARD_KEY_MAX)
		return;
	row.connections = sum = guard_live_count(&core->live, record.slot.hash);
	for (unsigned i = 0; i < GUARD_RATES; i++)
		sum |= row.counts[i] = guard_rate_record_count(&record, (enum guard_rate)i, w->now_ms);
	row.known = row.kind == GUARD_ADDRESS && is_known(core, &record, w->now_ms);
	if (sum > 0)
		row_send(w, &row);
}

/* Those who are connected and have no record, be it that it was displaced. */
static void
visit_live(struct guard_live_visit *visit, const struct guard_live_subject *subject)
{
	struct writing *w = container_of(visit, struct writing, visit_live);
	struct guard_row row = {.kind = subject->key.kind, .bytes = {subject->key.bytes, subject->key.n},
	    .connections = subject->count, .used_ms = w->now_ms};

	if (guard_table_find(&w->reader->list->core->memory->rates, subject->key.hash) == NULL)
		row_send(w, &row);
}

static void
list_send(struct reader *reader)
{
	struct writing w = {.visit = {visit_record}, .visit_live = {visit_live}, .reader = reader};
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	w.now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	buf_init(&w.batch, MSG_MAX_BYTES);
	msg_begin(&w.batch, GUARD_ROWS, 0);
	guard_table_each(&reader->list->core->memory->rates, &w.visit);
	guard_live_each(&reader->list->core->live, &w.visit_live);
	batch_send(&w);
	msg_begin(&w.batch, GUARD_END, 0);
	(void)channel_send(&reader->channel, &w.batch, -1);
	buf_clear(&w.batch);
}

static void
received(struct channel *channel, struct msg *m)
{
	if (m->type == GUARD_LIST && msg_done(m))
		list_send(container_of(channel, struct reader, channel));
}

static void
closed(struct channel *channel)
{
	struct reader *reader = container_of(channel, struct reader, channel);

	reader->list->nreaders--;
	free(reader);
}

static void
reader_new(struct guard_list *list, int fd)
{
	struct unix_peer peer;
	struct reader *reader;
	struct err err = {.text = ""};

	if (!unix_peer_get(fd, &peer, &err) || (peer.uid != 0 && peer.uid != geteuid()) ||
	    list->nreaders >= GUARD_LIST_READERS_MAX) {
		log_warning("a connection to the clients socket was refused%s%s", err.text[0] != '\0' ? ": " : "", err.text);
		(void)close(fd);
		return;
	}
	reader = calloc(1, sizeof *reader);
	if (reader == NULL) {
		(void)close(fd);
		return;
	}
	reader->list = list;
	list->nreaders++;
	channel_open(&reader->channel, list->loop, fd, received, closed);
}

static void
listener_ready(struct loop_io *io, unsigned events)
{
	struct guard_list_listener *listener = container_of(io, struct guard_list_listener, io);
	int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd >= 0)
		reader_new(listener->list, fd);
}

void
guard_list_start(struct guard_list *list, struct loop *loop, struct guard_core *core, const struct daemon_self *self)
{
	*list = (struct guard_list){.loop = loop, .core = core};
	for (size_t i = 0; i < self->nlisteners && list->nlisteners < GUARD_LIST_LISTENERS_MAX; i++) {
		struct guard_list_listener *listener = &list->listeners[list->nlisteners++];

		listener->list = list;
		loop_io_add(loop, &listener->io, self->listeners[i].fd, LOOP_READ, listener_ready);
	}
}

void
guard_list_stop(struct guard_list *list)
{
	for (size_t i = 0; i < list->nlisteners; i++)
		loop_io_remove(&list->listeners[i].io);
	list->nlisteners = 0;
}
