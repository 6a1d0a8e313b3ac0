#include "deliver/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/store/owner.h"
#include "common/daemon/sandbox.h"
#include "common/store/store_news.h"
#include "deliver/delivery.h"

static struct {
	struct daemon_self *self;
	const struct account *account;
	struct store_host host;
	struct store *store;	 /* NULL: it could not be opened; why says so */
	struct mailbox *mailbox; /* NULL: likewise */
	struct err why;
	struct channel front;
	struct deliveries waiting; /* written, not yet committed */
	struct loop_deferred commit;
	struct buf message;
	bool leaving; /* after the letters at hand: the next ones get a fresh process */
} writer;

static void
leave(void)
{
	loop_stop(writer.self->loop);
}

static void
answer(uint32_t id, const struct handoff_result *result)
{
	handoff_result_encode(&writer.message, id, result);
	if (!channel_send(&writer.front, &writer.message, -1))
		leave();
}

/* --- letters -------------------------------------------------------------------------------------------------------------- */

static void
commit_now(struct loop_deferred *deferred)
{
	struct deliveries list = STAILQ_HEAD_INITIALIZER(list);
	struct delivery *delivery;

	(void)deferred;
	STAILQ_CONCAT(&list, &writer.waiting);
	if (!deliveries_commit(&list, writer.mailbox))
		writer.leaving = true;
	store_news_send(writer.store);
	while ((delivery = STAILQ_FIRST(&list)) != NULL) {
		STAILQ_REMOVE_HEAD(&list, link);
		answer(delivery->id, &delivery->result);
		delivery_free(delivery);
	}
	if (writer.leaving)
		leave();
}

static void
letter_write(uint32_t id, const struct handoff_letter *letter)
{
	struct delivery *delivery = delivery_new(writer.mailbox, id, letter, false);

	STAILQ_INSERT_TAIL(&writer.waiting, delivery, link);
	loop_defer(writer.self->loop, &writer.commit, commit_now);
}

/* Nothing was opened, or it is not what it was: everyone is told to try again, and this process ends. */
static void
letter_refuse(uint32_t id, const struct handoff_letter *letter)
{
	struct handoff_result result = {.n = letter->nrecipients};

	for (size_t i = 0; i < letter->nrecipients; i++) {
		result.status[i] = delivery_status_of(&writer.why);
		log_warning("to=<%.*s>: %s", STR_FMT(letter->recipients[i]), writer.why.text);
	}
	answer(id, &result);
	leave();
}

/* Sealed: the front, which strangers talk to, cannot change it any more, nor make it shorter under our eyes. */
static const char *
content_map(int fd, uint64_t size)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	void *p;

	if (seals < 0 || (seals & (F_SEAL_WRITE | F_SEAL_SHRINK)) != (F_SEAL_WRITE | F_SEAL_SHRINK))
		return NULL;
	if (fstat(fd, &st) != 0 || (uint64_t)st.st_size != size || size == 0)
		return NULL;
	p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	return p == MAP_FAILED ? NULL : p;
}

static void
letter_take(struct msg *m, struct handoff_letter *letter)
{
	const char *mapped = NULL;

	if (letter->in_file) {
		mapped = content_map(m->fd, letter->size);
		if (mapped == NULL) {
			(void)err_set(&writer.why, ERR_TEMP, "a letter of %llu bytes cannot be read",
			    (unsigned long long)letter->size);
			letter_refuse(m->id, letter);
			return;
		}
		letter->content = (struct str){mapped, letter->size};
	}
	letter_write(m->id, letter);
	if (mapped != NULL)
		(void)munmap((void *)(uintptr_t)mapped, letter->size);
}

static bool
is_usable(void)
{
	if (writer.mailbox == NULL)
		return false;
	/* Asked once for all letters of a turn. */
	if (!STAILQ_EMPTY(&writer.waiting) || store_is_current(writer.store))
		return true;
	(void)err_set(&writer.why, ERR_TEMP, "the Maildir %s has been moved or replaced", writer.account->mail);
	return false;
}

static void
front_sent(struct channel *channel, struct msg *m)
{
	struct handoff_letter letter;

	(void)channel;
	if (m->type != HANDOFF_LETTER || !handoff_letter_decode(m, &letter)) {
		log_warning("a malformed letter came from the front");
		leave();
		return;
	}
	if (is_usable())
		letter_take(m, &letter);
	else
		letter_refuse(m->id, &letter);
}

static void
front_closed(struct channel *channel)
{
	(void)channel;
	leave();
}

/* --- the process ---------------------------------------------------------------------------------------------------------- */

static void
open_mailbox(void)
{
	writer.store = store_open(&writer.host, writer.account->home, writer.account->mail, true, &writer.why);
	if (writer.store != NULL)
		writer.mailbox = mailbox_open(writer.store, STR("INBOX"), MAILBOX_ADD, &writer.why);
	if (writer.mailbox == NULL)
		log_error("mailbox of %s: %s", writer.account->name, writer.why.text);
}

static void
confine(struct daemon_self *self)
{
	struct sandbox_spec spec = {
	    .promises = SANDBOX_STDIO | SANDBOX_LOOP | SANDBOX_OPEN | SANDBOX_CREATE | SANDBOX_CHANGE,
	    .descriptors_max = 1024,
	};

	if (writer.store != NULL)
		spec.paths[0] = (struct sandbox_path){
		    .fd = store_directory(writer.store), .access = SANDBOX_READ | SANDBOX_WRITE | SANDBOX_REMOVE};
	daemon_confine(self, &spec);
}

/* The front ends by itself when it has nothing more to deliver; until then its letters are taken. */
static void
stay(struct daemon_self *self)
{
	(void)self;
}

void
writer_main(struct daemon_self *self)
{
	struct err err;
	struct loop *loop;

	writer.self = self;
	writer.account = self->argument;
	STAILQ_INIT(&writer.waiting);
	buf_init(&writer.message, MSG_MAX_BYTES);
	store_host_read(&writer.host, self->conf->hostname);
	tzset();
	if (!owner_become(writer.account, &err))
		fatal("%s", err.text);
	open_mailbox();
	confine(self);
	loop = loop_new();
	self->drain = stay;
	self->stop = stay;
	daemon_self_open(self, loop);
	channel_open(&writer.front, loop, self->fds[0], front_sent, front_closed);
	loop_run(loop);
	if (writer.store != NULL && writer.mailbox != NULL)
		store_sweep(writer.store, (uint64_t)time(NULL));
	mailbox_close(writer.mailbox);
	store_close(writer.store);
}
