/*
 * A message in memory while queued works on it, and its file.
 */
#ifndef QUEUE_MESSAGE_H
#define QUEUE_MESSAGE_H

#include "common/base/commit.h"
#include "common/queue/queue_id.h"
#include "queue/delivery.h"
#include "queue/envelope_file.h"
#include "queue/queue_log.h"

struct queue;

#define MESSAGE_ENVELOPE_MAX_BYTES (256UL * 1024 * 1024)
#define MESSAGE_RECIPIENTS_MAX 1000000
/* Messages that wait for their turn, or for what becomes of them, keep their files open up to this. */
#define MESSAGE_OPEN_MAX 1000
/* What the postmaster wants with a message as soon as nothing is under way. */
enum message_wish {
	MESSAGE_WISH_NONE,
	MESSAGE_WISH_HOLD,
	MESSAGE_WISH_DELETE,
	MESSAGE_WISH_BOUNCE,
};

struct message {
	struct queue *queue;
	struct queue_id id;
	RB_ENTRY(message) by_id;
	struct envelope envelope;
	struct envelope_source source; /* until it is loaded */
	int fd;			    /* for reading; -1: not open */
	bool loaded;
	bool is_ordered;     /* by a command, or our own notification: it finds room in any case */
	bool was_deferred;   /* it comes from deferred/ */
	bool is_notice;	     /* or it is a notification */
	bool is_retry;	     /* and that because it failed */
	bool is_untried;     /* nothing of it is tried this time */
	bool was_tried;	     /* a transaction was begun */
	bool has_news;	     /* something of this time is for the file's history */
	bool has_failed;     /* something waits for another time, not for want of room */
	uint64_t postponed_ms; /* some was not tried for want of room: when it comes again; 0: none */
	const struct conf_times *retry; /* of its sites; NULL: the usual one */
	struct share *share; /* its sender's; NULL: it does not count */
	bool is_left;	     /* a former queued left it in active/: unfinished, it is a notification of that one's */
	bool again_soon; /* it failed because of us: authd or deliver were away */
	uint64_t active_ms;
	size_t routed;	  /* the recipients before this one have been asked about */
	size_t questions; /* answers that are awaited */
	struct deliveries deliveries;
	size_t ndeliveries;
	struct delivery_tree open; /* those not closed, by site and return path */
	TAILQ_ENTRY(message) route_link; /* route.c: while more is to be done in the next turn */
	bool is_going;
	TAILQ_ENTRY(message) flush_link; /* route.c: while some are open and answers awaited */
	bool flush_soon;
	unsigned deaths; /* workers that died with it */
	uint64_t last_death;
	enum message_wish wish;
	char *bounce_reason; /* of BOUNCE; else NULL */
	/* outcome.c: */
	bool recording; /* until its file is durable */
	bool noticing;	/* until a notification about it is durable */
	bool ending;	/* the round is over and recorded: only its place remains to be changed */
	bool warned_now; /* of the delay; not yet recorded */
	uint64_t due_ms;
	bool is_unrecorded; /* in the list of those to be recorded soon */
	TAILQ_ENTRY(message) unrecorded_link;
	bool is_stuck; /* something could not be written: in the list of those to be tried again */
	TAILQ_ENTRY(message) stuck_link;
	struct commit_entry commit;
	int record_fd;
	uint64_t record_end;	/* of the file, before what is on its way to it */
	size_t record_written;	/* of its recipients were in it then */
	unsigned notice_failures;
	/* intake.c: */
	TAILQ_ENTRY(message) load_link;
};

struct message *message_new(struct queue *q, const struct queue_id *id);
/* Closes and frees; nothing may be under way. */
void message_free(struct message *m);

/* The postmaster's wish that it be returned, for this reason. */
void message_bounce(struct message *m, struct str reason);

/* Some of it finds no room now and comes again after so long, sooner if something else of it does. */
void message_postpone(struct message *m, uint64_t after_ms);

/* Opens active/ID, or does nothing when it is open. */
bool message_open(struct message *m, struct err *err);
void message_close(struct message *m);
/* The same once the file is removed: elsewhere, since it may take long. */
void message_close_removed(struct message *m);

/*
 * An attempt for that recipient ended so: remembered and logged. times: the message's own parts are filled in here; NULL
 * if no transaction was begun.
 */
void message_attempt(struct message *m, size_t index, const struct queue_attempt *attempt,
    const struct queue_log_times *times);

/*
 * The same of one that was not tried because its site is dead. Only logged, when its file knows a reason why it waits: what dead
 * sites hold may be much, and is not to be written again and again.
 */
void message_suspend(struct message *m, size_t index, const struct queue_attempt *attempt);

/* Reads and checks at most about `budget` bytes of the open file. On DAMAGED, NEWER and UNREADABLE err says why. */
enum envelope_load message_load(struct message *m, size_t budget_bytes, struct err *err);

/*
 * Appends what the file does not know yet, and `more` records (may be NULL), to active/ID. On success *fd is the file,
 * open for writing, for message_settle; the caller closes it. Nothing is synced. On failure the file is as before.
 */
bool message_record(struct message *m, const struct buf *more, int *fd, struct err *err);
/* What the last message_record wrote was not made durable, and may be gone although it can be read: it is written again. */
void message_unrecord(struct message *m);
/*
 * Overwrites the state byte of each recipient that is recorded and of which all has been done. To be called only when
 * the records are durable. Failures are ignored: the records say the same.
 */
void message_settle(struct message *m, int fd);

#endif
