/*
 * One connection after login: the stream, the protocol core, the view of the selected mailbox, and the command that is
 * being carried out.
 */
#ifndef IMAPD_SESSION_H
#define IMAPD_SESSION_H

#include "common/net/stream.h"
#include "imapd/durable.h"
#include "imapd/imap.h"
#include "imapd/message.h"
#include "imapd/user.h"

#define SESSION_IN_MAX 65536
#define SESSION_OUT_HIGH (256 * 1024)	   /* no further work until the client has read */
#define SESSION_OUT_MAX (64 * 1024 * 1024) /* what one step can add to that is far below */

enum job_progress {
	JOB_AGAIN, /* the slice is over, or there is enough output for now */
	JOB_DONE,  /* session_finish or the like was called */
};

/* A command that takes more than one step. It is embedded in what it needs, in the arena of the command. */
struct job {
	/* Works until the slice that began at begin_ms is over. */
	enum job_progress (*step)(struct session *session, struct job *job, uint64_t begin_ms);
	/* Gives back what is not in the arena; called once, after the last step or when the connection ends. NULL: nothing. */
	void (*stop)(struct job *job);
};

struct session {
	TAILQ_ENTRY(session) link;
	struct user *user;
	struct stream stream;
	struct imap imap;
	struct folder *folder; /* selected; NULL: none */
	struct view view;
	uint64_t generation;	/* of the folder, when the view was last in step with it */
	uint32_t keywords_told; /* bits of the keywords whose names the client knows */
	struct job *job;
	struct durable *durable; /* that the command waits for */
	const char *reply;	   /* of the command that is done, when what has changed has been said */
	struct message message;	   /* that was fetched last, as far as it pays to keep it */
	struct mailbox *append_to; /* the target of an APPEND that is under way */
	struct mailbox_file *append_file;
	struct err append_err; /* why it will fail; its class is ERR_NONE as long as it goes well */
	struct loop_timer silence;
	struct loop_deferred work;
	const char *goodbye; /* to be said when no command is under way */
	bool said_goodbye;
	bool aborted;
	char remote[64];
};

/* Takes the connection over, replies to the login, and handles what the client has already sent. */
void session_new(struct user *user, const struct login_connection *connection);
/* Says BYE with this constant as soon as no command is under way. */
void session_end(struct session *session, const char *text);
/* Ends the connection without a word, as soon as what was said is sent: within a literal nothing more can be said. */
void session_abort(struct session *session);
/* The folder has changed: tells the client if it idles. */
void session_push(struct session *session);

/* ---- for commands ---------------------------------------------------------------------------------------------- */

/* The job's steps follow. */
void session_start_job(struct session *session, struct job *job);
/* What the command waited for has come. */
void session_wake(struct session *session);
/* Has the client enough to read for now? */
bool session_is_full(const struct session *session);

/*
 * The command is done: what has changed in the selected mailbox will be said, as far as the command allows, then "TAG
 * reply". The reply is a constant or lives in the command's arena.
 */
void session_finish(struct session *session, const char *reply);
/* The same for a failure of the store: NO with a response code of RFC 5530. Logs what is the postmaster's to mend. */
void session_fail(struct session *session, const struct err *err);
/* What session_fail replies; a constant. */
const char *session_failure(const struct session *session, const struct err *err);
/* Out of room in the command's arena. */
void session_fail_limit(struct session *session);

/* FLAGS and PERMANENTFLAGS of the selected mailbox. */
void session_write_flag_lists(struct session *session);
/* The same if there are keywords that the client has not been told of: before they are used. */
void session_tell_keywords(struct session *session);
/* A folder's name from what the client wrote; false after a reply of NO. The name lives in the command's arena. */
bool session_mailbox_name(struct session *session, struct str written, struct str *name);
/* Leaves the selected mailbox, saying nothing. */
void session_unselect(struct session *session);

/* ---- the messages that a command names ------------------------------------------------------------------------- */

struct session_messages {
	const struct view *view;
	const struct seqset *set;
	bool uids;
	size_t range; /* that is being walked */
	size_t index; /* of the next entry */
};

/* Makes the command's set ready for use. False after a reply of BAD: a sequence number that there is not. */
bool session_messages_init(struct session *session, struct session_messages *m);
/* The next entry in the set, which may be gone; NULL at the end. */
struct view_entry *session_messages_next(struct session_messages *m);

#endif
