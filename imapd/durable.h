/*
 * What a command has written is made durable by a thread, while the loop goes on for the user's other connections; the
 * command goes on when that is done. Several that wait at once are synced together (common/base/commit.h).
 */
#ifndef IMAPD_DURABLE_H
#define IMAPD_DURABLE_H

#include "common/base/commit.h"
#include "common/store/mailbox.h"

#define DURABLE_FDS_MAX 2

struct session;

/*
 * Keeps what it syncs open until the thread is done with it, also when the connection ends meanwhile. The first member of
 * a calloc'ed struct with what else the command must remember.
 */
struct durable {
	struct session *session; /* NULL: has ended */
	struct mailbox *mailbox;   /* owned: the target */
	struct mailbox_file *file; /* owned; may be NULL */
	/* The command goes on; ok: everything would survive a power cut. It may call durable_wait again, else
	 * durable_free. */
	void (*then)(struct session *session, struct durable *durable, bool ok, const struct err *err);
	/* its own */
	struct commit_entry entries[DURABLE_FDS_MAX];
	unsigned waiting;
	struct err err; /* the first failure */
};

/* Takes mailbox and file over. size: of the whole struct. Fatal when memory is out. */
struct durable *durable_new(size_t size, struct session *session, struct mailbox *mailbox, struct mailbox_file *file);
void durable_free(struct durable *durable);

/* Syncs these descriptors, then calls `then` from the loop, if the session is still there; at once if there are none. */
void durable_wait(struct durable *durable, const int *fds, size_t n,
    void (*then)(struct session *, struct durable *, bool, const struct err *));
/* The session ends. */
void durable_forget(struct durable *durable);

#endif
