/*
 * Hands a message to the queue: a file in the drop box spool/incoming, which this process may create there and nothing
 * else. A small message is one open and one write; then the group commit makes file and name durable, and only then
 * `done` says so. What is given up stays behind without its END record and is swept by queued.
 */
#ifndef SMTPD_INTAKE_H
#define SMTPD_INTAKE_H

#include "common/base/buf.h"
#include "common/base/commit.h"
#include "common/queue/queue_file.h"
#include "common/queue/queue_id.h"

#define INTAKE_NOTICE_MAX 32768 /* bytes of notices that queued has no room for at present: 1,900 IDs */

#define INTAKE_RANDOM 64

/* The drop box: one a process. */
struct intake {
	struct loop *loop;
	struct commit *commit;
	int incoming_fd;	/* the directory */
	bool reads_back;	/* messages are shown to filters: files are opened for reading too */
	unsigned file_mode;	/* of new files */
	int poke_fd;		/* datagrams that tell queued; -1: it looks by itself */
	const char *poke_path;
	struct buf notice; /* IDs that queued is to be told, each with a newline */
	struct loop_deferred notice_due;
	struct loop_timer notice_gap;
	uint64_t noticed_ms; /* when the last notice went */
	uint32_t random[INTAKE_RANDOM]; /* for IDs; the first nrandom are fresh */
	size_t nrandom;
};

struct intake_message {
	struct intake *intake;
	struct queue_writer writer;
	struct queue_id id;
	int fd; /* -1 until something had to be written */
	uint64_t created_us; /* since 1970, when fd was opened */
	bool failed;
	struct err err;
	struct commit_entry entry;
	/* ok: the message is the queue's now. Called once after intake_finish. */
	void (*done)(struct intake_message *m, bool ok, const struct err *err);
};

/* Opens the socket for the notices. incoming_fd, commit and poke_path stay the caller's. */
void intake_init(struct intake *intake, struct loop *loop, struct commit *commit, int incoming_fd, const char *poke_path);
/* Sends what notice is due; for the end of the process. */
void intake_flush_notice(struct intake *intake);

/* Asks queued for what waits for this target (common/queue/poke.h), for ETRN; with the next notice. */
void intake_wake(struct intake *intake, struct str target);

/* A new message with a fresh ID; writes nothing yet. time_us: since 1970. */
void intake_begin(struct intake_message *m, struct intake *intake, uint64_t time_us);
/* To be called now and then while m->writer is filled: writes out what has gathered once it is much. False and err when
 * the disk does not take it; the message is lost then and the caller says so to the client (452). */
bool intake_flush(struct intake_message *m, struct err *err);
/* For who will add much at once behind the content: so many bytes more may gather. */
void intake_widen(struct intake_message *m, size_t bytes);
/*
 * With reads_back: what was written from offset on, at most max bytes and at least one, none of which may lie behind the
 * end. Borrowed until the next call for any message, or until more is written. .p NULL and err: it cannot be read.
 */
struct str intake_content(const struct intake_message *m, uint64_t offset, uint64_t max, struct err *err);
/* Ends the file, unless the writer did that already, makes it durable and tells queued. done is called from the loop, never from inside. */
void intake_finish(struct intake_message *m, void (*done)(struct intake_message *, bool, const struct err *));
/* Gives the message up (before intake_finish), or frees what is left of it (after done). Harmless twice. */
void intake_clear(struct intake_message *m);

#endif
