#include "imapd/durable.h"

#include <assert.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "imapd/session.h"

struct durable *
durable_new(size_t size, struct session *session, struct mailbox *mailbox, struct mailbox_file *file)
{
	struct durable *durable = calloc(1, size);

	if (durable == NULL)
		fatal("out of memory for what is to be made durable");
	durable->session = session;
	durable->mailbox = mailbox;
	durable->file = file;
	return durable;
}

void
durable_free(struct durable *durable)
{
	mailbox_file_free(durable->file);
	mailbox_close(durable->mailbox);
	free(durable);
}

static void
go_on(struct durable *durable)
{
	struct session *session = durable->session;

	if (session == NULL) {
		durable_free(durable);
		return;
	}
	session->durable = NULL;
	durable->then(session, durable, durable->err.class == ERR_NONE, &durable->err);
	session_wake(session);
}

static void
one_is_done(struct durable *durable, bool ok, const struct err *err)
{
	if (!ok && durable->err.class == ERR_NONE)
		durable->err = *err;
	if (--durable->waiting == 0)
		go_on(durable);
}

static void
first_done(struct commit_entry *entry, bool ok, const struct err *err)
{
	one_is_done(container_of(entry, struct durable, entries[0]), ok, err);
}

static void
second_done(struct commit_entry *entry, bool ok, const struct err *err)
{
	one_is_done(container_of(entry, struct durable, entries[1]), ok, err);
}

/* To commit, a descriptor by itself is its own directory: what is synced already is synced once more at no cost. */
void
durable_wait(struct durable *durable, const int *fds, size_t n,
    void (*then)(struct session *, struct durable *, bool, const struct err *))
{
	static void (*const done[DURABLE_FDS_MAX])(struct commit_entry *, bool, const struct err *) = {
	    first_done, second_done};
	struct session *session = durable->session;

	assert(n <= DURABLE_FDS_MAX);
	if (n == 0) {
		then(session, durable, true, NULL);
		return;
	}
	durable->then = then;
	session->durable = durable;
	durable->waiting = (unsigned)n;
	for (size_t i = 0; i < n; i++)
		commit_submit(user_commit(session->user), &durable->entries[i], fds[i], fds[i], done[i]);
}

void
durable_forget(struct durable *durable)
{
	if (durable != NULL)
		durable->session = NULL;
}
